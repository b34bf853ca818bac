"""The figures that the spec asks for: which function draws each, and what to say where none is drawn."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from exc.runtime.report.beside import baselines, seeds, sweep
from exc.runtime.report.lines import Asked
from exc.runtime.report.over_tokens import gains, general, levels
from exc.runtime.report.panels import Drawing
from exc.runtime.report.relations import predictor, sharpening, tradeoff
from exc.runtime.report.results import Results
from exc.runtime.report.selections import requests_of, select
from exc.runtime.report.training import training
from exc.runtime.report.within import dynamics, efficiency

FIGURES: dict[str, Callable[[Asked], list[Drawing]]] = {
    "gains": gains,
    "panels": levels,
    "sharpening": sharpening,
    "general": general,
    "dynamics": dynamics,
    "predictor": predictor,
    "tradeoff": tradeoff,
    "seeds": seeds,
    "efficiency": efficiency,
    "training": training,
    "sweep": sweep,
    "baselines": baselines,
}
# What a figure needs that not every experiment measures.
_NEEDS = {
    "gains": "a recipe and its base model measured at one checkpoint",
    "panels": "pass@k of some model",
    "sharpening": "pass@k at two values of k, of a recipe and its base model",
    "general": "an evaluation of bits per byte or of lm_eval",
    "dynamics": "kept steps of a recipe: `keep` in its last stage, and an evaluation `on: {step: all}`",
    "predictor": "the base model measured by one evaluation and a recipe by the other, at one checkpoint",
    "tradeoff": "a task and general capability, measured of one recipe and its base model",
    "seeds": "two replicates of a recipe",
    "efficiency": "kept steps of a recipe whose stages counted what they cost",
    "training": "a recipe whose last stage trains, and the attempts at it in the store",
    "sweep": "a recipe, and where `axis` is given, recipes with that axis",
    "baselines": "the base model measured on one task with several numbers of exemplars",
}


def drawings_of(results: Results) -> tuple[list[Drawing], list[str]]:
    """Every figure the spec asks for that has something to show, and a line for each that has not."""
    found: list[Drawing] = []
    notes: list[str] = []
    taken: set[str] = set()
    for request in requests_of(results.plan.report):
        name = request.figure
        make = FIGURES.get(name)
        words = f" ({request.words})" if request.words else ""
        if make is None:
            notes.append(f"the figure `{name}` is asked for, which this version does not draw")
            continue
        selected = select(results, request.cells)
        every = make(Asked(selected, results, request))
        made = [drawing for drawing in every if drawing.panels]
        lacks = [drawing.lacks for drawing in every if drawing.lacks]
        notes += [f"the figure `{name}`{words} has nothing to draw{why}" for why in lacks]
        for drawing in made:
            named = replace(drawing, name=_free(drawing.name, taken), title=drawing.title + words)
            found.append(named)
        if not made and not lacks:
            measured = any(cell.missing is None for cell in selected.cells)
            why = f"it needs {_NEEDS[name]}" if measured else "none of its cells is measured"
            notes.append(f"the figure `{name}`{words} has nothing to draw: {why}")
    return found, notes


def _free(name: str, taken: set[str]) -> str:
    """A name for files and anchors: of plain characters, and not taken yet."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")
    number, free = 1, plain
    while free in taken:
        number += 1
        free = f"{plain}-{number}"
    taken.add(free)
    return free
