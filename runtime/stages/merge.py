"""One model of several, by arithmetic on their weights, with mergekit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exc.runtime.context import JobContext, JobFailed
from exc.runtime.stages.model_folder import BadModel, copy_tokenizer, read_config, read_tensors

if TYPE_CHECKING:
    from mergekit.config import MergeConfiguration

METHODS = ("linear", "slerp", "ties", "task_arithmetic")
WITH_BASE = ("ties", "task_arithmetic")
# What two configs of the same shape may differ in: the records of whoever wrote them.
NOT_SHAPE = (
    *("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache"),
    *("bos_token_id", "eos_token_id", "pad_token_id"),
)
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}


def run(ctx: JobContext) -> None:
    """Publish one model of several, by mergekit's method of the config's name.

    Weights are used as they are given, unless `normalize` says to divide by their sum. Numbers are taken in
    float32 and written in the dtype of parent:0, which also gives config, generation config and tokenizer.
    Raises JobFailed("config") when the parents, or the base, differ in shape or tokenizer.
    """
    parents = _parents(ctx)
    base = ctx.inputs["base"].resolve() if "base" in ctx.inputs else None
    config = ctx.config
    _check_config(config, len(parents), base is not None)
    named = {f"parent:{number}": parent for number, parent in enumerate(parents)}
    dtype = _check_alike(named if base is None else {**named, "base": base})
    merged = ctx.work / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    links = ctx.work / "parents"
    _merge(make_recipe(config, _apart(parents, base, links), dtype), merged)
    if read_tensors(merged) != read_tensors(parents[0]):
        raise JobFailed("config", "the merged model's tensors are not those of its parents")

    def write(folder: Path) -> None:
        model = folder / "model"
        model.mkdir()
        for path in sorted(merged.glob("model*.safetensors*")):
            shutil.move(path, model / path.name)
        for name in ("config.json", "generation_config.json"):
            if (parents[0] / name).is_file():
                shutil.copyfile(parents[0] / name, model / name)
        copy_tokenizer(parents[0], model)

    ctx.publish(write)
    shutil.rmtree(merged, ignore_errors=True)
    shutil.rmtree(links, ignore_errors=True)


def _parents(ctx: JobContext) -> list[Path]:
    roles = sorted(
        (role for role in ctx.inputs if role.startswith("parent:")), key=lambda role: int(role[7:])
    )
    return [ctx.inputs[role].resolve() for role in roles]


def _check_config(config: Mapping[str, Any], num: int, has_base: bool) -> None:
    method = config["method"]
    if method not in METHODS:
        raise JobFailed("config", f"merge method `{method}` is not known; there are {', '.join(METHODS)}")
    for name in ("weights", "density"):
        values = config.get(name)
        if values is not None and len(values) != num:
            raise JobFailed("config", f"{num} parents are merged with {len(values)} {name}")
    if has_base != (method in WITH_BASE):
        raise JobFailed("config", f"{method} {'has no' if has_base else 'needs a'} base")
    if method == "slerp" and num != 2:
        raise JobFailed("config", f"slerp is of two models, not {num}")


def _check_alike(models: Mapping[str, Path]) -> str:
    """Compare all models with the first and return its dtype by mergekit's name."""
    try:
        configs = {role: _shape(read_config(model)) for role, model in models.items()}
        tensors = {role: read_tensors(model) for role, model in models.items()}
    except BadModel as error:
        raise JobFailed("config", f"a parent cannot be merged: {error}") from error
    tokenizers = {role: _tokenizer(model) for role, model in models.items()}
    one, *others = models
    for other in others:
        between = f"{one} and {other} cannot be merged:"
        for key in sorted(configs[one].keys() | configs[other].keys()):
            first, second = configs[one].get(key), configs[other].get(key)
            if first != second:
                raise JobFailed("config", f"{between} their {key} differ ({first} and {second})")
        for name in sorted(tensors[one].keys() | tensors[other].keys()):
            shapes = [t[name][1] if name in t else None for t in (tensors[one], tensors[other])]
            if shapes[0] != shapes[1]:
                raise JobFailed("config", f"{between} tensor {name} is {shapes[0]} and {shapes[1]}")
        if tokenizers[one] != tokenizers[other]:
            raise JobFailed("config", f"{between} their tokenizers differ")
    dtypes = {dtype for dtype, _ in tensors[one].values()}
    if len(dtypes) != 1 or not dtypes <= DTYPES.keys():
        raise JobFailed("config", f"a model whose tensors are {', '.join(sorted(dtypes))} cannot be merged")
    return DTYPES[dtypes.pop()]


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NOT_SHAPE}


def _tokenizer(parent: Path) -> Any:
    """Return what turns text into ids; how a tokenizer pads or names its class does not matter here."""
    path = parent / "tokenizer.json"
    if path.is_file():
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in tokenizer.items() if key not in ("padding", "truncation")}
    path = parent / "tokenizer.model"
    return path.read_bytes() if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where mergekit reads parents and base; every one in a folder of its own name."""

    parents: tuple[Path, ...]
    base: Path | None


def _apart(parents: Sequence[Path], base: Path | None, links: Path) -> Sources:
    """Names of its own for each model: mergekit takes what has one name for one, and refuses it twice."""
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(parents=True)

    def link(name: str, target: Path) -> Path:
        (links / name).symlink_to(target, target_is_directory=True)
        return links / name

    named = tuple(link(str(number), parent) for number, parent in enumerate(parents))
    return Sources(named, None if base is None else link("base", base))


def make_recipe(config: Mapping[str, Any], sources: Sources, dtype: str) -> MergeConfiguration:
    """The job's config as mergekit's."""
    from mergekit.common import ModelPath, ModelReference
    from mergekit.config import InputModelDefinition, MergeConfiguration

    def reference(folder: Path) -> ModelReference:
        return ModelReference(model=ModelPath(path=str(folder)))

    def parameters(number: int) -> dict[str, Any]:
        names = {"weights": "weight", "density": "density"}
        return {theirs: float(config[ours][number]) for ours, theirs in names.items() if ours in config}

    method = config["method"]
    base = reference(sources.parents[0] if sources.base is None else sources.base)
    shared: dict[str, Any] = {"normalize": config.get("normalize", False)}
    if method == "slerp":
        shared = {"t": float(config["t"])}
    return MergeConfiguration(
        merge_method=method,
        base_model=base,
        models=[
            InputModelDefinition(model=reference(parent), parameters=parameters(number) or None)
            for number, parent in enumerate(sources.parents)
        ],
        parameters=shared,
        dtype="float64" if dtype == "float64" else "float32",
        out_dtype=dtype,
    )


def _merge(recipe: MergeConfiguration, folder: Path) -> None:
    from mergekit.merge import MergeOptions, run_merge

    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True, device="cpu")
    run_merge(recipe, str(folder), options)
