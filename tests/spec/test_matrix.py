"""`matrix:` gives what would have been written by hand, one entry for each cell."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler.checks import check
from exc.spec.cells import Cell, Table, labels, split_name, split_stage
from exc.spec.load import LoadResult, load_text
from exc.spec.places import walk
from exc.spec.profiles import Profile
from exc.spec.scalars import Plain, resolve_plain
from tests.compiler.study import SpecData, edited, identities, load, plan_of
from tests.strategies import shuffled

SFT = {"task": "sums", "batch_size": 16, "max_steps": "$num", "args": {"learning_rate": "$lr"}}
AFTER = {"more": {"from": "sft", "sft": {"like": "sft.sft", "max_steps": 7}}}
Cells = list[dict[str, Any]]


def study(matrix: Any, **more: Any) -> SpecData:
    """The study with a matrix on `sft`, and more recipes."""
    return edited({"recipes": {"sft": {"matrix": matrix, "stages": [{"sft": {"sft": SFT}}]}, **more}})


def by_hand(cells: Cells) -> SpecData:
    """The same, with recipes `h0`, `h1`, ... for the cells, and `a0`, `a1`, ... that start from them."""
    made: dict[str, Any] = {}
    for index, cell in enumerate(cells):
        body = {**SFT, "max_steps": cell["num"], "args": {"learning_rate": cell["lr"]}}
        made[f"h{index}"] = [{"sft": {"sft": body}}]
        copy = {"like": f"h{index}.sft", "max_steps": 7}
        made[f"a{index}"] = [{"more": {"from": f"h{index}", "sft": copy}}]
    return edited({"recipes": made})


def cell_name(cell: dict[str, Any]) -> str:
    return f"[lr={cell['lr']},num={cell['num']}]"


def with_cell_names(job: str, cells: Cells) -> str:
    """A job's id with the names by hand replaced by those of the cells."""
    names = {f"h{i}": f"sft{cell_name(cell)}" for i, cell in enumerate(cells)}
    names |= {f"a{i}": f"after{cell_name(cell)}" for i, cell in enumerate(cells)}
    return "/".join(names.get(part, part) for part in job.split("/"))


@st.composite
def matrices(draw: st.DrawFn) -> tuple[dict[str, Any], Cells]:
    """A matrix over `lr` and `num`, and its cells."""
    lrs = draw(st.lists(st.sampled_from([1e-7, 4e-5, 0.5, 1e-4, 1]), min_size=1, max_size=3, unique=True))
    nums = draw(st.lists(st.integers(1, 90), min_size=1, max_size=3, unique=True))
    if draw(st.booleans()):
        pairs = list(zip(lrs, nums, strict=False))
        return _zipped(cells := [{"lr": lr, "num": num} for lr, num in pairs]), cells
    cells = [{"lr": lr, "num": num} for lr in lrs for num in nums]
    matrix: dict[str, Any] = {"lr": lrs, "num": nums}
    if len(lrs) > 1 and draw(st.booleans()):
        matrix["exclude"] = [{"lr": lrs[-1]}]
        cells = [cell for cell in cells if cell["lr"] != lrs[-1]]
    if draw(st.booleans()):
        matrix["include"] = [{"num": draw(st.integers(91, 99)), "lr": 0.25}]
        cells = cells + matrix["include"]
    return matrix, cells


def _zipped(cells: Cells) -> dict[str, Any]:
    return {"zip": {axis: [cell[axis] for cell in cells] for axis in ("lr", "num")}}


@settings(max_examples=25, deadline=None)
@given(matrices())
def test_a_matrix_is_what_would_be_written_by_hand(found: tuple[dict[str, Any], Cells]) -> None:
    matrix, cells = found
    spec = study(matrix, after={"matrix": _zipped(cells), "stages": [AFTER]})
    hand = identities(plan_of(by_hand(cells)))
    assert identities(plan_of(spec)) == {with_cell_names(job, cells): made for job, made in hand.items()}


