"""Draws one change against another on matplotlib's axes, which it is handed and never makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from exc.runtime.report.formats import count
from exc.runtime.report.panels import Mark, Scatter
from exc.runtime.report.statistics import Estimate
from exc.runtime.report.style import EXPANDED, INK, MUTED, SHARPENED, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_MARKS = 16
_LABEL_PIXELS = (36.0, 11.0)  # at the 100 dots an inch that layout is done in


def draw_scatter(ax: Axes, panel: Scatter, looks: Mapping[str, Look]) -> None:
    ax.axhline(0, color=INK, linewidth=0.9, zorder=1.5)
    ax.axvline(0, color=INK, linewidth=0.9, zorder=1.5)
    for arm in dict.fromkeys(mark.arm for mark in panel.marks):
        colour = looks[arm].colour
        own = sorted((mark for mark in panel.marks if mark.arm == arm), key=lambda mark: mark.tokens)
        xs, ys = [[100 * e.value for e in side] for side in ([m.x for m in own], [m.y for m in own])]
        ax.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.6)
        for mark in own:
            _mark(ax, mark, looks[arm])
    ax.set_title(panel.title)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.tick_params(labelleft=True, labelbottom=True)


def _mark(ax: Axes, mark: Mark, look: Look) -> None:
    x, y = 100 * mark.x.value, 100 * mark.y.value
    (left,), (right,) = bounds([mark.x], 100)
    (low,), (high,) = bounds([mark.y], 100)
    ax.plot([left, right], [y, y], color=look.colour, linewidth=1.1, alpha=0.55)
    ax.plot([x, x], [low, high], color=look.colour, linewidth=1.1, alpha=0.55)
    face = "white" if mark.verdict in ("", "inconclusive") else look.colour
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
    """One frame for all scatter panels, with zero and some of every quadrant's side of it in sight."""
    across = [limit for ax in axes for limit in ax.get_xlim()]
    up = [limit for ax in axes for limit in ax.get_ylim()]
    left, right, low, high = min(across), max(across), min(up), max(up)
    wide, tall = right - left, high - low
    left, right = min(left, -0.1 * wide), max(right, 0.12 * wide)
    low, high = min(low, -0.16 * tall), max(high, 0.16 * tall) + 0.06 * tall
    for ax in axes:
        ax.fill_between([0, right], 0, high, color=EXPANDED, alpha=0.06, linewidth=0, zorder=0)
        ax.fill_between([0, right], low, 0, color=SHARPENED, alpha=0.08, linewidth=0, zorder=0)
        ax.set_xlim(left, right)
        ax.set_ylim(low, high)
        for y, words, va in (
            (0.98, "expanded: both up", "top"),
            (0.02, "sharpened: pass@1 up alone", "bottom"),
        ):
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
    places = [ax.transData.transform((100 * m.x.value, 100 * m.y.value)) for m in panel.marks]
    taken: list[tuple[float, float]] = []
    for mark, (x, y) in zip(panel.marks, places, strict=True):
        if not _wants_name(mark, panel):
            continue
        for right, up in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            spot = (x + right * _LABEL_PIXELS[0] * 0.7, y + up * _LABEL_PIXELS[1])
            others = taken + [(float(a), float(b)) for a, b in places]
            near = [o for o in others if all(abs(o[i] - spot[i]) < _LABEL_PIXELS[i] * 0.95 for i in (0, 1))]
            if not near:
                ax.annotate(
                    count(mark.tokens),
                    (100 * mark.x.value, 100 * mark.y.value),
                    (6 * right, 7 * up),
                    textcoords="offset points",
                    ha="left" if right > 0 else "right",
                    va="center",
                    fontsize=7.5,
                    color=looks[mark.arm].colour,
                )
                taken.append(spot)
                break


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
