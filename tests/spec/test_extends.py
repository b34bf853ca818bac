"""`extends:` gives what would stand in one file."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exc.compiler.compile import compile_plan
from exc.facts import gather
from exc.pipeline import compile_spec
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment
from exc.spec.load import LoadResult, load_experiment
from exc.spec.places import walk
from exc.spec.profiles import Profile
from exc.spec.scalars import resolve_plain
from tests.compiler.study import STUDY, facts_of, identities, loaded, plan_of

BASE = (Path(__file__).parent / "cases" / "base.yaml").read_text(encoding="utf-8")


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write the files; the first is the spec."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / next(iter(files))


def read(folder: Path, files: dict[str, str]) -> LoadResult:
    result = load_experiment(write(folder, files))
    assert not [str(found) for found in result.diagnostics if found.severity == "error"]
    return result


def spec_of(result: LoadResult) -> Any:
    assert result.experiment is not None
    return result.experiment.spec


def parted(value: dict[str, Any], num: int, random: Random) -> list[dict[str, Any]]:
    """Mappings that merge into `value`, the last winning; those below say other values too, and more keys."""
    parts: list[dict[str, Any]] = [{} for _ in range(num)]
    for key, item in value.items():
        if isinstance(item, dict) and item and random.random() < 0.8:
            for part, piece in zip(parts, parted(item, num, random), strict=True):
                if piece or part is parts[-1]:
                    part[key] = piece
            continue
        place = random.randrange(num)
        parts[place][key] = item
        if place and random.random() < 0.3:
            parts[random.randrange(place)][key] = random.choice([3, "other", None, [1], item])
    if num > 1 and random.random() < 0.2:
        below = random.randrange(num - 1)
        parts[below]["surplus"] = random.choice([1, {"a": {"b": 2}}, ["x"]])
        parts[random.randrange(below + 1, num)]["surplus"] = None
    return parts


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4), st.booleans(), st.randoms(use_true_random=False))
def test_files_that_are_merged_are_one_spec(tmp_path: Path, num: int, chain: bool, random: Random) -> None:
    whole = loaded()
    *below, top = parted(whole, num, random)
    for index, part in enumerate(below):
        part.pop("version", None)  # which may not differ
        if chain and index:
            part["extends"] = f"{index - 1}.yaml"
    names = [f"low/{index}.yaml" for index in range(len(below))]
    top = {"version": 1, **top, "extends": names[-1:] if chain else names}
    texts = [json.dumps(part, indent=random.choice([None, 1])) for part in (top, *below)]
    result = read(tmp_path, dict(zip(["experiment.yaml", *names], texts, strict=True)))
    assert result.experiment is not None
    plan = compile_plan(result.experiment, facts_of(result.experiment.spec), Profile())
    assert identities(plan) == identities(plan_of(STUDY))
    check_places(result)


def check_places(result: LoadResult) -> None:
    """Every leaf stands in the file and at the place where its text is."""
    assert result.experiment is not None
    for path, leaf in walk(result.experiment.tree):
        lines = result.sources[leaf.span.file].split("\n")
        written = lines[leaf.span.line - 1][leaf.span.column - 1 : leaf.span.end_column - 1]
        value = json.loads(written) if written.startswith('"') else resolve_plain(written)
        assert value == leaf.value, path


def test_later_files_win_and_the_spec_wins_over_all(tmp_path: Path) -> None:
    files = {
        "experiment.yaml": "extends: [a.yaml, b.yaml]\nseed: 3\ndata: {train: {jsonl: mine.jsonl}}\n"
        + BASE.split("data:")[0]
        + BASE[BASE.index("tasks:") :],
        "a.yaml": "seed: 1\ndescription: from a\ndata: {docs: {text: a.txt}, train: {jsonl: a.jsonl}}",
        "b.yaml": "seed: 2\ndescription: from b\ndata: {docs: {text: [b.txt, c.txt]}, old: {text: o.txt}}",
    }
    spec = spec_of(read(tmp_path, files))
    assert (spec.seed, spec.description) == (3, "from b")
    assert {name: data.text or data.jsonl for name, data in spec.data.items()} == {
        "docs": ("b.txt", "c.txt"),
        "train": ("mine.jsonl",),
        "old": ("o.txt",),
    }
    assert spec.extends == ("a.yaml", "b.yaml")


def test_null_deletes_an_entry_and_a_kind(tmp_path: Path) -> None:
    files = {
        "experiment.yaml": "extends: low.yaml\ndata: {old: null, train: {jsonl: null, parquet: t.parquet}}\n",
        "low.yaml": BASE.replace("data:\n", "data:\n  old: {text: old.txt}\n", 1),
    }
    spec = spec_of(read(tmp_path, files))
    assert list(spec.data) == ["docs", "train"]
    assert (spec.data["train"].jsonl, spec.data["train"].parquet) == (None, ("t.parquet",))


def test_recipes_are_lists_and_are_replaced(tmp_path: Path) -> None:
    stage = "recipes: {sft: [{other: {sft: {task: arith, batch_size: 4, max_steps: 5}}}]}\n"
    spec = spec_of(read(tmp_path, {"experiment.yaml": "extends: low.yaml\n" + stage, "low.yaml": BASE}))
    assert [stage.name for stage in spec.recipes["sft"]] == ["other"]


def test_a_matrix_below_is_changed_axis_by_axis(tmp_path: Path) -> None:
    stage = "{a: {sft: {task: arith, batch_size: $m, max_steps: $n}}}"
    sweep = f"recipes: {{s: {{matrix: {{n: [1, 2], m: [3]}}, stages: [{stage}]}}}}"
    files = {
        "experiment.yaml": "extends: [low.yaml, sweep.yaml]\nrecipes: {s: {matrix: {m: [4, 5], n: [6]}}}\n",
        "low.yaml": BASE,
        "sweep.yaml": sweep,
    }
    result = read(tmp_path, files)
    assert list(spec_of(result).recipes) == ["sft", "s[n=6,m=4]", "s[n=6,m=5]"]
    assert result.experiment is not None
    assert result.experiment.where("recipes", "s[n=6,m=4]", 0) == "sweep.yaml:1:53"
    assert result.experiment.span("recipes", "s[n=6,m=4]", 0, "sft", "batch_size").file.endswith(
        "experiment.yaml"
    )


@pytest.mark.parametrize("typed", ["study/experiment.yaml", "{}/study/experiment.yaml"])
def test_lines_are_told_as_seen_from_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    files = {
        "study/experiment.yaml": "extends: [../shared/base.yaml, more/seed.yaml]\n",
        "shared/base.yaml": BASE,
        "study/more/seed.yaml": "extends: deeper/title.yaml\nseed: 4",
        "study/more/deeper/title.yaml": "description: x",
    }
    write(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    experiment = load_experiment(Path(typed.format(tmp_path))).experiment
    assert isinstance(experiment, Experiment)
    assert experiment.where("recipes", "sft", 0) == "../shared/base.yaml:24:7"
    assert experiment.where("seed") == "more/seed.yaml:2:1"
    assert experiment.where("description") == "more/deeper/title.yaml:1:1"
    assert experiment.where("extends") == "experiment.yaml:1:1"


def small(folder: Path) -> Path:
    """A spec over a file in another folder, with its data beside it."""
    rows = '{"question": "1", "answer": "1", "demonstrations": ["1"]}\n'
    files = {
        "study/experiment.yaml": "extends: ../shared/base.yaml\n",
        "shared/base.yaml": BASE,
        "study/docs.txt": "text\n",
        "study/train.jsonl": rows,
    }
    return write(folder, files)


def test_a_plan_is_the_same_wherever_the_folders_lie(tmp_path: Path) -> None:
    here, there = small(tmp_path / "here"), small(tmp_path / "far" / "there")
    one, other = compile_spec(here).plan, compile_spec(there).plan
    assert one is not None
    assert other is not None
    assert one == other
    assert {line.rpartition(":")[0].rpartition(":")[0] for job in one.jobs for line in job.source} == {
        "../shared/base.yaml"
    }


def test_a_change_below_makes_a_plan_stale(tmp_path: Path) -> None:
    spec = small(tmp_path)
    before = compile_spec(spec).plan
    base = tmp_path / "shared" / "base.yaml"
    base.write_text(BASE.replace("max_steps: 20", "max_steps: 30"), encoding="utf-8")
    after = compile_spec(spec).plan
    assert before is not None
    assert after is not None
    assert before.digest != after.digest


def test_paths_count_from_the_folder_of_the_spec(tmp_path: Path) -> None:
    spec = small(tmp_path)
    (tmp_path / "study" / "docs.txt").rename(tmp_path / "shared" / "docs.txt")
    diagnostics = Diagnostics()
    draft = load_experiment(spec).draft
    assert draft is not None
    gather(draft, spec.parent, diagnostics)
    (found,) = diagnostics
    assert (found.code, found.span and Path(found.span.file).name) == ("missing-file", "base.yaml")
    assert found.hint is not None
    assert found.hint.endswith("also in a file that it extends: write `../shared/docs.txt`")
    assert "../shared/docs.txt" in found.hint


def test_a_file_below_that_is_not_utf_8(tmp_path: Path) -> None:
    spec = write(tmp_path, {"experiment.yaml": "extends: low.yaml\n"})
    (tmp_path / "low.yaml").write_bytes(b"seed: 1\n\xff")
    (found,) = load_experiment(spec).diagnostics
    assert (found.code, found.span and found.span.line) == ("yaml-syntax", 1)
    assert found.message == "`low.yaml` cannot be read, line 2: the byte 0xff is not UTF-8"


def test_two_ways_to_one_file_are_no_cycle(tmp_path: Path) -> None:
    files = {
        "experiment.yaml": "extends: [a.yaml, b.yaml]\n" + BASE,
        "a.yaml": "extends: common.yaml",
        "b.yaml": "extends: [common.yaml]",
        "common.yaml": "seed: 7",
    }
    assert spec_of(read(tmp_path, files)).seed == 7
