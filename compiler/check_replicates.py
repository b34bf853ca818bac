"""Checks of replicates: none is picked by hand, and there are enough for the effect that is looked for."""

from __future__ import annotations

from math import ceil, cos, pi, sin, sqrt, tan
from statistics import NormalDist

from exc.compiler.scope import Scope
from exc.compiler.selection import on_branch
from exc.compiler.world import World
from exc.spec.experiment import Contrast, Path
from exc.spec.recipes import Trained
from exc.spec.references import BASE, ModelRef, Selector
from exc.spec.words import plural

_POWER = 0.8  # chance to find a declared effect that is there
_MANY = 200  # replicates, from which on Student's t asks for at most one or two more than the normal


def check_replicates(scope: Scope) -> None:
    """Nothing is said while there are errors: what is compared may not be what was meant."""
    if scope.diagnostics.has_errors:
        return
    for index, contrast in enumerate(scope.spec.report.contrasts):
        path: Path = ("report", "contrasts", index)
        _check_replicates_named(scope, path, contrast)
        _check_replicates_enough(scope, path, contrast)
    _check_selectors(scope, scope.world())


def _check_replicates_named(scope: Scope, path: Path, contrast: Contrast) -> None:
    for side in ("a", "b"):
        ref: ModelRef = getattr(contrast, side)
        planned = _num_planned(scope, ref)
        if ref.replicate is not None and planned > 1:
            message = f"`{ref}` is one of {planned} replicates, chosen by hand"
            _picked(scope, message, (*path, side))


def _check_selectors(scope: Scope, world: World) -> None:
    entries: list[tuple[str, Path, Selector]] = [
        (f"the evaluation `{name}`", ("evaluations", name), each.on)
        for name, each in scope.spec.evaluations.items()
    ]
    entries += [
        (f"the figure `{figure.figure}`", ("report", "figures", index), figure.on)
        for index, figure in enumerate(scope.spec.report.figures)
    ]
    for what, path, on in entries:
        if on.replicates is None:
            continue
        most = max((num for place, num in scope.planned.items() if on_branch(world, on, *place)), default=1)
        taken = len({replicate for replicate in on.replicates if replicate < most})
        if 0 < taken < most:
            message = f"{what} looks at {taken} of {most} replicates, chosen by hand"
            _picked(scope, message, (*path, "on", "replicates"))


def _picked(scope: Scope, message: str, path: Path) -> None:
    hint = (
        "leave `replicate` out, and the report has the mean of all and their spread; or say why: "
        "`accept: {best-of-seeds: REASON}`"
    )
    scope.warning("best-of-seeds", message, path, hint)


def _num_planned(scope: Scope, ref: ModelRef) -> int:
    """The most replicates that a recipe has anywhere; 1 for what draws nothing."""
    return max(
        (
            num
            for (trunk, at, recipe), num in scope.planned.items()
            if recipe == ref.recipe and ref.trunk in (None, trunk) and ref.at in (None, at, "first", "last")
        ),
        default=1,
    )


def _fewest_planned(scope: Scope, ref: ModelRef) -> int | None:
    """The fewest replicates that a trained recipe has where it is compared; None for what is not repeated."""
    if ref.recipe in (None, BASE) or not any(
        isinstance(stage.body, Trained) for stage in scope.spec.recipes.get(ref.recipe or "", ())
    ):
        return None
    counts = [
        num
        for (trunk, at, recipe), num in scope.planned.items()
        if recipe == ref.recipe and ref.trunk in (None, trunk) and ref.at in (None, at, "first", "last")
    ]
    return min(counts, default=None)


def replicates_for(effect: float, spread: float, confidence: float, sides: int = 2) -> int:
    """Replicates of each side with which a difference of means is found with a chance of 80%.

    `effect` and `spread`, the standard deviation between replicates, are of one unit. Of a checkpoint there
    are none: compared with it, a recipe is the one side that spreads. Two-sided, by Student's t as the report
    has it: of a few replicates the normal distribution would promise far too much.
    """
    tails = ((1 + confidence) / 2, _POWER)

    def needed(quantiles: float) -> int:
        return max(2, ceil(sides * (quantiles * spread / effect) ** 2))

    num = needed(sum(map(NormalDist().inv_cdf, tails)))
    while num < _MANY and needed(sum(_student(tail, sides * (num - 1)) for tail in tails)) > num:
        num += 1
    return num


def _student(share: float, freedom: int) -> float:
    """The quantile of Student's t at a share above a half, for a whole number of degrees of freedom."""
    low, high = 0.0, pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _between(middle, freedom) < 2 * share - 1 else (low, middle)
    return sqrt(freedom) * tan(low)


def _between(angle: float, freedom: int) -> float:
    """The chance that |t| is below sqrt(freedom) tan(angle): Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    is_odd = freedom % 2
    term, total = (cos(angle) if is_odd else 1.0), 0.0
    for above in range(2 + is_odd, freedom + 1, 2):
        total += term
        term *= cos(angle) ** 2 * (above - 1) / above
    return 2 / pi * (angle + sin(angle) * total) if is_odd else sin(angle) * total


def _check_replicates_enough(scope: Scope, path: Path, contrast: Contrast) -> None:
    if contrast.effect is None:
        return
    found = [_fewest_planned(scope, ref) for ref in (contrast.a, contrast.b)]
    counts = [count for count in found if count is not None]
    if not counts:
        return
    needed, fewest = 2, min(counts)
    if contrast.spread is not None:
        confidence = scope.spec.report.confidence
        needed = replicates_for(contrast.effect, contrast.spread, confidence, len(counts))
    if fewest >= needed:
        return
    has = plural(fewest, "replicate")
    if contrast.spread is None:
        message = (
            f"an effect of {contrast.effect:g} is asked for, and {has} cannot tell it from the luck of a seed"
        )
        hint = "write `spread`, the standard deviation between seeds (known or feared), to learn how many"
    else:
        each = " of each" if len(counts) > 1 else ""
        message = (
            f"an effect of {contrast.effect:g} between models whose seeds spread by {contrast.spread:g} "
            f"needs {needed} replicates{each}, and there {'is' if fewest == 1 else 'are'} {fewest}"
        )
        hint = (
            f"that gives a chance of {_POWER:.0%} to find it; write "
            f"`replicates: [{{num: {needed}, on: ...}}]`"
        )
    hint += "; or say why: `accept: {few-replicates: REASON}`"
    scope.warning("few-replicates", message, (*path, "effect"), hint)
