"""A figure as the page shows it: legend, panels, table, and the files beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exc.runtime.report.chart import WIDTHS, line_panel, panel_title
from exc.runtime.report.cloud import cloud_frame, cloud_panel
from exc.runtime.report.figure_rows import Table, table_of
from exc.runtime.report.panels import MOST_COLUMNS, Drawing, Entry, Scatter, entries_of, has_intervals, key_of
from exc.runtime.report.style import Look
from exc.runtime.report.svg import swatch
from exc.spec.cells import base_of


@dataclass(frozen=True, slots=True)
class LegendEntry:
    key: int  # within the figure
    arm: int  # within the page
    name: str
    short: str  # under the name of its group
    swatch: str


@dataclass(frozen=True, slots=True)
class Group:
    """Variants of one recipe, or a recipe alone, which has no title."""

    title: str
    entries: tuple[LegendEntry, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """`files` are pairs of a label and a name relative to the page."""

    drawing: Drawing
    groups: Sequence[Group]
    panels: Sequence[tuple[str, str]]  # title and SVG
    columns: int
    table: Table
    files: Sequence[tuple[str, str]]

    @property
    def key(self) -> str:
        """What the legend explains beside the names."""
        return key_of(self.drawing)

    @property
    def has_intervals(self) -> bool:
        return has_intervals(self.drawing)


def show(drawing: Drawing, looks: Mapping[str, Look], files: Sequence[tuple[str, str]]) -> Shown:
    entries = entries_of(drawing)
    table = table_of(drawing)
    columns = min(len(drawing.panels), drawing.columns or MOST_COLUMNS)
    panels = _panels(drawing, looks, table, entries, columns)
    return Shown(drawing, _groups(entries, looks), panels, columns, table, files)


def _panels(
    drawing: Drawing, looks: Mapping[str, Look], table: Table, entries: Sequence[Entry], columns: int
) -> list[tuple[str, str]]:
    changes = [panel for panel in drawing.panels if isinstance(panel, Scatter) and panel.changes]
    axes = cloud_frame(changes, WIDTHS[columns]) if changes else None
    out = []
    for panel in drawing.panels:
        if isinstance(panel, Scatter):
            own = axes if panel.changes and axes else cloud_frame([panel], WIDTHS[columns])
            svg = cloud_panel(panel, looks, table, entries, own, columns)
        else:
            svg = line_panel(panel, looks, table, entries, columns)
        out.append((panel_title(panel), svg))
    return out


def arms_legend(shown: Sequence[Shown], looks: Mapping[str, Look]) -> list[Group]:
    """Every recipe that some figure draws: what shows and hides it in all of them."""
    drawn = {entry.arm for figure in shown for entry in entries_of(figure.drawing)}
    ordered = sorted(drawn & set(looks), key=list(looks).index)
    return _groups([Entry(arm, arm, dashed=False, line=True) for arm in ordered], looks)


def _groups(entries: Sequence[Entry], looks: Mapping[str, Look]) -> list[Group]:
    """Entries by the recipe that they are variants of; base and lone recipes stand for themselves."""
    found: dict[str, list[LegendEntry]] = {}
    arms = list(looks)
    sizes = Counter(base_of(arm) for arm in {entry.arm for entry in entries})
    for key, entry in enumerate(entries):
        look = looks[entry.arm]
        mark = swatch(look, dashed=entry.dashed, line=entry.line, chosen=entry.chosen)
        title = base_of(entry.arm) if "[" in entry.arm and sizes[base_of(entry.arm)] > 1 else ""
        short = _short(entry) if title else entry.name
        # Recipes without variants share the group of no name.
        found.setdefault(title, []).append(LegendEntry(key, arms.index(entry.arm), entry.name, short, mark))
    return [Group(title, tuple(own)) for title, own in found.items()]


def _short(entry: Entry) -> str:
    """`sft_lr=1e-06 - base` of `parallel[sft_lr=1e-06] - base`."""
    inside = entry.arm.removeprefix(base_of(entry.arm)).strip("[]")
    return entry.name.replace(entry.arm, inside, 1)
