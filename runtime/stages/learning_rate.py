"""Learning-rate schedules of pre-training.

The optimizer step t counts from 1. In warm-up, t <= warmup_steps, the rate is peak * t / warmup_steps. After
it, with u = (t - warmup_steps) / (total_steps - warmup_steps):

    constant   peak
    linear     from peak down to floor * peak, in a straight line in u
    cosine     from peak down to floor * peak, along half a cosine in u
    wsd        peak until the last `decay_steps`, then a straight line down to floor * peak

so that the floor is reached exactly at t = total_steps, and held after it. A value at t depends on nothing
later than what its shape names: constant on no horizon, wsd before its decay on no horizon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from exc.runtime.context import JobFailed

SHAPES = ("constant", "linear", "cosine", "wsd")


def make_schedule(lr: Mapping[str, Any]) -> Callable[[int], float]:
    """Return f(number of steps already taken) -> learning rate of the next one, as a fraction of the peak.

    `lr` has shape, warmup_steps, and what its shape needs of total_steps, decay_steps and floor (a fraction
    of the peak). Raises JobFailed("config") for an unknown shape or a horizon that is missing or too short.
    """
    shape, warmup = lr["shape"], int(lr.get("warmup_steps") or 0)
    floor = float(lr.get("floor") or 0.0)
    if shape not in SHAPES:
        raise JobFailed(
            "config", f"learning-rate shape `{shape}` is not known; there are {', '.join(SHAPES)}"
        )
    total = 0 if shape == "constant" else _horizon(lr, shape, warmup)
    decay = int(lr.get("decay_steps") or 0) if shape == "wsd" else total - warmup

    def factor(steps_taken: int) -> float:
        step = steps_taken + 1
        if step <= warmup:
            return step / warmup
        if shape == "constant" or step <= total - decay:
            return 1.0
        fallen = min(1.0, (step - (total - decay)) / decay)
        if shape == "cosine":
            fallen = 0.5 * (1.0 - math.cos(math.pi * fallen))
        return 1.0 - (1.0 - floor) * fallen

    return factor


def _horizon(lr: Mapping[str, Any], shape: str, warmup: int) -> int:
    total = lr.get("total_steps")
    if total is None:
        raise JobFailed("config", f"learning-rate shape `{shape}` needs `total_steps`")
    needed = warmup + int(lr.get("decay_steps") or 0) if shape == "wsd" else warmup + 1
    if total < needed:
        raise JobFailed(
            "config", f"`{shape}` over {total} steps is shorter than its warm-up and decay ({needed})"
        )
    return int(total)
