"""Figures as rows of a Markdown table, and RESULTS.md, which keeps one section per machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.measure import Spread

Verdict = Literal["reached", "not reached", ""]
TITLE = (
    "# Benchmarks\n\n`make bench` writes the section of the machine that it runs on; the others are kept.\n"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, what came out, what is aimed at."""

    what: str
    value: str
    spread: str = ""
    target: str = ""
    verdict: Verdict = ""


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of one module, under a heading, with what must be known to read them."""

    title: str
    about: str
    figures: Sequence[Figure]


def figure(what: str, measured: Spread, unit: str, most: float | None = None, digits: int = 3) -> Figure:
    """A row from a spread. `most` is the target: the median is to be no larger."""
    show = f"{{:.{digits}f}}".format
    text = f"{show(measured.low)}-{show(measured.high)}, {measured.num} runs" if measured.num > 1 else "1 run"
    unit = f" {unit}" if unit and unit != "x" else unit
    return Figure(
        what,
        f"{show(measured.median)}{unit}",
        text,
        "" if most is None else f"<= {most:g}{unit}",
        judged(measured.median, most),
    )


def judged(value: float, most: float | None) -> Verdict:
    """Whether a value is within its target, which is a limit from above."""
    if most is None:
        return ""
    return "reached" if value <= most else "not reached"


def part_text(part: Part) -> str:
    """A part as Markdown."""
    lines = [f"### {part.title}", "", part.about.strip(), ""]
    lines += ["| what | median | quartiles | target | |", "|---|---|---|---|---|"]
    lines += [f"| {f.what} | {f.value} | {f.spread} | {f.target} | {f.verdict} |" for f in part.figures]
    return "\n".join(lines) + "\n"


def section_text(machine: str, about: str, parts: Sequence[Part]) -> str:
    """The section of one machine."""
    return "\n".join([f"## {machine}", "", about.strip(), "", *(part_text(part) for part in parts)])


def with_section(document: str, machine: str, section: str) -> str:
    """RESULTS.md with a machine's section put in, in place of its older one or behind the others."""
    found = re.split(r"(?m)^(?=## )", document)
    sections = [text.rstrip("\n") + "\n" for text in found[1:]]
    new = section.rstrip("\n") + "\n"
    place = next((n for n, text in enumerate(sections) if text.startswith(f"## {machine}\n")), len(sections))
    sections[place : place + 1] = [new]
    return "\n".join([TITLE, *sections])


def write_results(path: Path, machine: str, section: str) -> None:
    """Put a machine's section into the file, which need not be there."""
    document = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(with_section(document, machine, section), encoding="utf-8")
