"""What is the same computation, and what is not. A pin that fails asks for a decision, not a new number."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler import identity
from exc.compiler.canonical import lr_until
from exc.compiler.identity import (
    ALWAYS,
    FIELDS,
    KindIdentity,
    identity_fields,
    job_identity,
    step_identity,
)
from exc.compiler.plan import Plan
from exc.spec.args import resolve_args
from exc.spec.profiles import Profile
from tests.compiler.study import STUDY, SpecData, artifacts, edited, identities, loaded, plan_of, plan_with
from tests.strategies import fill, namings, profiles, shuffled

# One job of every kind, as the study with a command has it. Training kinds: the last kept step.
PINNED = {
    "data/right": ("derive", "3dda675e4d473355aeeba3aa222ae6d1a314025823c1c51dbf8fb13cf5cb6ec2"),
    "data/rated": ("rate", "b680abb5875cef1144b67046f82eec63448533b03edf5d3ddb7ab1023c31305e"),
    "tiny/tokenizer": ("tokenizer", "8c4501fe1e341132542579b60bb49e9036c8288ae87c0e7e438abc5dcefa0b88"),
    "tasks/sums/test": ("rows", "c79939721bc3726f2335ed8a2e572c6bcc45607b35aa5005287e2ee6e2cb9986"),
    "tiny/tokens/problems": ("tokens", "8127529e176a5aee74ff977f39d8ce9a78b2037743071403336c86210673b54e"),
    "tiny/pretrain/700": ("pretrain", "83b3916dcfbc6c6864f743c6fe7b5cb5c74dcdf53af3f8eba9f9abd7f7eb7687"),
    "tiny/400/sft/r0/sft": ("sft", "01f296deba95457e27d9b01b8fc04d7a84a3def82a400bcb76ea8988d5b3364a"),
    "tiny/400/rl/r0/rl": ("grpo", "c5b3601db0aefa15172ba576f84f4b0b218751d73ef872682c90d57c3f3736ff"),
    "tiny/400/dpo/r0/dpo": ("dpo", "8f2b4ba8d1ced646d8ae724393df2c4c76bc3613efe6a2a2f55faa3777d0d743"),
    "tiny/400/zero/r0/rl": ("fetch", "c7065b481afb33a47d45ccaa1916d2525cc27c54865f355782f2d9d014f6ce52"),
    "tiny/400/soup/r0/soup": ("merge", "4ebbaa810984c6f5abb1b607ec75c353536bb9399cca0f659b2c40cb06333ede"),
    "tiny/400/rl/r0/rl@best.sums.pass@1": (
        "select",
        "0e564332438be3cffe468e94b489bb3a3588842bc6ab90f402635790769ac9bd",
    ),
    "tiny/400/scaled/r0/scale": (
        "command",
        "66dcdb4a5f677157e53223dcd02ad8dcc79e247a69ca1f533388da226eeb040c",
    ),
    "tiny/pretrain/400.sums.sample.0": (
        "sample",
        "dc2de3502aa912491bc8f5622426c50f693727a5a3ed12e6f38d16f4b53b44b8",
    ),
    "tiny/400/rl/r0/rl.sums.score": (
        "score",
        "8de140f4535bb3dd4435cf17c2f71ad1dde66d1d6e29c65a4c7c38ab9a087296",
    ),
    "tiny/400/rl/r0/rl.text.bits_per_byte": (
        "bits_per_byte",
        "2606dffe94841f86a2876017aa3dab0c70450b599c874c624813df68e04284eb",
    ),
    "smoke/rl.rl": ("smoke", "749b16a8b53c880a97abe516187eb2328f8c9577c198fe2408cabe7ca0006855"),
}

BEST = {"recipe": "rl", "step": {"best": {"evaluation": "sums", "metric": "pass@1"}}}
SELECT = {"recipes.best": [{"more": {"from": BEST, "sft": {"like": "sft.sft"}}}]}
FETCH = {"recipes.zero": [{"rl": {"hub": "org/model"}}]}
DPO = {
    "tasks.sums.splits.pairs": {"data": "held-out"},
    "recipes.dpo": [{"dpo": {"dpo": {"task": "sums", "split": "pairs", "batch_size": 8, "max_steps": 20}}}],
}
DERIVED = {
    "data.rated": {
        "samples": {
            "from": {"trunk": "tiny", "at": 400},
            "task": "sums",
            "num_samples": 16,
            "max_new_tokens": 32,
        }
    },
    "data.right": {"data": "rated", "where": {"num_correct": {"min": 1}}, "take": 100},
    "tasks.sums.splits.own": {"data": "right"},
    "recipes.rft": [{"rft": {"sft": {"like": "sft.sft", "split": "own"}}}],
}
SMOKED = Profile.model_validate({"resources": [{"on": {"kind": "grpo"}, "smoke": True}]})
COMMAND = {"recipes.scaled": [{"scale": {"command": {"run": "python scale.py", "files": ["scale.py"]}}}]}


def test_literal_identities() -> None:
    plan = plan_with(COMMAND | SELECT | DPO | FETCH | DERIVED, profile=SMOKED)
    jobs = {job_id: plan.job(job_id) for job_id in PINNED}
    found = {job_id: (job.kind, job.identity) for job_id, job in jobs.items()}
    assert {kind for kind, _ in found.values()} == set(FIELDS), "one job of every kind"
    assert found == PINNED


# --- what changes nothing


def test_a_field_added_at_its_default_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = artifacts(plan_of())
    grown = {
        kind: replace(table, fields={**table.fields, "added_later": default})
        for (kind, table), default in zip(FIELDS.items(), [0, None, "", False, ()] * 4, strict=False)
    }
    monkeypatch.setattr(identity, "FIELDS", grown)
    assert len(grown) == len(FIELDS)
    assert artifacts(plan_of()) == before


@pytest.mark.parametrize("kind", FIELDS)
def test_a_default_written_out_is_the_default(kind: str) -> None:
    config = CONFIGS[kind]
    defaults = {name: default for name, default in FIELDS[kind].fields.items() if default is not ALWAYS}
    bare = {name: value for name, value in config.items() if name not in defaults}
    horizon = {"sft": {"max_steps": 60}, "grpo": {"rollouts": 40}}.get(kind, {})
    written = {**bare, **{name: list(d) if d == () else d for name, d in defaults.items()}, **horizon}
    assert job_identity(kind, {**bare, **horizon}, {}) == job_identity(kind, written, {})


def test_comments_and_layout_change_nothing() -> None:
    text = "# what it is about\n" + STUDY.replace("recipes:", "\n# the branches\nrecipes:  # four of them")
    assert identities(plan_of(text)) == identities(plan_of(STUDY))


def test_descriptions_and_the_report_change_nothing() -> None:
    changes = {
        "experiment": "other",
        "description": "another text",
        "report.title": "A title",
        "report.contrasts": [{"a": "rl", "b": "base"}],
        "accept": {"mid-decay": "it is meant"},
    }
    assert identities(plan_with(changes)) == identities(plan_of())


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_key_order_changes_nothing(random: Random) -> None:
    assert identities(plan_of(shuffled(loaded(), random))) == identities(plan_of())


@settings(max_examples=20, deadline=None)
@given(profiles())
def test_profiles_change_nothing(profile: Profile) -> None:
    assert identities(plan_of(profile=profile, profile_name="other")) == identities(plan_of())


# The study with a placeholder for every name that a person chose.
NAMES = {
    "docs", "problems", "held-out", "task", "train", "test", "tiny", "rl", "sft", "sft-rl", "soup", "pass",
    "text", "rl-stage", "sft-stage", "soup-stage", "twice",
}  # fmt: skip
NAMED: SpecData = {
    "version": 1,
    "experiment": "study",
    "data": {
        "<docs>": {"python": "arithmetic:documents", "args": {"num": 1000}},
        "<problems>": {"jsonl": "data/problems.jsonl"},
        "<twice>": {"jsonl": "data/problems.jsonl"},
        "<held-out>": {"jsonl": "data/held_out.jsonl"},
    },
    "tasks": {
        "<task>": {
            "prompt": "{question} =",
            "splits": {
                "<train>": {"data": "<problems>", "columns": {"demonstrations": "worked"}},
                "<test>": {"data": "<held-out>"},
            },
            "fewshot": {"data": "<problems>"},
        }
    },
    "trunks": {
        "<tiny>": {
            "pretrain": {
                **loaded()["trunks"]["tiny"]["pretrain"],
                "data": {"<docs>": 3, "<problems>": 1, "<twice>": 2},
            },
            "checkpoints": [400, 1000],
        }
    },
    "recipes": {
        "<rl>": [
            {
                "<rl-stage>": {
                    "grpo": {
                        "task": "<task>",
                        "split": "<train>",
                        "num_generations": 8,
                        "prompts_per_rollout": 8,
                        "rollouts": 40,
                        "keep": [20],
                    }
                }
            }
        ],
        "<sft>": [
            {
                "<sft-stage>": {
                    "sft": {"task": "<task>", "split": "<train>", "batch_size": 16, "max_steps": 60}
                }
            }
        ],
        "<sft-rl>": [{"<rl-stage>": {"from": "<sft>", "grpo": {"like": "<rl>.<rl-stage>", "rollouts": 40}}}],
        "<soup>": [{"<soup-stage>": {"merge": {"of": ["<rl>", "<sft>"]}}}],
    },
    "evaluations": {
        "<pass>": {
            "pass_at_k": {
                "task": "<task>",
                "split": "<test>",
                "k": [1, 4],
                "num_samples": 16,
                "max_new_tokens": 32,
                "num_fewshot": {"base": 4},
            }
        },
        "<text>": {"bits_per_byte": {"data": "<held-out>", "text": "question"}},
    },
}
USUAL = {name: name for name in NAMES}


@settings(max_examples=30, deadline=None)
@given(namings(NAMES))
def test_names_change_nothing(naming: dict[str, str]) -> None:
    assert artifacts(plan_of(fill(NAMED, naming))) == artifacts(plan_of(fill(NAMED, USUAL)))


@pytest.mark.parametrize("path", ["data/moved.jsonl", "elsewhere/problems.jsonl"])
def test_where_a_file_lies_changes_nothing(path: str) -> None:
    moved = plan_with({"data.problems.jsonl": path}, contents={path: "data/problems.jsonl"})
    assert identities(moved) == identities(plan_of())


def test_what_a_file_holds_counts() -> None:
    changed = identities(plan_of(contents={"data/held_out.jsonl": "other rows"}))
    before = identities(plan_of())
    differ = {name for name in before if before[name] != changed[name]}
    assert "tasks/sums/test" in differ
    assert all(
        name.endswith((".score", ".sample.0", ".bits_per_byte")) for name in differ - {"tasks/sums/test"}
    )


UNRELATED: list[dict[str, Any]] = [
    {"recipes.long": [{"sft": {"sft": {"like": "sft.sft", "max_steps": 90}}}]},
    {"recipes.other-rl": [{"rl": {"grpo": {"like": "rl.rl", "rollouts": 10, "args": {"beta": 0.1}}}}]},
    {
        "recipes.late": [
            {"sft": {"from": {"recipe": "rl", "step": 10}, "sft": {"like": "sft.sft", "max_steps": 5}}}
        ]
    },
    {"replicates": [{"num": 3, "on": {"recipes": ["rl"]}}]},
    {"trunks.tiny.checkpoints": [100, 400, 500, 700, 1000]},
    {"evaluations.more": {"pass_at_k": {"task": "sums", "k": [1], "num_samples": 16, "max_new_tokens": 64}}},
    {"data.unread": {"text": "notes.txt"}},
    {"tasks.sums.splits.more": {"data": "docs"}},
    {"recipes.rl.0.rl.grpo.keep": [10, 20, 30]},
]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(UNRELATED), min_size=1, max_size=4))
def test_other_jobs_change_nothing(more: list[dict[str, Any]]) -> None:
    changes = {path: value for change in more for path, value in change.items()}
    assert artifacts(plan_of()) <= artifacts(plan_with(changes))


def test_training_on_demonstrations_changes_nothing_for_rl() -> None:
    """Even where the split does not declare them, so that reading them takes another job."""
    bare = {
        "tasks.sums.splits.train.columns": None,
        "recipes.sft": None,
        "recipes.sft-rl": None,
        "recipes.soup": None,
    }
    without_sft = edited(bare)
    with_sft = edited({"tasks.sums.splits.train.columns": None})
    assert artifacts(plan_of(without_sft)) <= artifacts(plan_of(with_sft))
    reads = {need.role: need.job for need in plan_of(with_sft).job("tiny/400/sft/r0/sft").needs}
    assert reads["rows"] == "tasks/sums/train.demonstrations"


# --- what changes everything

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
    "dpo": {
        "prompt": "{question}",
        "batch_size": 16,
        "max_steps": 60,
        "args": resolve_args("dpo", {}),
        "lora": _LORA,
        "seed": 1,
    },
    "merge": {"method": "linear", "weights": [0.5, 0.5]},
    "select": {"metric": "pass@1", "mode": "max"},
    "fetch": {"hub": {"repo": "org/model", "revision": "main", "commit": "abc", "files": []}},
    "command": {"run": "true", "files": [_FILE], "leaves": "model", "seed": 1},
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
    "smoke": {"of": "merge", "config": _EITHER, "shape": {"hub": "org/model"}, "gpus": 1, "judged": _JUDGED},
}
_OTHER_FILE = {**_FILE, "sha256": "bb"}
_OTHER_JSONL = {**_JSONL, "files": [_OTHER_FILE]}
_PYTHON = {"kind": "python", "target": "checks:numeric", "code": "cc"}
OTHER: Mapping[str, Any] = {
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
    "method": "slerp",
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
    "k": [1, 8],
    "num_samples": 32,
    "max_unverifiable": 0.1,
    "verifier_timeout": 90,
    "limit_bytes": 1001,
    "of": "select",
    "config": {**_EITHER, "method": "slerp"},
    "shape": {"hub": "org/other"},
    "gpus": 2,
    "judged": {**_JUDGED, "verifier": _PYTHON},
}
EVERY_FIELD = [(kind, name) for kind, table in FIELDS.items() for name in table.fields]


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
    with pytest.raises(KeyError, match="weights"):
        identity_fields("merge", {"method": "linear"})


# --- learning rates and kept steps


def _lr(shape: str, total: int, decay: int = 0) -> dict[str, Any]:
    return {
        "shape": shape,
        "peak": 1e-3,
        "warmup_steps": 10,
        "total_steps": total,
        "decay_steps": decay,
        "floor": 0.1,
    }


@pytest.mark.parametrize(
    ("shape", "decay", "step", "shared"),
    [
        ("constant", 0, 100, True),
        ("wsd", 20, 80, True),  # the last step before the shorter run decays
        ("wsd", 20, 81, False),
        ("cosine", 0, 20, False),
        ("linear", 0, 20, False),
    ],
)
def test_two_horizons_share_what_their_learning_rate_shares(
    shape: str, decay: int, step: int, shared: bool
) -> None:
    short, long = lr_until(_lr(shape, 100, decay), step), lr_until(_lr(shape, 200, decay), step)
    assert (short == long) is shared


def test_wsd_before_its_decay_is_constant() -> None:
    assert lr_until(_lr("wsd", 100, 20), 80) == lr_until(_lr("constant", 100), 80)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine", "wsd"])
@settings(max_examples=40, deadline=None)
@given(
    one=st.tuples(st.integers(20, 60), st.integers(1, 10)),
    other=st.tuples(st.integers(20, 60), st.integers(1, 10)),
    step=st.integers(1, 60),
)
def test_the_same_hashed_rate_means_the_same_rates(
    shape: str, one: tuple[int, int], other: tuple[int, int], step: int
) -> None:
    """Whatever is hashed alike trains alike: on every step up to the checkpoint the rate is equal."""
    from exc.compiler.learning_rate import make_schedule

    first, second = _lr(shape, *one), _lr(shape, *other)
    if step <= min(one[0], other[0]) and lr_until(first, step) == lr_until(second, step):
        a, b = make_schedule(first), make_schedule(second)
        assert [a(t) for t in range(step)] == [b(t) for t in range(step)]


def test_a_kept_step_is_an_artifact_of_its_own() -> None:
    a, b = "a" * 64, "b" * 64
    assert len({step_identity(a, 1), step_identity(a, 2), step_identity(b, 1), a}) == 4
    assert step_identity(a, 1) == step_identity(a, 1)


def test_the_last_kept_step_is_the_jobs_artifact() -> None:
    job = plan_of().job("tiny/400/rl/r0/rl")
    assert job.kept == {20: step_identity(job.computation, 20), 40: step_identity(job.computation, 40)}
    assert job.identity == job.kept[40]


def test_no_two_jobs_leave_the_same_artifact() -> None:
    plan: Plan = plan_with(COMMAND)
    left = [artifact for job in plan for artifact in job.artifacts()]
    assert len(left) == len(set(left))
