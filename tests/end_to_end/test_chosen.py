"""A model chosen by its result, one of adapters on own samples: exported, not adopted, and in the frame."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import exc
from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow

RL, DPO, MORE = "mini/60/rl/r0/rl", "mini/60/dpo/r0/dpo", "mini/60/more/r0/more"
BEST = f"{RL}@best.sums.pass@1"
SPEC = """\
extends: own-samples.yaml
version: 1
experiment: kinds
trunks: {mini: {checkpoints: [60]}}
recipes:
  dpo:
    - dpo: {dpo: {task: sums, split: pairs, batch_size: 2, max_steps: 2, lora: {r: 2, lora_alpha: 4},
                  args: {max_length: 32}}}
  rl:
    - rl: {grpo: {task: sums, num_generations: 4, prompts_per_rollout: 2, rollouts: 4, keep: [2],
                  args: {learning_rate: 1.0e-3, max_completion_length: 6}}}
  more:
    - more: {from: {recipe: rl, step: {best: {evaluation: sums, metric: "pass@1"}}},
             sft: {task: sums, batch_size: 4, max_steps: 2, args: {max_length: 32}}}
evaluations:
  sums: {pass_at_k: {task: sums, k: [1], num_samples: 4, max_new_tokens: 6}}
report:
  contrasts:
    - {a: {recipe: rl, step: {best: {evaluation: sums, metric: "pass@1"}}}, b: base}
accept: {selected-on-test: that is what this is about}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project.new(tmp_path_factory.mktemp("kinds") / "mini")
    (made.folder / "experiment.yaml").write_text(SPEC, encoding="utf-8")
    made.ok("compile")
    made.ok("submit")
    return made


def card_of(project: Project, job: str, out: Path) -> str:
    project.ok("export", job, "-o", str(out))
    assert (out / "model.safetensors").is_file()
    return (out / "README.md").read_text(encoding="utf-8")


def chosen(project: Project) -> int:
    choice = project.artifact(project.plan.job(BEST).artifact) / "choice.json"
    return int(json.loads(choice.read_bytes())["step"])


@pytest.mark.parametrize("job", [BEST, MORE])
def test_a_card_names_the_step_that_was_chosen_and_by_what(
    project: Project, tmp_path: Path, job: str
) -> None:
    card = card_of(project, job, tmp_path / "out")
    step = chosen(project)
    made, _, _ = card.partition("## Data")
    assert f"the one with the highest pass@1: step {step}." in made
    assert f"`{RL}@{step}`: reinforcement learning" in made
    assert f"`{RL}@{6 - step}`" not in made  # of the other of steps 2 and 4 there is nothing in it
    assert "| test (python) | drawing samples, the choice of a step |" in card


def test_a_card_tells_of_adapters_and_of_the_data_behind_derived_data(
    project: Project, tmp_path: Path
) -> None:
    card = card_of(project, DPO, tmp_path / "out")
    assert "2 steps of 2 pairs, by adapters (LoRA) of rank 2, merged into the weights" in card
    assert "| train (jsonl) | drawing samples | `train.jsonl`" in card
    assert "(job)" not in card


def test_a_chosen_step_has_a_place_in_the_frame(project: Project) -> None:
    frame = exc.results(project.folder / "plan")
    mine = frame[(frame.recipe == "rl") & (frame.metric == "pass@1")]
    assert sorted(zip(mine.best, mine.final, strict=True)) == [("", True), ("sums.pass@1", False)]
    assert str(frame.snapshot.dtype) == "Int64"


def test_a_choice_is_not_adopted(project: Project, tmp_path: Path) -> None:
    mine = project.copy(tmp_path / "mini")
    outside = tmp_path / "outside"
    shutil.move(mine.artifact(mine.plan.job(BEST).artifact), outside)
    done = mine.exc("adopt", BEST, str(outside), "--why", "lost")
    assert (done.code, "is a `select` job" in done.err) == (1, True), done
