"""The moments of an optimizer, taken over from the state of another run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.stages.states import MARKER, State, verify_state

OPTIMIZER = "optimizer.pt"

Deal = Callable[[Any, Mapping[int, Mapping[str, Any]]], dict[int, dict[str, Any]]]


def load_moments(optimizer: Any, folder: Path, deal: Deal | None = None) -> None:
    """Give an optimizer the moments and the step counts of a resume state; its own settings stay as they are.

    `deal` takes from them the part of this process, where parameters are spread.
    Raises JobFailed("disk") for a damaged state, and JobFailed("config") for one of another shape.
    """
    import torch

    if not (folder / MARKER).is_file():
        raise JobFailed("disk", f"{folder} holds no complete state to take the optimizer's moments from")
    verify_state(State(folder, 0))
    device = next(parameter.device for group in optimizer.param_groups for parameter in group["params"])
    saved = torch.load(folder / OPTIMIZER, map_location="cpu" if deal else device, weights_only=True)
    own = optimizer.state_dict()
    _check_shapes(optimizer, own, saved, folder)
    # Groups carry the learning rate, the betas and the weight decay, which are those of this run.
    state = saved["state"] if deal is None else deal(optimizer, saved["state"])
    optimizer.load_state_dict({**own, "state": state})


def _check_shapes(optimizer: Any, own: Any, saved: Any, folder: Path) -> None:
    """Moments are found by their place in the groups: both must hold the same parameters there."""
    places = [[len(group["params"]) for group in state["param_groups"]] for state in (own, saved)]
    wrong = "the optimizer has other groups of parameters"
    if places[0] == places[1]:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        shapes = {index: tuple(entry["exp_avg"].shape) for index, entry in saved["state"].items()}
        unlike = [
            i for i, parameter in enumerate(parameters) if shapes.get(i, parameter.shape) != parameter.shape
        ]
        if not unlike:
            return
        wrong = f"{len(unlike)} of its {len(parameters)} parameters have another shape"
    raise JobFailed("config", f"the moments in {folder} are not of this model: {wrong}")
