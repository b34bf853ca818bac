"""graph.svg: the DAG by job class, in layers from left to right. A plan of any size stays one picture."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import pairwise

from exc.compiler.classes import JobClass
from exc.compiler.plan import SMOKE, Plan
from exc.spec.words import plural

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y, MARGIN = 172, 44, 64, 18, 16  # pixels
GAP_BACK = 30  # how far below the boxes an arrow goes back
LONG_NAME = 19  # characters, of which some fonts set no more into a box
SWEEPS = 6  # over the columns, there and back, to order what is in them
FILL: Mapping[str, str] = {
    "tokenizer": "#e8eaed",
    "rows": "#e8eaed",
    "tokens": "#e8eaed",
    "derive": "#e8eaed",
    "rate": "#e8eaed",
    "pretrain": "#cfe3f7",
    "trainer": "#cfe3f7",
    "sft": "#d7efd8",
    "grpo": "#fde3c8",
    "rloo": "#fde3c8",
    "dpo": "#fde3c8",
    "kto": "#fde3c8",
    "parallel": "#fde3c8",
    "combined": "#fde3c8",
    "interleave": "#fde3c8",
    "merge": "#eadcf5",
    "select": "#eadcf5",
    "fetch": "#e3e3e3",
    "command": "#eadcf5",
    "sample": "#f7f3d4",
    "score": "#f7f3d4",
    "bits_per_byte": "#f7f3d4",
    "lm_eval": "#f7f3d4",
    "contamination": "#f7f3d4",
    SMOKE: "#fbd9d3",  # not a box, but a mark on the boxes of those that wait for it
}
STYLE = (
    "text{font-family:system-ui,Helvetica,Arial,sans-serif;fill:#202124}"
    ".name{font-size:13px;font-weight:600}.note{font-size:11px;fill:#5f6368}"
    "path{fill:none;stroke:#9aa0a6;stroke-width:1.2}"
)


Node = str | tuple[str, int]  # a class, or a lane: where the arrows of a class pass through a column


def graph_svg(plan: Plan, classes: list[JobClass]) -> str:
    """The classes as boxes, an arrow wherever some job of one reads from some job of another."""
    edges = _edges(plan)
    names = [cls.name for cls in classes if cls.kind != SMOKE]
    column = _columns(names, edges)
    routes = {(a, b): _route(a, b, column) for a, b in sorted(edges) if a != b}
    places = _places(_layers(names, column, list(routes.values())))
    by_name = {cls.name: cls for cls in classes}
    width = max((x for x, _ in places.values()), default=0) + BOX_WIDTH + MARGIN
    height = max((y for _, y in places.values()), default=0) + BOX_HEIGHT + MARGIN
    height += GAP_BACK if any(column[b] <= column[a] for a, b in routes) else 0
    arrows = [_arrow([places[node] for node in route]) for route in routes.values()]
    boxes = [_box(by_name[name], *places[name], loop=(name, name) in edges) for name in names]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(plan.experiment)}: {len(plan.jobs)} jobs in {len(classes)} classes</title>"
        f"<style>{STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><polygon points="0,0 8,4 0,8" fill="#9aa0a6"/></marker></defs>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join([*arrows, *boxes])
        + "\n</svg>\n"
    )


def _edges(plan: Plan) -> set[tuple[str, str]]:
    cls = {job.id: job.cls for job in plan.jobs}
    return {(cls[need.job], job.cls) for job in plan.jobs if job.kind != SMOKE for need in job.inputs}


def _columns(names: list[str], edges: set[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a source. Of classes that read each other in turn, what comes first stands first."""
    column = dict.fromkeys(names, 0)
    order = {name: index for index, name in enumerate(names)}
    reached = _reached(names, edges)
    forward = sorted((a, b) for a, b in edges if a != b and (a not in reached[b] or order[a] < order[b]))
    for _ in names:
        moved = False
        for a, b in forward:
            if column[b] <= column[a] < len(names):
                column[b] = column[a] + 1
                moved = True
        if not moved:
            break
    return column


def _reached(names: list[str], edges: set[tuple[str, str]]) -> dict[str, set[str]]:
    """The classes that read from a class, directly or through others."""
    readers: dict[str, list[str]] = {name: [] for name in names}
    for a, b in edges:
        readers[a].append(b)
    reached: dict[str, set[str]] = {}
    for name in names:
        found, waiting = set(readers[name]), list(readers[name])
        while waiting:
            new = [reader for reader in readers[waiting.pop()] if reader not in found]
            found.update(new)
            waiting.extend(new)
        reached[name] = found
    return reached


def _route(a: str, b: str, column: dict[str, int]) -> list[Node]:
    """From a class to its reader, through a lane in every column between; a class has one for all."""
    return [a, *((a, x) for x in range(column[a] + 1, column[b])), b]


