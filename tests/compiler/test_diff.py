"""What `exc diff` and a refused `exc submit` say: every change by field, old -> new, spec line and jobs."""

from __future__ import annotations

from typing import Any

import pytest

from exc.commands.stale import difference
from exc.compiler.compile import compile_plan
from exc.compiler.diff import FieldChange, changes, changes_since, diff_plans
from exc.compiler.identity import identity_fields
from exc.compiler.plan import Plan
from exc.spec.experiment import Experiment
from exc.spec.profiles import Profile
from tests.compiler.study import STUDY, facts_of, load, plan_of

LINES = STUDY.splitlines()


def after(*replacements: tuple[str, str], profile: Profile | None = None) -> tuple[Plan, Experiment]:
    """The plan of the study with some of its text replaced."""
    text = STUDY
    for old, new in replacements:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    experiment = load(text).experiment
    assert experiment is not None
    return compile_plan(experiment, facts_of(experiment.spec), profile or Profile()), experiment


def said(*replacements: tuple[str, str], profile: Profile | None = None) -> list[str]:
    plan, experiment = after(*replacements, profile=profile)
    return [line.strip() for line in difference(diff_plans(plan_of(STUDY), plan), experiment)]


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(LINES, start=1) if text in line)


def place(text: str, at: str) -> str:
    """`file:line:column` of `at` in the line that holds `text`."""
    line = line_of(text)
    return f"experiment.yaml:{line}:{LINES[line - 1].index(at) + 1}"


def test_a_hyper_parameter() -> None:
    lines = said(("learning_rate: 1.0e-4", "learning_rate: 2.0e-4"))
    sft = place("sft: {sft:", "learning_rate")
    assert lines[0] == (
        f"args.learning_rate 0.0001 -> 0.0002 ({sft}): "
        "3 jobs (tiny/400/sft/r0/sft, tiny/700/sft/r0/sft, tiny/1000/sft/r0/sft)"
    )
    # What starts from it: 3 sft-rl, 3 soup; and three times 3 samples, scores and bits per byte.
    assert lines[1].startswith("changed because of what they read: 33 jobs (tiny/400/sft-rl/r0/rl,")
    assert len(lines) == 2


def test_a_hyper_parameter_that_others_copy() -> None:
    """The line is where it was written, also for the stage that has it through `like`."""
    lines = said(("learning_rate: 1.0e-5", "learning_rate: 2.0e-5"))
    rl = place("learning_rate: 1.0e-5", "learning_rate")
    assert lines[0].startswith(f"args.learning_rate 1e-05 -> 2e-05 ({rl}): 6 jobs (tiny/400/rl/r0/rl, ")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("batch_size: 16, max_steps: 60", "batch_size: 32, max_steps: 60", "batch_size 16 -> 32"),
        ("max_steps: 60", "max_steps: 70", "max_steps 60 -> 70"),
        ("rollouts: 40", "rollouts: 50", "rollouts 40 -> 50"),
        ("hidden_size: 64", "hidden_size: 128", "model.hidden_size 64 -> 128"),
        ("peak: 3.0e-3", "peak: 2.0e-3", "lr.peak 0.003 -> 0.002"),
        ("vocab_size: 512", "vocab_size: 1024", "vocab_size 512 -> 1024"),
        ("format: 0.1", "format: 0.2", "rewards.format 0.1 -> 0.2"),
        ("num_samples: 16", "num_samples: 32", "num_samples 16 -> 32"),
        ("max_new_tokens: 32", "max_new_tokens: 33", "max_new_tokens 32 -> 33"),
        ("args: {num: 1000}", "args: {num: 1001}", "source.args.num 1000 -> 1001"),
    ],
)
def test_a_field_is_named_with_its_values_and_line(old: str, new: str, expected: str) -> None:
    found = [line for line in said((old, new)) if line.startswith(expected)]
    assert found, said((old, new))
    if not expected.startswith("source."):
        assert f"(experiment.yaml:{line_of(old)}:" in found[0]


def test_a_prompt_points_at_its_task() -> None:
    lines = said(('prompt: "Q: {question}', 'prompt: "Question: {question}'))
    assert all(f"({place('prompt:', 'prompt')})" in line for line in lines if line.startswith("prompt "))
    assert sum(line.startswith("prompt ") for line in lines) == 1


def test_an_argument_added_is_shown_as_absent_before() -> None:
    lines = said(("args: {learning_rate: 1.0e-4}", "args: {learning_rate: 1.0e-4, weight_decay: 0.1}"))
    assert lines[0].startswith("args.weight_decay (absent) -> 0.1 (experiment.yaml:")


