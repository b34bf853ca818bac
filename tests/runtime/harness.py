"""A JobContext for tests: a folder for a store, and a record of what a stage said and left."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext


@dataclass
class Published:
    """A store of one job: `step-N` (or `output`) folders, each with a record.json beside its files."""

    folder: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    def path(self, step: int | None = None) -> Path:
        return self.folder / ("output" if step is None else f"step-{step}")

    def record(self, step: int | None = None) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.path(step).with_suffix(".json").read_text(encoding="utf-8"))
        return record

    def publish(
        self,
        write: Callable[[Path], None],
        *,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
        counts: Counts | None = None,
    ) -> None:
        final = self.path(step)
        if final.exists():
            return
        staging = self.folder / f".staging-{final.name}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        write(staging)
        record = {"metrics": dict(metrics or {}), "counts": asdict(counts or Counts())}
        final.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
        staging.rename(final)

    def emit(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, **fields})

    def said(self, event: str) -> list[dict[str, Any]]:
        return [entry for entry in self.events if entry["event"] == event]


def make_context(
    tmp_path: Path,
    kind: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, Path],
    *,
    kept: tuple[int, ...] = (),
    root: Path | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    save_interval_s: float = 3600.0,
) -> tuple[JobContext, Published]:
    """Make the context of a job whose store and work folder are under `tmp_path`.

    Made again over the same folder, it is the same job after its process died: steps that were published
    are there, and the work folder is as it was left.
    """
    published = Published(tmp_path / "store")
    published.folder.mkdir(parents=True, exist_ok=True)
    context = JobContext(
        job_id=f"test/{kind}",
        kind=kind,
        config=config,
        inputs=inputs,
        root=tmp_path if root is None else root,
        work=tmp_path / "work",
        kept={step: published.path(step).exists() for step in kept},
        publish=published.publish,
        emit=published.emit,
        should_stop=should_stop,
        save_interval_s=save_interval_s,
        num_threads=1,
    )
    context.work.mkdir(parents=True, exist_ok=True)
    return context, published
