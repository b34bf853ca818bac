"""Data that jobs make: which jobs there are, what they share, and what their identity depends on."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.commands.stale import difference
from exc.compiler.diff import diff_plans
from exc.compiler.folder import plan_folder
from exc.compiler.plan import Job, Plan
from tests.compiler.study import STUDY, artifacts, edited, ids, load, plan_of, plan_with
from tests.strategies import shuffled

SAMPLES = {"from": "base", "task": "sums", "num_samples": 16, "max_new_tokens": 32, "num_fewshot": 4}
ABSOLUTE = {**SAMPLES, "from": {"trunk": "tiny", "at": 400}}
OWN: dict[str, Any] = {
    "data.rated": {"samples": SAMPLES},
    "data.right": {"data": "rated", "where": {"num_correct": {"min": 1}}},
    "tasks.sums.splits.own": {"data": "right"},
    "recipes.rft": [
        {"rft": {"sft": {"task": "sums", "split": "own", "batch_size": 16, "max_steps": 60}}},
    ],
}


def plan(changes: Mapping[str, Any] | None = None) -> Plan:
    """The plan of the study with fine-tuning on a branch's own samples, and more changed."""
    return plan_of(edited(changes, edited(OWN)))


def read_by(plan: Plan, job_id: str, role: str) -> Job:
    return plan.job(next(need.job for need in plan.job(job_id).needs if need.role == role))


def lineage(plan: Plan, job_id: str) -> list[str]:
    """The kinds of the jobs between a stage and the samples that it learns from."""
    found, job = [], read_by(plan, job_id, "rows")
    while job.kind != "sample":
        found.append(job.kind)
        job = plan.job(next(need.job for need in job.needs if need.role in ("source", "samples:0")))
    return found


def test_every_branch_learns_from_samples_of_its_own_base() -> None:
    made = plan()
    for at in (400, 700, 1000):
        stage = f"tiny/{at}/rft/r0/rft"
        assert lineage(made, stage) == ["rows", "derive", "rate"]
        samples = read_by(made, f"tiny/{at}/data/rated", "samples:0")
        assert read_by(made, samples.id, "model").id == f"tiny/pretrain/{at}"
    assert ids(made, "data/rated") == [f"tiny/{at}/data/rated" for at in (400, 700, 1000)]
    assert ids(made, "data/right") == [f"tiny/{at}/data/right" for at in (400, 700, 1000)]
    assert ids(made, "own.demonstrations") == [
        f"tiny/{at}/tasks/sums/own.demonstrations" for at in (400, 700, 1000)
    ]


def test_data_of_a_named_model_is_made_once_for_all() -> None:
    made = plan({"data.rated.samples": ABSOLUTE})
    assert [job.id for job in made.jobs if job.kind in ("derive", "rate")] == ["data/rated", "data/right"]
    assert len({read_by(made, f"tiny/{at}/rft/r0/rft", "rows").id for at in (400, 700, 1000)}) == 1


def test_samples_are_those_of_an_evaluation_that_asks_the_same() -> None:
    made = plan({"evaluations.sums.pass_at_k.split": "train"})
    for at in (400, 700, 1000):
        mine = read_by(made, f"tiny/{at}/data/rated", "samples:0")
        assert mine is read_by(made, f"tiny/pretrain/{at}.sums.score", "samples:0")
        assert f"tiny/pretrain/{at}.sums.sample.0" in mine.aliases
    asked_otherwise = plan({"evaluations.sums.pass_at_k": edited()["evaluations"]["sums"]["pass_at_k"]})
    assert not artifacts(asked_otherwise) >= artifacts(made)


def test_shared_samples_leave_the_data_its_own_line() -> None:
    made = plan({"evaluations.sums.pass_at_k.split": "train"})
    alone = plan()
    rated = "tiny/400/data/rated"
    assert len(read_by(made, rated, "samples:0").source) == 2
    assert made.job(rated).source == read_by(alone, rated, "samples:0").source


def test_more_samples_add_blocks_and_draw_none_again() -> None:
    few = plan({"data.rated.samples": ABSOLUTE})
    many = plan({"data.rated.samples": {**ABSOLUTE, "num_samples": 40}})
    drawn, more = (
        {job.id: job.identity for job in made.jobs if job.cls == "data.rated.sample"} for made in (few, many)
    )
    assert list(more) == [f"data/rated.sample.{block}" for block in range(3)]
    assert drawn == {"data/rated.sample.0": more["data/rated.sample.0"]}