def test_a_checkpoint_added() -> None:
    plan, experiment = after(("[400, 700, 1000]", "[400, 550, 700, 1000]"))
    found = diff_plans(plan_of(STUDY), plan)
    assert not found.changed
    assert not found.removed
    assert found.kept == len(plan_of(STUDY).jobs)
    assert {job.id for job in found.added} == {job.id for job in plan if "/550" in job.id}
    lines = difference(found, experiment)
    assert any(
        line.strip().startswith(f"new: {len(found.added)} jobs (tiny/pretrain/550, ") for line in lines
    )


def test_a_replicate_added() -> None:
    plan, _ = after(("evaluations:", "replicates: [{num: 2, on: {recipes: [rl]}}]\nevaluations:"))
    found = diff_plans(plan_of(STUDY), plan)
    assert (len(found.changed), len(found.removed)) == (0, 0)
    assert all("/rl/r1/" in job.id for job in found.added)


def test_a_recipe_removed() -> None:
    plan, _ = after(("  soup:\n    - soup: {merge: {of: [rl, sft]}}\n", ""))
    found = diff_plans(plan_of(STUDY), plan)
    assert all("/soup/" in job.id for job in found.removed)
    assert len(found.removed) == 4 * 3  # the model, its samples, its scores and its bits per byte


def test_a_kept_step_added() -> None:
    lines = said(("keep: [20]", "keep: [10, 20]"))
    assert lines[0].startswith("keep [20, 40] -> [10, 20, 40] (experiment.yaml:")


def test_a_profile() -> None:
    resources = [{"on": {"kind": "sft"}, "cpus": 2, "micro_batch_size": 4}]
    profile = Profile.model_validate({"resources": resources, "setup": ["module load cuda"]})
    plan, _ = after(profile=profile)
    found = diff_plans(plan_of(STUDY), plan)
    assert not found.changed
    shown = [str(change) for change in found.settings]
    assert shown == [
        "profile.setup [] -> ['module load cuda']",
        "sft.sft.resources.cpus 1 -> 2",
        "sft.sft.resources.micro_batch_size (absent) -> 4",
    ]
    assert plan.digest != plan_of(STUDY).digest


def test_resources_of_some_members_of_a_class() -> None:
    """They get a class of their own, and the difference is still said."""
    profile = Profile.model_validate({"resources": [{"on": {"kind": "sample", "recipe": "rl"}, "cpus": 8}]})
    lines = said(profile=profile)
    assert any(line == "sums.sample.2.resources.cpus 1 -> 8" for line in lines), lines


@pytest.mark.parametrize(
    "replacement",
    [
        ("recipes:", "\n# what is compared\nrecipes:"),
        ("seed: 0", "seed:    0   # the root"),
        ("k: [1, 4]", "k: [ 1, 4 ]"),
    ],
)
def test_comments_and_layout_are_no_difference(replacement: tuple[str, str]) -> None:
    plan, _ = after(replacement)
    assert not diff_plans(plan_of(STUDY), plan)
    assert plan.digest == plan_of(STUDY).digest


def test_many_differences_are_cut() -> None:
    replacements = [
        ("hidden_size: 64", "hidden_size: 128"),
        ("vocab_size: 512", "vocab_size: 600"),
        ("peak: 3.0e-3", "peak: 2.0e-3"),
        ("rollouts: 40", "rollouts: 50"),
        ("num_generations: 8", "num_generations: 4"),
        ("max_steps: 60", "max_steps: 70"),
        ("format: 0.1", "format: 0.2"),
        ("max_new_tokens: 32", "max_new_tokens: 33"),
        ("num_samples: 16", "num_samples: 48"),
    ]
    lines = said(*replacements)
    assert len(lines) == 9
    assert lines[-1].startswith("and ")


def test_a_job_against_the_artifact_of_its_name() -> None:
    old, (new, _) = plan_of(STUDY), after(("max_steps: 60", "max_steps: 70"))
    before = old.job("tiny/400/sft/r0/sft")
    fields = identity_fields(before.kind, before.config)
    inputs = {need.role: need.artifact for need in before.needs}
    found = changes_since(new.job("tiny/400/sft/r0/sft"), fields, inputs)
    assert found.fields == (FieldChange("max_steps", 60, 70),)
    assert found.inputs == ()
    reader = old.job("tiny/400/sft-rl/r0/rl")
    read = changes_since(
        new.job("tiny/400/sft-rl/r0/rl"),
        identity_fields(reader.kind, reader.config),
        {need.role: need.artifact for need in reader.needs},
    )
    assert read.fields == ()
    assert read.inputs == ("tiny/400/sft/r0/sft",)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2, "b": 3}, ["a 1 -> 2", "b (absent) -> 3"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b[1] 2 -> 3"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a [1] -> [1, 2]"]),
        ({"a": (1, 2)}, {"a": [1, 2]}, []),
        ({"a": {"b": 1}}, {"a": None}, ["a {'b': 1} -> None"]),
    ],
)
def test_leaves_that_differ(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert [str(change) for change in changes(old, new)] == expected
