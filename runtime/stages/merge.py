"""Models averaged by their weights, with mergekit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exc.runtime.context import JobContext, JobFailed
from exc.runtime.stages.model_folder import BadModel, copy_tokenizer, read_config, read_tensors

# What two configs of the same shape may differ in: the records of whoever wrote them.
NOT_SHAPE = (
    *("_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache"),
    *("bos_token_id", "eos_token_id", "pad_token_id"),
)
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F64": "float64"}


def run(ctx: JobContext) -> None:
    """Publish sum of weight_i x parent_i as a model.

    The weights are used as they are given, never rescaled to sum to one (mergekit's `normalize: false`). Sums
    are taken in float32 and written in the dtype of parent:0, which also gives config, generation config and
    tokenizer.
    Raises JobFailed("config") when the parents differ in shape or tokenizer.
    """
    parents = _parents(ctx)
    weights = [float(weight) for weight in ctx.config["weights"]]
    if ctx.config["method"] != "linear":
        raise JobFailed("config", f"merge method `{ctx.config['method']}` is not known; there is `linear`")
    if len(weights) != len(parents):
        raise JobFailed("config", f"{len(parents)} parents are merged with {len(weights)} weights")
    dtype = _check_alike(parents)
    merged = ctx.work / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    _merge(parents, weights, dtype, merged)
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


def _parents(ctx: JobContext) -> list[Path]:
    roles = sorted(
        (role for role in ctx.inputs if role.startswith("parent:")), key=lambda role: int(role[7:])
    )
    return [ctx.inputs[role].resolve() for role in roles]


def _check_alike(parents: Sequence[Path]) -> str:
    """Compare all parents with parent 0 and return its dtype by mergekit's name."""
    try:
        configs = [_shape(read_config(parent)) for parent in parents]
        tensors = [read_tensors(parent) for parent in parents]
    except BadModel as error:
        raise JobFailed("config", f"a parent cannot be merged: {error}") from error
    tokenizers = [_tokenizer(parent) for parent in parents]
    for number in range(1, len(parents)):
        between = f"parent:0 and parent:{number} cannot be merged:"
        for key in sorted(configs[0].keys() | configs[number].keys()):
            first, other = configs[0].get(key), configs[number].get(key)
            if first != other:
                raise JobFailed("config", f"{between} their {key} differ ({first} and {other})")
        for name in sorted(tensors[0].keys() | tensors[number].keys()):
            shapes = [t[name][1] if name in t else None for t in (tensors[0], tensors[number])]
            if shapes[0] != shapes[1]:
                raise JobFailed("config", f"{between} tensor {name} is {shapes[0]} and {shapes[1]}")
        if tokenizers[0] != tokenizers[number]:
            raise JobFailed("config", f"{between} their tokenizers differ")
    dtypes = {dtype for dtype, _ in tensors[0].values()}
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


def _merge(parents: Sequence[Path], weights: Sequence[float], dtype: str, folder: Path) -> None:
    """Have mergekit write the sum; it refuses a model that comes twice, so such a one's weights are added."""
    from mergekit.common import ModelPath, ModelReference
    from mergekit.config import InputModelDefinition, MergeConfiguration
    from mergekit.merge import MergeOptions, run_merge

    total: dict[Path, float] = {}
    for parent, weight in zip(parents, weights, strict=True):
        total[parent] = total.get(parent, 0.0) + weight
    references = {parent: ModelReference(model=ModelPath(path=str(parent))) for parent in total}
    config = MergeConfiguration(
        merge_method="linear",
        base_model=references[parents[0]],
        models=[
            InputModelDefinition(model=references[p], parameters={"weight": w}) for p, w in total.items()
        ],
        parameters={"normalize": False},
        dtype="float64" if dtype == "float64" else "float32",
        out_dtype=dtype,
    )
    options = MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True, device="cpu")
    run_merge(config, str(folder), options)
