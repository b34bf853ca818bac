"""Figures over pre-training tokens: gains, levels of pass@k, and what the recipes cost elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exc.runtime.report.captions import bands
from exc.runtime.report.cells import metric_names
from exc.runtime.report.contrasts import Contrast, Point
from exc.runtime.report.formats import listing
from exc.runtime.report.lines import (
    Asked,
    chances,
    change_panel,
    contrasts_of,
    final,
    first_and_last,
    level_panel,
    of_trunk,
    series_of_contrasts,
    series_of_points,
)
from exc.runtime.report.panels import Drawing, Panel, Series

_AGAINST = ("base", "input", "asked")
_WORDS = {
    "base": "the base model of the same checkpoint",
    "input": "the model that the last stage started from",
    "asked": "what the spec sets beside it",
}


@dataclass(frozen=True, slots=True)
class _Group:
    """What one figure shows: an evaluation on a trunk, or on all of them."""

    evaluation: str
    trunks: tuple[str, ...]
    name: str  # of files
    words: str


def _groups(asked: Asked, *kinds: str) -> list[_Group]:
    places = list(asked.places(*kinds))
    if not asked.request.told.get("together"):
        return [_Group(e, (t,), f"{e}-{t}", f"{e} on {t}") for e, t in places]
    found: dict[str, list[str]] = {}
    for evaluation, trunk in places:
        found.setdefault(evaluation, []).append(trunk)
    return [_Group(e, tuple(trunks), f"{e}-trunks", f"{e} on all trunks") for e, trunks in found.items()]


def _joined(group: _Group, parts: Sequence[tuple[str, tuple[Series, ...]]]) -> tuple[Series, ...]:
    """Lines of several trunks take their trunk's colour."""
    if len(group.trunks) == 1:
        return tuple(line for _, lines in parts for line in lines)
    labels = {line.label for _, lines in parts for line in lines}
    return tuple(of_trunk(line, trunk, alone=len(labels) == 1) for trunk, lines in parts for line in lines)


def gains(asked: Asked) -> list[Drawing]:
    """What each recipe adds to its checkpoint, over the tokens that the checkpoint had seen."""
    against = asked.request.texts("against") or _AGAINST[:2]
    out = []
    for group in _groups(asked, "pass_at_k", "lm_eval") if _names(asked) else _groups(asked, "pass_at_k"):
        pairs = {
            kind: [
                (trunk, contrasts_of(asked.results, group.evaluation, trunk, kind)) for trunk in group.trunks
            ]
            for kind in against
        }
        shown = [contrast for found in pairs.values() for _, own in found for contrast in own]
        metrics = asked.metrics(group.evaluation, first_and_last(asked.results, group.evaluation))
        panels = [_gain_panel(asked, group, pairs, metric) for metric in metrics] if shown else []
        caption = (
            f"Change of {listing(list(metrics))} in percentage points against "
            f"{listing([_WORDS[kind] for kind in against if any(own for _, own in pairs[kind])])}, over the "
            "tokens that the checkpoint had seen. Each panel has its own scale."
        )
        if against[0] != "input" and any(own for _, own in pairs.get("input", ())):
            caption += " Dashed: against the model that the last stage started from."
        caption += bands(shown, asked.results.percent)
        title = f"Gains over pre-training: {group.words}"
        out.append(asked.drawing(f"gains-{group.name}", title, caption, [p for p in panels if p.series]))
    return out


def _names(asked: Asked) -> bool:
    """Whether the spec says which evaluation."""
    return asked.request.told.get("evaluation") is not None


def _gain_panel(
    asked: Asked, group: _Group, pairs: dict[str, list[tuple[str, list[Contrast]]]], metric: str
) -> Panel:
    series: list[Series] = []
    for kind, found in pairs.items():
        dashed = kind != next(iter(pairs))
        parts = [(trunk, series_of_contrasts(own, metric, dashed=dashed)) for trunk, own in found]
        labels = {line.label for line in series}
        series += [line for line in _joined(group, parts) if line.label not in labels]
    return change_panel(f"\u0394 {metric}", metric, tuple(series), asked.tokens)


def levels(asked: Asked) -> list[Drawing]:
    """pass@k itself, a panel for each k."""
    out = []
    for group in _groups(asked, "pass_at_k", "lm_eval") if _names(asked) else _groups(asked, "pass_at_k"):
        own = metric_names(asked.results.evaluations[group.evaluation])
        default = chances(asked.results, group.evaluation) or own
        points, panels = _level_panels(asked, group, asked.metrics(group.evaluation, default))
        caption = (
            f"{listing([panel.metric for panel in panels])} over the tokens that the checkpoint had seen, a "
            f"line for each recipe. Each panel has its own scale.{bands(points, asked.results.percent)}"
        )
        what = "pass@k" if chances(asked.results, group.evaluation) else "Measures"
        title = f"{what} over pre-training: {group.words}"
        out.append(asked.drawing(f"panels-{group.name}", title, caption, panels))
    return out


def _level_panels(asked: Asked, group: _Group, metrics: Sequence[str]) -> tuple[list[Point], list[Panel]]:
    by_trunk = [(trunk, final(asked.results.points, group.evaluation, trunk)) for trunk in group.trunks]
    panels = []
    for metric in metrics:
        series = _joined(group, [(trunk, series_of_points(own, metric)) for trunk, own in by_trunk])
        if series:
            zero = None if metric.startswith(("pass@", "maj@")) else False
            panels.append(level_panel(metric, series, asked.tokens, from_zero=zero))
    return [point for _, own in by_trunk for point in own], panels


def general(asked: Asked) -> list[Drawing]:
    """What the recipes cost elsewhere: bits per byte of held-out text, or tasks of others and their mean."""
    out = []
    for group in _groups(asked, "bits_per_byte", "lm_eval"):
        settings = asked.results.evaluations[group.evaluation]
        names = asked.metrics(group.evaluation, metric_names(settings))
        if not names:
            continue
        head = "mean" if "mean" in names else names[0]
        out.append(_kept(asked, group, head))
        tasks = [name for name in names if name != head]
        if tasks:
            points, panels = _level_panels(asked, group, tasks)
            caption = "Each task over the tokens that the checkpoint had seen."
            caption += bands(points, asked.results.percent)
            title = f"General capability, task by task: {group.words}"
            out.append(asked.drawing(f"general-{group.name}-tasks", title, caption, panels))
    return out


def _kept(asked: Asked, group: _Group, metric: str) -> Drawing:
    points, panels = _level_panels(asked, group, [metric])
    found = [(t, contrasts_of(asked.results, group.evaluation, t, "base")) for t in group.trunks]
    series = _joined(group, [(trunk, series_of_contrasts(own, metric)) for trunk, own in found])
    if series:
        panels.append(change_panel("change against base", metric, series, asked.tokens))
    settings = asked.results.evaluations[group.evaluation]
    if metric == "bits_per_byte":
        what = (
            "Bits per byte of held-out text, over the tokens that the checkpoint had seen: lower is better."
        )
    elif metric == "mean":
        tasks = listing(list(settings.get("mean", ())))
        what = f"The mean of {tasks}, over the tokens that the checkpoint had seen."
    else:
        what = f"{metric} over the tokens that the checkpoint had seen."
    caption = (
        f"{what} The change is against the base model of the same checkpoint."
        f"{bands(points, asked.results.percent)}"
    )
    title = f"General capability kept: {group.words}"
    return asked.drawing(f"general-{group.name}", title, caption, panels)
