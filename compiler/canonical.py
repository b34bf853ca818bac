"""The canonical forms of a config's fields: what is written in two ways and means the same has one form.

Each takes a field's value and the config that it stands in, and gives what `exc.compiler.identity` hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from exc.spec.args import identity_args

Form = Callable[[Any, Mapping[str, Any]], Any]  # of a field's value in its config


def encode(value: Any) -> bytes:
    """Plain values as bytes, the same for equal ones: JSON with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def source_form(source: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    if source["kind"] == "job":  # its identity is among the inputs
        return {"job": source["role"]}
    if source["kind"] == "python":
        function = source["target"].partition(":")[2]
        out: dict[str, Any] = {"python": function, "code": source["code"], "args": source["args"]}
        return out | ({"files": [file["sha256"] for file in source["files"]]} if source["files"] else {})
    if source["kind"] == "reasoning_gym":
        return {
            "reasoning_gym": source["generator"],
            **{key: source[key] for key in ("size", "seed", "config", "version")},
        }
    out = {source["kind"]: [file["sha256"] for file in source["files"]]}
    if source["kind"] == "text":
        out["split"] = source["split"]
    return out


def sources_form(sources: list[Mapping[str, Any]], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [source_form(source, config) for source in sources]


def where_form(where: Mapping[str, Mapping[str, Any]], _: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions by column. Equal values count once, in any order, and 1.0 is 1."""
    return {
        column: {
            word: _distinct(value) if isinstance(value, list | tuple) else _number(value)
            for word, value in condition.items()
        }
        for column, condition in where.items()
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    found = {encode(value): value for value in map(_number, values)}
    return [found[key] for key in sorted(found)]


def _number(value: Any) -> Any:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if is_whole else value


def files_form(files: list[Mapping[str, Any]], _: Mapping[str, Any]) -> list[list[str]]:
    return [[file["path"].rsplit("/", 1)[-1], file["sha256"]] for file in files]


def hub_form(hub: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """A repository at its commit. The revision counts only as long as nobody knows what it means."""
    part = {name: hub[name] for name in ("part", "only") if name in hub}
    if hub["commit"] is None:
        return {"repo": hub["repo"], "revision": hub["revision"], **part}
    return {"repo": hub["repo"], "commit": hub["commit"], **part}


# Verifiers that once judged otherwise. numeric: since 2 the power of a unit, `24 cm^2`, is no answer, and
# `3 1/2` is one number. math: since 2 an answer that is an amount, `\$18.90`, can be read.
_VERIFIER_VERSIONS = {"numeric": 2, "math": 2}


def verifier_form(verifier: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    if verifier["kind"] == "python":
        return {"python": verifier["target"].partition(":")[2], "code": verifier["code"]}
    version = _VERIFIER_VERSIONS.get(verifier["kind"])
    return {"kind": verifier["kind"], **({} if version is None else {"version": version})}


def lr_until(lr: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The learning-rate function on the steps up to `step`, and nothing of what comes after it."""
    out: dict[str, Any] = {"peak": lr["peak"], "warmup_steps": lr["warmup_steps"]}
    decay_start = lr["total_steps"] - lr["decay_steps"]
    if lr["shape"] == "constant" or (lr["shape"] == "wsd" and step <= decay_start):
        return {"shape": "constant", **out}
    out |= {"shape": lr["shape"], "total_steps": lr["total_steps"], "floor": lr["floor"]}
    if lr["shape"] == "wsd":
        out["decay_steps"] = lr["decay_steps"]
    return out


def args_form(stage: str) -> Form:
    """The form of a training stage's `args`."""
    return lambda args, _: identity_args(stage, args)


def lora_form(lora: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """Adapters; the layers that get one are a set."""
    layers = lora["target_modules"]
    return {**lora, "target_modules": layers if isinstance(layers, str) else sorted(set(layers))}


def holds_horizon(args: Mapping[str, Any]) -> bool:
    """Whether the learning rate at a step depends on how long the stage will run."""
    if args["lr_scheduler_type"] == "constant_with_warmup":
        warmup: float = args["warmup_steps"]
        return 0 < warmup < 1  # such a warm-up is a share of the run
    return bool(args["lr_scheduler_type"] != "constant")


def schedules(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The `args` of a training stage's config that have a learning rate: its own, or those of its sides."""
    found = [config, config.get("rl", {}), config.get("sft", {})]
    return [part["args"] for part in found if "lr_scheduler_type" in part.get("args", ())]


def horizon_form(value: int, config: Mapping[str, Any]) -> int | None:
    return value if any(map(holds_horizon, schedules(config))) else None


def pretrain_lr_form(lr: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return lr_until(lr, config.get("start_step", 0) + config["step"])


def judged_form(judging: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """How samples are judged, of a smoke run that draws some."""
    return {**judging, "verifier": verifier_form(judging["verifier"], {})}
