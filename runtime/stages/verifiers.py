"""Saying whether a completion answers its problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from exc.runtime.context import JobFailed
from exc.runtime.stages.numeric import find_number
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.usercode import FAULTS, describe, load_function


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier found: the normalised answer (None: there is none), whether it is right, and whether
    that could be told at all; if not, `error` says why, and `timed_out` whether it took too long."""

    parsed: str | None
    correct: bool
    verifiable: bool
    error: str | None = None
    timed_out: bool = False


Verifier = Callable[[str, Row], Verdict]


class Limited(NamedTuple):
    library: str  # what takes seconds to import
    module: str


# Verifiers of ours that call a library which may take for ever: they run in a worker, as a person's do.
# Each is a function of its module, of the kind's name.
LIMITED = {
    "math": Limited("math_verify", "exc.runtime.stages.math_verifier"),
    "reasoning_gym": Limited("reasoning_gym", "exc.runtime.stages.gym"),
}


def load_verifier(config: Mapping[str, Any], root: Path) -> Verifier:
    """Return the verifier that `config` describes; a python one is imported from `root`, the spec's folder.

    A verifier never raises: what goes wrong inside one becomes a verdict that is not verifiable.
    Raises JobFailed("verifier") when that fails, and JobFailed("config") for an unknown kind.
    """
    kind = config["kind"]
    if kind == "numeric":
        return numeric
    if kind == "exact":
        return exact
    if kind in LIMITED:
        return _limited(kind)
    if kind == "python":
        return python_verifier(str(config["target"]), root)[0]
    raise JobFailed(
        "config", f"verifier `{kind}` is not known; there are numeric, exact, {', '.join(LIMITED)} and python"
    )


def worker_verifier(target: str, root: Path) -> tuple[Verifier, str]:
    """The verifier that a worker calls, and where it is defined: `math`, or a person's `module:function`.

    Raises JobFailed("verifier") if it cannot be loaded.
    """
    if target not in LIMITED:
        return python_verifier(target, root)
    try:
        import_module(LIMITED[target].library)  # now, so that no call's time goes by with it
    except ImportError as error:
        raise JobFailed("verifier", f"`{target}` cannot be loaded: {error}") from error
    return _limited(target), target


def _limited(kind: str) -> Verifier:
    verify: Verifier = getattr(import_module(LIMITED[kind].module), kind)
    return verify


def numeric(completion: str, row: Row) -> Verdict:
    """Compare the number a completion ends in with the row's, by value."""
    found = find_number(completion)
    parsed = None if found is None else str(found)
    wanted = None if row.answer is None else find_number(row.answer)
    if wanted is None:
        return Verdict(parsed, False, False, f"row {row.index} has no number for an answer: {row.answer!r}")
    return Verdict(parsed, found == wanted, True)


def exact(completion: str, row: Row) -> Verdict:
    """Compare completion and answer as text, white space at either end aside."""
    parsed = completion.strip() or None
    if row.answer is None:
        return Verdict(parsed, False, False, f"row {row.index} has no answer")
    return Verdict(parsed, parsed is not None and parsed == row.answer.strip(), True)


def python_verifier(target: str, root: Path) -> tuple[Verifier, str]:
    """Wrap a user's f(completion, answer, row) -> bool | float in [0, 1] | None (no answer found).

    Gives it with the place where it is defined, such as `judge.py:12`. Only full credit counts as right.
    Such a function names no answer, so the completion stands for it.
    """
    function = load_function(target, root, "verifier")

    def verify(completion: str, row: Row) -> Verdict:
        parsed = completion.strip() or None
        try:
            # A copy to the bottom: what one call does to its row must not reach the next.
            credit = function(completion, row.answer, deepcopy(dict(row.fields)))
        except FAULTS as error:
            return Verdict(
                parsed, False, False, f"`{target}` failed on row {row.index}: {describe(error, root)}"
            )
        if credit is None:
            return Verdict(None, False, True)
        if not isinstance(credit, (bool, int, float)) or not 0 <= credit <= 1:
            shown = repr(credit)[:80]
            return Verdict(
                parsed,
                False,
                False,
                f"`{target}` returned {shown} on row {row.index}, not a bool or a number in 0..1",
            )
        return Verdict(parsed, credit == 1, True)

    return verify, _place(function, target, root)


def _place(function: Callable[..., Any], target: str, root: Path) -> str:
    code = getattr(function, "__code__", None)
    if code is None:
        return target
    path = Path(code.co_filename)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown}:{code.co_firstlineno}"
