"""Checks of figures: the keys of each, and the evaluations, metrics, recipes and axes that it names."""

from __future__ import annotations

from exc.spec.cells import split_name
from exc.spec.check_best import metrics_of
from exc.spec.context import Context
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.experiment import Evaluation
from exc.spec.figures import ARGUMENTS, REQUIRED
from exc.spec.nodes import Path

_METRIC = "evaluation/metric"


def check_figures(ctx: Context) -> None:
    """Report what is wrong with the keys of each figure."""
    for index in ctx.indices("report", "figures"):
        path: Path = ("report", "figures", index)
        figure = ctx.text(*path, "figure")
        if figure is None or figure not in ARGUMENTS:
            continue
        _check_keys(ctx, path, figure)
        evaluation = ctx.refer("evaluations", (*path, "evaluation"))
        for key in ("x", "y"):
            _check_measured(ctx, (*path, key), None)
        # What a stage logs is known only once it ran.
        for number in ctx.indices(*path, "metrics") if figure != "training" else ():
            _check_measured(ctx, (*path, "metrics", number), evaluation or "", plain_too=True)
        _check_measured(ctx, (*path, "best"), evaluation or "", plain_too=True)
        for number in ctx.indices(*path, "references"):
            ctx.refer("recipes", (*path, "references", number), ("base",))
        _check_axis(ctx, (*path, "axis"))


def _check_keys(ctx: Context, path: Path, figure: str) -> None:
    taken = ("on", *ARGUMENTS[figure])
    given = [key for key in ctx.names(*path) if key != "figure"]
    for key in given:
        if key not in taken and any(key in keys for keys in ARGUMENTS.values()):
            message = f"the figure `{figure}` takes no `{key}`"
            near = did_you_mean(key, taken)
            ctx.error("unknown-key", message, (*path, key), one_of(taken), near, key=True)
    for key in REQUIRED.get(figure, ()):
        if key not in given:
            message = f"the figure `{figure}` needs `{key}`"
            hint = f"it is written as `{_METRIC}`"
            ctx.diagnostics.error(
                "missing-key", message, ctx.span(*path, "figure"), expected=f"`{key}`", hint=hint
            )


def _check_measured(ctx: Context, path: Path, evaluation: str | None, *, plain_too: bool = False) -> None:
    """A metric as `evaluation/metric`, or alone where the figure's evaluation, or any, may have it."""
    text = ctx.text(*path)
    if text is None:
        return
    found = {str(place[1]): model for place, model in ctx.models(Evaluation)}
    unread = [name for name in ctx.names("evaluations") if name not in found]
    owner = next((name for name in sorted(found, key=len, reverse=True) if text.startswith(f"{name}/")), None)
    if owner is not None:
        _check_metric(ctx, path, text.removeprefix(f"{owner}/"), [owner], found, prefix=f"{owner}/")
    elif any(text.startswith(f"{name}/") for name in unread):
        return
    elif plain_too:
        _check_metric(ctx, path, text, [evaluation] if evaluation in found else list(found), found)
    else:
        names = [f"{name}/{metric}" for name, model in found.items() for metric in _drawn_metrics(model)]
        message = f"there is no metric `{text}`"
        expected = one_of(names) if names else f"`{_METRIC}`"
        ctx.error("unknown-reference", message, path, expected, did_you_mean(text, names))


def _check_metric(
    ctx: Context, path: Path, metric: str, owners: list[str], found: dict[str, Evaluation], prefix: str = ""
) -> None:
    if any(not _is_known(found[name]) for name in owners):
        return  # the names of its metrics are those of a library
    metrics = list(dict.fromkeys(metric for name in owners for metric in _drawn_metrics(found[name])))
    if metric not in metrics and metrics:
        whose = f"`{owners[0]}` has" if len(owners) == 1 else "there is"
        names = [prefix + name for name in metrics]
        near = did_you_mean(prefix + metric, names)
        ctx.error("unknown-reference", f"{whose} no metric `{metric}`", path, one_of(names), near)


def _drawn_metrics(evaluation: Evaluation) -> list[str]:
    """What a figure can draw of an evaluation: of samples also what is recorded of their answers."""
    samples = evaluation.pass_at_k
    if samples is None:
        return metrics_of(evaluation)
    votes = dict.fromkeys(k for k in (*sorted(samples.k), samples.num_samples) if k > 1)
    return [*metrics_of(evaluation), *(f"maj@{k}" for k in votes), "entropy", "distinct"]


def _is_known(evaluation: Evaluation) -> bool:
    return evaluation.pass_at_k is not None or evaluation.bits_per_byte is not None


def _check_axis(ctx: Context, path: Path) -> None:
    axis = ctx.text(*path)
    if axis is None:
        return
    names = [*ctx.names("recipes"), *ctx.names("trunks")]
    cells = filter(None, map(split_name, names))
    axes = list(dict.fromkeys(name for _, values in cells for name in values))
    if axis not in axes:
        message = f"no recipe has an axis `{axis}`"
        expected = one_of(axes) if axes else "an axis of a `matrix`, but there is none"
        ctx.error("unknown-axis", message, path, expected, did_you_mean(axis, axes))
