"""`like:` gives what would have been written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exc.spec.load import LoadResult, load_text

BASE = (Path(__file__).parent / "cases" / "base.yaml").read_text(encoding="utf-8").split("recipes:")[0]
SFT = """
  sft:
    - sft:
        from: base
        sft: {task: arith, batch_size: 8, max_steps: 20, keep: [10],
              args: {learning_rate: 1.0e-4, lr_scheduler_kwargs: {a: 1, b: 2}, weight_decay: 0.1}}
"""


def load(recipes: str, more: str = "") -> LoadResult:
    result = load_text(BASE + "recipes:" + SFT + recipes + more, "experiment.yaml")
    assert not [str(found) for found in result.diagnostics if found.severity == "error"]
    return result


def stage(result: LoadResult, recipe: str) -> Any:
    assert result.experiment is not None
    return result.experiment.spec.recipes[recipe][0]


def same(copied: str, written: str) -> LoadResult:
    """Check that a copy is what is written out; `from` and `keep` stay behind."""
    one = load(f"  it:\n    - x: {copied}\n")
    other = load(f"  it:\n    - x: {written}\n")
    assert stage(one, "it") == stage(other, "it")
    return one


def test_all_but_from_and_keep_is_copied() -> None:
    args = "args: {learning_rate: 1.0e-4, lr_scheduler_kwargs: {a: 1, b: 2}, weight_decay: 0.1}"
    result = same(
        "{sft: {like: sft.sft}}", "{sft: {task: arith, batch_size: 8, max_steps: 20, " + args + "}}"
    )
    assert result.overrides == ()


def test_args_are_merged_deep_and_null_deletes() -> None:
    result = same(
        "{sft: {like: sft.sft, max_steps: 30, args: {learning_rate: 2.0e-4, weight_decay: null,"
        " lr_scheduler_kwargs: {b: 3}}}}",
        "{sft: {task: arith, batch_size: 8, max_steps: 30, args: {learning_rate: 2.0e-4,"
        " lr_scheduler_kwargs: {a: 1, b: 3}}}}",
    )
    path = ("recipes", "it", 0, "sft")
    assert [(found.path, found.before, found.after) for found in result.overrides] == [
        ((*path, "max_steps"), 20, 30),
        ((*path, "args", "learning_rate"), 1e-4, 2e-4),
        ((*path, "args", "weight_decay"), 0.1, None),
        ((*path, "args", "lr_scheduler_kwargs", "b"), 2, 3),
    ]


def test_the_same_value_overrides_nothing() -> None:
    assert load("  it:\n    - x: {sft: {like: sft.sft, max_steps: 20}}\n").overrides == ()


def test_a_chain_is_followed_in_any_order() -> None:
    result = load(
        "  c:\n    - x: {sft: {like: b.x, batch_size: 2}}\n"
        "  b:\n    - x: {sft: {like: sft.sft, max_steps: 5, keep: [1]}}\n"
    )
    body = stage(result, "c").sft
    assert (body.task, body.batch_size, body.max_steps, body.keep) == ("arith", 2, 5, None)


def test_an_evaluation_is_copied_without_its_selector() -> None:
    more = """
evaluations:
  pass:
    pass_at_k:
      {task: arith, k: [1, 4], num_samples: 8, max_new_tokens: 16, num_fewshot: {base: 2, trained: 1}}
    on: {recipes: [sft]}
  curve: {like: pass, on: {step: all}}
  more: {like: pass, pass_at_k: {num_samples: 16, num_fewshot: 3}}
"""
    result = load("", more)
    assert result.experiment is not None
    first, curve, other = result.experiment.spec.evaluations.values()
    assert first.pass_at_k is not None
    assert curve.pass_at_k == first.pass_at_k
    assert (curve.on.recipes, curve.on.step) == (None, "all")
    assert other.pass_at_k is not None
    assert other.pass_at_k.k == (1, 4)
    assert other.pass_at_k.num_samples == 16
    assert (other.pass_at_k.num_fewshot.base, other.pass_at_k.num_fewshot.trained) == (3, 3)


def test_a_copied_value_stands_where_it_was_written() -> None:
    result = load("  it:\n    - x: {sft: {like: sft.sft, max_steps: 7}}\n")
    assert result.experiment is not None
    at = result.experiment.span
    assert at("recipes", "it", 0, "sft", "batch_size") == at("recipes", "sft", 0, "sft", "batch_size")
    assert at("recipes", "it", 0, "sft", "max_steps").line > at("recipes", "sft", 0, "sft", "max_steps").line


@pytest.mark.parametrize("name", ["args", "keep"])
def test_a_recipe_may_bear_the_name_of_a_key(name: str) -> None:
    result = load(f"  {name}:\n    - x: {{sft: {{like: sft.sft, keep: {{every: 5}}}}}}\n")
    assert stage(result, name).sft.keep.every == 5


def test_null_stays_where_a_field_takes_it() -> None:
    """TRL's default for `max_length` is a number: left out, the copy would be cut there."""
    long = "{task: arith, batch_size: 8, max_steps: 20, args: {max_length: 64, weight_decay: 0.1}}"
    result = load(
        f"  long:\n    - sft: {{sft: {long}}}\n"
        "  it:\n    - x: {sft: {like: long.sft, args: {max_length: null, weight_decay: null}}}\n"
    )
    assert stage(result, "it").sft.args == {"max_length": None}
    assert [(found.path[-1], found.is_deleted) for found in result.overrides] == [
        ("max_length", False),
        ("weight_decay", True),
    ]


