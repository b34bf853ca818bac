"""Draws one change against another on matplotlib's axes, which it is handed and never makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from exc.runtime.report.formats import count
from exc.runtime.report.panels import Mark, Scatter
from exc.runtime.report.statistics import Estimate
from exc.runtime.report.style import EXPANDED, INK, MUTED, SHARPENED, Look
from exc.spec.references import BASE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXPANDED_WORDS = "expanded: both up"
SHARPENED_WORDS = "sharpened: pass@1 up alone"
NOTE_ROOM = 0.1  # of an axis' height, kept free of marks above them for a note
_FEW_MARKS = 16
_LABEL_PIXELS = (36.0, 11.0)  # at the 100 dots an inch that layout is done in
_EDGE_PIXELS = 12.0  # by which a label may go beyond the axis
_AWAY = 1.2  # of a label's width, from its mark to its end


def draw_scatter(ax: Axes, panel: Scatter, looks: Mapping[str, Look]) -> None:
    if panel.changes:
        ax.axhline(0, color=INK, linewidth=0.9, zorder=1.5)
        ax.axvline(0, color=INK, linewidth=0.9, zorder=1.5)
    for arm, own in threads(panel):
        if not panel.arrows:
            xs, ys = zip(*(xy(panel, mark) for mark in own), strict=True)
            ax.plot(xs, ys, color=looks[arm].colour, linewidth=0.8, alpha=0.6)
        for mark in own:
            _mark(ax, panel, mark, looks[arm])
    for start, end in arrows(panel):
        style = {
            "arrowstyle": "-|>",
            "color": looks[end.arm].colour,
            "alpha": 0.75,
            "shrinkA": 5,
            "shrinkB": 5,
        }
        ax.annotate("", xy(panel, end), xy(panel, start), arrowprops=style, zorder=2)
    if panel.note:
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + NOTE_ROOM * (high - low))
        ax.text(
            0.02, 0.98, panel.note, transform=ax.transAxes, ha="left", va="top", fontsize=8.5, color=MUTED
        )
    ax.set_title(panel.title)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.tick_params(labelleft=True, labelbottom=True)


def threads(panel: Scatter) -> list[tuple[str, list[Mark]]]:
    """The marks of each arm, by tokens."""
    return [
        (arm, sorted((mark for mark in panel.marks if mark.arm == arm), key=lambda mark: mark.tokens))
        for arm in dict.fromkeys(mark.arm for mark in panel.marks)
    ]


def arrows(panel: Scatter) -> list[tuple[Mark, Mark]]:
    """From base to every other arm at the same checkpoint."""
    if not panel.arrows:
        return []
    bases = {place_of(mark): mark for mark in panel.marks if mark.x.cells[0].recipe == BASE}
    others = [mark for mark in panel.marks if mark.x.cells[0].recipe != BASE]
    return [(bases[place_of(mark)], mark) for mark in others if place_of(mark) in bases]


def place_of(mark: Mark) -> tuple[str, int]:
    """The checkpoint that a mark's model descends from."""
    cell = mark.x.cells[0]
    return cell.trunk, cell.at


def _mark(ax: Axes, panel: Scatter, mark: Mark, look: Look) -> None:
    x, y = xy(panel, mark)
    (left,), (right,) = bounds([mark.x.estimate], panel.scales[0])
    (low,), (high,) = bounds([mark.y.estimate], panel.scales[1])
    ax.plot([left, right], [y, y], color=look.colour, linewidth=1.1, alpha=0.55)
    ax.plot([x, x], [low, high], color=look.colour, linewidth=1.1, alpha=0.55)
    face = look.colour if mark.decided else "white"
    ax.plot(
        [x],
        [y],
        marker=look.marker,
        markersize=7,
        markerfacecolor=face,
        markeredgecolor=look.colour,
        markeredgewidth=1.4,
        zorder=3,
    )


