"""Figures of one number against another: sharpening, the base model as predictor, and what a gain costs."""

from __future__ import annotations

from collections.abc import Sequence

from exc.runtime.report.captions import sizes
from exc.runtime.report.contrasts import Contrast, Point
from exc.runtime.report.formats import plain, words
from exc.runtime.report.lines import (
    Asked,
    contrasts_of,
    delta_spot,
    first_and_last,
    general_metric,
    spot_of,
)
from exc.runtime.report.panels import Drawing, Mark, Scatter
from exc.runtime.report.ranks import spearman
from exc.spec.harness import less_is_better
from exc.spec.references import BASE

_WORDS = {"base": "base", "input": "the stage's input", "asked": "what the spec sets beside it"}


def sharpening(asked: Asked) -> list[Drawing]:
    """The change of pass@1 beside that of pass@K: sharpened, expanded, or not decided."""
    out = []
    for evaluation, trunk in asked.places("pass_at_k"):
        metrics = first_and_last(asked.results, evaluation)
        if len(metrics) < 2 or metrics[0] != "pass@1":
            continue
        panels, used = [], []
        for against in asked.request.texts("against") or ("base", "input"):
            contrasts = contrasts_of(asked.results, evaluation, trunk, against)
            used += contrasts
            if contrasts:
                marks = tuple(_change(contrast, metrics) for contrast in contrasts)
                panels.append(Scatter(f"against {_WORDS[against]}", (metrics[0], metrics[1]), marks))
        caption = (
            f"Change of pass@1 (across) and of {metrics[1]} (up), a mark for each recipe and checkpoint with "
            f"{asked.results.percent} intervals; a thin line joins the checkpoints of a recipe. Filled: the "
            f"intervals decide (sharpened, expanded or declined); hollow: inconclusive. "
            f"{sizes(used, lines=False)}"
        )
        title = f"Sharpening or expansion: {evaluation} on {trunk}"
        out.append(asked.drawing(f"sharpening-{evaluation}-{trunk}", title, caption, panels))
    return out


def _change(contrast: Contrast, metrics: Sequence[str]) -> Mark:
    label = contrast.verdict.label if contrast.verdict else ""
    across, up = (delta_spot(contrast, metric) for metric in metrics)
    return Mark(contrast.label, contrast.a.head.arm, across, up, label)


def predictor(asked: Asked) -> list[Drawing]:
    """A number of the base model against one of what a recipe made of it, a mark for each checkpoint."""
    x, y = (_named(asked, key) for key in ("x", "y"))
    if x is None or y is None:
        return []
    starts = {_place(p): p for p in _finals(asked.whole.points, x) if p.head.recipe == BASE}
    ends = [p for p in _finals(asked.results.points, y) if p.head.recipe != BASE and _place(p) in starts]
    arms = dict.fromkeys(point.head.arm for point in ends)
    panels = [_predicted(asked, [p for p in ends if p.head.arm == arm], starts, x, y, arm) for arm in arms]
    caption = (
        f"{x[1]} of the base model on {x[0]} (across) and {y[1]} of the recipe on {y[0]} (up), a mark for "
        f"each checkpoint in the colour of its trunk, with {asked.results.percent} intervals. The rank "
        "correlation is Spearman's, over all marks of a panel, with the interval of Bonett and Wright, which "
        "treats the checkpoints as independent; those of one trunk are not, so it is probably too short. "
        f"{sizes(ends, lines=False)}"
    )
    title = f"The base model as predictor: {x[0]} against {y[0]}"
    name = f"predictor-{x[0]}-{x[1]}-{y[0]}-{y[1]}"
    return [asked.drawing(name, title, caption, [panel for panel in panels if panel.marks])]