# --- sides of a stage

RL = """
  rl:
    - rl:
        grpo: {task: arith, num_generations: 4, prompts_per_rollout: 4, updates_per_rollout: 2, rollouts: 10,
               keep: [5], loss: dr-grpo, args: {beta: 0.1, learning_rate: 1.0e-5}}
"""


def side(result: LoadResult, recipe: str, name: str) -> Any:
    return getattr(stage(result, recipe).parallel, name)


def test_a_side_is_a_copy_of_a_stage_without_its_length() -> None:
    result = load(
        RL + "  it:\n    - x: {parallel: {max_steps: 4, "
        "rl: {like: rl.rl, updates_per_rollout: 1, args: {beta: 0.0}}, "
        "sft: {like: sft.sft, args: {weight_decay: null}}}}\n"
    )
    rl, sft = side(result, "it", "rl"), side(result, "it", "sft")
    assert (rl.num_generations, rl.loss, rl.args) == (4, "dr-grpo", {"beta": 0.0, "learning_rate": 1e-5})
    assert sft.args == {"learning_rate": 1e-4, "lr_scheduler_kwargs": {"a": 1, "b": 2}}
    path = ("recipes", "it", 0, "parallel")
    assert [(found.path, found.before, found.after) for found in result.overrides] == [
        ((*path, "rl", "updates_per_rollout"), 2, 1),
        ((*path, "rl", "args", "beta"), 0.1, 0.0),
        ((*path, "sft", "args", "weight_decay"), 0.1, None),
    ]


SIDES = "rl: {like: rl.rl, updates_per_rollout: 1}, sft: {like: sft.sft}"


def test_a_stage_with_two_sides_is_copied_side_by_side() -> None:
    result = load(
        f"{RL}  it:\n    - x: {{parallel: {{max_steps: 4, sync_every: 2, keep: [2], {SIDES}}}}}\n"
        "  other:\n    - x: {parallel: {like: it.x, sft: {args: {learning_rate: 1.0e-7}}}}\n"
    )
    one, other = stage(result, "it").parallel, stage(result, "other").parallel
    assert (other.max_steps, other.sync_every, other.keep) == (4, 2, None)
    assert other.rl == one.rl
    assert other.sft == one.sft.model_copy(update={"args": {**one.sft.args, "learning_rate": 1e-7}})


def test_a_side_that_copies_another_stage_has_nothing_of_the_one_before() -> None:
    result = load(
        f"{RL}  plain:\n"
        "    - rl: {grpo: {task: arith, num_generations: 2, prompts_per_rollout: 8, rollouts: 3}}\n"
        f"  it:\n    - x: {{parallel: {{max_steps: 4, {SIDES}}}}}\n"
        "  other:\n    - x: {parallel: {like: it.x, rl: {like: plain.rl}}}\n"
    )
    rl = side(result, "other", "rl")
    assert (rl.num_generations, rl.loss, rl.args) == (2, None, {})
    assert side(result, "other", "sft") == side(result, "it", "sft")


def test_cells_are_copied_into_sides() -> None:
    result = load(
        RL + "  it:\n    matrix: {lr: [1.0e-7, 1.0e-6]}\n    stages:\n      - x: {parallel: {max_steps: 4, "
        "rl: {like: rl.rl, updates_per_rollout: 1}, sft: {like: sft.sft, args: {learning_rate: $lr}}}}\n"
    )
    rates = [side(result, f"it[lr={rate}]", "sft").args["learning_rate"] for rate in ("1e-07", "1e-06")]
    assert rates == [1e-7, 1e-6]
