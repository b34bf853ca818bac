"""Real rows of GSM8K through all kinds of stages, pass@k and the search for problems in training data."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.end_to_end.project import Project

EXAMPLE = Path(__file__).parents[2] / "examples" / "gsm8k"
LEAKED = 3  # the row of the test file that stands in what is pre-trained on

# A model that learns nothing: what is tried is the way of the rows.
CHANGES = {
    "version": 1,
    "extends": ["gsm8k.yaml"],
    "experiment": "gsm8k-tiny",
    "data": {"web": {"jsonl": "data/web.jsonl"}},
    "tasks": {"gsm8k": {"rewards": {"form": "hashes"}, "splits": {"test": {"limit": 40}}}},
    "trunks": {
        "small": {
            "pretrain": {
                "model": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1},
                "data": {"web": 10},
                "batch_size": 8,
                "tokens": "40k",
                "schedule": {"shape": "constant", "peak": 3.0e-3, "warmup": "4k", "decay": None},
            },
            "checkpoints": {"tokens": None, "include": ["last"], "snap": None},
        }
    },
    "recipes": {
        "rl": [
            {
                "rl": {
                    "grpo": {
                        **{"task": "gsm8k", "num_generations": 4, "prompts_per_rollout": 2, "rollouts": 2},
                        "args": {"learning_rate": 2.0e-4, "max_completion_length": 16},
                    }
                }
            }
        ],
        "sft": [
            {
                "sft": {
                    "sft": {
                        **{"task": "gsm8k", "batch_size": 4, "max_steps": 3},
                        "args": {"learning_rate": 1.0e-3, "max_length": 384},
                    }
                }
            }
        ],
        "parallel": [
            {
                "avg": {
                    "parallel": {
                        **{"max_steps": 2, "weights": [0.5, 0.5]},
                        **{"rl": {"like": "rl.rl"}, "sft": {"like": "sft.sft"}},
                    }
                }
            }
        ],
        "soup": None,
    },
    "evaluations": {
        "gsm8k": {
            "pass_at_k": {
                **{"limit": 4, "k": [1, 4], "num_samples": 4, "max_new_tokens": 16},
                "num_fewshot": {"base": 1, "trained": 0},
            }
        },
        "ready": {
            "pass_at_k": {
                **{"task": "gsm8k", "split": "train", "limit": 4, "k": [1, 16], "num_samples": 16},
                "max_new_tokens": 16,
            },
            "on": {"recipes": ["base"]},
        },
        "english": None,
        "leaks": {"contamination": {"task": "gsm8k"}},
    },
    "accept": {"train-on-test": "a problem is planted"},
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "gsm8k"
    shutil.copytree(EXAMPLE / "data", folder / "data")
    shutil.copy(EXAMPLE / "corpus.py", folder)
    shutil.copy(EXAMPLE / "experiment.yaml", folder / "gsm8k.yaml")
    lines = (folder / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    problem = json.loads(lines[LEAKED])["question"]
    pages = ["A page about nothing. " * 60, f"From a forum: {problem.upper()} Please help!", "Another page."]
    web = "".join(json.dumps({"text": page}) + "\n" for page in pages)
    (folder / "data" / "web.jsonl").write_text(web, encoding="utf-8")
    (folder / "experiment.yaml").write_text(yaml.safe_dump(CHANGES, sort_keys=False), encoding="utf-8")
    return Project(folder)


@pytest.mark.ci
def test_real_rows_all_the_way(project: Project) -> None:
    for command in (("compile",), ("submit",), ("report",)):
        done = project.exc(*command)
        assert done.code == 0, str(done)
    told = project.exc("results").out
    assert "leaks, web: found 1 of 40 problems in 3 rows, e.g. problem 3 in web.jsonl row 2" in told
    tables = project.folder / "report" / "tables"
    found = _rows(tables / "contamination.csv")
    by_source = {row["data"]: row for row in found}
    assert set(by_source) == {"gsm8k-train", "problems", "english", "web"}
    assert (by_source["web"]["found"], by_source["web"]["found_whole"]) == ("1", "1")
    assert by_source["gsm8k-train"]["rows"] == "600"
    assert by_source["gsm8k-train"]["found_whole"] == "0", "the sets are apart"
    assert by_source["web"]["trains"] == "the mixture of small"
    cells = _rows(tables / "cells.csv")
    measured = {(row["evaluation"], row["recipe"]) for row in cells if row["state"] == "measured"}
    arms = ("base", "rl", "sft", "sft-rl", "parallel")
    assert measured == {("ready", "base"), *(("gsm8k", arm) for arm in arms)}
    names = {row["metric"] for row in cells if row["evaluation"] == "ready"}
    assert {"pass@1", "pass@16", "maj@16", "entropy", "distinct", "parse_rate"} <= names


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
