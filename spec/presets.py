"""Losses of grpo that are known by a name: all the fields that each consists of, not only one of them.

TRL's `loss_type` picks how the loss is averaged over tokens, and nothing else of what its name stands for:
`loss_type: dr_grpo` alone still divides by the standard deviation of a group, which the paper of that name is
about. A preset sets every field; `partial_losses` finds what sets one of them and leaves out its fellows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Loss:
    """A published loss. `fields`: TRL's fields at its values, in the order in which they are shown."""

    source: str
    fields: Mapping[str, object]
    # Field -> whether another value is still this loss; fields not named here have one value.
    free: Mapping[str, Callable[[object], bool]] = field(default_factory=dict)


def _above_zero(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _higher(value: object) -> bool:
    return isinstance(value, int | float) and value > 0.2


def _any(_: object) -> bool:
    return True


_CLIP: Mapping[str, Callable[[object], bool]] = {"epsilon": _above_zero}

LOSSES: Mapping[str, Loss] = MappingProxyType(
    {
        # Mean over each completion, then over completions (equation 3); a KL term of weight 0.04 (4.2).
        "grpo": Loss(
            "arXiv 2402.03300",
            {
                "loss_type": "grpo",
                "scale_rewards": "group",
                "beta": 0.04,
                "epsilon": 0.2,
                "epsilon_high": None,
                "importance_sampling_level": "token",
                "mask_truncated_completions": False,
            },
            {**_CLIP, "beta": _above_zero},
        ),
        # No division by a completion's length, nor by a group's deviation (section 3.2); no KL term.
        "dr-grpo": Loss(
            "arXiv 2503.20783",
            {
                "loss_type": "dr_grpo",
                "scale_rewards": "none",
                "beta": 0.0,
                "epsilon": 0.2,
                "epsilon_high": None,
                "importance_sampling_level": "token",
                "mask_truncated_completions": False,
            },
            {**_CLIP, "beta": _any},
        ),
        # Token level (3.3), a higher upper clip (3.1), no KL term (2.3), nothing of what was cut off (3.4).
        # Its dynamic sampling (3.2) is no field of TRL's, and its soft punishment of length is a reward.
        "dapo": Loss(
            "arXiv 2503.14476",
            {
                "loss_type": "dapo",
                "scale_rewards": "group",
                "beta": 0.0,
                "epsilon": 0.2,
                "epsilon_high": 0.28,
                "importance_sampling_level": "token",
                "mask_truncated_completions": True,
            },
            {**_CLIP, "epsilon_high": _higher},
        ),
    }
)
# TRL's `loss_type` -> the loss that it is a part of. `dapo`, TRL's default, is how most frameworks average:
# it stands for the paper only where it is written.
_BY_TYPE = {str(loss.fields["loss_type"]): name for name, loss in LOSSES.items()}
# What makes each more than its `loss_type`: the fields that a person forgets.
TELLING = {
    "grpo": ("scale_rewards",),
    "dr_grpo": ("scale_rewards",),
    "dapo": ("epsilon_high", "mask_truncated_completions"),
}


def with_loss(loss: str | None, args: Mapping[str, object]) -> dict[str, object]:
    """The `args` of a stage over the fields of its preset."""
    return {**(LOSSES[loss].fields if loss is not None else {}), **args}


def missing_of(
    loss: str | None, args: Mapping[str, object], defaults: Mapping[str, object]
) -> dict[str, tuple[object, object]]:
    """What keeps `args` from being all of the loss that they name: field -> (its value, what it should be).

    Without a preset the loss is the one that a written `loss_type` is a part of.
    """
    name = loss if loss is not None else _BY_TYPE.get(str(args.get("loss_type")))
    if name is None:
        return {}
    whole = LOSSES[name]
    full = {**defaults, **with_loss(loss, args)}
    asked = whole.fields if loss is not None else TELLING[str(whole.fields["loss_type"])]
    return {
        field: (full[field], whole.fields[field])
        for field in asked
        if full[field] != whole.fields[field] and not (field in whole.free and whole.free[field](full[field]))
    }
