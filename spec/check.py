"""What no single entry shows: references, templates and numbers that belong together."""

from __future__ import annotations

from exc.spec.check_data import check_data
from exc.spec.check_figures import check_figures
from exc.spec.check_losses import check_losses
from exc.spec.check_mixture import check_mixtures
from exc.spec.check_published import check_published
from exc.spec.check_recipes import check_recipes
from exc.spec.check_runs import check_runs
from exc.spec.check_selection import check_selection
from exc.spec.check_starts import check_starts
from exc.spec.check_tasks import check_tasks
from exc.spec.check_trunks import check_trunks
from exc.spec.context import Context
from exc.spec.diagnostics import Diagnostics
from exc.spec.validate import Validated


def check_spec(validated: Validated, diagnostics: Diagnostics) -> frozenset[tuple[str, str]]:
    """Report everything that is wrong between and inside the entries of a spec, whatever else is wrong."""
    ctx = Context(validated, diagnostics)
    check_tasks(ctx)
    check_data(ctx)
    check_trunks(ctx)
    check_runs(ctx)
    check_recipes(ctx)
    check_published(ctx)
    check_starts(ctx)
    check_selection(ctx)
    check_figures(ctx)
    check_losses(ctx)
    check_mixtures(ctx)
    return _check_unused(ctx)


def _check_unused(ctx: Context) -> frozenset[tuple[str, str]]:
    """Data and tasks that nothing reads. While there are errors, nobody knows what was meant to be read.

    Those of a file that the spec extends are no mistake: others may extend it, too.
    """
    if ctx.diagnostics.has_errors:
        return frozenset()
    unused = set()
    for section, what in (("data", "the data source"), ("tasks", "the task")):
        for name in ctx.names(section):
            if (section, name) not in ctx.used:
                unused.add((section, name))
                span = ctx.span(section, name, key=True)
                if span.file == ctx.root.span.file:
                    ctx.diagnostics.warning("unused", f"nothing uses {what} `{name}`", span)
    return frozenset(unused)
