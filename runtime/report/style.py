"""How figures look: a colour for each recipe, a marker and a dash for each variant, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exc.spec.cells import base_of
from exc.spec.references import BASE

# Base's own colour, then those of recipes. Any two differ by a tenth of OKLab's lightness or more to normal,
# protan, deutan and tritan eyes, and each stands out from its background by 3:1 or more.
LIGHT = ("#444a52", "#324bcc", "#c92704", "#0d8d70", "#9e1d90", "#bd8a06", "#3896f7")
DARK = ("#6e747c", "#5579fd", "#d14006", "#3ec468", "#cd87cf", "#f9dc5b", "#8de2fc")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# On and off, in widths of the line; none is that of a second line of one arm.
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (6, 1.5),
    (1.2, 1.4),
    (6, 1.6, 1.2, 1.6),
    (3, 1.2, 1, 1.2, 1, 1.2),
)
SECOND = (4.0, 2.0)
FEW = 5  # lines of a panel; the bands of more are paler, or they would bury each other
INK = "#1f2328"
MUTED = "#59636e"
GRID = "#e4e7eb"
EXPANDED = "#0d8d70"  # tints of the quadrants
SHARPENED = "#bd8a06"


# How much of a recipe's own colour its variants have; the rest is ink, so that contrast only grows.
SHADES = (1.0, 0.7, 0.42)


@dataclass(frozen=True, slots=True)
class Look:
    index: int  # among the colours
    marker: str
    dash: tuple[float, ...] = ()
    shade: int = 0

    @property
    def colour(self) -> str:
        """On white."""
        return _mixed(LIGHT[self.index], INK, SHADES[self.shade])

    @property
    def css(self) -> str:
        """Classes of the page's style sheet."""
        return f"c{self.index}" + (f" s{self.shade}" if self.shade else "")


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = [[int(text[i : i + 2], 16) for text in (colour, other)] for i in (1, 3, 5)]
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def looks(arms: Sequence[str]) -> dict[str, Look]:
    """A look for each arm in order, and base's own.

    The name before the bracket has the colour, the variants under it differ in marker, dash and shade, whose
    numbers have no common factor: 105 variants of a name, and 42 names, are distinct. Names beyond the
    colours begin with the next dash and shade.
    """
    names = list(dict.fromkeys(map(base_of, arms)))
    found = {BASE: Look(0, "o")}
    seen: dict[str, int] = {}
    for arm in arms:
        name = base_of(arm)
        place, variant = names.index(name), seen.get(name, 0)
        seen[name] = variant + 1
        lap, index = divmod(place, len(LIGHT) - 1)
        found[arm] = Look(
            1 + index,
            MARKERS[(place + variant) % len(MARKERS)],
            DASHES[(variant + lap) % len(DASHES)],
            (variant + lap) % len(SHADES),
        )
    return found


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
