"""Models that are trained: made or loaded, and published as the same bytes for the same weights."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exc.runtime.context import JobFailed
from exc.runtime.stages.adapters import has_adapters, merged_tensors, trained_tensors
from exc.runtime.stages.model_folder import copy_tokenizer
from exc.runtime.stages.models import load_tokenizer

# Accepted by transformers in place of `rope_parameters`, without being fields of a config.
_LEGACY_ROPE = ("rope_theta", "rope_scaling")


def make_model(fields: Mapping[str, Any], tokenizer: Any, seed: int) -> Any:
    """Build a causal model with random weights, in float32, as `seed` has it.

    `fields` names an `architecture` and any of its config's fields; the vocabulary is the tokenizer's.
    Raises JobFailed("config") for what transformers does not know or cannot build, naming the nearest.
    """
    from transformers import AutoModelForCausalLM, set_seed

    factory: Any = AutoModelForCausalLM

    config = _make_config(fields, tokenizer)
    set_seed(seed)
    try:
        model = factory.from_config(config, dtype="float32")
    except Exception as error:
        raise JobFailed("config", f"no `{fields['architecture']}` model can be built so: {error}") from error
    _check_shapes(model, fields["architecture"])
    return model


def load_model(folder: Path, num_tokens: int, seed: int) -> Any:
    """Load a causal model to be pre-trained further, offline, in float32; its dropout draws by `seed`.

    `num_tokens` is the size of the tokenizer. Raises JobFailed("config") if there is no model, or one whose
    vocabulary is smaller.
    """
    from transformers import AutoModelForCausalLM, set_seed

    set_seed(seed)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="float32")
    except (OSError, ValueError) as error:
        raise JobFailed("config", f"no model can be loaded from {folder}: {error}") from error
    size = model.config.vocab_size
    if size < num_tokens:
        raise JobFailed("config", f"the model in {folder} knows {size} tokens, its tokenizer {num_tokens}")
    return model.train()


def _check_shapes(model: Any, architecture: str) -> None:
    """Pass two tokens through: some architectures accept shapes that they cannot compute with."""
    import torch

    try:
        with torch.no_grad():
            model.eval()(torch.zeros((1, 2), dtype=torch.long))
    except RuntimeError as error:
        config = model.config
        heads = f"{config.num_attention_heads} attention heads"
        if (groups := getattr(config, "num_key_value_heads", None)) is not None:
            heads += f" and {groups} key-value heads"
        raise JobFailed(
            "config",
            f"a `{architecture}` model of hidden size {config.hidden_size} with {heads} fails: {error}",
        ) from error
    model.train()


def _make_config(fields: Mapping[str, Any], tokenizer: Any) -> Any:
    import dataclasses

    from transformers import CONFIG_MAPPING, AutoConfig

    settings = dict(fields)
    architecture = settings.pop("architecture")
    if architecture not in CONFIG_MAPPING:
        raise JobFailed("config", unknown("model architecture", architecture, list(CONFIG_MAPPING.keys())))
    config_class = CONFIG_MAPPING[architecture]
    names = {field.name for field in dataclasses.fields(config_class)} | set(config_class.attribute_map)
    if "rope_parameters" in names:
        names.update(_LEGACY_ROPE)
    for name in settings:
        if name not in names:
            raise JobFailed("config", unknown(f"field of a `{architecture}` model", name, sorted(names)))
    size = settings.setdefault("vocab_size", len(tokenizer))
    if size < len(tokenizer):
        raise JobFailed("config", f"`vocab_size` {size} is less than the tokenizer's {len(tokenizer)} tokens")
    special = {f"{role}_token_id": getattr(tokenizer, f"{role}_token_id") for role in ("bos", "eos", "pad")}
    try:
        return AutoConfig.for_model(architecture, **{**special, **settings})
    except Exception as error:
        reason = " ".join(str(error).split())
        raise JobFailed("config", f"no `{architecture}` model can be built so: {reason}") from error


def unknown(what: str, name: str, known: list[str]) -> str:
    """Say that `name` is no `what`, with the nearest name that is."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"`{name}` is not a {what}" + (f"; the nearest is `{near[0]}`" if near else "")


def load_policy(folder: Path, init: Mapping[str, Any]) -> tuple[Any, Any]:
    """Load (model, tokenizer) to be trained from a folder, offline, in float32 unless `init` has a `dtype`.

    The tokenizer gets a pad token other than its end-of-text token, so that padding never passes for an end.
    Raises JobFailed("config") if there is no model, or no token to pad with.
    """
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(folder)
    if tokenizer.eos_token_id is None:
        raise JobFailed(
            "config", f"the tokenizer in {folder} has no end-of-text token to end completions with"
        )
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokenizer.pad_token = _spare_token(tokenizer, folder)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, **{"dtype": "float32", **init}
        )
    except (OSError, ValueError, TypeError) as error:
        raise JobFailed("config", f"no model can be loaded from {folder}: {error}") from error
    return model, tokenizer


def _spare_token(tokenizer: Any, folder: Path) -> str:
    barred = {tokenizer.eos_token, tokenizer.bos_token}
    special = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    spare = [token for token in special if token not in barred]
    named = [token for token in spare if "pad" in token.lower()]
    for token in [*named, *spare]:
        return token
    raise JobFailed(
        "config", f"the tokenizer in {folder} has no token to pad with apart from its end-of-text token"
    )


def load_weights(model: Any, folder: Path) -> None:
    """Load the weights of a resume state into a model of its shape; every trained tensor must be there."""
    from safetensors.torch import load_file, load_model

    from exc.runtime.stages.states import WEIGHTS

    if not has_adapters(model):
        load_model(model, folder / WEIGHTS, strict=True)
        return
    saved, trained = load_file(folder / WEIGHTS), trained_tensors(model)
    if saved.keys() != trained.keys():
        raise JobFailed("store", f"{folder} does not hold the adapters of this stage")
    for name, tensor in trained.items():
        tensor.data.copy_(saved[name])


def save_weights(model: Any, path: Path) -> None:
    """Save what training changes as it is in memory: all weights, tied ones once, or the adapters."""
    from safetensors.torch import save_file, save_model

    if has_adapters(model):
        save_file(trained_tensors(model), str(path), metadata={"format": "pt"})
    else:
        save_model(model, str(path), metadata={"format": "pt"})


def write_model(model: Any, tokenizer: Path, folder: Path, whole: Any = None) -> None:
    """Write a model folder: config, generation config, safetensors, and the tokenizer's own files.

    Adapters are merged into the weights; those of `whole` stand in for the model's own, of which this process
    has only a part. Nothing in it depends on where or when it was made.
    """
    tensors = None if whole is None else whole.state_dict()
    merged = merged_tensors(model) if has_adapters(model) else tensors
    model = model.get_base_model() if has_adapters(model) else model
    config = model.config
    trained_with_cache = config.use_cache
    # Trainer turns the cache off for training; whoever generates from this folder wants it.
    config.use_cache = True
    try:
        model.save_pretrained(folder, state_dict=merged)
    finally:
        config.use_cache = trained_with_cache
    copy_tokenizer(tokenizer, folder)