@settings(max_examples=25, deadline=None)
@given(matrices(), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_comments_mean_nothing(
    found: tuple[dict[str, Any], Cells], random: Random
) -> None:
    spec = study({}, after={"matrix": {}, "stages": [AFTER]})
    other = shuffled(spec, random)
    for each in (spec, other):  # the order of axes is that in names
        each["recipes"]["sft"]["matrix"] = found[0]
        each["recipes"]["after"]["matrix"] = _zipped(found[1])
    lines = json.dumps(other, indent=1).split("\n")
    text = "\n".join(line + random.choice(["", "  # 1"]) for line in lines)
    assert identities(plan_of(text)) == identities(plan_of(spec))


TEXT = """\
version: 1
experiment: sweep
data:
  problems: {matrix: {part: [one, two]}, jsonl: "data/${part}.jsonl"}
  docs: {text: docs.txt}
tasks:
  sums:
    matrix: {part: [one, two]}
    prompt: "{question} costs $5, in $${x}\\n"
    splits: {train: {data: problems}, test: {data: "problems[part=one]"}}
trunks:
  tiny:
    matrix: {peak: [1.0e-3, 2.0e-3]}
    pretrain:
      model: {architecture: llama, hidden_size: 64, num_attention_heads: 4}
      tokenizer: {bpe: {vocab_size: 300}}
      data: {docs: 1, "problems[part=two]": 2}
      batch_size: 8
      sequence_length: 64
      tokens: 51200
      schedule: {shape: constant, peak: $peak}
    checkpoints: [50, 100]
recipes:
  sft:
    matrix: {part: [one, two], lr: [1.0e-6, 4.0e-5], num: [10, null], exclude: [{num: null}]}
    stages:
      - sft: {sft: {task: sums, batch_size: 8, max_steps: $num, args: {learning_rate: $lr}}}
  next:
    matrix: {lr: [4.0e-5], zip: {part: [two, one], rate: [1, 2]}}
    stages:
      - next: {from: sft, sft: {like: sft.sft, max_steps: $rate}}
branches: [{recipes: [sft, next], trunks: ["tiny[peak=1.0e-3]"]}]
replicates: [{num: 2, on: {recipes: ["sft[lr=4e-05]"]}}]
evaluations:
  sums:
    matrix: {t: [0.25, 0.5]}
    pass_at_k: {task: "sums[part=one]", k: [1], num_samples: 4, temperature: $t, max_new_tokens: 8}
    on: {recipes: [next]}
report:
  contrasts:
    - {a: next, b: sft}
    - {a: sft, b: base}
    - {a: sft, b: "sft[part=one,lr=1e-06,num=10]"}
"""


@pytest.fixture(scope="module")
def sweep() -> LoadResult:
    # `{x}` names no column: the spec is for what is read, not for what is run
    return load(TEXT.replace("$${x}", "$${question}"))


def test_cells_are_entries_with_their_values(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    spec, cells = sweep.experiment.spec, sweep.experiment.cells
    assert list(spec.recipes) == [
        "sft[part=one,lr=1e-06,num=10]",
        "sft[part=one,lr=4e-05,num=10]",
        "sft[part=two,lr=1e-06,num=10]",
        "sft[part=two,lr=4e-05,num=10]",
        "next[lr=4e-05,part=two,rate=1]",
        "next[lr=4e-05,part=one,rate=2]",
    ]
    assert cells["recipes", "next[lr=4e-05,part=two,rate=1]"] == Cell(
        "next", {"lr": 4e-5, "part": "two", "rate": 1}
    )
    assert sweep.experiment.base("recipes", "sft[part=one,lr=1e-06,num=10]") == "sft"
    assert sweep.experiment.values("trunks", "tiny[peak=0.002]") == {"peak": 2e-3}
    assert spec.data["problems[part=two]"].jsonl == ("data/two.jsonl",)


def test_a_dollar_sign_that_names_no_axis_stays(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    assert sweep.experiment.spec.tasks["sums[part=one]"].prompt == "{question} costs $5, in ${question}\n"
    text = TEXT.replace("docs.txt", "$docs.txt").replace("$${x}", "{question}")
    experiment = load(text).experiment
    assert experiment is not None
    assert experiment.spec.data["docs"].text == ("$docs.txt",)


def test_one_is_read_that_agrees_with_the_reader(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    spec = sweep.experiment.spec
    assert spec.tasks["sums[part=two]"].splits["train"].data == "problems[part=two]"
    assert spec.tasks["sums[part=two]"].splits["test"].data == "problems[part=one]"
    pretrain = spec.trunks["tiny[peak=0.001]"].pretrain
    assert pretrain is not None
    assert list(pretrain.data) == ["docs", "problems[part=two]"]
    (stage,) = spec.recipes["next[lr=4e-05,part=one,rate=2]"]
    assert stage.from_ is not None
    assert stage.from_.recipe == "sft[part=one,lr=4e-05,num=10]"
    assert stage.sft is not None
    assert (stage.sft.task, stage.sft.max_steps, stage.sft.args) == (
        "sums[part=one]",
        2,
        {"learning_rate": 4e-5},
    )


def test_lists_mean_all_cells_that_fit(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    spec = sweep.experiment.spec
    assert spec.branches is not None
    assert spec.branches[0].recipes == tuple(spec.recipes)
    assert spec.branches[0].trunks == ("tiny[peak=0.001]",)
    assert spec.replicates[0].on.recipes == ("sft[part=one,lr=4e-05,num=10]", "sft[part=two,lr=4e-05,num=10]")
    assert spec.evaluations["sums[t=0.5]"].on.recipes == tuple(list(spec.recipes)[4:])


def test_a_contrast_is_one_for_each_choice_of_cells_that_agree(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    pairs = [(each.a.recipe, each.b.recipe) for each in sweep.experiment.spec.report.contrasts]
    first, second, third, fourth, *nexts = sweep.experiment.spec.recipes
    assert pairs == [
        (nexts[0], fourth),
        (nexts[1], second),
        *((cell, "base") for cell in (first, second, third, fourth)),
        # a cell named whole is compared with all others
        *((cell, first) for cell in (second, third, fourth)),
    ]


def test_every_leaf_stands_where_its_value_is_written(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    lines = sweep.sources["experiment.yaml"].split("\n")
    seen = 0
    for path, leaf in walk(sweep.experiment.tree):
        span = leaf.span
        written = lines[span.line - 1][span.column - 1 : span.end_column - 1]
        if "[" in str(leaf.value) or "$" in written or (path[0] == "recipes" and path[-1] == "name"):
            continue  # the name of a cell, text that interpolates, the name of a stage
        shown = written.strip('"').replace("\\n", "\n")
        assert leaf.value == (shown if written.startswith('"') else resolve_plain(written)), path
        seen += 1
    assert seen > 50


def test_an_interpolated_text_and_an_axis_point_to_where_they_are_written(sweep: LoadResult) -> None:
    assert sweep.experiment is not None
    where = sweep.experiment.where
    assert where("recipes", "next[lr=4e-05,part=two,rate=1]") == "experiment.yaml:28:3"
    span = sweep.experiment.span("recipes", "next[lr=4e-05,part=two,rate=1]", 0, "sft", "max_steps")
    assert (span.line, span.column) == (29, 59)
    span = sweep.experiment.span("data", "problems[part=one]", "jsonl")
    assert (span.line, span.column) == (4, 49)


def test_cells_share_a_class_and_the_report_has_their_values() -> None:
    plan = plan_of(study({"lr": [1e-5, 1e-4], "num": [5]}))
    assert {job.cls for job in plan.jobs if job.kind == "sft"} == {"sft.sft"}
    found = {cell["recipe"]: cell["matrix"] for cell in plan.report["cells"]}
    assert found == {
        "base": {},
        "sft[lr=1e-05,num=5]": {"lr": 1e-5, "num": 5},
        "sft[lr=0.0001,num=5]": {"lr": 1e-4, "num": 5},
    }


@pytest.mark.parametrize(
    ("said", "cpus"),
    [
        ("sft", [8, 8, 8, 8]),
        ("sft[lr=0.0001]", [1, 1, 8, 8]),
        ("sft[lr=0.0001,num=6]", [1, 1, 1, 8]),
        ("rl", [1, 1, 1, 1]),
    ],
)
def test_a_profile_selects_all_cells_or_some(said: str, cpus: list[int]) -> None:
    profile = Profile.model_validate({"resources": [{"on": {"recipe": said, "kind": "sft"}, "cpus": 8}]})
    plan = plan_of(study({"lr": [1e-5, 1e-4], "num": [5, 6]}), profile=profile)
    assert [
        job.resources["cpus"] for job in plan.jobs if job.id.startswith("tiny/400/") and job.kind == "sft"
    ] == cpus


def test_text_in_names_is_made_fit() -> None:
    values: list[Plain] = ["a/b c", "a-b-c", 1, "1", 1.0, True, "true", None, "50B", "x" * 60, ""]
    shown = labels(values)
    assert shown[0] == "a-b-c"
    assert shown[2] == "1"
    assert (shown[4], shown[5], shown[7], shown[8]) == ("1.0", "true", "null", "50B")
    assert len(set(shown)) == len(values)
    assert all(split_name(f"x[a={label}]") == ("x", {"a": label}) for label in shown)


@given(st.lists(st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none()), unique_by=repr))
def test_no_two_cells_have_one_name(values: list[Plain]) -> None:
    shown = labels(values)
    assert len(set(shown)) == len(shown)
    assert all(split_name(f"x[a={label}]") == ("x", {"a": label}) for label in shown)


def test_names_are_read_in_parts() -> None:
    assert split_name("sft") == ("sft", {})
    assert split_name("sft[a=1,b=x]") == ("sft", {"a": "1", "b": "x"})
    assert [split_name(text) for text in ("sft[a]", "sft[a=1", "[a=1]", "s t", "sft[a=1]x")] == [None] * 5
    assert split_stage("sft[lr=0.5].rl") == ("sft[lr=0.5]", "rl")
    assert split_stage("sft.rl") == ("sft", "rl")
    assert split_stage("sft[lr=0.5]") is None
    table = Table()
    table.add("recipes", "sft[lr=1e-06]", Cell("sft", {"lr": 1e-6}))
    for text in ("sft", "sft[lr=1.0e-6]", "sft[lr=1e-06]", "sft[lr=0.000001]"):
        assert table.named("recipes", text)[0] == ["sft[lr=1e-06]"]
    assert [table.named("recipes", text)[0] for text in ("sft[lr=2]", "sft[l=1]", "rl")] == [[], [], []]


SCRAPS = st.sampled_from(
    ["", "1", "x", "[]", "{}", "[1, a]", "{a: 1}", "null", "[null]", "$lr", "${", "$$", "[$x]"]
)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_broken_value_ends_in_a_traceback(data: st.DataObject) -> None:
    starts = [i for i in range(len(TEXT)) if TEXT.startswith(": ", i)]
    start = data.draw(st.sampled_from(starts)) + 2
    end = min((TEXT.find(mark, start) for mark in ",}\n" if TEXT.find(mark, start) >= 0), default=len(TEXT))
    result = load_text(TEXT[:start] + data.draw(SCRAPS) + TEXT[end:], "experiment.yaml")
    if result.draft is not None:
        check(result.draft, result.diagnostics)
    assert all(found.span is None or type(found.span).__name__ == "Span" for found in result.diagnostics)
