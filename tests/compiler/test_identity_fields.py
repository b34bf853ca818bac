"""What is another computation: every field that is hashed counts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from exc.compiler import identity
from exc.compiler.canonical import verifier_form
from exc.compiler.identity import (
    ALWAYS,
    FIELDS,
    KindIdentity,
    identity_fields,
    job_identity,
)
from exc.spec.arg_roles import role
from exc.spec.args import resolve_args
from exc.spec.paired import LENGTHS, PAIRED_KINDS, SIDES

_FILE = {"path": "data/a.jsonl", "bytes": 3, "sha256": "aa"}
_JSONL = {"name": "a", "kind": "jsonl", "files": [_FILE]}
_NUMERIC = {"kind": "numeric"}
_LORA = {
    "r": 8,
    "lora_alpha": 16.0,
    "lora_dropout": 0.0,
    "target_modules": "all-linear",
    "use_rslora": False,
}
_JUDGED = {"verifier": _NUMERIC, "max_unverifiable": 0.05}
_EITHER = {"method": "linear", "weights": [1.0], "metric": "pass@1", "mode": "max"}  # of merge or of select
_SIDES: Mapping[str, Any] = {
    "rl": {
        "prompt": "{question}",
        "stop": ["\n"],
        "verifier": _NUMERIC,
        "rewards": {"correct": 1.0, "format": 0.0},
        "num_generations": 8,
        "prompts_per_rollout": 8,
        "args": resolve_args("grpo", {}),
    },
    "sft": {
        "prompt": "{question}",
        "demonstrations": "first",
        "batch_size": 16,
        "args": resolve_args("sft", {}),
    },
}
_PAIR: Mapping[str, Any] = {**_SIDES, "seed": 1}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "tokenizer": {
        "algorithm": "bpe",
        "vocab_size": 512,
        "split_digits": True,
        "max_bytes": 1000,
        "sources": [_JSONL],
    },
    "rows": {"source": _JSONL, "columns": {"answer": {"column": "answer", "regex": None}}, "limit": 5},
    "tokens": {"source": _JSONL, "text": "text"},
    "derive": {
        "source": _JSONL,
        "where": {"level": {"min": 1}},
        "group_by": "question",
        "drop": 1,
        "take": 2,
        "pairs": {"per_problem": 1},
    },
    "rate": {"verifier": _NUMERIC, "num_samples": 16, "max_unverifiable": 0.05},
    "pretrain": {
        "model": {"architecture": "llama", "hidden_size": 64},
        "batch_size": 16,
        "sequence_length": 64,
        "lr": {
            "shape": "cosine",
            "peak": 1e-3,
            "warmup_steps": 5,
            "total_steps": 100,
            "decay_steps": 0,
            "floor": 0.0,
        },
        "optimizer": {"betas": [0.9, 0.95]},
        "precision": "fp32",
        "seed": 1,
        "step": 50,
    },
    "sft": {
        "prompt": "{question}",
        "demonstrations": "first",
        "batch_size": 16,
        "max_steps": 60,
        "args": resolve_args("sft", {}),
        "seed": 1,
    },
    "grpo": {
        "prompt": "{question}",
        "stop": ["\n"],
        "verifier": _NUMERIC,
        "rewards": {"correct": 1.0, "format": 0.0},
        "num_generations": 8,
        "prompts_per_rollout": 8,
        "updates_per_rollout": 2,
        "rollouts": 40,
        "args": resolve_args("grpo", {}),
        "seed": 1,
    },
    "rloo": {
        "prompt": "{question}",
        "stop": ["\n"],
        "verifier": _NUMERIC,
        "rewards": {"correct": 1.0, "format": 0.0},
        "num_generations": 8,
        "prompts_per_rollout": 8,
        "updates_per_rollout": 2,
        "rollouts": 40,
        "args": resolve_args("rloo", {}),
        "seed": 1,
    },
    "kto": {
        "prompt": "{question}",
        "batch_size": 16,
        "max_steps": 60,
        "args": resolve_args("kto", {}),
        "seed": 1,
    },
    "dpo": {
        "prompt": "{question}",
        "batch_size": 16,
        "max_steps": 60,
        "args": resolve_args("dpo", {}),
        "lora": _LORA,
        "seed": 1,
    },
    "parallel": {"max_steps": 60, "weights": [0.5, 0.5], "sync_every": 3, **_PAIR},
    "combined": {"max_steps": 60, "weights": [1.0, 0.1], **_PAIR},
    "interleave": {"rounds": 20, "rl_steps": 1, "sft_steps": 4, **_PAIR},
    "merge": {"method": "linear", "weights": [0.5, 0.5]},
    "select": {"metric": "pass@1", "mode": "max"},
    "fetch": {"hub": {"repo": "org/model", "revision": "main", "commit": "abc", "files": []}},
    "command": {"run": "true", "files": [_FILE], "leaves": "model", "seed": 1},
    "trainer": {
        "run": "true",
        "files": [_FILE],
        "leaves": "step{step}",
        "convert": "cp",
        "tokens_per_step": 4096,
        "total_steps": 100,
        "seed": 1,
    },
    "sample": {
        "prompt": "{question}",
        "stop": ["\n"],
        "num_fewshot": 4,
        "fewshot_seed": 7,
        "limit": 10,
        "block": 0,
        "block_size": 16,
        "temperature": 1.0,
        "top_p": 0.9,
        "max_new_tokens": 32,
        "seed": 1,
    },
    "score": {"verifier": _NUMERIC, "k": [1, 4], "num_samples": 16, "max_unverifiable": 0.05},
    "bits_per_byte": {"source": _JSONL, "text": "question", "sequence_length": 64, "limit_bytes": 1000},
    "lm_eval": {
        "harness": "0.4.13",
        "tasks": ["hellaswag", "own"],
        "mean": ["hellaswag/acc_norm", "own/acc"],
        "limit": 10,
        "num_fewshot": 4,
        "seed": 1,
        "files": [_FILE],
    },
    "contamination": {"source": _JSONL, "fields": ["question"], "limit": 10, "ngram": 13},
    "smoke": {"of": "merge", "config": _EITHER, "shape": {"hub": "org/model"}, "gpus": 1, "judged": _JUDGED},
}
_OTHER_FILE = {**_FILE, "sha256": "bb"}
_OTHER_JSONL = {**_JSONL, "files": [_OTHER_FILE]}
_PYTHON = {"kind": "python", "target": "checks:numeric", "code": "cc"}
OTHER: Mapping[str, Any] = {
    "rl": {**_SIDES["rl"], "args": resolve_args("grpo", {"beta": 0.1})},
    "sft": {**_SIDES["sft"], "args": resolve_args("sft", {"learning_rate": 3e-3})},
    "sync_every": 4,
    "rounds": 21,
    "rl_steps": 2,
    "sft_steps": 5,
    "algorithm": "path",
    "vocab_size": 513,
    "split_digits": False,
    "max_bytes": 1001,
    "sources": [_OTHER_JSONL],
    "files": [_OTHER_FILE],
    "source": _OTHER_JSONL,
    "columns": {"answer": {"column": "answer", "regex": "(.*)"}},
    "limit": 6,
    "where": {"level": {"max": 1}},
    "group_by": "level",
    "drop": 2,
    "take": 3,
    "pairs": {"per_problem": 2},
    "text": "body",
    "model": {"architecture": "llama", "hidden_size": 65},
    "batch_size": 32,
    "sequence_length": 128,
    "optimizer": {"betas": [0.9, 0.99]},
    "precision": "bf16",
    "seed": 2,
    "prompt": "{question}?",
    "demonstrations": "all",
    "max_steps": 61,
    "stop": [],
    "verifier": _PYTHON,
    "rewards": {"correct": 1.0, "format": 0.1},
    "num_generations": 4,
    "prompts_per_rollout": 16,
    "updates_per_rollout": 1,
    "rollouts": 41,
    "convert": "mv",
    "tokens_per_step": 8192,
    "total_steps": 200,
    "method": "slerp",
    "t": 0.5,
    "density": [0.2, 0.2],
    "normalize": True,
    "engine": "vllm",
    "unpair": True,
    "metric": "pass@4",
    "lora": {**_LORA, "r": 16},
    "hub": {"repo": "org/model", "revision": "main", "commit": "def", "files": []},
    "start_step": 10,
    "start_row": 160,
    "data_seed": 7,
    "mode": "min",
    "weights": [0.25, 0.75],
    "run": "false",
    "leaves": "out",
    "num_fewshot": 5,
    "fewshot_seed": 8,
    "block": 1,
    "block_size": 8,
    "temperature": 0.9,
    "top_p": 1.0,
    "max_new_tokens": 33,
    "chat_template": True,
    "k": [1, 8],
    "num_samples": 32,
    "max_unverifiable": 0.1,
    "verifier_timeout": 90,
    "limit_bytes": 1001,
    "harness": "0.4.14",
    "tasks": ["hellaswag"],
    "mean": ["hellaswag/acc_norm"],
    "fields": ["question", "answer"],
    "ngram": 8,
    "of": "select",
    "config": {**_EITHER, "method": "slerp"},
    "shape": {"hub": "org/other"},
    "gpus": 2,
    "judged": {**_JUDGED, "verifier": _PYTHON},
}
EVERY_FIELD = [(kind, name) for kind, table in FIELDS.items() for name in table.fields]


@pytest.mark.parametrize("kind", FIELDS)
def test_a_default_written_out_is_the_default(kind: str) -> None:
    config = CONFIGS[kind]
    defaults = {name: default for name, default in FIELDS[kind].fields.items() if default is not ALWAYS}
    bare = {name: value for name, value in config.items() if name not in defaults}
    horizon = {name: config[name] for name in ("max_steps", "rollouts", "rounds") if name in config}
    written = {**bare, **{name: list(d) if d == () else d for name, d in defaults.items()}, **horizon}
    assert job_identity(kind, {**bare, **horizon}, {}) == job_identity(kind, written, {})


@pytest.mark.parametrize(("kind", "field"), EVERY_FIELD)
def test_every_identity_field_counts(kind: str, field: str) -> None:
    config = CONFIGS[kind]
    if field == "args":
        changed = {**config, "args": {**config["args"], "learning_rate": 3e-3}}
    elif field == "lr":
        changed = {**config, "lr": {**config["lr"], "peak": 2e-3}}
    else:
        changed = {**config, field: OTHER[field]}
    assert job_identity(kind, changed, {}) != job_identity(kind, config, {})


@pytest.mark.parametrize("kind", FIELDS)
def test_inputs_and_their_roles_and_the_kind_count(kind: str) -> None:
    config = CONFIGS[kind]
    found = {
        job_identity(kind, config, inputs) for inputs in ({}, {"model": "a"}, {"model": "b"}, {"rows": "a"})
    }
    assert len(found) == 4


def test_the_version_of_a_kind_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_identity("merge", CONFIGS["merge"], {})
    table = FIELDS["merge"]
    newer = KindIdentity(table.version + 1, table.fields, table.canonical)
    monkeypatch.setattr(identity, "FIELDS", {**FIELDS, "merge": newer})
    assert job_identity("merge", CONFIGS["merge"], {}) != before


def test_the_version_of_a_verifier_counts_for_that_verifier_alone() -> None:
    kinds = ("numeric", "exact", "math", "reasoning_gym")
    forms = {kind: verifier_form({"kind": kind}, {}) for kind in kinds}
    assert [kind for kind, form in forms.items() if form != {"kind": kind}] == ["numeric", "math"]


def test_texts_that_run_together_are_kept_apart() -> None:
    one = {**CONFIGS["command"], "run": "ab", "leaves": "c"}
    other = {**CONFIGS["command"], "run": "a", "leaves": "bc"}
    assert job_identity("command", one, {}) != job_identity("command", other, {})


@pytest.mark.parametrize("value", [{}, {"output_dir": "x"}, {"logging_steps": 7}])
def test_where_logs_go_is_no_identity(value: dict[str, Any]) -> None:
    config = copy.deepcopy(dict(CONFIGS["sft"]))
    config["args"].update(value)
    assert job_identity("sft", config, {}) == job_identity("sft", CONFIGS["sft"], {})


@pytest.mark.parametrize("kind", ["sft", "grpo"])
@pytest.mark.parametrize(
    ("args", "shared"),
    [
        ({"lr_scheduler_type": "constant"}, True),
        ({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 5.0}, True),
        # A warm-up below 1 is a share of the run, and a longer run warms up longer.
        ({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 0.1}, False),
        ({"lr_scheduler_type": "linear"}, False),
    ],
)
def test_stages_share_what_does_not_depend_on_their_length(
    kind: str, args: dict[str, Any], shared: bool
) -> None:
    length = {"sft": "max_steps", "grpo": "rollouts"}[kind]
    short = {**CONFIGS[kind], "args": resolve_args(kind, args), length: 30}
    assert (job_identity(kind, short, {}) == job_identity(kind, {**short, length: 70}, {})) is shared


def test_an_unknown_kind_or_a_missing_field_is_an_error() -> None:
    with pytest.raises(KeyError):
        identity_fields("distill", {})
    with pytest.raises(KeyError, match="method"):
        identity_fields("merge", {"weights": [0.5, 0.5]})


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", PAIRED_KINDS)
def test_another_version_of_a_side_is_another_computation(
    kind: str, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = job_identity(kind, CONFIGS[kind], {})
    of_side = SIDES[side]
    newer = {**FIELDS, of_side: replace(FIELDS[of_side], version=FIELDS[of_side].version + 1)}
    monkeypatch.setattr(identity, "FIELDS", newer)
    assert job_identity(kind, CONFIGS[kind], {}) != before


# What a stage says for both sides: from which seed, with which adapters, how long.
_OF_BOTH = ("seed", "lora", *LENGTHS.values())
_OF_A_SIDE = [
    (side, name) for side, like in SIDES.items() for name in FIELDS[like].fields if name not in _OF_BOTH
]


@pytest.mark.parametrize(("side", "field"), _OF_A_SIDE)
@pytest.mark.parametrize("kind", PAIRED_KINDS)
def test_every_field_of_a_side_counts(kind: str, side: str, field: str) -> None:
    config, own = CONFIGS[kind], CONFIGS[kind][side]
    value = {**own["args"], "learning_rate": 3e-3} if field == "args" else OTHER[field]
    if field == "updates_per_rollout":
        value = 2
    changed = {**config, side: {**own, field: value}}
    assert job_identity(kind, changed, {}) != job_identity(kind, config, {})


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (kind, field)
        for kind in ("sft", "dpo", "kto", "grpo", "rloo")
        for field in resolve_args(kind, {})
        if role(kind, field) == "result"
    ],
)
def test_every_result_field_of_args_counts(kind: str, field: str) -> None:
    config = CONFIGS[kind]
    changed = {**config, "args": {**config["args"], field: "another value"}}
    assert job_identity(kind, changed, {}) != job_identity(kind, config, {})
    for paired in PAIRED_KINDS if kind in SIDES.values() else ():
        side = next(side for side, like in SIDES.items() if like == kind)
        whole = CONFIGS[paired]
        other = {**whole[side], "args": {**whole[side]["args"], field: "another value"}}
        assert job_identity(paired, {**whole, side: other}, {}) != job_identity(paired, whole, {})
