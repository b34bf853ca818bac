"""Whether a folder is a model of the shape that a plan expects, and can be loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exc.compiler.plan import Job
from exc.runtime.adopt_checks import AdoptError
from exc.runtime.context import JobFailed
from exc.runtime.stages.merge import NOT_SHAPE
from exc.runtime.stages.model_folder import BadModel, read_config, read_tensors
from exc.runtime.store import Store

Shapes = dict[str, tuple[int, ...]]


def check_model(job: Job, folder: Path, store: Store) -> None:
    """Config, weights by name and shape, every number finite, and a tokenizer that loads.

    The shape is that of the job's own config (pretrain), else of the model that it starts from where that is
    in the store. Raises AdoptError.
    """
    if not folder.is_dir():
        raise AdoptError(f"{folder} is not a folder")
    try:
        config = read_config(folder)
        shapes = {name: shape for name, (_, shape) in read_tensors(folder).items()}
    except BadModel as error:
        raise AdoptError(f"{folder} is no model: {error}") from None
    _check_config(job, folder, config)
    _check_names(folder, shapes)
    _check_parent(job, folder, config, shapes, store)
    _check_finite(folder)
    _check_tokenizer(job, folder, config, store)


def check_state(folder: Path) -> None:
    """Raises AdoptError unless a folder is a whole resume state."""
    from exc.runtime.stages.states import find_state

    try:
        if find_state([folder], limit=2**63) is None:
            raise AdoptError(f"{folder} is not a whole resume state; leave it out to adopt the model alone")
    except JobFailed as error:
        raise AdoptError(str(error)) from None


def _check_config(job: Job, folder: Path, config: Mapping[str, Any]) -> None:
    wanted = job.config.get("model") if job.kind == "pretrain" else None
    for key, value in (wanted or {}).items():
        name = "model_type" if key == "architecture" else key
        if config.get(name) != value:
            raise AdoptError(
                f"{folder}: {name} is {config.get(name)!r}, and {value!r} in the plan's {job.id}"
            )


def _check_names(folder: Path, shapes: Shapes) -> None:
    """Raises AdoptError unless the weights are those of the model that the folder's own config describes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        described = AutoConfig.from_pretrained(folder, local_files_only=True)
        with torch.device("meta"):
            auto: Any = AutoModelForCausalLM
            model = auto.from_config(described)
    except Exception as error:  # transformers raises whatever a config makes it stumble over
        raise AdoptError(f"{folder}: transformers makes no model of its config.json: {error}") from None
    expected: Shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) if described.tie_word_embeddings else set()
    for name, shape in expected.items():
        if name not in shapes and name not in tied:
            raise AdoptError(f"{folder} has no tensor {name}, which its config.json asks for")
        if name in shapes and shapes[name] != shape:
            raise AdoptError(f"{folder}: tensor {name} is {shapes[name]}, and {shape} by its config.json")
    if unknown := sorted(shapes.keys() - expected.keys()):
        raise AdoptError(f"{folder}: its config.json has no place for tensor {unknown[0]}")


def _parent(job: Job, store: Store) -> tuple[str, Path] | None:
    """The model whose shape the job's result must have, if there is one in the store."""
    if job.kind in ("command", "trainer"):
        return None
    for need in job.needs:
        if need.role == "model" or need.role.startswith("parent:"):
            folder = store.ref_path(need.artifact) / need.output
            if folder.is_dir():
                return need.job, folder
    return None


def _check_parent(job: Job, folder: Path, config: Mapping[str, Any], shapes: Shapes, store: Store) -> None:
    parent = _parent(job, store)
    if parent is None:
        return
    name, other = parent
    theirs = read_config(other)
    for key in sorted(theirs.keys() | config.keys()):
        if key not in NOT_SHAPE and theirs.get(key) != config.get(key):
            raise AdoptError(f"{folder}: {key} is {config.get(key)!r}, and {theirs.get(key)!r} in {name}")
    for tensor, (_, shape) in read_tensors(other).items():
        if shapes.get(tensor, shape) != shape:
            raise AdoptError(f"{folder}: tensor {tensor} is {shapes[tensor]}, and {shape} in {name}")


def _check_finite(folder: Path) -> None:
    import torch
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                if not bool(torch.isfinite(file.get_tensor(name)).all()):
                    raise AdoptError(f"{path}: tensor {name} has numbers that are not finite")


def _check_tokenizer(job: Job, folder: Path, config: Mapping[str, Any], store: Store) -> None:
    """Raises AdoptError unless it loads, fits the embedding, and is the one of the study."""
    from exc.runtime.stages.models import load_tokenizer

    try:
        tokenizer = load_tokenizer(folder)
        size = int(config.get("vocab_size") or 0)
        if size and len(tokenizer) > size:
            raise AdoptError(f"{folder}: its tokenizer has {len(tokenizer)} tokens, the model {size}")
        parent = _parent(job, store)
        need = next((need for need in job.needs if need.role == "tokenizer"), None)
        if parent is None and need is not None and store.ref_path(need.artifact).is_dir():
            parent = need.job, store.ref_path(need.artifact)
        if parent is not None and load_tokenizer(parent[1]).get_vocab() != tokenizer.get_vocab():
            raise AdoptError(f"{folder}: its tokenizer is not that of {parent[0]}")
    except JobFailed as error:
        raise AdoptError(str(error)) from None
