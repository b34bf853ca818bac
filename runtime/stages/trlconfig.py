"""From a job's resolved arguments to a configuration object of transformers or TRL."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from exc.runtime.context import JobFailed
from exc.runtime.stages.weights import unknown

Config = TypeVar("Config")


def build_config(config_class: type[Config], args: Mapping[str, Any], owned: Mapping[str, Any]) -> Config:
    """Build a configuration from the job's arguments, with what the runtime owns put over them.

    Raises JobFailed("config") for a field that the installed library lacks, a value of the wrong type, and
    whatever the library itself refuses.
    """
    fields = {field.name for field in dataclasses.fields(typing.cast(Any, config_class)) if field.init}
    hints = typing.get_type_hints(config_class)
    name = config_class.__name__
    for key, value in args.items():
        if key not in fields:
            raise JobFailed("config", unknown(f"field of the installed {name}", key, sorted(fields)))
        if key not in owned and not matches(value, hints[key]):
            raise JobFailed("config", f"{name}: `{key}` is {value!r}, which is not a {_say(hints[key])}")
    try:
        return config_class(**{**args, **owned})
    except (ValueError, TypeError, NotImplementedError, ImportError) as error:
        raise JobFailed("config", f"{name}: {' '.join(str(error).split())}") from error


def matches(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON fits a type of a configuration field."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(matches(value, part) for part in typing.get_args(hint))
    if origin in (list, dict):
        inner = typing.get_args(hint)
        items = value.values() if isinstance(value, dict) else value
        return isinstance(value, origin) and all(matches(item, inner[-1]) for item in items)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return value in {member.value for member in hint}
    return isinstance(value, hint) if isinstance(hint, type) else True


def _say(hint: Any) -> str:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_say(part) for part in typing.get_args(hint))
    return "null" if hint is type(None) else str(getattr(hint, "__name__", hint))


def owned_arguments(scratch: Path, *, seed: int, max_steps: int, bf16: bool | None) -> dict[str, Any]:
    """Return the arguments that every stage sets itself: where, how often, how loud, on what.

    State is saved by the stage at moments of its own, logs go to its events, and nothing goes to a hub. On a
    CPU activations are not recomputed, which saves memory for time and changes no number.
    """
    import torch

    on_cpu = not torch.cuda.is_available()
    owned: dict[str, Any] = {
        "output_dir": str(scratch),
        "seed": seed,
        "data_seed": seed,
        "max_steps": max_steps,
        "num_train_epochs": 1.0,
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_first_step": False,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "push_to_hub": False,
        "resume_from_checkpoint": None,
        "ignore_data_skip": False,
        "auto_find_batch_size": False,
        "load_best_model_at_end": False,
        "enable_jit_checkpoint": False,
        "use_cpu": on_cpu,
        # null means: as the hardware is good at.
        "bf16": (not on_cpu) if bf16 is None else bf16,
    }
    if on_cpu:
        owned |= {"gradient_checkpointing": False, "activation_checkpointing": False}
    return owned


def lay_out(batch: Callable[..., dict[str, int]], *amounts: int | None) -> dict[str, int]:
    """Return TRL's batch fields for this world of processes, by the rule that the compiler planned with.

    Raises JobFailed("config") if the processes or the micro-batches do not divide the batch.
    """
    try:
        return batch(*amounts, int(os.environ.get("WORLD_SIZE", "1")))
    except ValueError as error:
        raise JobFailed("config", str(error)) from None
