"""Whether the tasks that lm-evaluation-harness is asked for are there, and have a number to show."""

from __future__ import annotations

from exc.compiler.harness import metric_names, metrics_of_task, own_tasks
from exc.compiler.scope import Scope
from exc.spec.diagnostics import did_you_mean, one_of
from exc.spec.experiment import Path
from exc.spec.harness import HARNESS_VERSION, harness, headline, is_share
from exc.spec.measures import LmEval
from exc.spec.references import BestStep


def check_harness(scope: Scope) -> None:
    """Report tasks that nothing has, and numbers that no task gives."""
    _check_choices(scope)
    for name, evaluation in scope.spec.evaluations.items():
        spec = evaluation.lm_eval
        if spec is None or (spec.include is not None and spec.include not in scope.facts.harness):
            continue  # none, or its folder cannot be read, which is reported
        path: Path = ("evaluations", name, "lm_eval")
        for index, task in enumerate(spec.tasks):
            _check_task(scope, spec, (*path, "tasks", index), task, index)
        for task, metric in spec.metrics.items():
            _check_metric(scope, spec, (*path, "metrics", task), task, metric)
        for index, task in enumerate(spec.mean or ()):
            _check_mean(scope, spec, (*path, "mean", index), task)


def _check_task(scope: Scope, spec: LmEval, path: Path, name: str, index: int) -> None:
    metrics = metrics_of_task(scope.facts, spec, name)
    if name in spec.tasks[:index]:
        scope.error("bad-value", f"the task `{name}` is named twice", path)
    elif metrics is None and name in harness().tags:
        message = f"`{name}` is a tag of the harness, not a task: it has no number of its own"
        scope.error("unknown-task", message, path, "tasks or groups", "name the tasks that are meant")
    elif metrics is None:
        own = own_tasks(scope.facts, spec)
        hint = did_you_mean(name, own) or did_you_mean(name, [*harness().tasks, *harness().groups])
        where = f" or in `{spec.include}`" if spec.include is not None else ""
        message = f"there is no task `{name}` in lm-evaluation-harness {HARNESS_VERSION}{where}"
        advice = "a task of your own is YAML in a folder beside the spec: `include: FOLDER`"
        scope.error("unknown-task", message, path, hint=hint or (advice if spec.include is None else None))
    elif not metrics and name not in spec.metrics:
        message = f"what `{name}` gives is only known when it runs"
        scope.error(
            "unknown-task",
            message,
            path,
            hint=f"say which number stands for it: `metrics: {{{name}: METRIC}}`",
        )


def _check_metric(scope: Scope, spec: LmEval, path: Path, name: str, metric: str) -> None:
    known = metrics_of_task(scope.facts, spec, name)
    if name not in spec.tasks:
        hint = did_you_mean(name, spec.tasks)
        scope.error(
            "unknown-task", f"`{name}` is not among the tasks", path, one_of(spec.tasks), hint, key=True
        )
    elif known and metric not in known:
        message = f"`{name}` has no metric `{metric}`"
        scope.error("unknown-reference", message, path, one_of(known), did_you_mean(metric, known))


def _check_mean(scope: Scope, spec: LmEval, path: Path, name: str) -> None:
    if name not in spec.tasks:
        hint = did_you_mean(name, spec.tasks)
        scope.error("unknown-task", f"`{name}` is not among the tasks", path, one_of(spec.tasks), hint)
        return
    metric = spec.metrics.get(name) or headline(metrics_of_task(scope.facts, spec, name) or ())
    if metric is not None and not is_share(metric):
        message = f"`{name}` is known by `{metric}`, which is no share: it cannot go into a mean"
        scope.error("bad-value", message, path, hint="leave it out of `mean`")


def _check_choices(scope: Scope) -> None:
    """Of the references to a best step, those whose evaluation is of this kind."""
    for path, _, ref in scope.references():
        best = ref.step.best if isinstance(ref.step, BestStep) else None
        evaluation = scope.spec.evaluations.get(best.evaluation) if best is not None else None
        spec = evaluation.lm_eval if evaluation is not None else None
        if (
            best is None
            or spec is None
            or (spec.include is not None and spec.include not in scope.facts.harness)
        ):
            continue
        known = metric_names(scope.facts, spec)
        if best.metric not in known:
            message = f"`{best.evaluation}` has no metric `{best.metric}`"
            where = (*path, "step", "best", "metric")
            scope.error("unknown-reference", message, where, one_of(known), did_you_mean(best.metric, known))
