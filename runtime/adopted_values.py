"""Numbers from elsewhere (a published table) for points of a plan, without artifacts behind them.

They lie in the store under adopted/values/<experiment>/, one file a table, and are shown beside what was
measured: never as a replicate, never in a paired comparison, whose problems they do not have.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from exc.compiler.plan import Plan, dump
from exc.runtime.adopt import Statement
from exc.runtime.adopt_checks import AdoptError
from exc.runtime.adoption import FOLDER, Adoption, adoption_from_json
from exc.runtime.files import names, write_json
from exc.runtime.store import Store, StoreError
from exc.spec.diagnostics import did_you_mean

REQUIRED = ("trunk", "step", "recipe", "evaluation", "metric", "value")
OPTIONAL = ("snapshot", "low", "high", "problems")
_FORMAT = 1
_SHARE = re.compile(r"(pass|maj)@\d+|\w+_rate")


@dataclass(frozen=True, slots=True)
class Point:
    """One number. `step` is the trunk's, `snapshot` the recipe's, None for its last."""

    trunk: str
    step: int
    recipe: str
    evaluation: str
    metric: str
    value: float
    snapshot: int | None = None
    low: float | None = None
    high: float | None = None
    problems: int | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What may have one number only."""
        return (self.trunk, self.step, self.recipe, self.snapshot, self.evaluation, self.metric)


@dataclass(frozen=True, slots=True)
class AdoptedPoint:
    """A number, the cell of the plan that it stands beside, and what was said of it."""

    point: Point
    cell: Mapping[str, Any]
    adoption: Adoption


def adopt_values(plan: Plan, table: Path, store: Store, said: Statement) -> list[Point]:
    """Take in a table of numbers. The same table twice is once. Raises AdoptError with every fault of it."""
    points = read_table(plan, table)
    folder = store.root / FOLDER / "values" / plan.experiment
    rows = [asdict(point) for point in points]
    digest = hashlib.sha256(dump(rows)).hexdigest()
    target = folder / f"{digest[:16]}.json"
    if target.exists():
        raise AdoptError(f"{table} was adopted already; to take it back: rm {target}")
    taken = {old.point.key: name for name, old in _entries(plan, store)}
    clashes = [point for point in points if point.key in taken]
    if clashes:
        first = clashes[0]
        raise AdoptError(
            f"{len(clashes)} of its points have an adopted number already, the first is {_named(first)}; to "
            f"replace those: rm {folder / taken[first.key]}"
        )
    origin = said.origin or str(table.resolve())
    adoption = Adoption("", "", said.why, origin, said.when, said.by, digest)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(target, {"format": _FORMAT, "adopted": adoption.to_json(), "points": rows})
    return points


def adopted_points(plan: Plan, store: Store) -> list[AdoptedPoint]:
    """Every adopted number of a plan's points, in the plan's order; others of the experiment are left out.

    Raises StoreError on a file that cannot be read.
    """
    order = {id(cell): number for number, cell in enumerate(plan.report.get("cells", ()))}
    found = [entry for _, entry in _entries(plan, store) if entry.cell]
    return sorted(found, key=lambda entry: order[id(entry.cell)])


