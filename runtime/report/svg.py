"""SVG as text: elements, short numbers, and the marks that all figures of a page share."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from exc.runtime.report.style import SECOND, Look

# About their own centre, as wide as matplotlib's at size 7.
_MARKS = {
    "o": "M4 0A4 4 0 1 1-4 0 4 4 0 1 1 4 0Z",
    "s": "M-3.6-3.6H3.6V3.6H-3.6Z",
    "^": "M0-4.8 4.6 3.6H-4.6Z",
    "D": "M0-5 5 0 0 5-5 0Z",
    "v": "M0 4.8 4.6-3.6H-4.6Z",
    "P": "M-1.6-4.6H1.6V-1.6H4.6V1.6H1.6V4.6H-1.6V1.6H-4.6V-1.6H-1.6Z",
    "X": "M-4.6-2.6-2.6-4.6 0-2 2.6-4.6 4.6-2.6 2 0 4.6 2.6 2.6 4.6 0 2-2.6 4.6-4.6 2.6-2 0Z",
}
_IDS = {marker: f"m{number}" for number, marker in enumerate(_MARKS)}
DOT = "m-dot"  # of a single replicate
CHOSEN = "m-chosen"  # of what was chosen by its result
Point = tuple[float, float]


def number(value: float) -> str:
    """A tenth of a pixel is enough."""
    return f"{value:.1f}".removesuffix(".0").replace("-0.", "-.") if abs(value) >= 0.05 else "0"


def path(points: Iterable[Point], *, closed: bool = False) -> str:
    """The `d` of a line through points."""
    places = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return f"M{places}" + ("Z" if closed else "")


def element(name: str, text: str = "", **attributes: object) -> str:
    """Underscores in names stand for hyphens, a last one is dropped; what is None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{text}</{name}>" if text else f"<{name}{given}/>"


def label(text: str, x: float, y: float, kind: str) -> str:
    return element("text", html.escape(text), x=number(x), y=number(y), class_=kind)


def mark_id(look: Look, *, small: bool = False) -> str:
    return _IDS[look.marker] + ("s" if small else "")


def definitions() -> str:
    """Every mark once, for all figures of the page."""
    paths = [element("path", id=_IDS[marker], d=d) for marker, d in _MARKS.items()]
    paths += [element("path", id=f"{_IDS[m]}s", d=d, transform="scale(.55)") for m, d in _MARKS.items()]
    paths.append(element("circle", id=DOT, r=1.9))
    paths.append(element("path", id=CHOSEN, d="M0-6 6 0 0 6-6 0Z"))
    paths.append(_arrow_head())
    return element(
        "svg", element("defs", "".join(paths)), width=0, height=0, aria_hidden="true", class_="defs"
    )


def _arrow_head() -> str:
    """At the end of a line, a mark's width before its last point. In pixels."""
    size = {"viewBox": "0 -4 16 8", "markerWidth": 16, "markerHeight": 8, "markerUnits": "userSpaceOnUse"}
    tip = element("path", d="M0-3.2 7 0 0 3.2Z")
    return element("marker", tip, id="head", refX=13, orient="auto", class_="head", **size)


def use(mark: str, place: Point, row: int | None = None, kind: str | None = None) -> str:
    """A mark at a place; `row` is that of the table under the figure."""
    x, y = map(number, place)
    return element("use", href=f"#{mark}", x=x, y=y, data_r=row, class_=kind)


def dash_of(look: Look, *, dashed: bool) -> str | None:
    """The `stroke-dasharray` of a line 2 pixels wide."""
    dash: Sequence[float] = look.dash or (SECOND if dashed else ())
    return " ".join(number(2 * part) for part in dash) or None


def swatch(look: Look, *, dashed: bool, line: bool, chosen: bool = False) -> str:
    """What a legend shows beside a name."""
    stroke = element("path", d="M1 7H29", class_="line", stroke_dasharray=dash_of(look, dashed=dashed))
    shape = CHOSEN if chosen else mark_id(look)
    mark = use(shape, (15, 7), kind="hollow" if dashed or chosen else None)
    inside = (stroke if line else "") + mark
    view = "0 0 30 14" if line else "8 0 14 14"
    return element(
        "svg", inside, viewBox=view, class_=f"swatch {look.css}", aria_hidden="true", focusable="false"
    )
