"""What a run on this machine holds: the part of a plan that it is for, and each job that runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exc.compiler.plan import Job
from exc.runtime.attempts import Attempt
from exc.runtime.backends.interrupts import Interrupts
from exc.runtime.backends.limits import Advance, TimeLimit
from exc.runtime.backends.processes import Process
from exc.runtime.backends.slots import Claim
from exc.runtime.events import EventTail
from exc.runtime.memory import oom_kills


@dataclass
class Running:
    """A job that runs now."""

    job: Job
    attempt: Attempt
    process: Process
    claim: Claim
    tail: EventTail
    limit: TimeLimit
    oom_before: Mapping[str, int] = field(default_factory=oom_kills)
    advance: Advance = field(default_factory=Advance)
    began: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Part:
    """Jobs of a plan that are run apart from the others, in topological order."""

    jobs: Sequence[Job]
    limited: bool = True  # whether the time limits of jobs are kept here; else by somebody else
    interrupts: Interrupts | None = None
