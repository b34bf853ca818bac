"""docs/slurm.md, done by somebody in front of a cluster whose jobs have to wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.runtime.slurm.endings import MEANS
from tests.docs_blocks import ROOT, Reader, read_page

PAGE = ROOT / "docs" / "slurm.md"


@pytest.mark.ci
@pytest.mark.usefixtures("fake")
def test_the_page_about_slurm(tmp_path: Path) -> None:
    for name in ("here", "scratch"):
        (tmp_path / name).mkdir()
    reader = Reader(tmp_path / "here", tmp_path / "scratch")
    for block in read_page(PAGE).blocks:
        assert block.marked("checked by:") == "test_the_page_about_slurm"
        reader.do(block)


def test_the_page_names_every_state_that_means_a_failure() -> None:
    text = PAGE.read_text(encoding="utf-8")
    said = [state for state in MEANS if state in text]
    assert set(MEANS) - set(said) <= {"DEADLINE", "LAUNCH_FAILED"}
    assert all(f"`{MEANS[state][0]}`" in text for state in said)
