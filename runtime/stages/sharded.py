"""Weights that FSDP (version 2) spreads over the processes of a job: gathered to be written, dealt out again.

What is written is whole, and the same files as where each process has all weights: the first process writes
them, and all take part in gathering them. When it is read, each process takes its part of the file, which
it sees as the others do. Gathering goes tensor by tensor, so that no accelerator holds a second whole model;
the first process holds one in its host memory, and the optimizer's moments while they are written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from exc.compiler.sharding import fault_of_arguments, fault_of_settings
from exc.runtime.context import JobFailed
from exc.runtime.stages.adapters import has_adapters
from exc.runtime.stages.moments import OPTIMIZER
from exc.runtime.stages.session import is_first_process
from exc.runtime.stages.states import WEIGHTS


def check_sharding(trainer: Any) -> None:
    """Raise JobFailed("config") for a launch that spreads weights in a way that cannot be saved."""
    if trainer.is_deepspeed_enabled:
        raise JobFailed("config", "weights that DeepSpeed spreads cannot be saved and resumed")
    if not trainer.is_fsdp_enabled:
        asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
        if asked and trainer.accelerator.num_processes > 1:
            # Each process would have all weights, and nobody would know.
            raise JobFailed("config", "the launch asks for FSDP, which accelerate has on accelerators alone")
        return
    plugin = trainer.accelerator.state.fsdp_plugin
    fault = fault_of_settings(_settings(plugin))
    if fault is None and plugin.cpu_ram_efficient_loading:
        # A reference model would stay empty in all processes but the first.
        fault = "weights that only the first process loads (`fsdp_cpu_ram_efficient_loading`)"
    if fault is None and has_adapters(trainer.model):
        fault = "adapters (`lora`) have not been tried so"
    if fault is None:
        fault = fault_of_arguments(vars(trainer.args))
    others = {str(each.dtype) for each in trainer.model.parameters()} - {"torch.float32"}
    if fault is None and others:
        fault = f"weights in {', '.join(sorted(others))} would become float32 under way"
    if fault is not None:
        raise JobFailed("config", f"under FSDP: {fault}")


def _settings(plugin: Any) -> dict[str, Any]:
    """What accelerate made of the profile's file, by the names that it has there."""
    from torch.distributed.fsdp import CPUOffloadPolicy

    return {
        "fsdp_version": plugin.fsdp_version,
        "fsdp_activation_checkpointing": plugin.activation_checkpointing,
        "fsdp_ignored_modules": plugin.ignored_modules,
        "fsdp_offload_params": isinstance(plugin.cpu_offload, CPUOffloadPolicy),
    }


class WholeModel:
    """The weights of a model, gathered; to safetensors it is the model itself."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = tensors

    def state_dict(self) -> dict[str, Any]:
        return dict(self._tensors)


def gather_weights(model: Any) -> WholeModel:
    """All weights on the CPU of the first process, tied ones as one tensor; nothing in the others.

    Every process calls it.
    """
    keep = is_first_process()
    tensors: dict[str, Any] = {}
    gathered: dict[object, Any] = {}
    with torch.no_grad():
        state = model.state_dict()  # which spreads what a pass has left whole
        # By parameter and not by memory: of a small tensor some processes have nothing.
        parameters = {name: id(each) for name, each in model.named_parameters(remove_duplicate=False)}
        for name, tensor in state.items():
            key = parameters.get(name, name)
            if key not in gathered:
                gathered[key] = _whole(tensor, keep)
            if keep:
                tensors[name] = gathered[key]
    return WholeModel(tensors)


def deal_weights(model: Any, folder: Path) -> None:
    """Load the weights of a resume state into a model that is spread; every tensor must be there."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file, torch.no_grad():
        names = set(file.keys())
        tied = file.metadata() or {}  # name of a tensor that is not there -> of the one that it is tied to
        own = model.state_dict()
        saved = {name: name if name in names else tied.get(name) for name in own}
        if set(saved.values()) != names:
            raise JobFailed("store", f"{folder} does not hold the weights of this model")
        for name, tensor in own.items():
            _local(tensor).copy_(_local(_part(file.get_tensor(saved[name]), tensor)))


def save_optimizer(optimizer: Any, folder: Path) -> None:
    """Write the whole state of an optimizer, as torch has it of one whose parameters are whole.

    Every process calls it.
    """
    keep = is_first_process()
    state = optimizer.state_dict()
    with torch.no_grad():
        whole = {
            index: {name: _whole(value, keep) for name, value in entry.items()}
            for index, entry in state["state"].items()
        }
    if keep:
        torch.save({**state, "state": whole}, folder / OPTIMIZER)


def load_optimizer(optimizer: Any, folder: Path) -> None:
    """Give an optimizer, whose parameters are spread, its part of a state that is whole."""
    # Mapped, as each process of a node would hold all of it otherwise.
    saved = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True, mmap=True)
    optimizer.load_state_dict({**saved, "state": deal_moments(optimizer, saved["state"])})


def deal_moments(optimizer: Any, state: Mapping[int, Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """This process's part of moments that are whole, found by the place of their parameter."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    with torch.no_grad():
        return {
            index: {name: _part(value, parameters[index]) for name, value in entry.items()}
            for index, entry in state.items()
        }


def _whole(value: Any, keep: bool) -> Any:
    """A tensor's copy on the CPU, where it is kept; what is no tensor as it is."""
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        value = value.full_tensor()
    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().to("cpu", copy=True) if keep else None


def _part(value: Any, like: Any) -> Any:
    """This process's part of what is of one shape with `like`; else a copy of all of it."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(value, torch.Tensor):
        return value
    if isinstance(like, DTensor) and value.shape == like.shape:
        # None: each process has read the file, so that there is nothing to be sent.
        return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
    return value.clone()


def _local(tensor: Any) -> Any:
    from torch.distributed.tensor import DTensor

    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
