"""One study and its report, made once for all tests that only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from exc.runtime.report import write_report
from tests.runtime.report.study import Study, whole_study


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return whole_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def page(study: Study) -> Path:
    return write_report(study.plan(), study.root / "store", study.root / "report")
