"""Preference optimisation and adapters in the plan."""

from __future__ import annotations

from typing import Any

from exc.compiler.plan import Plan
from tests.compiler.study import artifacts, identities, plan_of, plan_with

PAIRS = {"data": "held-out", "columns": {"chosen": "better", "rejected": "worse"}}
DPO = {"task": "sums", "split": "pairs", "batch_size": 8, "max_steps": 20, "args": {"learning_rate": 1e-6}}
LORA = {"r": 8, "lora_alpha": 16}


def plan_with_dpo(**changes: Any) -> Plan:
    return plan_with(
        {
            "tasks.sums.splits.pairs": PAIRS,
            "recipes.dpo": [{"dpo": {"from": "sft", "dpo": {**DPO, **changes}}}],
        }
    )


def test_it_reads_a_model_and_pairs() -> None:
    plan = plan_with_dpo()
    job = plan.job("tiny/400/dpo/r0/dpo")
    assert {need.role: need.job for need in job.needs} == {
        "model": "tiny/400/sft/r0/sft",
        "rows": "tasks/sums/pairs.pairs",
    }
    columns = plan.job("tasks/sums/pairs.pairs").config["columns"]
    assert {field: column["column"] for field, column in columns.items()} == {
        "question": "question",
        "chosen": "better",
        "rejected": "worse",
    }
    assert list(job.kept) == [20]
    assert job.config["args"]["beta"] == 0.1


def test_nothing_else_changes() -> None:
    assert artifacts(plan_of()) < artifacts(plan_with_dpo())


def test_adapters_are_another_computation_and_their_default_is_none() -> None:
    plain, adapted = plan_with_dpo(), plan_with_dpo(lora=LORA)
    name = "tiny/400/dpo/r0/dpo"
    assert identities(plain)[name] != identities(adapted)[name]
    assert "lora" not in plain.job(name).config
    assert adapted.job(name).config["lora"] == {
        "r": 8,
        "lora_alpha": 16.0,
        "lora_dropout": 0.0,
        "target_modules": "all-linear",
        "use_rslora": False,
    }
    written_out = plan_with_dpo(lora={**LORA, "lora_dropout": 0.0, "use_rslora": False})
    assert identities(written_out)[name] == identities(adapted)[name]


def test_the_layers_that_get_adapters_are_a_set() -> None:
    one, other = (
        plan_with_dpo(lora={**LORA, "target_modules": layers})
        for layers in (["q_proj", "v_proj"], ["v_proj", "q_proj", "v_proj"])
    )
    assert artifacts(one) == artifacts(other)


def test_adapters_go_with_every_trainer() -> None:
    plan = plan_with({"recipes.sft.0.sft.sft.lora": LORA, "recipes.rl.0.rl.grpo.lora": LORA})
    kinds = {job.kind: job.config["lora"]["r"] for job in plan if "lora" in job.config}
    assert kinds == {"sft": 8, "grpo": 8}
