"""Identity: the hash that says which computation an artifact is the result of.

A job's identity is the sha256 of a tagged canonical encoding of its kind and that kind's version, the
identity fields of its config, and the identities of its inputs. `FIELDS` is the one place that lists what is
hashed; what is not there (names, paths, resources, micro-batches, logging) cannot change an identity. A field
whose value is its default is left out, so that one added later changes no identity that was there before.

A training job has a computation hash, and each kept step is an artifact of its own: H(computation, step).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from exc.compiler.canonical import (
    Form,
    args_form,
    encode,
    files_form,
    horizon_form,
    hub_form,
    judged_form,
    lora_form,
    pretrain_lr_form,
    source_form,
    sources_form,
    verifier_form,
    where_form,
)
from exc.spec.args import frozen_defaults, stage_version
from exc.spec.paired import PAIRED_KINDS, SIDES

ALWAYS = object()  # no default: the field is always part of identity

# Training kinds whose every job ends at one kept step, and is a segment of one run.
SEGMENTED = frozenset({"pretrain", "trainer"})

TRAINING_KINDS = frozenset({"pretrain", "trainer", "sft", "grpo", "rloo", "dpo", "kto", *PAIRED_KINDS})


@dataclass(frozen=True, slots=True)
class KindIdentity:
    """What of a kind's config is hashed: field -> default, and how a field is brought into canonical form."""

    version: int
    fields: Mapping[str, Any]
    canonical: Mapping[str, Form]


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


def _smoked_args(args: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in args.items() if key not in _NOT_SMOKED_ARGS}


def _side_form(side: str) -> Form:
    """The form of one side of a stage that has two: that of the stage it is like, without length and seed."""
    kind = SIDES[side]

    def form(config: Mapping[str, Any], _: Mapping[str, Any]) -> dict[str, Any]:
        args = {**frozen_defaults(kind), **config["args"]}  # a side lacks what is not read of it
        fields = identity_fields(kind, {**config, "args": args, "seed": None})
        version = {} if FIELDS[kind].version == 1 else {"version": FIELDS[kind].version}
        return version | {name: value for name, value in fields.items() if name != "seed"}

    return form


def _smoke_config(config: Mapping[str, Any], smoke: Mapping[str, Any]) -> dict[str, Any]:
    """What a smoke run tries of a kind's config: what its memory, templates and verifiers depend on."""
    out: dict[str, Any] = {"version": FIELDS[smoke["of"]].version}
    for name, value in identity_fields(smoke["of"], config).items():
        if name == "args":
            out[name] = _smoked_args(value)
        elif name in SIDES:
            out[name] = {**value, "args": _smoked_args(value["args"])}
        elif name not in _NOT_SMOKED:
            out[name] = value
    if config.get("micro_batch_size") is not None:
        out["micro_batch_size"] = config["micro_batch_size"]
    return out


# What takes longer is not verified: seconds. Never change this default.
_TIMEOUT: Mapping[str, Any] = {"verifier_timeout": 60}
# Of stages that learn from their own samples.
_ROLLOUTS: Mapping[str, Any] = {
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
    "engine": "transformers",
    "seed": ALWAYS,
}
_ROLLOUT_FORMS: Mapping[str, Form] = {
    "lora": lora_form,
    "verifier": verifier_form,
    "rollouts": horizon_form,
}