def _predicted(
    asked: Asked,
    ends: Sequence[Point],
    starts: dict[tuple[str, int], Point],
    x: tuple[str, str],
    y: tuple[str, str],
    arm: str,
) -> Scatter:
    marks = tuple(
        Mark(
            f"{arm}, {end.head.trunk}",
            end.head.trunk.replace("[", "(").replace("]", ")"),
            spot_of(starts[_place(end)], x[1]),
            spot_of(end, y[1]),
            "",
        )
        for end in ends
    )
    xs, ys = (
        [spot.estimate.value for spot in side] for side in zip(*((m.x, m.y) for m in marks), strict=True)
    )
    found = spearman(xs, ys, asked.results.level)
    note = ""
    if found is not None:
        bounds = ""
        if found.low is not None and found.high is not None:
            bounds = f" [{plain(found.low, 2)}, {plain(found.high, 2)}]"
        note = f"Spearman {plain(found.value, 2)}{bounds}, n = {found.num}"
    names = (f"base {x[1]}, {x[0]}", f"{arm} {y[1]}, {y[0]}")
    return Scatter(arm, (x[1], y[1]), marks, changes=False, names=names, note=note)


def tradeoff(asked: Asked) -> list[Drawing]:
    """What is asked of the model against what it could do besides, arrows from the checkpoint to recipes."""
    x, y = _named(asked, "x") or _first_task(asked), _named(asked, "y") or general_metric(asked.results)
    if x is None or y is None:
        return []
    besides = {(p.head.point[1:]): p for p in _finals(asked.whole.points, y)}
    out = []
    for trunk in dict.fromkeys(p.head.trunk for p in _finals(asked.results.points, x)):
        own = [
            p for p in _finals(asked.whole.points, x) if p.head.trunk == trunk and p.head.point[1:] in besides
        ]
        chosen = {p.head.point for p in asked.results.points}
        places = {_place(p) for p in own if p.head.point in chosen and p.head.recipe != BASE}
        shown = [p for p in own if p.head.point in chosen or (p.head.recipe == BASE and _place(p) in places)]
        marks = tuple(
            Mark(p.head.arm, p.head.arm, spot_of(p, x[1]), spot_of(besides[p.head.point[1:]], y[1]), "")
            for p in shown
        )
        names = (f"{x[1]}, {x[0]}", f"{words(y[1])}, {y[0]}")
        panel = Scatter(f"{x[0]} and {y[0]}", (x[1], y[1]), marks, changes=False, names=names, arrows=True)
        better = " Less is better there." if less_is_better(y[1]) else ""
        caption = (
            f"{x[1]} on {x[0]} (across) and {words(y[1])} on {y[0]} (up), with "
            f"{asked.results.percent} intervals; arrows lead from each checkpoint to what recipes made of "
            f"it.{better} {sizes(shown, lines=False)}"
        )
        title = f"Gain and what it costs: {x[0]} and {y[0]} on {trunk}"
        panels = [panel] if len({mark.arm for mark in marks}) > 1 else []
        out.append(asked.drawing(f"tradeoff-{x[0]}-{y[0]}-{trunk}", title, caption, panels))
    return out


def _named(asked: Asked, key: str) -> tuple[str, str] | None:
    """An evaluation and a metric of it, as the spec names them."""
    text = asked.request.told.get(key)
    names = sorted(asked.results.evaluations, key=len, reverse=True)
    owner = next((name for name in names if text is not None and str(text).startswith(f"{name}/")), None)
    return None if owner is None else (owner, str(text).removeprefix(f"{owner}/"))


def _first_task(asked: Asked) -> tuple[str, str] | None:
    evaluation = next(iter(asked.evaluations("pass_at_k")), None)
    return None if evaluation is None else (evaluation, first_and_last(asked.results, evaluation)[0])


def _finals(points: Sequence[Point], what: tuple[str, str]) -> list[Point]:
    evaluation, metric = what
    return [p for p in points if p.head.final and p.head.evaluation == evaluation and metric in p.estimates]


def _place(point: Point) -> tuple[str, int]:
    return point.head.trunk, point.head.at
