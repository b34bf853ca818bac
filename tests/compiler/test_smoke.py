"""Smoke runs in a plan: where the profile asks for them, one for a class, and in nobody's identity."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler.diff import diff_plans
from exc.compiler.folder import plan_folder
from exc.compiler.plan import Job, Plan, from_json
from exc.spec.profiles import Profile
from tests.compiler.study import identities, plan_of, plan_with

BASE = plan_of()
SCHEDULE = {"shape": "constant", "peak": 1.0e-3}
SMOKED = {"pretrain", "sft", "grpo", "sample"}  # of the kinds in the study


def profile(*entries: dict[str, Any]) -> Profile:
    return Profile.model_validate({"resources": list(entries)})


def kinds(*names: str, **more: Any) -> Profile:
    return profile(*({"on": {"kind": name}, "smoke": True, **more} for name in names))


def smokes(plan: Plan) -> dict[str, Job]:
    return {job.id: job for job in plan if job.kind == "smoke"}


def waits(plan: Plan) -> dict[str, str]:
    """Job -> the smoke run that it waits for."""
    return {job.id: need.job for job in plan for need in job.needs if need.role == "smoke"}


def test_nothing_waits_where_nobody_asks() -> None:
    assert smokes(BASE) == {}
    assert smokes(plan_of(profile=profile({"cpus": 4, "micro_batch_size": 2}))) == {}


def test_jobs_with_gpus_have_them_unless_told_otherwise() -> None:
    plan = plan_of(profile=profile({"gpus": 1}))
    assert {plan.job(name).kind for name in waits(plan)} == SMOKED
    assert {job.kind for job in plan if job.id not in waits(plan)}.isdisjoint(SMOKED)
    told = profile({"gpus": 1}, {"on": {"kind": "sample"}, "smoke": False})
    assert {run.config["of"] for run in smokes(plan_of(profile=told)).values()} == SMOKED - {"sample"}
    none = plan_of(profile=profile({"gpus": 1, "smoke": False}))
    assert smokes(none) == {}


def test_one_run_stands_for_all_checkpoints_replicates_and_equal_classes() -> None:
    plan = plan_with(
        {"replicates": [{"num": 3, "on": {"recipes": ["rl"]}}]}, profile=kinds("grpo", "sft", "pretrain")
    )
    assert list(smokes(plan)) == ["smoke/pretrain", "smoke/rl.rl", "smoke/sft.sft"]
    run = plan.job("smoke/rl.rl")
    assert run.aliases == ("smoke/sft-rl.rl",)
    assert run.config["stands_for"] == {"rl.rl": 9, "sft-rl.rl": 3}
    assert run.cls == "smoke.rl.rl"
    waiting = {job.id for job in plan if job.cls in ("rl.rl", "sft-rl.rl")}
    assert {name for name, before in waits(plan).items() if before == "smoke/rl.rl"} == waiting


def test_another_checkpoint_replicate_learning_rate_or_seed_asks_for_no_new_run() -> None:
    asked = kinds("grpo", "sft", "pretrain", "sample")
    before = {run.identity for run in smokes(plan_of(profile=asked)).values()}
    for changes in (
        {"trunks.tiny.checkpoints": [200, 400]},
        {"replicates": [{"num": 2}]},
        {"recipes.rl.0.rl.grpo.args.learning_rate": 2.0e-5, "trunks.tiny.pretrain.schedule.peak": 1.0e-3},
        {"recipes.rl.0.rl.grpo.rollouts": 400, "recipes.sft.0.sft.sft.max_steps": 70},
        {"seed": 7},
        {"evaluations.sums.pass_at_k.num_samples": 64},
    ):
        assert {run.identity for run in smokes(plan_with(changes, profile=asked)).values()} == before, changes


@pytest.mark.parametrize(
    ("changes", "runs"),
    [
        ({"tasks.sums.prompt": "{question}?"}, {"smoke/rl.rl", "smoke/sft.sft", "smoke/sums.sample"}),
        ({"tasks.sums.verifier": "exact"}, {"smoke/rl.rl", "smoke/sums.sample"}),
        ({"recipes.rl.0.rl.grpo.args.max_completion_length": 99}, {"smoke/rl.rl"}),
        ({"recipes.rl.0.rl.grpo.args.beta": 0.5}, {"smoke/rl.rl"}),
        ({"trunks.tiny.pretrain.sequence_length": 32}, {"smoke/pretrain"}),
        (
            {"trunks.tiny.pretrain.model.hidden_size": 128},
            {"smoke/pretrain", "smoke/rl.rl", "smoke/sft.sft", "smoke/sums.sample"},
        ),
    ],
)
def test_what_memory_templates_or_verifiers_depend_on_asks_for_a_new_run(
    changes: dict[str, Any], runs: set[str]
) -> None:
    asked = kinds("grpo", "sft", "pretrain", "sample")
    before, after = smokes(plan_of(profile=asked)), smokes(plan_with(changes, profile=asked))
    changed = {name.removesuffix(".2") for name in after if after[name].identity != before[name].identity}
    assert changed == runs


def test_the_micro_batch_and_the_gpus_ask_for_a_new_run() -> None:
    found = {
        plan_of(profile=kinds("sft", **given)).job("smoke/sft.sft").identity
        for given in ({}, {"micro_batch_size": 4}, {"micro_batch_size": 8}, {"gpus": 1}, {"cpus": 1})
    }
    assert len(found) == 4, "the number of CPUs does not"


def test_it_is_the_class_at_its_smallest() -> None:
    plan = plan_of(profile=kinds("grpo", "sft", "pretrain", "sample", micro_batch_size=4))
    config = {name: run.config["config"] for name, run in smokes(plan).items()}
    assert {name: config["smoke/rl.rl"][name] for name in ("rollouts", "prompts_per_rollout")} == {
        "rollouts": 1,
        "prompts_per_rollout": 8,
    }
    sft = config["smoke/sft.sft"]
    assert (sft["max_steps"], sft["batch_size"]) == (1, 8), "two micro-batches"
    assert sft["derived"] == {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    assert config["smoke/pretrain"]["step"] == 1
    assert config["smoke/sums.sample"]["limit"] == 512 // 16
    rl = plan.job("tiny/400/rl/r0/rl").config
    assert config["smoke/rl.rl"]["args"] == rl["args"], "the real lengths"
    assert config["smoke/rl.rl"]["derived"] == rl["derived"]


def test_it_needs_no_trained_weights_and_comes_before_all_that_wait_for_it() -> None:
    plan = plan_of(profile=kinds("grpo", "sft", "pretrain", "sample"))
    assert {need.job for run in smokes(plan).values() for need in run.needs} == {
        *("tiny/tokenizer", "tiny/tokens/docs", "tiny/tokens/problems"),
        *("tasks/sums/train", "tasks/sums/test", "tasks/sums.fewshot"),
    }
    done: set[str] = set()
    for job in plan:
        assert {need.job for need in job.needs} <= done
        done.add(job.id)


def test_prompts_with_other_exemplars_have_a_run_of_their_own() -> None:
    plan = plan_of(profile=kinds("sample"))
    assert {name: run.config["config"]["num_fewshot"] for name, run in smokes(plan).items()} == {
        "smoke/sums.sample": 4,
        "smoke/sums.sample.2": 0,
    }
    assert waits(plan)["tiny/pretrain/400.sums.sample.0"] == "smoke/sums.sample"
    assert waits(plan)["tiny/400/rl/r0/rl.sums.sample.0"] == "smoke/sums.sample.2"


def test_each_shape_of_model_has_a_run_of_its_own() -> None:
    wide: Any = {"like": "tiny", "model": {"architecture": "llama", "hidden_size": 128}}
    plan = plan_with(
        {"trunks.wide": {"pretrain": wide, "checkpoints": [400]}}, profile=kinds("sft", "pretrain")
    )
    assert waits(plan)["wide/pretrain/400"] == "smoke/pretrain.2"
    assert waits(plan)["wide/400/sft/r0/sft"] == "smoke/sft.sft.2"
    assert plan.job("smoke/sft.sft.2").config["shape"]["hidden_size"] == 128


def test_the_shape_is_that_of_the_trunk_behind_merges_choices_and_commands() -> None:
    changes = {
        "recipes.scaled": [{"scale": {"command": {"run": "true"}}}],
        "recipes.last": [
            {"a": {"from": "scaled", "sft": {"like": "sft.sft"}}},
            {"b": {"merge": {"of": ["prev", "soup"]}}},
            {"c": {"sft": {"like": "sft.sft"}}},
        ],
    }
    plan = plan_with(changes, profile=kinds("sft"))
    assert smokes(plan).keys() == {"smoke/sft.sft"}
    assert {"smoke/last.a", "smoke/last.c"} <= set(plan.job("smoke/sft.sft").aliases)


def test_a_published_model_is_the_same_shape_at_every_commit() -> None:
    def plan(revision: str) -> Plan:
        hub = {"repo": "org/model", "revision": revision}
        more = {
            "data": {"docs": 1},
            "batch_size": 4,
            "sequence_length": 8,
            "tokens": 320,
            "schedule": SCHEDULE,
        }
        stages = [{"get": {"hub": hub}}, {"more": {"pretrain": more}}, {"sft": {"sft": {"like": "sft.sft"}}}]
        return plan_with({"recipes.zero": stages}, profile=kinds("sft", "pretrain"))

    for name in ("smoke/zero.more", "smoke/zero.sft"):
        assert plan("main").job(name).identity == plan("v2").job(name).identity
    one = plan("main").job("smoke/zero.sft")
    assert one.config["shape"] == {"hub": "org/model"}
    assert {need.role: need.job for need in one.needs}["published"] == "tiny/400/zero/r0/get"


def test_only_kinds_that_can_be_made_smaller_are_tried() -> None:
    scaled = {"recipes.scaled": [{"scale": {"command": {"run": "true"}}}]}
    plan = plan_with(scaled, profile=profile({"smoke": True}))
    assert {plan.job(name).kind for name in waits(plan)} == SMOKED


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["pretrain", "sft", "grpo", "sample", "score"]), max_size=3))
def test_no_identity_depends_on_it(asked: list[str]) -> None:
    plan = plan_of(profile=kinds(*asked))
    assert {name: left for name, left in identities(plan).items() if plan.job(name).kind != "smoke"} == (
        identities(BASE)
    )


def test_what_a_job_reads_is_as_before() -> None:
    plan = plan_of(profile=kinds("grpo", "sft", "pretrain", "sample"))
    for job in BASE:
        assert plan.job(job.id).inputs == job.needs
    assert diff_plans(BASE, plan).changed == ()
    assert diff_plans(plan, plan_of(profile=kinds("grpo"))).changed == ()


def test_names_that_a_person_chose_do_not_collide() -> None:
    changes = {"trunks.smoke": {"pretrain": {"like": "tiny", "seed": 5}, "checkpoints": [400]}}
    plan = plan_with(changes, profile=kinds("pretrain"))
    assert smokes(plan).keys() == {"smoke-run/pretrain"}
    assert plan.job("smoke-run/pretrain").cls == "smoke-run.pretrain"


def test_its_resources_are_those_of_the_class_unless_it_has_its_own() -> None:
    asked = [{"on": {"kind": "sft"}, "smoke": True, "cpus": 8, "time": "2d"}]
    assert plan_of(profile=profile(*asked)).job("smoke/sft.sft").resources == {"cpus": 8, "time": 172800}
    asked.append({"on": {"kind": "smoke"}, "time": "10m"})
    plan = plan_of(profile=profile(*asked))
    assert plan.job("smoke/sft.sft").resources == {"cpus": 8, "time": 600}
    assert plan.job("tiny/400/sft/r0/sft").resources == {"cpus": 8, "time": 172800}


def test_the_plan_folder_tells_of_it() -> None:
    plan = plan_of(profile=kinds("grpo", "sample"))
    folder = {name: content.decode() for name, content in plan_folder(plan).items()}
    assert (
        "| `smoke/rl.rl` | 3 of `rl.rl`, 3 of `sft-rl.rl` | one rollout of 8 x 8, 1 optimizer step, one save "
        "| 64 | at most 32.8k |" in folder["PLAN.md"]
    )
    assert "# waits for   smoke/rl.rl\n" in folder["jobs/rl.rl.sh"]
    assert "bash jobs/smoke.rl.rl.sh JOB-ID" in folder["jobs/smoke.rl.rl.sh"]
    assert ">smoke.rl.rl<" not in folder["graph.svg"]
    assert folder["graph.svg"].count("<title>waits for smoke/rl.rl</title>") == 2
    assert "## Smoke first" not in plan_folder(BASE)["PLAN.md"].decode()
    assert from_json(orjson.loads(folder["plan.json"])) == plan
