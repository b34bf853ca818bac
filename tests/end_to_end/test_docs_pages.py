"""The pages of the documentation that start in a finished study, read from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs_blocks import Page, Reader
from tests.end_to_end.project import Project
from tests.test_docs_blocks import starting_in

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("page", starting_in("finished study"))
def test_the_page_is_so(page: Page, finished: Project, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    Reader(finished.copy(tmp_path / "mini").folder, scratch).follow(page, ci=False)