@pytest.mark.parametrize(
    ("model", "sampled"),
    [
        ("prev", "tiny/pretrain/400"),
        ("base", "tiny/pretrain/400"),
        ("sft", "tiny/400/sft/r0/sft"),
        ({"recipe": "rl", "step": 20}, "tiny/400/rl/r0/rl"),
        ({"recipe": "rl", "step": 10}, "tiny/400/rl/r0/rl"),
        ({"recipe": "base", "at": "last"}, "tiny/pretrain/1000"),
        ({"recipe": "sft", "trunk": "tiny", "at": 700}, "tiny/700/sft/r0/sft"),
    ],
)
def test_what_a_reference_leaves_out_is_the_readers(model: Any, sampled: str) -> None:
    made = plan({"data.rated.samples.from": model})
    rows = read_by(made, "tiny/400/rft/r0/rft", "rows")
    derived = read_by(made, rows.id, "source")
    rated = read_by(made, derived.id, "source")
    need = next(n for n in read_by(made, rated.id, "samples:0").needs if n.role == "model")
    assert need.job == sampled
    step = model.get("step") if isinstance(model, dict) else None
    assert step is None or need.artifact == f"grpo/{made.job(sampled).kept[step]}"


def test_preferences_among_a_branchs_own_samples() -> None:
    made = plan(
        {
            "data.pairs": {"data": "rated", "pairs": 2},
            "tasks.sums.splits.pairs": {"data": "pairs"},
            "recipes.rft": [
                *OWN["recipes.rft"],
                {"dpo": {"dpo": {"task": "sums", "split": "pairs", "batch_size": 8, "max_steps": 9}}},
            ],
        }
    )
    for at in (400, 700, 1000):
        stage = f"tiny/{at}/rft/r0/dpo"
        assert lineage(made, stage) == ["rows", "derive", "rate"]
        rows = read_by(made, stage, "rows")
        assert {"chosen", "rejected"} <= rows.config["columns"].keys()
        assert read_by(made, rows.id, "source").id == f"tiny/{at}/data/pairs"
    rated = [job.id for job in made.jobs if job.kind == "rate"]
    assert len(rated) == 3  # shared by fine-tuning and preferences


def test_prev_is_the_stage_before_the_one_that_reads() -> None:
    stages = [{"first": {"sft": {"like": "sft.sft"}}}, *OWN["recipes.rft"]]
    made = plan({"data.rated.samples.from": "prev", "recipes.rft": stages})
    samples = read_by(made, "tiny/400/data/rated.rft.r0.rft", "samples:0")
    assert read_by(made, samples.id, "model").id == read_by(made, "tiny/400/rft/r0/rft", "model").id


@pytest.mark.parametrize(
    ("start", "model"),
    [
        ("sft", "tiny/400/sft/r0/sft"),
        ({"recipe": "rl", "step": 10}, "tiny/400/rl/r0/rl"),
        (
            {"recipe": "rl", "step": {"best": {"evaluation": "sums", "metric": "pass@1"}}},
            "tiny/400/rl/r0/rl@best.sums.pass@1",
        ),
    ],
)
def test_prev_is_what_the_reader_starts_from_where_that_is_another_model(start: Any, model: str) -> None:
    stage = {"rft": {"from": start, **OWN["recipes.rft"][0]["rft"]}}
    made = plan({"data.rated.samples.from": "prev", "recipes.rft": [stage]})
    samples = read_by(made, "tiny/400/data/rated.rft.r0.rft", "samples:0")
    sampled, begun = (
        next(need for need in made.job(reader).needs if need.role == "model")
        for reader in (samples.id, "tiny/400/rft/r0/rft")
    )
    assert sampled.job == model
    assert sampled == begun


def test_replicates_sample_their_own_models() -> None:
    changes = {"data.rated.samples.from": "sft", "replicates": [{"num": 2}]}
    made = plan(changes)
    models = [
        read_by(made, read_by(made, f"tiny/400/data/rated.r{r}", "samples:0").id, "model").id for r in (0, 1)
    ]
    assert models == ["tiny/400/sft/r0/sft", "tiny/400/sft/r1/sft"]
    shared = plan({**changes, "data.rated.samples.from": "base"})
    assert ids(shared, "400/data/rated") == ["tiny/400/data/rated"]


