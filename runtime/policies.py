"""What is done about a failure: one table, class -> policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AGAIN, MENDED = "again", "mended"  # whether the command that goes on comes after a change of spec or profile


@dataclass(frozen=True, slots=True)
class Policy:
    """What a class of failures means, what a run does about it itself, and what a person does."""

    means: str
    advice: str  # said before the command that goes on
    after: str = MENDED  # AGAIN: the plan as it is; MENDED: compiled again
    retries: int = 0  # within one run, of one job; each goes on from what the last attempt saved
    wait_s: float = 0.0  # before the first retry; doubled before each further one

    def wait_before(self, retry: int) -> float:
        """Seconds to wait before a retry, counted from 1."""
        return self.wait_s * 2.0 ** (retry - 1)


_MEND = "after mending what it names"

POLICIES: Mapping[str, Policy] = {
    # The cause is in the spec, or in what it names: the same again would fail the same way.
    "config": Policy("a setting that proves wrong only at run time", _MEND),
    "data": Policy("a row, column or file that is not as the spec says", _MEND),
    "verifier": Policy("a verifier that fails, hangs or cannot be imported", _MEND),
    "command": Policy("the command of a `command` stage failed", _MEND),
    "diverged": Policy(
        "loss or gradients are not finite",
        "after lowering its learning rate, warming up longer or clipping harder in the spec",
    ),
    # The cause is in what the job was given.
    "out-of-memory": Policy(
        "there was not enough memory",
        "after lowering `micro_batch_size` or `slots` in the profile, or what the job itself holds",
    ),
    "time-out": Policy("its time limit was reached", "after raising `time` in the profile"),
    "disk": Policy("the disk is full", "after freeing disk space", AGAIN),
    # The cause is elsewhere, and may be gone by now.
    "killed": Policy("a signal that exc did not send ended it", "to try again", AGAIN, 2, 1.0),
    "node": Policy("the machine it ran on is gone", "to try again", AGAIN, 2, 5.0),
    "preempted": Policy("it had to make room for another job", "to try again", AGAIN, 3, 5.0),
    "store": Policy("something in the store is not as it was written", "after doing what it says", AGAIN),
    "error": Policy("an unexpected error", "to try again", AGAIN),
}


def policy_of(kind: str) -> Policy:
    """The policy of a failure class; an unknown one, of a newer version, is treated as `error`."""
    return POLICIES.get(kind, POLICIES["error"])


def retries_of(kind: str, profile: Mapping[str, Any]) -> int:
    """How often a run tries a job again after a failure of this class, by the profile or the table."""
    given = profile.get("retries") or {}
    return int(given.get(kind, policy_of(kind).retries))
