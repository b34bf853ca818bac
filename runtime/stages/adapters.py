"""Low-rank adapters: made for a trainer, kept in resume states alone, merged in what is published.

LoRA: arXiv 2106.09685. The frozen weights come from the input again, so a state holds the adapters only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exc.runtime.context import JobFailed

ADAPTER = "adapter"  # the sub-folder of an artifact that holds the adapter, in peft's form


def adapter_config(lora: Mapping[str, Any] | None) -> Any:
    """peft's configuration for TRL's trainers, which put the adapters in; None for training all weights."""
    if lora is None:
        return None
    from peft import LoraConfig

    target = lora["target_modules"]
    return LoraConfig(
        r=lora["r"],
        lora_alpha=lora["lora_alpha"],
        lora_dropout=lora["lora_dropout"],
        use_rslora=lora["use_rslora"],
        target_modules=target if isinstance(target, str) else list(target),
        task_type="CAUSAL_LM",
    )


def check_targets(model: Any, lora: Mapping[str, Any] | None) -> None:
    """Raise JobFailed("config") for a layer that the model does not have, naming those that it has."""
    if lora is None or isinstance(lora["target_modules"], str):
        return
    import torch
    from transformers.pytorch_utils import Conv1D  # the linear layer of GPT-2

    output = model.get_output_embeddings()
    layers = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not output
    }
    for target in lora["target_modules"]:
        if target.rpartition(".")[2] not in layers:
            known = ", ".join(sorted(layers))
            raise JobFailed("config", f"`lora`: the model has no layer `{target}` (it has: {known})")


def check_mergeable(model: Any) -> None:
    """Raise JobFailed("config") if adapters sit on what cannot be merged, such as stacked experts."""
    from peft.tuners.lora.layer import ParamWrapper

    stacked = (name for name, module in model.named_modules() if isinstance(module, ParamWrapper))
    layers = {name.rpartition(".")[2] for name in stacked} - {"base_layer"}  # one wraps the other
    if layers:
        raise JobFailed(
            "config",
            f"`lora`: adapters cannot be merged into this model's {', '.join(sorted(layers))}, which hold no "
            "linear layers; name others, such as `target_modules: [q_proj, k_proj, v_proj, o_proj]`",
        )


def has_adapters(model: Any) -> bool:
    return hasattr(model, "peft_config")


def trained_tensors(model: Any) -> dict[str, Any]:
    """The tensors that training changes, by name."""
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def merged_tensors(model: Any) -> dict[str, Any]:
    """The weights of the plain model with the adapters added, under the plain model's names.

    The model is not changed: adding and taking away again would not give the same floats back.
    """
    from peft.tuners.lora import LoraLayer

    base = model.get_base_model()
    layers: dict[str, Any] = {
        name: module for name, module in base.named_modules() if isinstance(module, LoraLayer)
    }
    deltas = {name: layer.get_delta_weight("default") for name, layer in layers.items()}
    merged = {}
    for name, tensor in base.state_dict().items():
        if ".lora_" in name:
            continue
        module, layered, parameter = name.partition(".base_layer.")
        value = tensor.detach()
        if layered and parameter == "weight":
            value = value + deltas[module].to(value.dtype)
        merged[f"{module}.{parameter}" if layered else name] = value
    return merged


def write_adapter(model: Any, folder: Path) -> None:
    """Write the adapter by itself. Nothing in it says where its model lay."""
    from safetensors.torch import save_file

    tensors = {
        name.replace(".default.", "."): tensor.detach().contiguous()
        for name, tensor in trained_tensors(model).items()
    }
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = model.peft_config["default"]
    before = config.base_model_name_or_path, config.inference_mode, config.target_modules
    config.base_model_name_or_path, config.inference_mode = None, True
    config.target_modules = sorted(config.target_modules)  # of a set each process has an order of its own
    try:
        config.save_pretrained(str(folder))
    finally:
        config.base_model_name_or_path, config.inference_mode, config.target_modules = before
