"""Checks that need the arithmetic of schedules, batches and branches; all are made on what is valid."""

from __future__ import annotations

from exc.compiler.check_batches import check_batches
from exc.compiler.check_branches import check_branches
from exc.compiler.check_contrasts import check_contrasts
from exc.compiler.check_data import check_data
from exc.compiler.check_harness import check_harness
from exc.compiler.check_merges import check_merges
from exc.compiler.check_paired import check_means
from exc.compiler.check_points import check_points
from exc.compiler.check_protocols import check_protocols
from exc.compiler.check_replicates import check_replicates
from exc.compiler.check_starts import check_starts
from exc.compiler.check_steps import check_steps
from exc.compiler.facts import Facts
from exc.compiler.scope import Scope
from exc.spec.diagnostics import Diagnostics
from exc.spec.experiment import Experiment


def check(draft: Experiment, diagnostics: Diagnostics, facts: Facts | None = None) -> None:
    """Report what is wrong with a spec as far as it is valid; what `draft` lacks was reported before.

    Without `facts`, schedules that need a tokenizer's folder to be read are left unchecked.
    """
    scope = Scope.of(draft, diagnostics, facts or Facts())
    check_steps(scope)
    check_points(scope)
    check_batches(scope)
    check_means(scope)
    check_branches(scope)
    check_merges(scope)
    check_starts(scope)
    check_data(scope)
    check_harness(scope)
    check_contrasts(scope)
    check_replicates(scope)
    check_protocols(scope)
