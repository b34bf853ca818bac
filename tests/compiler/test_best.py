"""A stage that starts from the best step: the choice is a job, which reads what it chooses among."""

from __future__ import annotations

from typing import Any

import pytest

from exc.compiler.plan import Job, Plan
from exc.compiler.summary import summary
from exc.spec.references import Best
from tests.compiler.study import artifacts, plan_of, plan_with

BEST = {"recipe": "rl", "step": {"best": {"evaluation": "sums", "metric": "pass@1"}}}
CHOICE = "tiny/400/rl/r0/rl@best.sums.pass@1"


def from_best(**changes: Any) -> Plan:
    return plan_with({"recipes.more": [{"more": {"from": {**BEST, **changes}, "sft": {"like": "sft.sft"}}}]})


def reads(job: Job) -> dict[str, str]:
    return {need.role: need.artifact for need in job.needs}


def test_the_choice_reads_every_kept_step_and_its_score() -> None:
    plan = from_best()
    training, choice = plan.job("tiny/400/rl/r0/rl"), plan.job(CHOICE)
    assert reads(choice) == {
        "model:20": f"grpo/{training.kept[20]}",
        "model:40": f"grpo/{training.kept[40]}",
        "score:20": plan.job("tiny/400/rl/r0/rl@20.sums.score").artifact,
        "score:40": plan.job("tiny/400/rl/r0/rl.sums.score").artifact,
    }
    assert choice.config == {"metric": "pass@1", "mode": "max"}
    assert reads(plan.job("tiny/400/more/r0/more"))["model"] == choice.artifact


def test_plan_md_counts_what_is_measured_to_choose_from() -> None:
    """Step 20 of RL, at three checkpoints; step 40 is reported anyway."""
    rows = {row["name"]: row["models"] for row in summary(from_best())["evaluations"]}
    cells = from_best().report["cells"]
    assert rows["sums"] == f"{sum(cell['evaluation'] == 'sums' for cell in cells)}, and 3 to choose from"
    assert rows["text"] == sum(cell["evaluation"] == "text" for cell in cells)


def test_nothing_that_was_planned_before_changes() -> None:
    assert artifacts(plan_of()) < artifacts(from_best())


def test_each_checkpoint_and_replicate_has_its_own_choice() -> None:
    plan = plan_with(
        {
            "recipes.more": [{"more": {"from": BEST, "sft": {"like": "sft.sft"}}}],
            "replicates": [{"num": 2, "on": {"recipes": ["rl", "more"]}}],
        }
    )
    chosen = [job.id for job in plan if job.kind == "select"]
    assert chosen == [
        f"tiny/{at}/rl/r{replicate}/rl@best.sums.pass@1" for at in (400, 700, 1000) for replicate in (0, 1)
    ]


def test_a_chosen_model_is_measured_under_its_own_name() -> None:
    cells = from_best().report["cells"]
    mine = [cell for cell in cells if (cell["evaluation"], cell["recipe"], cell["at"]) == ("text", "rl", 400)]
    found = [(cell["step"], cell["final"]) for cell in mine]
    assert found == [("best.sums.pass@1", False), (None, True)]


def test_a_contrast_alone_makes_the_choice() -> None:
    plan = plan_with({"report": {"contrasts": [{"a": BEST, "b": "base"}]}})
    assert plan.job(CHOICE).kind == "select"
    assert plan.report["contrasts"][0]["a"] == {"recipe": "rl", "step": "best.sums.pass@1"}


def test_of_some_metrics_less_is_better() -> None:
    best = {"evaluation": "text", "metric": "bits_per_byte"}
    plan = from_best(step={"best": best})
    assert plan.job("tiny/400/rl/r0/rl@best.text.bits_per_byte").config["mode"] == "min"
    turned = from_best(step={"best": {**best, "mode": "max"}})
    assert turned.job("tiny/400/rl/r0/rl@best.text.bits_per_byte.max").config["mode"] == "max"


def test_choices_that_differ_have_names_that_differ() -> None:
    assert Best(evaluation="sums", metric="pass@1").name == "best.sums.pass@1"
    assert Best(evaluation="sums", metric="pass@1", mode="max").name == "best.sums.pass@1"
    assert Best(evaluation="sums", metric="pass@1", mode="min").name == "best.sums.pass@1.min"
    assert Best(evaluation="e", metric="bits_per_byte", mode="max").name == "best.e.bits_per_byte.max"


def test_a_choice_that_is_written_in_two_ways_is_one() -> None:
    best = {"evaluation": "sums", "metric": "pass@1"}
    plan = plan_with(
        {
            f"recipes.{name}": [
                {"sft": {"from": {"recipe": "rl", "step": {"best": each}}, "sft": {"like": "sft.sft"}}}
            ]
            for name, each in {
                "one": best,
                "two": {**best, "mode": "max"},
                "three": {**best, "mode": "min"},
            }.items()
        }
    )
    ids = [job.id for job in plan]
    assert len(ids) == len(set(ids))
    places = [
        (c["evaluation"], c["trunk"], c["at"], c["recipe"], c["replicate"], c["step"])
        for c in plan.report["cells"]
    ]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("metric", "is_max"),
    [
        ("pass@1", True),
        ("bits_per_byte", False),
        ("hellaswag/acc_norm", True),
        ("wikitext/word_perplexity", False),
        ("folder/task/perplexity,none", False),
    ],
)
def test_what_is_best_follows_from_the_metric(metric: str, is_max: bool) -> None:
    best = Best(evaluation="measured", metric=metric)
    assert best.is_max == is_max
    assert best.name == f"best.measured.{metric}"
    assert Best(evaluation="measured", metric=metric, mode="max").is_max
