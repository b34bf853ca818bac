"""What a stage may be where FSDP spreads its weights: the ways in which saving and resuming are exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Those whose moments have the shapes of their parameters.
_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")

# Arguments of a trainer with which it was never seen that what is saved is whole, and what goes on is exact.
_UNTRIED = (
    *("sync_ref_model", "torch_compile", "fp16", "use_vllm", "use_liger_kernel"),
    *("use_transformers_continuous_batching", "activation_offloading"),
)

# Settings of accelerate's that must not be said -> why.
_BARRED = {
    "fsdp_activation_checkpointing": "that is the stage's to say: `args: {gradient_checkpointing: true}`",
    "fsdp_ignored_modules": "what is not spread would not be trained as one model",
    "fsdp_offload_params": "it has not been tried",
}


def fault_of_settings(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with settings of FSDP, by accelerate's names; None where nothing is."""
    version = settings.get("fsdp_version", 1)  # 1 is accelerate's default
    if str(version) != "2":
        return f"it is version {version} of FSDP, and only 2 can be saved whole: say `fsdp_version: 2`"
    for name, reason in _BARRED.items():
        if settings.get(name) not in (None, False, "false", "False"):
            return f"`{name}` cannot be said: {reason}"
    if str(settings.get("fsdp_state_dict_type")).upper() == "LOCAL_STATE_DICT":
        return "`fsdp_state_dict_type: LOCAL_STATE_DICT` is of version 1: leave it out"
    if not _is_truth(settings.get("fsdp_reshard_after_forward", True)):
        said = settings["fsdp_reshard_after_forward"]
        return f"`fsdp_reshard_after_forward: {said}` is of version 1: say true or false"
    return None


def fault_of_arguments(args: Mapping[str, Any]) -> str | None:
    """What is wrong with the arguments of a trainer, by TRL's names; None where nothing is."""
    for name in _UNTRIED:
        if args.get(name):
            return f"`{name}` has not been tried so"
    optimizer = args.get("optim", _OPTIMIZERS[0])
    if optimizer not in _OPTIMIZERS:
        shown = getattr(optimizer, "value", optimizer)
        return f"`optim: {shown}` has not been tried so; there are {' and '.join(_OPTIMIZERS)}"
    return None


def fault_of_stage(body: Any) -> str | None:
    """What is wrong with a stage of a spec; None where nothing is."""
    if getattr(body, "lora", None) is not None:
        return "adapters (`lora`) have not been tried so"
    if getattr(body, "engine", "transformers") == "vllm":
        return "`engine: vllm` has not been tried so"
    return fault_of_arguments(getattr(body, "args", {}))


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or str(value).lower() in ("true", "false")
