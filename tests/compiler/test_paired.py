"""Stages with two sides in the plan: their jobs, what is shared, and what a profile may not do to them."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.check_launch import check_whole_weights
from exc.compiler.folder import plan_folder
from exc.compiler.plan import Job, Plan
from exc.spec.diagnostics import Diagnostics
from exc.spec.profiles import Profile
from tests.compiler.study import edited, load, plan_of, plan_with

RL, SFT = {"like": "rl.rl"}, {"like": "sft.sft"}
PARALLEL = {"max_steps": 12, "keep": {"every": 4}, "rl": RL, "sft": SFT}
COMBINED = {"max_steps": 12, "weights": [1.0, 0.1], "rl": RL, "sft": {**SFT, "args": {"learning_rate": None}}}
INTERLEAVE = {"rounds": 3, "rl_steps": 2, "sft_steps": 4, "rl": RL, "sft": SFT}


def recipe(kind: str, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"recipes.both": [{"avg": {kind: {**body, **changes}}}]}


def job(plan: Plan, job_id: str = "tiny/400/both/r0/avg") -> Job:
    return plan.job(job_id)


def test_each_side_has_the_config_of_its_stage() -> None:
    found = job(plan_with(recipe("parallel", PARALLEL)))
    plan = plan_of()
    rl, sft = (plan.job(f"tiny/400/{name}/r0/{name}").config for name in ("rl", "sft"))
    without = {"seed", "derived", "rollouts", "max_steps"}
    assert found.config["rl"] == {key: value for key, value in rl.items() if key not in without}
    assert found.config["sft"] == {key: value for key, value in sft.items() if key not in without}
    assert found.config["derived"] == {"rl": rl["derived"], "sft": sft["derived"]}
    assert found.config["seed"] == rl["seed"] == sft["seed"]
    assert found.config["weights"] == [0.5, 0.5]
    assert found.config["sync_every"] == 1
    assert list(found.kept) == [4, 8, 12]
    assert [need.role for need in found.needs] == ["model", "rows:rl", "rows:sft"]


def test_of_a_sum_no_optimizer_is_said_for_the_demonstrations() -> None:
    config = job(plan_with(recipe("combined", COMBINED))).config
    assert "learning_rate" in config["rl"]["args"]
    assert not {"learning_rate", "lr_scheduler_type", "weight_decay", "max_grad_norm"} & set(
        config["sft"]["args"]
    )


def test_what_is_estimated_is_the_sum_of_both_sides() -> None:
    plan = plan_with(recipe("interleave", INTERLEAVE))
    completions, demonstrations = 3 * 2 * 64, 3 * 4 * 16
    assert job(plan).estimate["samples"] == completions + demonstrations
    assert list(job(plan).kept) == [3]


CONSTANT = {"lr_scheduler_type": "constant"}


@pytest.mark.parametrize(
    ("of_rl", "of_sft", "shared"), [(CONSTANT, CONSTANT, True), (CONSTANT, {}, False), ({}, CONSTANT, False)]
)
def test_a_longer_run_shares_what_no_schedule_of_a_side_knows(
    of_rl: dict[str, Any], of_sft: dict[str, Any], shared: bool
) -> None:
    sides = {"rl": {**RL, "args": of_rl}, "sft": {**SFT, "args": of_sft}}
    short = [{"avg": {"parallel": {"max_steps": 8, **sides}}}]
    long = [{"avg": {"parallel": {"max_steps": 12, **sides}}}]
    plan = plan_with({"recipes.short": short, "recipes.long": long})
    found = {job.id for job in plan if job.kind == "parallel" and "/400/" in job.id}
    assert len(found) == (1 if shared else 2)
    if shared:
        assert list(plan.job("tiny/400/long/r0/avg").kept) == [8, 12]


def test_the_default_weights_written_out_are_the_same() -> None:
    plain, written = (
        job(plan_with(recipe("parallel", PARALLEL, **changes)))
        for changes in ({}, {"weights": [0.5, 0.5], "sync_every": 1})
    )
    assert plain.identity == written.identity
    other = job(plan_with(recipe("parallel", PARALLEL, weights=[0.4, 0.6])))
    assert other.identity != plain.identity


def test_one_class_for_all_cells_of_a_sweep() -> None:
    changes = {
        "recipes.both": {
            "matrix": {"sft_lr": [1e-7, 1e-6]},
            "stages": [
                {"avg": {"parallel": {**PARALLEL, "sft": {**SFT, "args": {"learning_rate": "$sft_lr"}}}}}
            ],
        }
    }
    plan = plan_with(changes)
    jobs = [job for job in plan if job.kind == "parallel"]
    assert {job.cls for job in jobs} == {"both.avg"}
    assert {job.config["sft"]["args"]["learning_rate"] for job in jobs} == {1e-7, 1e-6}
    text = plan_folder(plan)["PLAN.md"].decode()
    assert "   - rl task: sums, split train\n   - sft task: sums, split train\n" in text
    assert "   - sft args: learning_rate 1e-07" in text


def test_a_smoke_run_has_one_step_of_both_sides() -> None:
    entry = {"on": {"kind": "parallel"}, "smoke": True, "micro_batch_size": 4}
    profile = Profile.model_validate({"resources": [entry]})
    plan = plan_with(recipe("parallel", PARALLEL, sync_every=4), profile=profile)
    smoke = plan.job("smoke/both.avg")
    assert smoke.config["rows"] == {"rl": 8, "sft": 8}
    config = smoke.config["config"]
    assert (config["max_steps"], config["sync_every"], config["sft"]["batch_size"]) == (1, 1, 8)
    assert config["derived"]["sft"] == {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    assert [need.role for need in smoke.needs if need.role.startswith("rows")] == ["rows:rl", "rows:sft"]


@pytest.mark.parametrize("way", ["fsdp", "deepspeed"])
@pytest.mark.parametrize(
    ("kind", "body"), [("parallel", PARALLEL), ("combined", COMBINED), ("interleave", INTERLEAVE)]
)
def test_a_launch_that_spreads_weights_is_refused(way: str, kind: str, body: dict[str, Any]) -> None:
    loaded = load(edited(recipe(kind, body)))
    assert loaded.experiment is not None
    found = []
    for on in (kind, "grpo"):
        diagnostics = Diagnostics()
        entry = {"on": {"kind": on}, "launch": {way: "launch.yaml"}}
        profile = Profile.model_validate({"resources": [entry]})
        check_whole_weights(loaded.experiment, profile, {(way, "launch.yaml"): {}}, diagnostics)
        found.append([(each.code, each.message) for each in diagnostics])
    message = f"`both.avg` changes whole weights, which the profile spreads by `launch: {{{way}: ...}}`"
    assert found[0] == [("spread-weights", message)]
    assert found[1]
    assert all(code == "spread-weights" for code, _ in found[1])
    assert not any("both.avg" in said for _, said in found[1])
