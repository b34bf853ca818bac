"""The mini plan, run once and undisturbed, for all tests to copy and compare with."""

from __future__ import annotations

import pytest

from tests.end_to_end.project import Project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Compiled and submitted to the end. Read it or copy it; never change it."""
    project = Project.new(tmp_path_factory.mktemp("finished") / "mini")
    project.ok("compile")
    project.ok("submit")
    return project