def _entries(plan: Plan, store: Store) -> Iterator[tuple[str, AdoptedPoint]]:
    """Adopted numbers with the file that each is in; an empty cell where the plan has no such point."""
    folder = store.root / FOLDER / "values" / plan.experiment
    for name in sorted(name for name in names(folder) if name.endswith(".json") and name[0] != "."):
        try:
            data = json.loads((folder / name).read_bytes())
            adoption = adoption_from_json(data["adopted"])
            points = [Point(**row) for row in data["points"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{folder / name} is damaged ({error}); remove it and adopt its table anew"
            ) from None
        for point in points:
            yield name, AdoptedPoint(point, _cell(plan, point) or {}, adoption)


def read_table(plan: Plan, table: Path) -> list[Point]:
    """The points of a CSV file. Raises AdoptError naming every line that is wrong."""
    try:
        reader = csv.DictReader(StringIO(table.read_text(encoding="utf-8-sig")), strict=True)
        columns = [name.strip() for name in reader.fieldnames or ()]
        rows = [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise AdoptError(f"{table}: not a CSV file ({error})") from None
    lacking = [name for name in REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in (*REQUIRED, *OPTIONAL)]
    if lacking or unknown:
        said = f"lacks {', '.join(lacking)}" if lacking else f"has the unknown {', '.join(unknown)}"
        raise AdoptError(
            f"{table}: its header {said}; expected {', '.join(REQUIRED)} [, {', '.join(OPTIONAL)}]"
        )
    points, faults, seen = [], [], set()
    for line, row in rows:
        try:
            point = _point({str(key).strip(): (value or "").strip() for key, value in row.items() if key})
            _check(plan, point)
            if point.key in seen:
                raise ValueError(f"{_named(point)} stands there twice")
        except ValueError as error:
            faults.append(f"{table}:{line}: {error}")
            continue
        seen.add(point.key)
        points.append(point)
    if faults or not points:
        raise AdoptError("\n".join(faults) or f"{table} has no rows")
    return points


def _point(row: Mapping[str, str]) -> Point:
    """Raises ValueError."""
    return Point(
        **{name: row[name] for name in ("trunk", "recipe", "evaluation", "metric")},
        step=int(_number("step", row["step"], whole=True)),
        value=_number("value", row["value"]),
        snapshot=int(_number("snapshot", row["snapshot"], whole=True)) if row.get("snapshot") else None,
        low=_number("low", row["low"]) if row.get("low") else None,
        high=_number("high", row["high"]) if row.get("high") else None,
        problems=int(_number("problems", row["problems"], whole=True)) if row.get("problems") else None,
    )


def _number(name: str, text: str, *, whole: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (whole and not (value >= 0 and value.is_integer())):
        raise ValueError(f"{name} is {text!r}, expected a {'whole' if whole else 'finite'} number")
    return value


def _check(plan: Plan, point: Point) -> None:
    """Raises ValueError where the plan has no such point, or the number is out of its range."""
    evaluations = plan.report.get("evaluations", {})
    if point.evaluation not in evaluations:
        raise ValueError(f"no evaluation `{point.evaluation}`; {_near(point.evaluation, evaluations)}")
    if _cell(plan, point) is None:
        cells = [cell for cell in plan.report["cells"] if cell["evaluation"] == point.evaluation]
        for name, value in (("trunk", point.trunk), ("recipe", point.recipe)):
            there = {str(cell[name]) for cell in cells} | (
                {_arm(cell) for cell in cells} if name == "recipe" else set()
            )
            if value not in there:
                raise ValueError(
                    f"{point.evaluation} is of no {name} `{value}`; {_near(value, sorted(there))}"
                )
        steps = sorted({cell["at"] for cell in cells if cell["trunk"] == point.trunk})
        raise ValueError(f"the plan has no {_named(point)}; its checkpoints: {', '.join(map(str, steps))}")
    values = [value for value in (point.low, point.value, point.high) if value is not None]
    if values != sorted(values):
        raise ValueError(f"{_named(point)}: {point.value:g} does not lie between low and high")
    if evaluations[point.evaluation]["kind"] == "pass_at_k" and not point.metric:
        raise ValueError("metric is empty")
    if _SHARE.fullmatch(point.metric) and not all(0 <= value <= 1 for value in values):
        raise ValueError(f"{point.metric} is a share between 0 and 1, not {point.value:g}: 42% is 0.42")
    known = evaluations[point.evaluation]["metrics"]
    if point.metric not in known and not _SHARE.fullmatch(point.metric):
        raise ValueError(f"{point.evaluation} has no metric `{point.metric}`; {_near(point.metric, known)}")


def _near(name: str, there: Any) -> str:
    return did_you_mean(name, there) or f"there is {', '.join(there) or 'none'}"


def _cell(plan: Plan, point: Point) -> Mapping[str, Any] | None:
    """The first cell of the plan that is this point."""
    for cell in plan.report.get("cells", ()):
        same = (cell["evaluation"], cell["trunk"], cell["at"]) == (point.evaluation, point.trunk, point.step)
        here = cell.get("final", True) if point.snapshot is None else cell.get("step") == point.snapshot
        if same and here and point.recipe in (cell["recipe"], _arm(cell)):
            found: Mapping[str, Any] = cell
            return found
    return None


def _arm(cell: Mapping[str, Any]) -> str:
    """The recipe with its matrix values."""
    values = ",".join(f"{name}={value}" for name, value in (cell.get("matrix") or {}).items())
    return f"{cell['recipe']}[{values}]" if values and "[" not in cell["recipe"] else str(cell["recipe"])


def _named(point: Point) -> str:
    at = "" if point.snapshot is None else f"@{point.snapshot}"
    return f"{point.trunk}/{point.step}/{point.recipe}{at} {point.evaluation} {point.metric}"
