"""graph.svg: the DAG by job class, in layers from left to right. A plan of any size stays one picture."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from exc.compiler.classes import JobClass
from exc.compiler.plan import Plan

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 172, 44, 64, 18, 16  # pixels
FILL: Mapping[str, str] = {
    "tokenizer": "#e8eaed",
    "rows": "#e8eaed",
    "tokens": "#e8eaed",
    "pretrain": "#cfe3f7",
    "sft": "#d7efd8",
    "grpo": "#fde3c8",
    "merge": "#eadcf5",
    "command": "#eadcf5",
    "sample": "#f7f3d4",
    "score": "#f7f3d4",
    "bits_per_byte": "#f7f3d4",
}
STYLE = (
    "text{font-family:system-ui,Helvetica,Arial,sans-serif;fill:#202124}"
    ".name{font-size:13px;font-weight:600}.note{font-size:11px;fill:#5f6368}"
    "path{fill:none;stroke:#9aa0a6;stroke-width:1.2}"
)


def graph_svg(plan: Plan, classes: list[JobClass]) -> str:
    """The classes as boxes, an arrow wherever some job of one reads from some job of another."""
    edges = _edges(plan)
    names = [cls.name for cls in classes]
    places = _places(names, edges)
    by_name = {cls.name: cls for cls in classes}
    width = max(x for x, _ in places.values()) + BOX_WIDTH + MARGIN
    height = max(y for _, y in places.values()) + BOX_HEIGHT + MARGIN
    arrows = [_arrow(places[a], places[b]) for a, b in edges if a != b]
    boxes = [_box(by_name[name], *places[name], loop=(name, name) in edges) for name in names]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img"><title>{escape(plan.experiment)}: {len(plan.jobs)} jobs in {len(classes)} classes</title>'
        f"<style>{STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<polygon points="0,0 8,4 0,8" fill="#9aa0a6"/></marker></defs>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join([*arrows, *boxes]) + "\n</svg>\n"
    )


def _edges(plan: Plan) -> list[tuple[str, str]]:
    cls = {job.id: job.cls for job in plan.jobs}
    return sorted({(cls[need.job], job.cls) for job in plan.jobs for need in job.needs})


def _places(names: list[str], edges: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """The corner of each box: column by longest path, order in a column by where its inputs are."""
    column = _columns(names, edges)
    rows: dict[int, list[str]] = {}
    for name in names:
        rows.setdefault(column[name], []).append(name)
    tallest = max(len(row) for row in rows.values())
    order: dict[str, float] = {}
    places = {}
    for x in sorted(rows):
        inputs = {name: [order[a] for a, b in edges if b == name and a in order] for name in rows[x]}
        row = sorted(rows[x], key=lambda name: sum(inputs[name]) / len(inputs[name]) if inputs[name] else 0.0)
        top = (tallest - len(row)) / 2
        for index, name in enumerate(row):
            order[name] = top + index
            places[name] = (MARGIN + x * (BOX_WIDTH + GAP_X), MARGIN + round(order[name] * (BOX_HEIGHT + GAP_Y)))
    return places


def _columns(names: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a source. Classes may read each other in turn, so the depth is bounded by their number."""
    column = dict.fromkeys(names, 0)
    for _ in names:
        moved = False
        for a, b in edges:
            if a != b and (b, a) not in edges and column[b] <= column[a] < len(names):
                column[b] = column[a] + 1
                moved = True
        if not moved:
            break
    return column


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT // 2
    x2, y2 = end[0], end[1] + BOX_HEIGHT // 2
    bend = max(GAP_X // 2, (x2 - x1) // 2)
    return f'<path d="M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}" marker-end="url(#tip)"/>'


def _box(cls: JobClass, x: int, y: int, *, loop: bool) -> str:
    fill = FILL[cls.kind]
    jobs = f"{len(cls.jobs):,} {'job' if len(cls.jobs) == 1 else 'jobs'}{', each from the last' if loop else ''}"
    name = cls.name if len(cls.name) <= 24 else cls.name[:23] + "\u2026"
    return (
        f'<g><title>{escape(cls.name)}: {escape(cls.what)}</title>'
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="{fill}" stroke="#bdc1c6"/>'
        f'<text class="name" x="{x + 10}" y="{y + 18}">{escape(name)}</text>'
        f'<text class="note" x="{x + 10}" y="{y + 34}">{cls.kind} \u00b7 {jobs}</text></g>'
    )
