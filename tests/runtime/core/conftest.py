"""The trivial stages are known to every test here."""

from __future__ import annotations

import pytest

from exc.compiler import identity
from exc.runtime import stages
from tests.runtime.core import trivial


@pytest.fixture(autouse=True)
def trivial_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGES", stages.STAGES)
    for kind in (trivial.KIND, trivial.STEPS_KIND):
        monkeypatch.setitem(stages.STAGES, kind, "")
        monkeypatch.setitem(identity.FIELDS, kind, None)
    trivial.register()
