"""Rows and verdicts of reasoning-gym: problems that a generator makes, scored by that generator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.stages.numeric import last_boxed
from exc.runtime.stages.prompts import Row
from exc.runtime.stages.verifiers import Verdict

METADATA = "metadata"
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_NAME = "source_dataset"  # in a row's metadata: the generator that made it


def gym_rows(source: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a generator, with the columns question, answer and metadata.

    Raises JobFailed("config") for another version of reasoning-gym or a configuration that it refuses.
    """
    _check_version(source["version"])
    from reasoning_gym import create_dataset

    name, given = source["generator"], source["config"]
    try:
        made = create_dataset(name, size=source["size"], seed=source["seed"], **given)
    except (AssertionError, TypeError, ValueError) as error:
        raise JobFailed("config", f"reasoning-gym's `{name}` refuses {dict(given)}: {error}") from error
    for index in range(source["size"]):
        row = made[index]
        yield json.loads(json.dumps({**row, METADATA: {**row[METADATA], _NAME: name}}, default=_plain))


def _plain(value: Any) -> Any:
    """What JSON has no form for: sets in order, all else as text."""
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)


def _check_version(wanted: str) -> None:
    try:
        found = version("reasoning_gym")
    except PackageNotFoundError:
        found = "none"
    if found != wanted:
        raise JobFailed(
            "config",
            f"the plan was made for reasoning-gym {wanted}, and {found} is installed here, which may make "
            f"other rows: pip install reasoning-gym=={wanted}",
        )


def reasoning_gym(completion: str, row: Row) -> Verdict:
    """Score a completion by the generator that made the row; only full marks are right.

    Its answer is the last `\\boxed{...}`, else what the last <answer>...</answer> holds, else all of it.
    """
    parsed = _answer(completion)
    metadata = row.fields.get(METADATA)
    if not isinstance(metadata, Mapping) or _NAME not in metadata:
        error = f"row {row.index} has no `{METADATA}` that names a generator of reasoning-gym"
        return Verdict(parsed, False, False, error)
    try:
        score = _scorer(str(metadata[_NAME]))
        entry = {**row.fields, "answer": row.answer}
        # JSON knows no tuples, and some generators compare with them.
        credit = max(float(score(parsed, each)) for each in (entry, _tupled(entry)))
    except Exception as error:  # of a generator, on what a model made up
        return Verdict(
            parsed, False, False, f"`{metadata[_NAME]}` failed on row {row.index}: {error!r}"[:300]
        )
    return Verdict(parsed, credit >= 1.0, True)


@cache
def _scorer(name: str) -> Any:
    from reasoning_gym import get_score_answer_fn

    return get_score_answer_fn(name)


def _answer(completion: str) -> str | None:
    boxed = last_boxed(completion)
    if boxed is not None:
        return boxed.strip() or None
    tagged = _ANSWER.findall(completion)
    return (tagged[-1] if tagged else completion).strip() or None


def _tupled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _tupled(inner) for key, inner in value.items()}
    return tuple(_tupled(inner) for inner in value) if isinstance(value, list | tuple) else value
