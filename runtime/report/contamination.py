"""Problems of evaluations that stand in training data, as the report's table has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exc.compiler.plan import Plan
from exc.runtime.report.tables import csv_text
from exc.runtime.stages.jsonl import read_jsonl
from exc.runtime.store import Store, StoreError

FILE = "found.jsonl"
TABLE = "contamination.csv"
_EXAMPLES = 3  # problems that the page names, of those that stand there whole first


def contamination_rows(plan: Plan, store: Store) -> list[dict[str, Any]]:
    """One row for each evaluation and each source that is trained on; one that is not there says so."""
    return [_row(entry, store) for entry in plan.report.get("contamination", ())]


def _row(entry: Mapping[str, Any], store: Store) -> dict[str, Any]:
    place = {
        "evaluation": entry["evaluation"],
        "data": entry["data"],
        "trains": ", ".join(entry["trains"]).replace("`", ""),
        "job": entry["job"],
        "artifact": entry["artifact"],
    }
    kind, _, identity = entry["artifact"].partition("/")
    numbers = dict.fromkeys(("problems", "found", "found_whole", "rows", "rows_with"))
    if not store.has(kind, identity):
        return {**place, **numbers, "state": "not looked for yet", "examples": []}
    try:
        artifact = store.read(kind, identity)
        found = list(read_jsonl(artifact.path / FILE))
        counted = {name: int(artifact.metrics[name]) for name in numbers}
        # The whole ones first, which leave the least doubt.
        shown = sorted(found, key=lambda line: (not line["whole"], line["problem"]))[:_EXAMPLES]
        examples = list(map(_example, shown))
    except (StoreError, OSError, KeyError, TypeError, ValueError) as error:
        return {**place, **numbers, "state": f"damaged: {error}", "examples": []}
    return {**place, **counted, "state": "", "examples": examples}


def _example(line: Mapping[str, Any]) -> dict[str, str]:
    what = "all of it" if line["whole"] else f"\u201c{line['matched']}\u201d"
    more = f" and {line['num_rows'] - 1} more" if line["num_rows"] > 1 else ""
    return {
        "problem": str(line["problem"]),
        "text": line["text"],
        "what": what,
        "where": line["where"] + more,
    }


def found_lines(plan: Plan, store: Store) -> Iterator[str]:
    """What was found, a line for each source, for people who read no page."""
    for row in contamination_rows(plan, store):
        head = f"{row['evaluation']}, {row['data']}: "
        if row["state"]:
            yield head + str(row["state"])
            continue
        line = f"{head}found {row['found']:,} of {row['problems']:,} problems in {row['rows']:,} rows"
        example = next(iter(row["examples"]), None)
        yield line + (f", e.g. problem {example['problem']} in {example['where']}" if example else "")


def write_contamination(plan: Plan, store: Store, out: Path) -> None:
    """Write tables/contamination.csv, if the plan looks for problems at all."""
    rows = [
        {
            **{key: value for key, value in row.items() if key != "examples"},
            "example": "; ".join(f"{e['problem']}: {e['where']}" for e in row["examples"]),
        }
        for row in contamination_rows(plan, store)
    ]
    if rows:
        (out / "tables" / TABLE).write_text(csv_text(rows), encoding="utf-8")