_BOTH_SIDES: Mapping[str, Any] = {"rl": ALWAYS, "sft": ALWAYS, "lora": None, "seed": ALWAYS}
_SIDE_FORMS: Mapping[str, Form] = {"rl": _side_form("rl"), "sft": _side_form("sft"), "lora": lora_form}

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
        {"sources": sources_form, "files": files_form},
    ),
    "rows": KindIdentity(1, {"source": ALWAYS, "columns": ALWAYS, "limit": None}, {"source": source_form}),
    "tokens": KindIdentity(1, {"source": ALWAYS, "text": "text"}, {"source": source_form}),
    "derive": KindIdentity(
        1,
        {"source": ALWAYS, "where": {}, "group_by": None, "drop": 0, "take": None, "pairs": None},
        {"source": source_form, "where": where_form},
    ),
    "rate": KindIdentity(
        1,
        {"verifier": ALWAYS, "num_samples": ALWAYS, "max_unverifiable": ALWAYS, **_TIMEOUT},
        {"verifier": verifier_form},
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
        {"lr": pretrain_lr_form},
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
        {"args": args_form("sft"), "lora": lora_form, "max_steps": horizon_form},
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
        {"args": args_form("dpo"), "lora": lora_form, "max_steps": horizon_form},
    ),
    "grpo": KindIdentity(stage_version("grpo"), _ROLLOUTS, {"args": args_form("grpo"), **_ROLLOUT_FORMS}),
    "rloo": KindIdentity(stage_version("rloo"), _ROLLOUTS, {"args": args_form("rloo"), **_ROLLOUT_FORMS}),
    "kto": KindIdentity(
        stage_version("kto"),
        {
            "prompt": ALWAYS,
            "unpair": False,
            "batch_size": ALWAYS,
            "max_steps": None,
            "args": ALWAYS,
            "lora": None,
            "seed": ALWAYS,
        },
        {"args": args_form("kto"), "lora": lora_form, "max_steps": horizon_form},
    ),
    "parallel": KindIdentity(
        1,
        {"weights": ALWAYS, "sync_every": 1, "max_steps": None, **_BOTH_SIDES},
        {"max_steps": horizon_form, **_SIDE_FORMS},
    ),
    "combined": KindIdentity(
        1,
        {"weights": ALWAYS, "max_steps": None, **_BOTH_SIDES},
        {"max_steps": horizon_form, **_SIDE_FORMS},
    ),
    "interleave": KindIdentity(
        1,
        {"rl_steps": ALWAYS, "sft_steps": ALWAYS, "rounds": None, **_BOTH_SIDES},
        {"rounds": horizon_form, **_SIDE_FORMS},
    ),
    "merge": KindIdentity(
        1, {"method": ALWAYS, "weights": None, "t": None, "density": None, "normalize": False}, {}
    ),
    # `resume` says how it goes on, and `keep` what else is branched: neither is hashed.
    "trainer": KindIdentity(
        1,
        {
            "run": ALWAYS,
            "files": (),
            "leaves": ALWAYS,
            "convert": None,
            "tokens_per_step": ALWAYS,
            "total_steps": ALWAYS,
            "seed": ALWAYS,
        },
        {"files": files_form},
    ),
    "fetch": KindIdentity(
        1,
        {"hub": None, "files": ()},
        {"hub": hub_form, "files": files_form},
    ),
    "select": KindIdentity(1, {"metric": ALWAYS, "mode": ALWAYS}, {}),
    "command": KindIdentity(
        1, {"run": ALWAYS, "files": (), "leaves": "model", "seed": ALWAYS}, {"files": files_form}
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
            "chat_template": False,
            "engine": "transformers",
            "seed": ALWAYS,
        },
        {},
    ),
    "score": KindIdentity(
        2,  # which since then counts maj@k at every k, entropy and `distinct` answers
        {
            "verifier": ALWAYS,
            "k": ALWAYS,
            "num_samples": ALWAYS,
            "max_unverifiable": ALWAYS,
            **_TIMEOUT,
        },
        {"verifier": verifier_form},
    ),
    "bits_per_byte": KindIdentity(
        1,
        {"source": ALWAYS, "text": "text", "sequence_length": ALWAYS, "limit_bytes": None},
        {"source": source_form},
    ),
    "lm_eval": KindIdentity(
        1,
        {
            "harness": ALWAYS,
            "tasks": ALWAYS,
            "mean": (),
            "limit": None,
            "num_fewshot": None,
            "seed": ALWAYS,
            "files": (),
        },
        {"files": files_form},
    ),
    "contamination": KindIdentity(
        1, {"source": ALWAYS, "fields": ALWAYS, "limit": None, "ngram": ALWAYS}, {"source": source_form}
    ),
    # The shape is that of the model, never its weights: one run stands for all checkpoints.
    "smoke": KindIdentity(
        1,
        {"of": ALWAYS, "config": ALWAYS, "shape": ALWAYS, "gpus": 0, "judged": None},
        {"config": _smoke_config, "judged": judged_form},
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
    return orjson.Fragment(encode(identity_fields(kind, config)))


def identity_of(kind: str, fields: orjson.Fragment, inputs: Mapping[str, Any]) -> str:
    """`job_identity` from encoded fields."""
    version = FIELDS[kind].version
    return _digest("job", {"kind": kind, "version": version, "fields": fields, "inputs": inputs})


def step_identity(computation: str, step: int) -> str:
    """The identity of the artifact that a training computation leaves at `step`."""
    return _digest("step", {"computation": computation, "step": step})


def source_digest(source: Mapping[str, Any]) -> str:
    """The digest of what a data source says, blind to its name and where its files lie."""
    return _digest("source", source_form(source, {}))


def digest_of_all(values: Iterable[Any]) -> str:
    """The sha256 of plain values in canonical form, one a line, for plans and others compared as a whole."""
    digest = hashlib.sha256(b"exc:values:1:")
    for value in values:
        digest.update(encode(value) + b"\n")
    return digest.hexdigest()


def _digest(tag: str, value: Any) -> str:
    return hashlib.sha256(b"exc:" + tag.encode() + b":1:" + encode(value)).hexdigest()
