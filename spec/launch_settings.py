"""Files of accelerate that a profile names under `launch`: what of them says how weights are spread."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from typing import Any

from exc.spec.diagnostics import Diagnostics, one_of
from exc.spec.expected import found
from exc.spec.model_errors import unknown_key
from exc.spec.nodes import Mapping, Scalar, plain, span_at

# Fields of accelerate 1.15, without the prefix `fsdp_` that its files write before them.
FSDP = (
    "activation_checkpointing", "activation_checkpointing_offload", "auto_wrap_policy", "backward_prefetch",
    "cpu_ram_efficient_loading", "forward_prefetch", "ignored_modules", "min_num_params", "offload_params",
    "reshard_after_forward", "sharding_strategy", "state_dict_type", "sync_module_states",
    "transformer_layer_cls_to_wrap", "use_orig_params", "version",
)  # fmt: skip
DEEPSPEED = (
    "deepspeed_moe_layer_cls_names", "gradient_clipping", "offload_optimizer_device",
    "offload_optimizer_nvme_path", "offload_param_device", "offload_param_nvme_path", "zero3_init_flag",
    "zero3_save_16bit_model", "zero_stage",
)  # fmt: skip
# Fields of a whole file that say where it runs, which is the profile's to say: read over.
ELSEWHERE = (
    "commands", "command_file", "compute_environment", "debug", "downcast_bf16", "enable_cpu_affinity",
    "gpu_ids", "machine_rank", "main_process_ip", "main_process_port", "main_training_function",
    "num_machines", "num_processes", "rdzv_backend", "same_network", "tpu_env", "tpu_name", "tpu_use_cluster",
    "tpu_use_sudo", "tpu_vm", "tpu_zone", "use_cpu",
)  # fmt: skip
# Of DeepSpeed's section, what exc sets itself.
_OWNED = {
    "gradient_accumulation_steps": "it follows from the batch and `micro_batch_size`",
    "deepspeed_multinode_launcher": "processes are started by SLURM",
    "deepspeed_hostfile": "processes are started by SLURM",
    "deepspeed_inclusion_filter": "processes are started by SLURM",
    "deepspeed_exclusion_filter": "processes are started by SLURM",
    "deepspeed_config_file": "say its settings here, by accelerate's names",
}
_READ_OVER = (
    "gradient_accumulation_steps",
    "deepspeed_multinode_launcher",
)  # of every file that is generated


@dataclass(frozen=True)
class _Way:
    """A way of spreading weights: its section in a file, what the file calls it, its fields."""

    section: str
    distributed_type: str
    fields: tuple[str, ...]


WAYS: MappingOf[str, _Way] = {
    "fsdp": _Way("fsdp_config", "FSDP", tuple(f"fsdp_{name}" for name in FSDP)),
    "deepspeed": _Way("deepspeed_config", "DEEPSPEED", DEEPSPEED),
}


def launch_settings(way: str, root: Mapping, diagnostics: Diagnostics) -> dict[str, Any]:
    """The section of `way` (fsdp or deepspeed) in a file of accelerate's, or the section alone as the file.

    What is wrong with it is reported.
    """
    said = WAYS[way]
    section = root.entries.get(said.section)
    if section is None and not {"distributed_type", "compute_environment"} & set(root.entries):
        return _section(way, root, diagnostics)
    _whole(way, root, diagnostics)
    if section is None:
        message = f"this file has no `{said.section}`"
        diagnostics.error("launch-settings", message, root.span, expected=f"`{said.section}`")
        return {}
    if not isinstance(section, Mapping):
        message = f"`{said.section}` is {found(section)}"
        diagnostics.error("wrong-type", message, section.span, expected="a mapping")
        return {}
    return _section(way, section, diagnostics)


def _whole(way: str, root: Mapping, diagnostics: Diagnostics) -> None:
    """A whole file, as `accelerate config` writes it."""
    said = WAYS[way]
    known = ["distributed_type", "mixed_precision", "dynamo_config", said.section, *ELSEWHERE]
    for key, node in root.entries.items():
        value = plain(node)
        if key == "distributed_type" and str(value).upper() != said.distributed_type:
            message = f"this file is for `{value}`, and `launch` says `{way}`"
            diagnostics.error("launch-settings", message, node.span, expected=f"`{said.distributed_type}`")
        elif key == "mixed_precision" and str(value).lower() not in ("no", "false", "none"):
            diagnostics.error(
                "launch-settings",
                f"`mixed_precision: {value}` changes results, so it is for the spec to say",
                node.span,
                expected="`no`, or nothing",
                hint="in the stage: `args: {bf16: true}`",
            )
        elif key == "dynamo_config" and value:
            diagnostics.error(
                "launch-settings", "`dynamo_config` changes results, so it is for the spec to say", node.span
            )
        elif key not in known:
            diagnostics.add(unknown_key(key, known, span_at(root, (key,), key=True)))


def _section(way: str, section: Mapping, diagnostics: Diagnostics) -> dict[str, Any]:
    fields = WAYS[way].fields
    out: dict[str, Any] = {}
    for key, node in section.entries.items():
        name = f"fsdp_{key}" if way == "fsdp" and not key.startswith("fsdp_") else key
        span = span_at(section, (key,), key=True)
        if name in _OWNED:
            if name not in _READ_OVER:
                diagnostics.error("launch-settings", f"`{name}` is not for this file: {_OWNED[name]}", span)
        elif name not in fields:
            diagnostics.add(unknown_key(key, list(fields), span))
        elif not isinstance(node, Scalar):
            message = f"`{key}` is {found(node)}"
            diagnostics.error("wrong-type", message, node.span, expected="one value")
        elif node.value is not None:
            out[name] = node.value
    stage = out.get("zero_stage")
    if stage is not None and stage not in (0, 1, 2, 3):
        span = section.entries["zero_stage"].span
        diagnostics.error("bad-choice", f"`zero_stage` is {stage}", span, expected=one_of("0123"))
    return dict(sorted(out.items()))
