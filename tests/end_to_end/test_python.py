"""The Python interface: what docs/python.md shows, and what the command line says of the same project."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import exc
from tests.end_to_end.project import Project
from tests.literate import parse

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"


def test_the_page_runs(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.copy(tmp_path / "mini").folder)
    blocks = [block.text for case in parse(PAGE) for block in case.blocks if block.language == "python"]
    assert len(blocks) >= 8
    names: dict[str, object] = {}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
    assert "unknown-key" in said.getvalue()
    assert "mini/tokenizer" in said.getvalue()
    assert repr(names["plan"]).startswith("<Plan mini: 54 jobs in 12 classes, ")
    assert repr(names["status"]) == "<Status mini: 54 done>"


def test_rows_are_what_the_command_line_lists(finished: Project) -> None:
    rows = exc.result_rows(finished.folder / "plan")
    listed = list(csv.DictReader(io.StringIO(finished.ok("results", "--csv"))))
    assert len({row.artifact for row in rows}) == len(listed)
    for row in rows:
        (line,) = [line for line in listed if line["artifact"] == row.artifact]
        assert float(line[row.metric]) == row.value
        assert (line["at"], line["tokens"], line["recipe"]) == (str(row.step), str(row.tokens), row.recipe)
        assert row.problems == (8 if row.evaluation == "sums" else 5)
        assert not row.adopted
    with pytest.raises(FrozenInstanceError):
        rows[0].value = 1.0  # type: ignore[misc]


def test_the_frame_has_the_rows(finished: Project) -> None:
    frame = exc.results(str(finished.folder / "plan"))
    rows = exc.result_rows(finished.folder / "plan")
    assert frame.value.tolist() == [row.value for row in rows]
    assert frame.job.tolist() == [row.job for row in rows]
    assert frame.snapshot.isna().tolist() == [row.snapshot is None for row in rows]
    assert "matrix" not in frame.columns


def test_without_pandas_it_says_what_to_install(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"exc\[notebook\].*\n*.*exc\.result_rows"):
        exc.results(finished.folder / "plan")


def test_importing_and_reading_load_nothing_heavy(finished: Project) -> None:
    code = (
        "import sys, exc\n"
        "assert not [name for name in sys.modules if name.startswith('exc.')]\n"
        "plan = exc.read_plan('plan')\n"
        "exc.status(plan), exc.result_rows(plan), exc.artifact(plan, 'mini/60/rl/r0/rl')\n"
        "heavy = {'torch', 'transformers', 'trl', 'matplotlib', 'pandas', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = finished.run(sys.executable, "-c", code)
    assert done.code == 0, done


def test_the_compiled_plan_is_the_one_on_disk(finished: Project) -> None:
    compiled, written = exc.plan(finished.folder / "experiment.yaml"), exc.read_plan(finished.folder / "plan")
    assert compiled.digest == written.digest
    assert compiled.store == written.store == finished.store
    assert exc.status(compiled).done
    assert "<td>rl.rl</td><td>grpo</td><td>2</td>" in written._repr_html_()
    assert repr(written.job("mini/tokenizer")).startswith("<Job mini/tokenizer: tokenizer ")


def test_samples_with_and_without_verdicts(finished: Project) -> None:
    job = "mini/60/rl/r0/rl.sums"
    drawn = list(exc.samples(finished.folder / "plan", f"{job}.sample.0"))
    judged = list(exc.samples(finished.folder / "plan", f"{job}.score"))
    assert (len(drawn), len(judged)) == (8 * 16, 8 * 4)
    texts = {(one.problem, one.sample): one.text for one in drawn}
    assert all(texts[one.problem, one.sample] == one.text for one in judged)
    assert {one.correct for one in drawn} == {None}
    (row,) = [
        r
        for r in exc.result_rows(finished.folder / "plan")
        if r.job == f"{job}.score" and r.metric == "pass@1"
    ]
    assert sum(bool(one.correct) for one in judged) / len(judged) == pytest.approx(row.value)
    with pytest.raises(ValueError, match="which has no samples"):
        exc.samples(finished.folder / "plan", "mini/tokenizer")


def test_artifacts_by_step_and_what_is_not_there(finished: Project, tmp_path: Path) -> None:
    plan = exc.read_plan(finished.folder / "plan")
    last, third = (exc.artifact(plan, f"mini/60/rl/r0/rl{at}") for at in ("", "@3"))
    assert (last.step, third.step) == (6, 3)
    assert last.identity != third.identity
    assert last.model is not None
    assert json.loads((last.model / "config.json").read_bytes())["model_type"] == "llama"
    assert [node.kind for node in last.lineage][-1] == "grpo"
    assert {node.kind for node in last.lineage} >= {"tokenizer", "tokens", "rows", "pretrain"}
    with pytest.raises(LookupError, match="keeps 3, 6, not 4"):
        exc.artifact(plan, "mini/60/rl/r0/rl@4")
    with pytest.raises(exc.StoreError, match="no artifact"):
        exc.artifact(plan, "mini/60/rl/r0/rl", store=tmp_path)
    assert exc.result_rows(plan, store=tmp_path) == ()
    assert not exc.status(plan, store=tmp_path).done


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no spec here"):
        exc.load(tmp_path / "experiment.yaml")
    with pytest.raises(exc.PlanError, match="there is no plan here"):
        exc.read_plan(tmp_path)
    with pytest.raises(AttributeError, match="no attribute `reslts`"):
        exc.reslts  # noqa: B018
    assert {"load", "plan", "results"} <= set(dir(exc))
