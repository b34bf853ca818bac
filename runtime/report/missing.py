"""Why a number is not there: read from the attempts in the store, up the graph to the first cause."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from exc.compiler.plan import Job, Plan
from exc.runtime.store import Store

State = Literal["failed", "stopped", "unfinished", "blocked", "waiting", "not run", "damaged"]


@dataclass(frozen=True, slots=True)
class Missing:
    """`reason` is a sentence; `job` is the id of the job that it is about."""

    state: State
    reason: str
    job: str


class Reasons:
    """Looks each job up once: many missing cells have one cause."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan = plan
        self._store = store
        self._own: dict[str, Missing | None] = {}
        self._done: dict[str, bool] = {}

    def why(self, job_id: str) -> Missing:
        """Why the artifact of this job is not in the store."""
        try:
            job = self._plan.job(job_id)
        except KeyError:
            return Missing("not run", "the plan has no such job", job_id)
        own = self._attempted(job)
        if own is not None:
            return own
        lacking = self._lacking(job)
        causes = [found for found in map(self._attempted, lacking) if found is not None]
        failed = next((cause for cause in causes if cause.state == "failed"), None)
        cause = failed or next(iter(causes), None)
        if cause is not None:
            state: State = "blocked" if cause.state == "failed" else "waiting"
            return Missing(state, f"waits for {cause.job}, which {cause.reason}", cause.job)
        if lacking:
            first = lacking[0]
            others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            return Missing("waiting", f"waits for {first.id}{others}, not run yet", first.id)
        return Missing("not run", "was not run", job.id)

    def _lacking(self, job: Job) -> list[Job]:
        """Every job before this one that has left nothing yet, earliest first."""
        found: set[str] = set()
        queue = [job]
        while queue:
            for need in queue.pop().needs:
                if need.job not in found and not self._has(need.artifact):
                    found.add(need.job)
                    if need.job in self._plan.by_id:
                        queue.append(self._plan.job(need.job))
        ids = {self._plan.by_id[name].id for name in found if name in self._plan.by_id}
        return [other for other in self._plan.jobs if other.id in ids]

    def _has(self, artifact: str) -> bool:
        if artifact not in self._done:
            self._done[artifact] = self._store.ref_path(artifact).is_dir()
        return self._done[artifact]

    def _attempted(self, job: Job) -> Missing | None:
        if job.id not in self._own:
            self._own[job.id] = self._last_attempt(job)
        return self._own[job.id]

    def _last_attempt(self, job: Job) -> Missing | None:
        folder = self._store.attempts_path(job.identity)
        numbers = sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())
        if not numbers:
            return None
        attempt = _read(folder / str(numbers[-1]) / "attempt.json")
        failure = attempt.get("failure")
        if isinstance(failure, Mapping):
            text = f"failed ({failure.get('class', 'unknown')}): {failure.get('message', 'no message')}"
            return Missing("failed", text, job.id)
        which = f"attempt {numbers[-1]}"
        if attempt.get("ended"):
            ending = attempt.get("exit")
            how = "" if ending in (None, 0) else f" with exit {ending}"
            return Missing("stopped", f"stopped before it was done ({which}{how})", job.id)
        host = f" on {attempt['host']}" if attempt.get("host") else ""
        return Missing("unfinished", f"is running or was cut off ({which}{host})", job.id)


def _read(path: Any) -> Mapping[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
