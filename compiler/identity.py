"""Identity: the hash that says which computation an artifact is the result of.

A job's identity is the sha256 of a tagged canonical encoding of its kind and that kind's version, the
identity fields of its config, and the identities of its inputs. `FIELDS` is the one place that lists what is
hashed; what is not there (names, paths, resources, micro-batches, logging) cannot change an identity. A field
whose value is its default is left out, so that one added later changes no identity that was there before.

A training job has a computation hash, and each kept step is an artifact of its own: H(computation, step).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from exc.spec.args import identity_args, stage_version

ALWAYS = object()  # no default: the field is always part of identity

TRAINING_KINDS = frozenset({"pretrain", "sft", "grpo", "dpo"})


@dataclass(frozen=True, slots=True)
class KindIdentity:
    """What of a kind's config is hashed: field -> default, and how a field is brought into canonical form."""

    version: int
    fields: Mapping[str, Any]
    canonical: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]]


def _source(source: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    if source["kind"] == "job":  # its identity is among the inputs
        return {"job": source["role"]}
    if source["kind"] == "python":
        function = source["target"].partition(":")[2]
        out: dict[str, Any] = {"python": function, "code": source["code"], "args": source["args"]}
        return out | ({"files": [file["sha256"] for file in source["files"]]} if source["files"] else {})
    out = {source["kind"]: [file["sha256"] for file in source["files"]]}
    if source["kind"] == "text":
        out["split"] = source["split"]
    return out


def _sources(sources: list[Mapping[str, Any]], config: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_source(source, config) for source in sources]


def _where(where: Mapping[str, Mapping[str, Any]], _: Mapping[str, Any]) -> dict[str, Any]:
    """Conditions by column. Equal values count once, in any order, and 1.0 is 1."""
    return {
        column: {
            word: _distinct(value) if isinstance(value, list | tuple) else _number(value)
            for word, value in condition.items()
        }
        for column, condition in where.items()
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    found = {_canonical(value): value for value in map(_number, values)}
    return [found[key] for key in sorted(found)]


def _number(value: Any) -> Any:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if is_whole else value


def _files(files: list[Mapping[str, Any]], _: Mapping[str, Any]) -> list[list[str]]:
    return [[file["path"].rsplit("/", 1)[-1], file["sha256"]] for file in files]


def _hub(hub: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """A repository at its commit. The revision counts only as long as nobody knows what it means."""
    part = {"part": hub["part"]} if "part" in hub else {}
    if hub["commit"] is None:
        return {"repo": hub["repo"], "revision": hub["revision"], **part}
    return {"repo": hub["repo"], "commit": hub["commit"], **part}


def _verifier(verifier: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    if verifier["kind"] == "python":
        return {"python": verifier["target"].partition(":")[2], "code": verifier["code"]}
    return {"kind": verifier["kind"]}


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


def _sft_args(args: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    return identity_args("sft", args)


def _grpo_args(args: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    return identity_args("grpo", args)


def _dpo_args(args: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    return identity_args("dpo", args)


def holds_horizon(args: Mapping[str, Any]) -> bool:
    """Whether the learning rate at a step depends on how long the stage will run."""
    if args["lr_scheduler_type"] == "constant_with_warmup":
        warmup: float = args["warmup_steps"]
        return 0 < warmup < 1  # such a warm-up is a share of the run
    return bool(args["lr_scheduler_type"] != "constant")


def _horizon(value: int, config: Mapping[str, Any]) -> int | None:
    return value if holds_horizon(config["args"]) else None


def _pretrain_lr(lr: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return lr_until(lr, config.get("start_step", 0) + config["step"])


# Of a class, what its smoke run does not try: which random numbers are drawn, and how large a step is.
_NOT_SMOKED = frozenset(
    {"seed", "data_seed", "fewshot_seed", "block", "lr", "optimizer", "start_step", "start_row", "model"}
)
_NOT_SMOKED_ARGS = frozenset(
    {
        *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio"),
        *("weight_decay", "max_grad_norm", "adam_beta1", "adam_beta2", "adam_epsilon"),
    }
)


def _smoke_config(config: Mapping[str, Any], smoke: Mapping[str, Any]) -> dict[str, Any]:
    """What a smoke run tries of a kind's config: what its memory, templates and verifiers depend on."""
    out: dict[str, Any] = {"version": FIELDS[smoke["of"]].version}
    for name, value in identity_fields(smoke["of"], config).items():
        if name == "args":
            out[name] = {key: each for key, each in value.items() if key not in _NOT_SMOKED_ARGS}
        elif name not in _NOT_SMOKED:
            out[name] = value
    if config.get("micro_batch_size") is not None:
        out["micro_batch_size"] = config["micro_batch_size"]
    return out


def _judged(judging: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
    """How samples are judged, of a smoke run that draws some."""
    return {**judging, "verifier": _verifier(judging["verifier"], {})}


# What takes longer is not verified: seconds. Never change this default.
_TIMEOUT: Mapping[str, Any] = {"verifier_timeout": 60}

FIELDS: Mapping[str, KindIdentity] = {
    "tokenizer": KindIdentity(
        1,
        {
            "algorithm": ALWAYS,
            "vocab_size": None,
            "split_digits": None,
            "max_bytes": None,
            "sources": (),
            "files": (),
        },
        {"sources": _sources, "files": _files},
    ),
    "rows": KindIdentity(1, {"source": ALWAYS, "columns": ALWAYS, "limit": None}, {"source": _source}),
    "tokens": KindIdentity(1, {"source": ALWAYS, "text": "text"}, {"source": _source}),
    "derive": KindIdentity(
        1,
        {"source": ALWAYS, "where": {}, "group_by": None, "drop": 0, "take": None, "pairs": None},
        {"source": _source, "where": _where},
    ),
    "rate": KindIdentity(
        1,
        {"verifier": ALWAYS, "num_samples": ALWAYS, "max_unverifiable": ALWAYS, **_TIMEOUT},
        {"verifier": _verifier},
    ),
    "pretrain": KindIdentity(
        1,
        {
            "model": ALWAYS,
            "batch_size": ALWAYS,
            "sequence_length": ALWAYS,
            "lr": ALWAYS,
            "optimizer": ALWAYS,
            "precision": "fp32",
            "seed": ALWAYS,
            # Of a run that goes on where another ended; the model and the state are among the inputs.
            "start_step": 0,
            "start_row": 0,
            "data_seed": None,
        },
        {"lr": _pretrain_lr},
    ),
    "sft": KindIdentity(
        stage_version("sft"),
        {
            "prompt": ALWAYS,
            "demonstrations": ALWAYS,
            "batch_size": ALWAYS,
            "max_steps": None,
            "args": ALWAYS,
            "lora": None,
            "seed": ALWAYS,
        },
        {"args": _sft_args, "max_steps": _horizon},
    ),
    "dpo": KindIdentity(
        stage_version("dpo"),
        {
            "prompt": ALWAYS,
            "batch_size": ALWAYS,
            "max_steps": None,
            "args": ALWAYS,
            "lora": None,
            "seed": ALWAYS,
        },
        {"args": _dpo_args, "max_steps": _horizon},
    ),
    "grpo": KindIdentity(
        stage_version("grpo"),
        {
            "prompt": ALWAYS,
            "stop": (),
            "verifier": ALWAYS,
            **_TIMEOUT,
            "rewards": ALWAYS,
            "num_generations": ALWAYS,
            "prompts_per_rollout": ALWAYS,
            "updates_per_rollout": 1,
            "rollouts": None,
            "args": ALWAYS,
            "lora": None,
            "seed": ALWAYS,
        },
        {"args": _grpo_args, "verifier": _verifier, "rollouts": _horizon},
    ),
    "merge": KindIdentity(1, {"method": ALWAYS, "weights": ALWAYS}, {}),
    "fetch": KindIdentity(
        1,
        {"hub": None, "files": ()},
        {"hub": _hub, "files": _files},
    ),
    "select": KindIdentity(1, {"metric": ALWAYS, "mode": ALWAYS}, {}),
    "command": KindIdentity(
        1, {"run": ALWAYS, "files": (), "leaves": "model", "seed": ALWAYS}, {"files": _files}
    ),
    "sample": KindIdentity(
        1,
        {
            "prompt": ALWAYS,
            "stop": (),
            "num_fewshot": 0,
            "fewshot_seed": None,
            "limit": None,
            "block": ALWAYS,
            "block_size": ALWAYS,
            "temperature": ALWAYS,
            "top_p": 1.0,
            "max_new_tokens": ALWAYS,
            "seed": ALWAYS,
        },
        {},
    ),
    "score": KindIdentity(
        1,
        {
            "verifier": ALWAYS,
            "k": ALWAYS,
            "num_samples": ALWAYS,
            "max_unverifiable": ALWAYS,
            **_TIMEOUT,
        },
        {"verifier": _verifier},
    ),
    "bits_per_byte": KindIdentity(
        1,
        {"source": ALWAYS, "text": "text", "sequence_length": ALWAYS, "limit_bytes": None},
        {"source": _source},
    ),
    # The shape is that of the model, never its weights: one run stands for all checkpoints.
    "smoke": KindIdentity(
        1,
        {"of": ALWAYS, "config": ALWAYS, "shape": ALWAYS, "gpus": 0, "judged": None},
        {"config": _smoke_config, "judged": _judged},
    ),
}


def identity_fields(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What is hashed of a job's config. Raises KeyError for an unknown kind or a missing required field."""
    table = FIELDS[kind]
    out: dict[str, Any] = {}
    for name, default in table.fields.items():
        value = config[name] if default is ALWAYS else config.get(name, default)
        canonical = table.canonical.get(name)
        if canonical is not None and value is not None:
            value = canonical(value, config)
        if default is ALWAYS or not (value == default or (default == () and value == [])):
            out[name] = value
    return out


def job_identity(kind: str, config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """The identity of a job, or the computation hash of a training job. `inputs`: role -> identity."""
    return identity_of(kind, encoded_fields(kind, config), inputs)


def encoded_fields(kind: str, config: Mapping[str, Any]) -> orjson.Fragment:
    """`identity_fields` as they are hashed: jobs that share a config need them once."""
    return orjson.Fragment(_canonical(identity_fields(kind, config)))


def identity_of(kind: str, fields: orjson.Fragment, inputs: Mapping[str, Any]) -> str:
    """`job_identity` from encoded fields."""
    version = FIELDS[kind].version
    return _digest("job", {"kind": kind, "version": version, "fields": fields, "inputs": inputs})


def step_identity(computation: str, step: int) -> str:
    """The identity of the artifact that a training computation leaves at `step`."""
    return _digest("step", {"computation": computation, "step": step})


def source_digest(source: Mapping[str, Any]) -> str:
    """The digest of what a data source says, blind to its name and where its files lie."""
    return _digest("source", _source(source, {}))


def digest_of_all(values: Iterable[Any]) -> str:
    """The sha256 of plain values in canonical form, one a line, for plans and others compared as a whole."""
    digest = hashlib.sha256(b"exc:values:1:")
    for value in values:
        digest.update(_canonical(value) + b"\n")
    return digest.hexdigest()


def _digest(tag: str, value: Any) -> str:
    return hashlib.sha256(b"exc:" + tag.encode() + b":1:" + _canonical(value)).hexdigest()


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