def test_exemplars_follow_the_class_of_the_model() -> None:
    samples = {**SAMPLES, "num_fewshot": {"base": 4, "trained": 0}}
    shots = [
        read_by(plan({"data.rated.samples": {**samples, "from": model}}), "tiny/400/data/rated", "samples:0")
        for model in ("base", "sft")
    ]
    assert [job.config["num_fewshot"] for job in shots] == [4, 0]


def test_data_in_a_matrix_is_sampled_for_each_cell() -> None:
    axis = {"matrix": {"t": [0.5, 1.0]}}
    stage = {"rft": {"sft": {"task": "own", "batch_size": 16, "max_steps": 60}}}
    made = plan_with(
        {
            "data.rated": {**axis, "samples": {**SAMPLES, "temperature": "${t}"}},
            "data.right": {**axis, "data": "rated", "where": {"num_correct": {"min": 1}}},
            "tasks.own": {**axis, "prompt": "{question}", "splits": {"train": {"data": "right"}}},
            "recipes.rft": {**axis, "stages": [stage]},
        }
    )
    for temperature in (0.5, 1.0):
        assert lineage(made, f"tiny/400/rft[t={temperature}]/r0/rft") == ["rows", "derive", "rate"]
        samples = read_by(made, f"tiny/400/data/rated[t={temperature}]", "samples:0")
        assert samples.config["temperature"] == temperature
        assert samples.cls == "data.rated.sample"


# --- transforms of plain sources


def test_a_plain_source_has_no_job_and_another_name_of_it_none_either() -> None:
    before = plan_of()
    named = plan_with({"data.again": {"data": "problems"}, "tasks.sums.splits.train.data": "again"})
    assert artifacts(named) == artifacts(before)


def test_transformed_data_is_read_wherever_rows_are() -> None:
    first = {"take": 100}
    changes = {
        "data.docs.take": 5,
        "data.few": {"data": "problems", **first},
        "data.shown": {"jsonl": "data/shown.jsonl", **first},
        "tasks.sums.splits.train.data": "few",
        "tasks.sums.fewshot.data": "shown",
        "data.held-out.drop": 1,
    }
    made = plan_with(changes)
    readers = {
        job.kind: {need.role: made.job(need.job).kind for need in job.needs}
        for job in made.jobs
        if any(made.job(need.job).kind == "derive" for need in job.needs)
    }
    assert readers.keys() == {"tokenizer", "tokens", "rows", "bits_per_byte"}
    assert readers["rows"] == {"source": "derive"}
    tokens = made.job("tiny/tokens/docs")
    assert {need.role for need in tokens.needs} == {"tokenizer", "source"}
    roles = [need.role for need in made.job("tiny/tokenizer").needs]
    assert len(roles) == 1
    assert roles[0] in ("source:0", "source:1")


def test_a_chain_of_data_is_a_chain_of_jobs() -> None:
    made = plan_with(
        {
            "data.hard": {"data": "problems", "where": {"level": {"min": 3}}},
            "data.few": {"data": "hard", "take": 7},
            "tasks.sums.splits.train.data": "few",
        }
    )
    rows = made.job("tasks/sums/train")
    assert read_by(made, rows.id, "source").id == "data/few"
    assert [need.job for need in made.job("data/few").needs] == ["data/hard"]
    assert made.job("data/hard").needs == ()


def test_grouped_rows_say_so_to_their_readers() -> None:
    made = plan_with(
        {
            "data.grouped": {"data": "problems", "group_by": "question"},
            "data.few": {"data": "grouped", "take": 7},
            "tasks.sums.splits.train.data": "few",
        }
    )
    assert made.job("tasks/sums/train").config["source"]["grouped_by"] == "question"


# --- identity

TRANSFORMS: dict[str, Any] = {
    "where": {"level": {"is": [1, "a"], "not": [3]}, "size": {"min": 1, "max": 8.5}},
    "group_by": "question",
    "drop": 2,
    "take": 10,
    "pairs": {"per_problem": 3},
}
OTHER: dict[str, Any] = {
    "where": {"level": {"is": [1, "a"], "not": [3]}, "size": {"min": 1, "max": 9}},
    "group_by": "level",
    "drop": 3,
    "take": 11,
    "pairs": {"per_problem": 4},
}


