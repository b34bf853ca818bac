"""Presets of losses are all their fields; other trainers and engines have identities of their own."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.plan import Job
from exc.spec.presets import LOSSES
from tests.compiler.study import plan_with

GRPO = {"task": "sums", "num_generations": 8, "prompts_per_rollout": 8, "rollouts": 40}


def job(body: dict[str, Any], kind: str = "grpo") -> Job:
    plan = plan_with({"recipes.one": [{"one": {kind: body}}]})
    return plan.job("tiny/400/one/r0/one")


@pytest.mark.parametrize("name", LOSSES)
def test_a_preset_is_what_it_would_be_by_hand(name: str) -> None:
    preset, by_hand = job({**GRPO, "loss": name}), job({**GRPO, "args": dict(LOSSES[name].fields)})
    assert preset.identity == by_hand.identity
    assert preset.config == by_hand.config
    for field, value in LOSSES[name].fields.items():
        assert preset.config["args"][field] == value


def test_args_win_over_a_preset() -> None:
    one = job({**GRPO, "loss": "grpo", "args": {"beta": 0.001}})
    assert one.config["args"]["beta"] == 0.001
    assert one.config["args"]["loss_type"] == "grpo"
    assert one.identity != job({**GRPO, "loss": "grpo"}).identity


def test_presets_are_three_losses() -> None:
    assert len({job({**GRPO, "loss": name}).identity for name in LOSSES} | {job(GRPO).identity}) == 4


def test_an_engine_is_part_of_identity_and_transformers_is_none_of_it() -> None:
    plain, said = job(GRPO), job({**GRPO, "engine": "transformers"})
    assert plain.identity == said.identity
    assert job({**GRPO, "engine": "vllm"}).identity != plain.identity
    rloo = {**GRPO, "args": {"beta": 0.0}}
    assert job(rloo, "rloo").identity != job({**rloo, "engine": "vllm"}, "rloo").identity


def test_what_the_engine_gets_of_a_device_is_no_part_of_identity() -> None:
    from exc.spec.profiles import Profile

    changes = {"recipes.one": [{"one": {"grpo": {**GRPO, "engine": "vllm"}}}]}
    shared = {"on": {"kind": "grpo"}, "gpus": 1, "smoke": False, "vllm": {"memory": 0.5}}
    profile = Profile.model_validate({"resources": [shared], "gpus": 1})
    plain, given = plan_with(changes), plan_with(changes, profile=profile)
    name = "tiny/400/one/r0/one"
    assert given.job(name).config["vllm"]["memory"] == 0.5
    assert given.job(name).identity == plain.job(name).identity
    assert "vllm" not in given.job("tiny/400/rl/r0/rl").config


def test_an_evaluation_by_another_engine_is_another() -> None:
    plain, other = plan_with({}), plan_with({"evaluations.sums.pass_at_k.engine": "vllm"})
    name = "tiny/400.sums.sample.0"
    drawn = [next(each for each in plan.jobs if each.kind == "sample") for plan in (plain, other)]
    assert drawn[0].id == drawn[1].id
    assert drawn[0].identity != drawn[1].identity
    assert "engine" not in drawn[0].config, name
    assert drawn[1].config["engine"] == "vllm"


def test_kto_reads_labels_or_pairs() -> None:
    body = {"task": "sums", "batch_size": 8, "max_steps": 20}
    for unpair, columns in ((False, {"completion", "label"}), (True, {"chosen", "rejected"})):
        plan = plan_with({"recipes.one": [{"one": {"kto": {**body, "unpair": unpair}}}]})
        one = plan.job("tiny/400/one/r0/one")
        rows = plan.job(next(need.job for need in one.needs if need.role == "rows"))
        assert columns < set(rows.config["columns"])
        assert "answer" not in rows.config["columns"]
        assert one.config.get("unpair", False) is unpair


def test_a_merge_has_the_defaults_of_its_method() -> None:
    def merged(body: dict[str, Any]) -> Job:
        plan = plan_with({"recipes.mix": [{"mix": {"merge": body}}]})
        return plan.job("tiny/400/mix/r0/mix")

    of = ["rl", "sft"]
    assert merged({"of": of}).config == {"method": "linear", "weights": [0.5, 0.5]}
    assert merged({"method": "slerp", "of": of, "t": 0.3}).config == {"method": "slerp", "t": 0.3}
    ties = merged({"method": "ties", "of": of, "base": "base", "density": 0.2})
    assert ties.config == {
        "method": "ties",
        "weights": [1.0, 1.0],
        "density": [0.2, 0.2],
        "normalize": True,
    }
    assert [need.role for need in ties.needs] == ["parent:0", "parent:1", "base"]
    one = merged({"method": "task_arithmetic", "of": ["sft"], "base": "base", "weights": [0.5]})
    assert one.config == {"method": "task_arithmetic", "weights": [0.5], "normalize": False}
    identities = {
        each.identity
        for each in (
            ties,
            one,
            merged({"of": of}),
            merged({"of": of, "normalize": True}),
            merged({"method": "slerp", "of": of, "t": 0.3}),
            merged({"method": "slerp", "of": of, "t": 0.4}),
            merged({"method": "ties", "of": of, "base": "base", "density": 0.2, "normalize": False}),
            merged({"method": "ties", "of": of, "base": "base", "density": [0.2, 0.3]}),
        )
    }
    assert len(identities) == 8
