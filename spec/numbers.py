"""Numbers that nothing downstream can hold, wherever they stand."""

from __future__ import annotations

import math

from exc.spec.diagnostics import Diagnostics, Span
from exc.spec.nodes import Mapping
from exc.spec.places import name_of, walk, written

MAX_INT = 2**63 - 1  # what JSON readers hold


def check_numbers(root: Mapping, diagnostics: Diagnostics) -> set[Span]:
    """Report integers that are too large, and infinities; return where they stand."""
    reported: set[Span] = set()
    for path, leaf in walk(root):
        if isinstance(leaf.value, bool) or not isinstance(leaf.value, int | float):
            continue
        if isinstance(leaf.value, int) and abs(leaf.value) > MAX_INT:
            message, expected = (
                f"{name_of(written(root, path))} is too large a number",
                "a whole number of up to 63 bits",
            )
        elif isinstance(leaf.value, float) and not math.isfinite(leaf.value):
            message, expected = f"{name_of(written(root, path))} is `{leaf.raw}`", "a finite number"
        else:
            continue
        reported.add(leaf.span)
        diagnostics.error("bad-value", message, leaf.span, expected=expected)
    return reported
