"""What jobs will cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exc.compiler.compile import compile_plan
from exc.compiler.facts import FileFact
from exc.compiler.folder import plan_folder
from exc.compiler.plan import Plan, read_plan
from exc.compiler.summary import summary
from exc.spec.profiles import Profile
from tests.compiler.study import STUDY, facts_of, identities, load, loaded, plan_of


def test_costs_beyond_64_bits_are_told(tmp_path: Path) -> None:
    """A run of real size has more operations than a whole number in JSON may have."""
    spec = loaded(STUDY)
    run = spec["trunks"]["tiny"]["pretrain"]
    run["model"] |= {
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
    }
    run |= {"batch_size": 1024, "sequence_length": 4096, "tokens": "50B"}
    run["schedule"] |= {"warmup": "1B", "decay": "5B"}
    plan = plan_of(spec)
    heaviest = max(job.estimate.get("flops", 0) for job in plan.jobs)
    assert heaviest > 2**64
    (tmp_path / "plan.json").write_bytes(plan_folder(plan)["plan.json"])
    assert max(job.estimate.get("flops", 0) for job in read_plan(tmp_path).jobs) == heaviest


def test_gpu_hours_are_the_operations_at_the_speed_that_the_profile_says() -> None:
    resources = [{"gpu_speed": 1e5}, {"on": {"kind": "grpo"}, "gpu_speed": 5e4}]
    profile = Profile.model_validate({"resources": resources})
    plan = plan_of(STUDY, profile=profile)
    rows = {row["what"]: row for row in summary(plan)["cost"]}
    seconds = sum(job.estimate.get("flops", 0) / (5e4 if job.kind == "grpo" else 1e5) for job in plan.jobs)
    assert rows["GPU-hours"]["planned"] == f"{seconds / 3600:,.0f}" != "0"
    assert plan.digest != plan_of(STUDY).digest
    assert identities(plan) == identities(plan_of(STUDY))
    assert "GPU-hours" not in {row["what"] for row in summary(plan_of(STUDY))["cost"]}


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"args": {"beta": 0.0}}, 8),
        ({"args": {"beta": 0.01}}, 10),
        ({"args": {"beta": 0.0}, "updates_per_rollout": 2}, 10),
        ({"args": {"beta": 0.01}, "updates_per_rollout": 2}, 12),
    ],
)
def test_rollouts_cost_what_is_passed_through_models(settings: dict[str, Any], passes: int) -> None:
    """2 operations a parameter and token forwards, 6 to train; once more for each model that judges."""
    spec = loaded(STUDY)
    stage = next(entry["rl"]["grpo"] for entry in spec["recipes"]["rl"] if "rl" in entry)
    stage["args"] = {**stage.get("args", {}), **settings["args"]}
    stage |= {name: value for name, value in settings.items() if name != "args"}
    plan = plan_of(spec)
    (size,) = {
        job.estimate["flops"] / job.estimate["tokens"] / 6 for job in plan.jobs if job.kind == "pretrain"
    }
    found = {job.estimate["flops"] / job.estimate["tokens"] for job in plan.jobs if job.kind == "grpo"}
    assert found == {passes * size}


def test_a_tokenizer_whose_size_is_not_known_is_said_to_be_left_out() -> None:
    def plan(tokenizer: dict[str, Any], **model: int) -> Plan:
        spec = loaded(STUDY)
        run = spec["trunks"]["tiny"]["pretrain"]
        run["tokenizer"] = tokenizer
        run["model"] |= model
        return plan_of(spec)

    hub = {"hub": {"repo": "lab/tokenizer"}}
    assert summary(plan(hub))["bare"] == "`tiny`"
    assert summary(plan(hub, vocab_size=512))["bare"] == ""
    trained = plan({"bpe": {"vocab_size": 512}})
    assert summary(trained)["bare"] == ""
    flops = [made.job("tiny/pretrain/400").estimate["flops"] for made in (plan(hub, vocab_size=512), trained)]
    assert flops[0] == flops[1] > plan(hub).job("tiny/pretrain/400").estimate["flops"]


def test_the_size_of_a_tokenizer_in_a_folder_counts() -> None:
    spec = loaded(STUDY)
    spec["trunks"]["tiny"]["pretrain"]["tokenizer"] = {"path": "ours/"}
    experiment = load(spec).experiment
    assert experiment is not None
    found = facts_of(experiment.spec)
    files = {**found.files, "ours/": (FileFact("ours/tokenizer.json", 1, "0" * 64),)}

    def flops(plan: Plan) -> float:
        return plan.job("tiny/pretrain/400").estimate["flops"]

    known, unknown = (
        compile_plan(experiment, replace(found, files=files, vocabularies=sizes), Profile())
        for sizes in ({"ours/": 512}, {})
    )
    assert flops(unknown) < flops(known) == flops(plan_of())


def test_what_is_not_counted_is_not_zero() -> None:
    spec = loaded(STUDY)
    spec["trunks"]["tiny"] = {"hub": {"repo": "lab/model", "tokens": "1B"}}
    spec["evaluations"].pop("text")
    found = summary(plan_of(spec))
    assert {row["what"]: row["planned"] for row in found["cost"]}["operations"] == "not counted"
    assert found["sizeless"] == "2 jobs"
    assert found["chain"]["flops"] == ""


def test_a_trainer_of_ones_own_is_not_counted() -> None:
    spec = loaded(STUDY)
    run = {"run": "python train.py", "tokens": 40960, "batch_size": 8, "sequence_length": 128}
    spec["trunks"]["tiny"] = {"command": run, "checkpoints": [20, 40]}
    spec["recipes"] = {}
    assert summary(plan_of(spec))["sizeless"] == "2 jobs"
