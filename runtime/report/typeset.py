"""Results and contrasts as tables for papers: LaTeX with booktabs, and Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exc.runtime.report import formats
from exc.runtime.report.adopted import footnotes, mark_of
from exc.runtime.report.cells import metric_names
from exc.runtime.report.contrasts import Contrast, Point
from exc.runtime.report.results import Results
from exc.runtime.report.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Typeset:
    """A table of texts; the first `num_words` columns are words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    num_words: int
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Notes:
    """Reasons and marks under a table, each once."""

    texts: list[str] = field(default_factory=list)

    def mark(self, text: str) -> str:
        """The letter of a note."""
        if text not in self.texts:
            self.texts.append(text)
        number, letters = self.texts.index(text), ""
        while number >= 0:
            letters = chr(ord("a") + number % 26) + letters
            number = number // 26 - 1
        return letters

    def written(self) -> list[str]:
        return [f"{self.mark(text)}: {text}" for text in self.texts]


def results_table(results: Results, evaluation: str) -> Typeset:
    """Every model of an evaluation at its last step; a missing number has a letter, and the note says why."""
    own = [p for p in results.points if p.head.evaluation == evaluation and p.head.final]
    names = metric_names(results.evaluations[evaluation])
    metrics = [name for name in names if any(name in p.estimates for p in own)] or list(names[:1])
    notes = _Notes()
    order = {trunk: number for number, trunk in enumerate(results.trunks)}
    rows = [
        (*_place(point), *(_number(point, metric, notes) for metric in metrics), _replicates(point, notes))
        for point in sorted(own, key=lambda p: (order[p.head.trunk], p.head.tokens))
    ]
    heads = (
        f"{formats.words(m)} ({formats.unit(m)})" if formats.unit(m) else formats.words(m) for m in metrics
    )
    title = f"{evaluation}, with {results.percent} intervals."
    columns = ("Trunk", "Tokens", "Recipe", *heads, "Replicates")
    return Typeset(title, columns, 3, tuple(rows), (*notes.written(), *_adopted(p for p in own)))


def contrasts_table(results: Results, evaluation: str) -> Typeset:
    """What the report compares under an evaluation, with its verdicts."""
    own = [
        c
        for c in results.contrasts
        if c.a.head.evaluation == evaluation and (c.a.head.final or "asked" in c.against)
    ]
    names = metric_names(results.evaluations[evaluation])
    metrics = [name for name in names if any(name in c.deltas for c in own)] or list(names[:1])
    notes = _Notes()
    verdicts = any(c.verdict for c in own)
    rows = []
    for contrast in own:
        head = contrast.a.head
        label = (
            f"{head.arm}{mark_of(contrast.a.measured)} \u2212 {contrast.b_arm}{mark_of(contrast.b.measured)}"
        )
        deltas = [_delta(contrast, metric, notes) for metric in metrics]
        said = [contrast.verdict.label if contrast.verdict else formats.NOTHING] if verdicts else []
        rows.append((head.trunk, formats.count(head.tokens), label, *deltas, *said))
    heads = [
        f"\u0394 {formats.words(m)} ({formats.unit(m, delta=True)})"
        if formats.unit(m, delta=True)
        else f"\u0394 {formats.words(m)}"
        for m in metrics
    ]
    title = f"{evaluation}: differences with {results.percent} intervals."
    columns = ("Trunk", "Tokens", "Contrast", *heads, *(["Verdict"] if verdicts else []))
    points = (point for contrast in own for point in (contrast.a, contrast.b))
    return Typeset(title, columns, 3, tuple(rows), (*notes.written(), *_adopted(points)))


def _place(point: Point) -> tuple[str, str, str]:
    head = point.head
    return head.trunk, formats.count(head.tokens), head.arm + mark_of(point.measured)


