"""What squeue, sacct and scontrol print, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A state that is in neither list is of another version of SLURM, and taken for one of a job that is there.
ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "LAUNCH_FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "RECONFIG_FAIL",
        "REVOKED",
        "TIMEOUT",
    }
)
RUNS = frozenset(
    {
        "COMPLETING",
        "CONFIGURING",
        "RESIZING",
        "RUNNING",
        "SIGNALING",
        "STAGE_OUT",
        "STOPPED",
        "SUSPENDED",
    }
)
NEVER = ("DependencyNeverSatisfied", "Dependency_never_satisfied")
HELD_BY_USER = "JobHeldUser"

_SPAN = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """What SLURM says of one element. `ref` is `42`, or `42_3` in an array."""

    ref: str
    state: str  # one word, as SLURM writes it
    name: str = ""
    node: str = ""
    reason: str = ""  # of a pending one
    code: str = ""  # exit code and signal of one that ended: `1:0`
    by: str = ""  # the user's id who cancelled it

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def runs(self) -> bool:
        return self.state in RUNS

    @property
    def never(self) -> bool:
        """Whether it waits for what will never be."""
        return any(self.reason.startswith(word) for word in NEVER)


def parse_queue(text: str) -> Iterator[Entry]:
    """Lines of `squeue -o %i|%T|%N|%j|%r`; what is no such line is passed over."""
    for line in text.splitlines():
        parts = line.strip().split("|", 4)
        if len(parts) == 5:
            ids, state, node, name, reason = (part.strip() for part in parts)
            for ref in references(ids):
                yield Entry(ref, state, name, _none(node), _none(reason))


def parse_accounts(text: str) -> Iterator[Entry]:
    """Lines of `sacct -P -o JobID,State,ExitCode,NodeList,JobName`, steps of jobs left out."""
    for line in text.splitlines():
        parts = line.strip().split("|", 4)
        if len(parts) != 5 or "." in parts[0] or "+" in parts[0]:
            continue
        ids, said, code, node, name = (part.strip() for part in parts)
        state, _, rest = said.partition(" ")
        by = rest.removeprefix("by ") if rest.startswith("by ") else ""
        for ref in references(ids):
            yield Entry(ref, state.rstrip("+"), name, _none(node), code=code, by=by)


def references(ids: str) -> list[str]:
    """`42` -> itself, `42_3` -> itself, `42_[0-2,7%4]` -> each element; [] for what is no id."""
    job, sign, rest = ids.partition("_")
    if not job.isdigit():
        return []
    if not sign:
        return [job]
    if rest.isdigit():
        return [ids]
    inside = rest.strip("[]").partition("%")[0]
    found: list[str] = []
    for part in inside.split(","):
        span = _SPAN.fullmatch(part)
        if span is None:  # `...`: SLURM cuts long lists, and what is cut is asked for apart
            continue
        first, last, step = int(span[1]), int(span[2] or span[1]), int(span[3] or 1)
        found += [f"{job}_{index}" for index in range(first, last + 1, step)]
    return found


def array_text(indices: list[int]) -> str:
    """Indices as sbatch takes them: `0-4,7`."""
    spans: list[list[int]] = []
    for index in sorted(indices):
        if spans and index == spans[-1][1] + 1:
            spans[-1][1] = index
        else:
            spans.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def parse_span(text: str) -> float | None:
    """A span of time as squeue writes it, `1-02:03:04` or `3:04`, in seconds; None if it is none."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text.strip())
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def config_value(text: str, key: str) -> str:
    """A value of `scontrol show config`; empty if it is not there."""
    found = re.search(rf"^{re.escape(key)}\s*=\s*(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _none(text: str) -> str:
    return "" if text.lower() in ("(null)", "none", "none assigned", "n/a", "unknown") else text