def frame(axes: Sequence[Axes]) -> None:
    """One frame for all panels of changes."""
    across = [limit for ax in axes for limit in ax.get_xlim()]
    up = [limit for ax in axes for limit in ax.get_ylim()]
    left, right, low, high = framed(across, up)
    for ax in axes:
        ax.fill_between([0, right], 0, high, color=EXPANDED, alpha=0.06, linewidth=0, zorder=0)
        ax.fill_between([0, right], low, 0, color=SHARPENED, alpha=0.08, linewidth=0, zorder=0)
        ax.set_xlim(left, right)
        ax.set_ylim(low, high)
        for y, words, va in ((0.98, EXPANDED_WORDS, "top"), (0.02, SHARPENED_WORDS, "bottom")):
            ax.text(
                0.985,
                y,
                words,
                transform=ax.transAxes,
                ha="right",
                va=va,
                fontsize=8.5,
                style="italic",
                color=MUTED,
            )


def name_checkpoints(ax: Axes, panel: Scatter, looks: Mapping[str, Look]) -> None:
    """Writes its tokens beside each mark that has room for them; the table under the figure has all."""
    places = [tuple(map(float, ax.transData.transform(xy(panel, mark)))) for mark in panel.marks]
    edge = float(ax.bbox.x1) + _EDGE_PIXELS
    for mark, right, up in named_marks(panel, [(x, y) for x, y in places], _LABEL_PIXELS, edge):
        ax.annotate(
            count(mark.tokens),
            xy(panel, mark),
            (6 * right, 7 * up),
            textcoords="offset points",
            ha="left" if right > 0 else "right",
            va="center",
            fontsize=7.5,
            color=looks[mark.arm].colour,
        )


def framed(across: Sequence[float], up: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, right, low and high of a frame with zero and some of every quadrant's side of it in sight."""
    left, right, low, high = min(across), max(across), min(up), max(up)
    wide, tall = right - left, high - low
    left, right = min(left, -0.1 * wide), max(right, 0.12 * wide)
    return left, right, min(low, -0.16 * tall), max(high, 0.16 * tall) + 0.06 * tall


def xy(panel: Scatter, mark: Mark) -> tuple[float, float]:
    """A mark's place, in the units of the axes."""
    return panel.scales[0] * mark.x.estimate.value, panel.scales[1] * mark.y.estimate.value


def named_marks(
    panel: Scatter, places: Sequence[tuple[float, float]], size: tuple[float, float], edge: float
) -> list[tuple[Mark, int, int]]:
    """The marks with room for a label of a size beside them, and the side: right and up are 1 or -1.

    No label goes beyond the picture's right `edge`.
    """
    taken: list[tuple[float, float]] = list(places)
    found = []
    for mark, (x, y) in zip(panel.marks, places, strict=True):
        if not _wants_name(mark, panel):
            continue
        for right, up in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            spot = (x + right * size[0] * 0.7, y + up * size[1])
            inside = right < 0 or x + _AWAY * size[0] <= edge
            if inside and not any(all(abs(o[i] - spot[i]) < size[i] * 0.95 for i in (0, 1)) for o in taken):
                found.append((mark, right, up))
                taken.append(spot)
                break
    return found


def _wants_name(mark: Mark, panel: Scatter) -> bool:
    """Not where all marks are of one checkpoint; among many marks only the ends of each recipe's line."""
    own = [other.tokens for other in panel.marks if other.arm == mark.arm]
    if len({other.tokens for other in panel.marks}) == 1:
        return False
    return len(panel.marks) <= _FEW_MARKS or mark.tokens in (min(own), max(own))


def bounds(estimates: Sequence[Estimate], scale: float) -> tuple[list[float], list[float]]:
    """Both ends of each interval; an estimate without one is its own."""
    lows = [scale * (e.value if e.low is None else e.low) for e in estimates]
    highs = [scale * (e.value if e.high is None else e.high) for e in estimates]
    return lows, highs