def _replicates(point: Point, notes: _Notes) -> str:
    planned = len({cell.artifact for cell in point.cells})
    measured = len(point.measured)
    if measured in (0, planned):
        return str(measured)
    return f"{measured} of {planned} ({notes.mark(_why(point))})"


def _why(point: Point) -> str:
    """Why a number, or a replicate, is not there."""
    missing = next((cell.missing for cell in point.cells if cell.missing), None)
    return f"{missing.state}: {_one_line(missing.reason)}" if missing else "not recorded"


def _number(point: Point, metric: str, notes: _Notes) -> str:
    estimate = point.estimates.get(metric)
    if estimate is not None:
        return _with_interval(formats.value_text(metric, estimate.value), metric, estimate)
    return f"{formats.NOTHING} ({notes.mark(_why(point))})"


def _delta(contrast: Contrast, metric: str, notes: _Notes) -> str:
    estimate = contrast.deltas.get(metric)
    if estimate is not None:
        return _with_interval(formats.delta_text(metric, estimate.value), metric, estimate, delta=True)
    absent = [point.head.arm for point in (contrast.a, contrast.b) if metric not in point.estimates]
    why = f"{formats.listing(absent)} not measured" if absent else "nothing in common to compare"
    return f"{formats.NOTHING} ({notes.mark(why)})"


def _with_interval(value: str, metric: str, estimate: Estimate, *, delta: bool = False) -> str:
    return f"{value} {formats.interval_text(metric, estimate, delta=delta)}".rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _adopted(points: Iterable[Point]) -> list[str]:
    return footnotes(cell for point in points for cell in point.measured)


def markdown(table: Typeset) -> str:
    """A pipe table with its notes below it."""
    align = ["---"] * table.num_words + ["---:"] * (len(table.columns) - table.num_words)
    lines = [table.columns, align, *table.rows]
    text = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    notes = "".join(f"\n\n{note}" for note in table.notes)
    return f"{table.title}\n\n{text}{notes}\n"


_TEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u2212": "$-$",
    "\u0394": r"$\Delta$",
    "\u2020": r"\dag{}",
    "\u2014": "---",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex(table: Typeset) -> str:
    """A `table` for a document that loads booktabs."""
    columns = "l" * table.num_words + "r" * (len(table.columns) - table.num_words)
    rows = [_tex_row(row) for row in table.rows]
    notes = [f"  {{\\footnotesize {_tex(note)}\\par}}" for note in table.notes]
    return "\n".join(
        [
            "% \\usepackage{booktabs}",
            "\\begin{table}",
            "  \\centering",
            f"  \\caption{{{_tex(table.title)}}}",
            f"  \\begin{{tabular}}{{{columns}}}",
            "    \\toprule",
            _tex_row(table.columns),
            "    \\midrule",
            *rows,
            "    \\bottomrule",
            "  \\end{tabular}",
            *notes,
            "\\end{table}",
            "",
        ]
    )


def _tex_row(cells: Sequence[str]) -> str:
    return "    " + " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, sign) for sign in text)


TABLES: dict[str, Callable[[Results, str], Typeset]] = {
    "results": results_table,
    "contrasts": contrasts_table,
}
FORMS: dict[str, Callable[[Typeset], str]] = {"md": markdown, "tex": latex}


def write_typeset(results: Results, out: Path) -> list[str]:
    """Write tables/KIND-EVALUATION.md and .tex where there are rows; gives their names relative to `out`."""
    (out / "tables").mkdir(parents=True, exist_ok=True)
    names = []
    for evaluation, settings in results.evaluations.items():
        if settings["kind"] == "contamination":
            continue
        for kind, make in TABLES.items():
            table = make(results, evaluation)
            plain = re.sub(r"[^A-Za-z0-9._-]+", "-", evaluation).strip("-")
            for suffix, write in FORMS.items() if table.rows else ():
                name = f"tables/{kind}-{plain}.{suffix}"
                (out / name).write_text(write(table), encoding="utf-8")
                names.append(name)
    return names
