"""Checks of how models are asked: what is compared is asked alike, and at the length it was trained at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exc.compiler.scope import Scope
from exc.compiler.selection import on_branch
from exc.compiler.world import World
from exc.spec.args import resolve_args
from exc.spec.diagnostics import Span
from exc.spec.experiment import Contrast, Evaluation, Path
from exc.spec.presets import with_loss
from exc.spec.prompting import Sampling
from exc.spec.recipes import PretrainStage, Stage, sides
from exc.spec.references import BASE, ModelRef
from exc.spec.words import listed

_ASKED = ("num_fewshot", "temperature", "top_p", "max_new_tokens", "limit", "engine")
_MOST = 4


def check_protocols(scope: Scope) -> None:
    """Nothing is said while there are errors: what is compared may not be what was meant."""
    if scope.diagnostics.has_errors:
        return
    world = scope.world()
    for index, contrast in enumerate(scope.spec.report.contrasts):
        _check_fewshot(scope, world, ("report", "contrasts", index), contrast)
    _check_trunks_alike(scope)
    _check_stops(scope)
    seen: set[Span] = set()  # what `like` copied is said once
    for name, evaluation in scope.spec.evaluations.items():
        _check_lengths(scope, world, name, evaluation, seen)


def _check_fewshot(scope: Scope, world: World, path: Path, contrast: Contrast) -> None:
    """A checkpoint against a trained model, which an evaluation shows another number of exemplars."""
    if "num_fewshot" in contrast.varies or _is_base(scope, contrast.a) == _is_base(scope, contrast.b):
        return
    for name, evaluation in scope.spec.evaluations.items():
        asked = evaluation.pass_at_k or evaluation.lm_eval
        shots = asked.num_fewshot if asked is not None else None
        if shots is None or shots.base == shots.trained:
            continue
        recipes = {ref.recipe or BASE for ref in (contrast.a, contrast.b)}
        if all(_measures(scope, world, evaluation, recipe) for recipe in recipes):
            message = (
                f"`{contrast.a}` and `{contrast.b}` are compared by `{name}`, which shows checkpoints "
                f"{shots.base} exemplars and trained models {shots.trained}"
            )
            hint = "write `varies: [num_fewshot]`, and the report says so; or ask both alike"
            scope.warning("unlike-protocols", message, (*path, "b"), hint)
            return


def _is_base(scope: Scope, ref: ModelRef) -> bool:
    """Whether a model has only pre-training in its ancestry, as far as its own recipe tells."""
    if ref.recipe in (None, BASE):
        return True
    return all(
        isinstance(stage.body, PretrainStage) for stage in scope.spec.recipes.get(ref.recipe or "", ())
    )


def _measures(scope: Scope, world: World, evaluation: Evaluation, recipe: str) -> bool:
    places = [place for place in scope.planned if place[2] == recipe]
    if recipe == BASE:
        places = [(trunk, at, BASE) for trunk, steps in scope.steps.items() for at in steps]
    return any(on_branch(world, evaluation.on, *place) for place in places)


def _check_stops(scope: Scope) -> None:
    """Exemplars of a task that does not say where an answer ends: a model goes on with the next problem."""
    asked: list[tuple[Path, Sampling]] = [
        (("evaluations", name, "pass_at_k"), each.pass_at_k)
        for name, each in scope.spec.evaluations.items()
        if each.pass_at_k is not None
    ]
    asked += [
        (("data", name, "samples"), each.samples) for name, each in scope.spec.data.items() if each.samples
    ]
    said: set[str] = set()
    for path, sampling in asked:
        shots = max(sampling.num_fewshot.base, sampling.num_fewshot.trained)
        if not shots or scope.spec.tasks[sampling.task].stop or sampling.task in said:
            continue
        said.add(sampling.task)
        message = f"`{path[1]}` shows models {shots} exemplars of `{sampling.task}`, which has no `stop`"
        hint = (
            "a model goes on as the exemplars do, with a problem of its own, whose answer the verifier may "
            f"take: say in `tasks.{sampling.task}` how the next one begins, such as "
            '`stop: ["\\nQuestion:"]`, or say why not: `accept: {no-stop: REASON}`'
        )
        scope.warning("no-stop", message, (*path, "num_fewshot"), hint)


def _check_trunks_alike(scope: Scope) -> None:
    """Evaluations of one task and split on different trunks, which a figure puts side by side."""
    seen: dict[tuple[str, str], list[tuple[str, Evaluation]]] = {}
    for name, evaluation in scope.spec.evaluations.items():
        asked, trunks = evaluation.pass_at_k, evaluation.on.trunks
        if asked is None or trunks is None:
            continue
        for other_name, other in seen.setdefault((asked.task, asked.split), []):
            before = other.pass_at_k
            if before is None or set(trunks) & set(other.on.trunks or ()):
                continue
            found = [field for field in _ASKED if getattr(asked, field) != getattr(before, field)]
            if found:
                message = (
                    f"`{other_name}` and `{name}` ask the same of different trunks, and differ in "
                    + listed([f"`{field}`" for field in found], _MOST)
                )
                hint = "their numbers are no comparison of trunks: ask all alike (`like`), or say why"
                scope.warning("unlike-protocols", message, ("evaluations", name), hint)
                break
        seen[asked.task, asked.split].append((name, evaluation))


def _check_lengths(scope: Scope, world: World, name: str, evaluation: Evaluation, seen: set[Span]) -> None:
    """An evaluation that lets a model say more, or less, than it was last trained to."""
    asked = evaluation.pass_at_k
    if asked is None:
        return
    path: Path = ("evaluations", name, "pass_at_k", "max_new_tokens")
    for recipe, stages in scope.spec.recipes.items():
        found = [
            (stage.name, most)
            for stage in stages
            for task, most in _trained_lengths(stage)
            if task == asked.task
        ]
        if not found or found[-1][1] == asked.max_new_tokens or scope.draft.span(*path) in seen:
            continue
        if not _measures(scope, world, evaluation, recipe):
            continue
        seen.add(scope.draft.span(*path))
        stage, most = found[-1]
        what = (
            "it cuts off what was learnt"
            if most > asked.max_new_tokens
            else "it lets completions go on that were cut off there"
        )
        message = (
            f"`{name}` asks for {asked.max_new_tokens} tokens at most, and `{recipe}.{stage}` trains with "
            f"{most}: {what}"
        )
        hint = (
            "give both one length (`max_completion_length` in `args`), or say why: "
            "`accept: {unlike-lengths: REASON}`"
        )
        scope.warning("unlike-lengths", message, path, hint)
        return


def _trained_lengths(stage: Stage) -> Iterator[tuple[str, int]]:
    """Task -> the longest completion, of what a stage samples by itself."""
    for path, side in sides(stage.body).items():
        kind = {"rl": "grpo"}.get(path[0], path[0]) if path else stage.kind
        if kind not in ("grpo", "rloo"):
            continue
        body: Any = side
        most = resolve_args(kind, with_loss(getattr(body, "loss", None), body.args))["max_completion_length"]
        if isinstance(most, int):
            yield body.task, most