def _layers(names: list[str], column: dict[str, int], routes: list[list[Node]]) -> list[list[Node]]:
    """The nodes of each column from top to bottom, near their neighbours, so that few arrows cross."""
    layers: dict[int, dict[Node, None]] = {x: {} for x in range(max(column.values(), default=-1) + 1)}
    for name in names:
        layers[column[name]][name] = None
    neighbours: dict[Node, list[Node]] = {}
    for route in routes:
        for node, after in pairwise(route):
            layers[after[1] if isinstance(after, tuple) else column[after]].setdefault(after)
            neighbours.setdefault(node, []).append(after)
            neighbours.setdefault(after, []).append(node)
    ordered = [list(layer) for layer in layers.values()]
    for sweep in range(SWEEPS):
        for x in range(len(ordered)) if sweep % 2 == 0 else reversed(range(len(ordered))):
            beside = (
                ordered[x - 1]
                if sweep % 2 == 0 and x
                else ordered[x + 1]
                if sweep % 2 and x + 1 < len(ordered)
                else []
            )
            at = {node: (index + 0.5) / len(beside) for index, node in enumerate(beside)}
            own = {node: (index + 0.5) / len(ordered[x]) for index, node in enumerate(ordered[x])}
            ordered[x].sort(
                key=lambda node: _mean([at[n] for n in neighbours.get(node, ()) if n in at], own[node])
            )
    return ordered


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _places(layers: list[list[Node]]) -> dict[Node, tuple[int, int]]:
    """The upper left corner of each node, every column centred."""
    heights = [sum(_height(node) + GAP_Y for node in layer) - GAP_Y for layer in layers]
    places: dict[Node, tuple[int, int]] = {}
    for x, layer in enumerate(layers):
        y = MARGIN + (max(heights) - heights[x]) // 2
        for node in layer:
            places[node] = (MARGIN + x * (BOX_WIDTH + GAP_X), y)
            y += _height(node) + GAP_Y
    return places


def _height(node: Node) -> int:
    return BOX_HEIGHT if isinstance(node, str) else 0


def _arrow(corners: list[tuple[int, int]]) -> str:
    """A curve from box to box, straight where it passes through a lane."""
    (x, y), *lanes, (to_x, to_y) = corners
    if to_x <= x:  # back to a class that stands before: below the boxes
        x, to_x, low = x + BOX_WIDTH // 2, to_x + BOX_WIDTH // 2, max(y, to_y) + BOX_HEIGHT + GAP_BACK
        path = f"M{x},{y + BOX_HEIGHT} C{x},{low} {to_x},{low} {to_x},{to_y + BOX_HEIGHT}"
        return f'<path d="{path}" marker-end="url(#tip)"/>'
    x, y = x + BOX_WIDTH, y + BOX_HEIGHT // 2
    path = f"M{x},{y}"
    for next_x, next_y in [*lanes, (to_x, to_y + BOX_HEIGHT // 2)]:
        bend = max(GAP_X // 2, (next_x - x) // 2)
        path += f" C{x + bend},{y} {next_x - bend},{next_y} {next_x},{next_y}"
        x, y = next_x, next_y
        if (next_x, next_y) in lanes:
            x += BOX_WIDTH
            path += f" H{x}"
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _box(cls: JobClass, x: int, y: int, *, loop: bool) -> str:
    fill = FILL[cls.kind]
    jobs = plural(len(cls.jobs), "job") + (" in a chain" if loop else "")
    name = cls.name if len(cls.name) <= 24 else cls.name[:23] + "\u2026"
    return (
        f"<g><title>{escape(cls.name)}: {escape(cls.what)}</title>"
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="{fill}" stroke="#bdc1c6"/>'
        f'<text class="name" x="{x + 10}" y="{y + 18}"{_fit(name)}>{escape(name)}</text>'
        f'<text class="note" x="{x + 10}" y="{y + 34}">{cls.kind} \u00b7 {jobs}</text>{_mark(cls, x, y)}</g>'
    )


def _fit(name: str) -> str:
    """A long name is set as narrow as its box is."""
    if len(name) <= LONG_NAME:
        return ""
    return f' textLength="{BOX_WIDTH - 32}" lengthAdjust="spacingAndGlyphs"'


def _mark(cls: JobClass, x: int, y: int) -> str:
    """A dot in the corner of a class that waits for a smoke run."""
    if not cls.smokes:
        return ""
    return (
        f'<circle cx="{x + BOX_WIDTH - 11}" cy="{y + 11}" r="4.5" fill="{FILL[SMOKE]}" stroke="#b3402a">'
        f"<title>waits for {escape(', '.join(cls.smokes))}</title></circle>"
    )
