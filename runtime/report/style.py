"""How figures look: one colour and one marker a recipe, the same in every figure and on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exc.runtime.report.cells import BASE

# Okabe and Ito's palette, told apart with any colour vision; its yellow is too pale for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK = "#1f2328"
MUTED = "#59636e"
GRID = "#e4e7eb"
EXPANDED = "#009E73"  # tints of the quadrants
SHARPENED = "#E69F00"
BASE_COLOUR = "#6b7280"


@dataclass(frozen=True, slots=True)
class Look:
    colour: str
    marker: str


def looks(arms: Sequence[str]) -> dict[str, Look]:
    """A look for each arm in order, and base's own: lengths without common factor keep 42 pairs distinct."""
    found = {arm: Look(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, arm in enumerate(arms)}
    return {**found, BASE: Look(BASE_COLOUR, "o")}


# Everything that changes bytes is fixed here, whatever a matplotlibrc on the machine says.
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "exc",
    "pdf.fonttype": 42,
}
