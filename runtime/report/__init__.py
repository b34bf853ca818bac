"""Records to a report a person reads."""

from __future__ import annotations

from exc.runtime.report.write import write_report

__all__ = ["write_report"]
