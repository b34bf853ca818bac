"""What is the same computation, and what is not. A pin that fails asks for a decision, not a new number."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler import identity
from exc.compiler.identity import (
    FIELDS,
)
from exc.compiler.plan import Plan
from exc.spec.profiles import Profile
from tests.compiler.study import STUDY, SpecData, artifacts, edited, identities, loaded, plan_of, plan_with
from tests.strategies import fill, namings, profiles, shuffled

# One job of every kind, as the study with a command has it. Training kinds: the last kept step.
PINNED = {
    "data/right": ("derive", "14d32e9f003063ddb7b1d59d64b76861bd9989885b37be2764e524c9415af25c"),
    "data/rated": ("rate", "5b0626de0f3da3fb7d61f1c25459c175c9447f4dc2cd793d699501e8b5ec53c8"),
    "tiny/tokenizer": ("tokenizer", "8c4501fe1e341132542579b60bb49e9036c8288ae87c0e7e438abc5dcefa0b88"),
    "tasks/sums/test": ("rows", "c79939721bc3726f2335ed8a2e572c6bcc45607b35aa5005287e2ee6e2cb9986"),
    "tiny/tokens/problems": ("tokens", "8127529e176a5aee74ff977f39d8ce9a78b2037743071403336c86210673b54e"),
    "tiny/pretrain/700": ("pretrain", "83b3916dcfbc6c6864f743c6fe7b5cb5c74dcdf53af3f8eba9f9abd7f7eb7687"),
    "tiny/400/sft/r0/sft": ("sft", "01f296deba95457e27d9b01b8fc04d7a84a3def82a400bcb76ea8988d5b3364a"),
    "tiny/400/rl/r0/rl": ("grpo", "8afc1febe28b75741ec535ab066175bc21e7d77b59f552aa24e05e6451c82239"),
    "tiny/400/dpo/r0/dpo": ("dpo", "8f2b4ba8d1ced646d8ae724393df2c4c76bc3613efe6a2a2f55faa3777d0d743"),
    "tiny/400/loo/r0/loo": ("rloo", "9e820afc72b89cee5d0c0965202f212201e04e43f6bcc03863a6ba529535f0be"),
    "tiny/400/kto/r0/kto": ("kto", "a01b8135bc0d88a0265275f4052616e262dd1499a50bf996291c4d96485e8bf6"),
    "tiny/400/avg/r0/avg": ("parallel", "657c2748f7aafef2877f176624988d6ba26a2c8389a2dde65311a839690b93aa"),
    "tiny/400/sum/r0/sum": ("combined", "d87cbb0cfd6ccfa75b6053084ccdf11f4372dd084035445a903c6c9d92321a06"),
    "tiny/400/turn/r0/turn": (
        "interleave",
        "426f0f1b1f97a0e41522727fa4d9b1b47b9e9ba6d2625f9b1f6c251e8374f735",
    ),
    "own/pretrain/400": ("trainer", "1af3b4df1b8f36041d8c6cf44ebefdac9e10d2032ebfa0f60dc0f97e00f9159f"),
    "tiny/400/zero/r0/rl": ("fetch", "c7065b481afb33a47d45ccaa1916d2525cc27c54865f355782f2d9d014f6ce52"),
    "tiny/400/soup/r0/soup": ("merge", "e05e7367d2cf5ef4acee7ee7828a6839a7d12c0acaaf10a40aabe36d570ba1f0"),
    "tiny/400/rl/r0/rl@best.sums.pass@1": (
        "select",
        "9eecb3c1eff30cdbd455597ddee3e38533b25375a79191762d6006c2d0bcb8a7",
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
        "e00672189432d3089446513df8702d18f8d99391d93683b621ac6bb2be2894f7",
    ),
    "tiny/400/rl/r0/rl.text.bits_per_byte": (
        "bits_per_byte",
        "5cf9e8e66617563230de4042c3a51343f8367decb2d1ecd0e45cffc25e19be1c",
    ),
    "tiny/400/rl/r0/rl.harness.lm_eval": (
        "lm_eval",
        "60981985b806a710dbbdc02cabe20252f3bf5e5513e2a5d20274476b2723e7b4",
    ),
    "contamination/leaks/problems": (
        "contamination",
        "bdbc1883b1073e061a63e49658fc93da42b5fa566025a97ec85316d4b9df6c74",
    ),
    "smoke/rl.rl": ("smoke", "00170022c7df0534db5e3007804f013b3bf798b123c145ea79a488a6f4046691"),
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
_SIDES = {"rl": {"like": "rl.rl"}, "sft": {"like": "sft.sft", "args": {"learning_rate": None}}}
PAIRED = {
    "recipes.avg": [{"avg": {"parallel": {"max_steps": 30, "sync_every": 3, "keep": [6], **_SIDES}}}],
    "recipes.sum": [{"sum": {"combined": {"max_steps": 30, "weights": [1.0, 0.1], **_SIDES}}}],
    "recipes.turn": [{"turn": {"interleave": {"rounds": 5, "rl_steps": 2, "sft_steps": 4, **_SIDES}}}],
}
OTHERS = {
    "recipes.loo": [
        {"loo": {"rloo": {"task": "sums", "num_generations": 8, "prompts_per_rollout": 8, "rollouts": 40}}}
    ],
    "recipes.kto": [{"kto": {"kto": {"task": "sums", "batch_size": 8, "max_steps": 20, "unpair": True}}}],
}
COMMAND = {"recipes.scaled": [{"scale": {"command": {"run": "python scale.py", "files": ["scale.py"]}}}]}
TRAINER = {
    "trunks.own": {
        "command": {"run": "python train.py", "tokens": 1_000_000, "tokens_per_step": 1000},
        "checkpoints": [400],
    }
}
MEASURED = {
    "evaluations.harness": {"lm_eval": {"tasks": ["piqa", "hellaswag"], "limit": 100, "num_fewshot": 0}},
    "evaluations.leaks": {"contamination": {"task": "sums"}},
}


def test_literal_identities() -> None:
    changes = MEASURED | COMMAND | SELECT | DPO | FETCH | DERIVED | PAIRED | OTHERS | TRAINER
    plan = plan_with(changes, profile=SMOKED)
    jobs = {job_id: plan.job(job_id) for job_id in PINNED}
    found = {job_id: (job.kind, job.identity) for job_id, job in jobs.items()}
    assert {kind for kind, _ in found.values()} == set(FIELDS), "one job of every kind"
    assert found == PINNED


# --- what changes nothing


def test_a_field_added_at_its_default_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = artifacts(plan_of())
    grown = {
        kind: replace(table, fields={**table.fields, "added_later": default})
        for (kind, table), default in zip(FIELDS.items(), [0, None, "", False, ()] * 6, strict=False)
    }
    monkeypatch.setattr(identity, "FIELDS", grown)
    assert len(grown) == len(FIELDS)
    assert artifacts(plan_of()) == before


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


def test_no_two_jobs_leave_the_same_artifact() -> None:
    plan: Plan = plan_with(COMMAND)
    left = [artifact for job in plan for artifact in job.artifacts()]
    assert len(left) == len(set(left))