def derived(transforms: Mapping[str, Any], name: str = "made") -> str:
    """The identity of the job that transforms the study's problems."""
    changes = {f"data.{name}": {"data": "problems", **transforms}, "tasks.sums.splits.train.data": name}
    return plan_with(changes).job(f"data/{name}").identity


@given(st.randoms(use_true_random=False), st.sampled_from(["a", "no", "x-1"]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_order_and_names_change_nothing(random: Random, name: str, floats: bool) -> None:
    written = shuffled(TRANSFORMS, random)
    random.shuffle(written["where"]["level"]["is"])
    if floats:
        written["where"]["size"]["min"] = 1.0
        written["where"]["level"]["is"] = [*written["where"]["level"]["is"], 1.0]
    assert derived(written, name) == derived(TRANSFORMS)


@given(st.sets(st.sampled_from(sorted(TRANSFORMS))), st.sampled_from(sorted(TRANSFORMS)), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_transform_changes_it(given_: set[str], field: str, leave_out: bool) -> None:
    chosen = {key: TRANSFORMS[key] for key in given_ | {field}}
    without = {key: value for key, value in chosen.items() if key != field}
    other = without if leave_out and without else {**chosen, field: OTHER[field]}
    assert derived(chosen) != derived(other)


@pytest.mark.parametrize("other", ["1", True, 1.5])
def test_values_of_another_type_are_another_condition(other: Any) -> None:
    assert derived({"where": {"level": [1]}}) != derived({"where": {"level": [other]}})


@pytest.mark.parametrize(
    "changes",
    [
        {"data.rated.samples.num_samples": 17},
        {"data.rated.samples.temperature": 0.5},
        {"data.rated.samples.from": "sft"},
        {"data.rated.samples.limit": 3},
        {"data.rated.samples.split": "test"},
        {"data.right.where": {"num_correct": {"min": 2}}},
        {"tasks.sums.verifier": "exact"},
        {"tasks.sums.max_unverifiable": 0.5},
    ],
)
def test_what_determines_the_rows_changes_what_is_trained(changes: Mapping[str, Any]) -> None:
    stage = "tiny/400/rft/r0/rft"
    before, after = plan(), plan(changes)
    assert before.job(stage).identity != after.job(stage).identity
    assert before.job("tiny/400/sft/r0/sft").identity == after.job("tiny/400/sft/r0/sft").identity


def test_renaming_the_data_changes_nothing() -> None:
    renamed = edited(
        {
            "data.judged": {"samples": SAMPLES},
            "data.right": {"data": "judged", "where": {"num_correct": {"min": 1}}},
            "data.rated": None,
        },
        edited(OWN),
    )
    assert artifacts(plan_of(renamed)) == artifacts(plan())


@pytest.mark.parametrize(
    ("path", "value", "said", "where"),
    [
        (
            "data.right.where.num_correct.min",
            4,
            "where.num_correct.min 1 -> 4",
            "data.right.where.num_correct.min",
        ),
        ("data.right.take", 9, "take (absent) -> 9", "data.right.take"),
        ("data.rated.samples.num_samples", 20, "num_samples 16 -> 20", "data.rated.samples.num_samples"),
        ("data.rated.samples.top_p", 0.5, "top_p (absent) -> 0.5", "data.rated.samples.top_p"),
    ],
)
def test_a_change_names_the_line_of_the_data(path: str, value: Any, said: str, where: str) -> None:
    experiment = load(edited({path: value}, edited(OWN))).experiment
    found = difference(diff_plans(plan(), plan({path: value})), experiment)
    assert experiment is not None
    assert (
        found[0]
        .strip()
        .startswith(f"{said} ({experiment.where(*where.split('.'))}): 3 jobs (tiny/400/data/r")
    )


def test_the_plan_says_what_is_made_of_what() -> None:
    page = plan_folder(plan({"data.right.take": 7}))["PLAN.md"].decode()
    sampled = ", ".join(f"`tiny/pretrain/{at}`" for at in (400, 700, 1000))
    lines = [
        f"| rated | {sampled} on `tasks/sums/train` | 16 samples of each problem, judged | 3 |",
        "| right | `rated` | where num_correct is at least 1, the first 7 | 3 |",
    ]
    assert "\n".join(lines) in page


def test_the_study_plans_what_it_did() -> None:
    assert artifacts(plan_of(STUDY)) <= artifacts(plan())
