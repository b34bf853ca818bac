"""The literate cases: what a person wrote, and exactly what they are told.

`cases/source-*.md` are about the text alone. In every other file a case is a whole experiment, and is checked
as one: the sections that a `yaml` block leaves out are those of `cases/base.yaml`, put behind it. A block
`yaml experiment.yaml` is the file as it stands.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exc.compiler.checks import check
from exc.spec.diagnostics import Diagnostics
from exc.spec.load import load_experiment
from exc.spec.render import render_text
from exc.spec.source import parse
from tests.literate import Case, cases

FOLDER = Path(__file__).parent / "cases"
SPEC = "experiment.yaml"
WIDTH = 80
SOURCE_CASES = cases(FOLDER, "source-*.md")
LOAD_CASES = [case for case in cases(FOLDER) if case not in SOURCE_CASES]


@pytest.mark.parametrize("case", SOURCE_CASES, ids=str)
def test_text_is_diagnosed(case: Case) -> None:
    text = case.block("yaml").text
    diagnostics = Diagnostics()
    parse(text, SPEC, diagnostics)
    case.check("text", render_text(diagnostics, {SPEC: text}, color=False, width=WIDTH))


@pytest.mark.parametrize("case", LOAD_CASES, ids=str)
def test_experiment_is_diagnosed(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for block in case.blocks:
        if block.language != "text":
            path = tmp_path / (block.file or SPEC)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text + "\n" if block.file else completed(block.text), encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # so that every path is shown as a user in that folder typed it
    result = load_experiment(Path(SPEC))
    if result.draft is not None:
        check(result.draft, result.diagnostics)
    case.check("text", render_text(result.diagnostics, result.sources, color=False, width=WIDTH))


def completed(text: str) -> str:
    """The text, and behind it the sections of the base that it lacks."""
    given = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    base = (FOLDER / "base.yaml").read_text(encoding="utf-8")
    sections = re.findall(r"^(\w+)(:.*\n(?:[ -].*\n)*)", base, re.MULTILINE)
    return text + "\n" + "".join(key + rest for key, rest in sections if key not in given)
