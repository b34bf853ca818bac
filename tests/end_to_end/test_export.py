"""`exc export`: a folder that transformers loads, a card for the hub, a lineage down to the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.project import Project

pytestmark = pytest.mark.slow

RL = "mini/60/rl/r0/rl"


@pytest.fixture(scope="module")
def exported(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "model"
    said = finished.ok("export", RL, "-o", str(out))
    assert f"{out}: {RL}@6 (grpo/" in said
    assert "names no license" in said
    return out


def test_it_loads_and_generates_as_the_artifact_does(finished: Project, exported: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    artifact = finished.artifact(finished.plan.job(RL).artifact) / "model"
    models: list[Any] = [AutoModelForCausalLM.from_pretrained(folder) for folder in (exported, artifact)]
    ours, theirs = models
    tokenizer = AutoTokenizer.from_pretrained(exported)
    assert ours.generation_config.eos_token_id == tokenizer.eos_token_id
    ids = tokenizer("3+4=", return_tensors="pt").input_ids
    with torch.inference_mode():
        assert torch.equal(ours(ids).logits, theirs(ids).logits)
        assert ours.generate(ids, max_new_tokens=4, do_sample=False).shape[1] > ids.shape[1]
    assert not list(exported.glob("*.bin")) + list(exported.glob("*.pt"))


def front_of(card: str) -> dict[str, Any]:
    first, front, _ = card.split("---\n", 2)
    assert first == ""
    found: dict[str, Any] = yaml.safe_load(front)
    return found


def test_the_card_says_what_it_is(finished: Project, exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert front_of(card) == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["exc", "pretrain", "grpo", "trl"],
    }
    assert "`rl` on checkpoint 60 of trunk `mini` (15,360 tokens)" in card
    assert "6 rollouts of 2 prompts x 4 completions, 2 updates on each, learning rate 0.001" in card
    assert "60 steps of 8 sequences of 32 tokens, 15,360 tokens" in card
    job = finished.plan.job(RL)
    record = json.loads((finished.artifact(job.artifact) / "artifact.json").read_bytes())
    assert f"| `seed` | `{record['fields']['seed']}` |" in card
    assert f"| `{RL}@6` | {record['counts']['tokens']:,} | {record['counts']['samples']:,} |" in card
    prose = next(s for s in finished.plan.job("mini/tokenizer").config["sources"] if s["name"] == "prose")
    assert prose["files"][0]["sha256"] in card
    assert "documents 95.0%, prose 5.0%" in card
    assert f"torch {record['environment']['torch']}" in card
    assert "adopted" not in card
    for line in (
        "- `mini/tokenizer`: tokenizer",
        "- `tasks/sums/train`: rows",
        "- `mini/pretrain/60@60`: pretrain",
    ):
        assert line in card


def test_the_card_has_the_reports_own_numbers(finished: Project, exported: Path) -> None:
    finished_copy = finished.copy(exported.parent / "project")
    finished_copy.ok("report")
    data = json.loads((finished_copy.folder / "report" / "results.json").read_bytes())
    card = (exported / "README.md").read_text(encoding="utf-8")
    mine = [row for row in data["cells"] if row["model_job"] == RL and row["low"] is not None]
    assert {row["metric"] for row in mine} == {"pass@1", "pass@4", "bits_per_byte"}
    for row in mine:
        numbers = f"{row['value']:.4g} | {row['low']:.4g} to {row['high']:.4g} |"
        assert f"| {row['evaluation']} | {row['metric']} | {numbers}" in card


def test_the_lineage_leads_to_the_data_and_the_spec(exported: Path) -> None:
    data = json.loads((exported / "lineage.json").read_bytes())
    nodes = {node["artifact"]: node for node in data["artifacts"]}
    assert data["artifacts"][0]["job"] == RL
    for node in nodes.values():
        assert set(node.get("inputs", {}).values()) <= nodes.keys()
        assert node["source"][0].startswith("experiment.yaml:")
    assert {node["artifact"].partition("/")[0] for node in nodes.values()} == {
        *("grpo", "pretrain", "rows", "tokens", "tokenizer")
    }


def test_the_same_bytes_each_time_and_never_over_anything(
    finished: Project, exported: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    again.mkdir()  # an empty folder will do
    finished.ok("export", f"{RL}@6", "-o", str(again))
    files = sorted(path.name for path in exported.iterdir() if path.is_file())
    assert sorted(path.name for path in again.iterdir()) == files
    assert all((again / name).read_bytes() == (exported / name).read_bytes() for name in files)
    done = finished.exc("export", f"{RL}@6", "-o", str(again))
    assert (done.code, "not empty" in done.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_recipes_last_model_is_found_by_its_place(finished: Project, tmp_path: Path) -> None:
    done = finished.exc("export", "--final", "soup", "-o", str(tmp_path / "soup"))
    assert "has 2 last models; say which: --trunk mini --at 30 --replicate 0" in done.err
    said = finished.ok(
        "export", "--final", "soup", "--at", "30", "-o", str(tmp_path / "soup"), "--license", "mit"
    )
    assert "mini/30/soup/r0/soup" in said
    card = (tmp_path / "soup" / "README.md").read_text(encoding="utf-8")
    assert front_of(card)["license"] == "mit"
    assert "the linear merge of its parents, weights 0.5, 0.5" in card
    assert "it has: --trunk mini --at 30 --replicate 0, --trunk mini --at 60" in (
        finished.exc("export", "--final", "soup", "--at", "31", "-o", str(tmp_path / "x")).err
    )
    assert "it has: base, rl, sft" in finished.exc("export", "--final", "soap", "-o", str(tmp_path / "x")).err


def test_what_is_no_whole_model_is_not_exported(finished: Project, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "leaves no model" in finished.exc("export", "tasks/sums/train", "-o", str(out)).err
    project = finished.copy(tmp_path / "project")
    (tmp_path / "here").mkdir()
    inside = Project(tmp_path / "here", project.env).exc(
        "export", RL, str(project.folder / "plan"), "-o", "."
    )
    assert (inside.code, "is the folder you are in" in inside.err) == (1, True), inside
    folder = project.artifact(project.plan.job(RL).artifact)
    with (folder / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\1\2\3\4")
    assert "is not what was written" in project.exc("export", RL, "-o", str(out)).err
    shutil.rmtree(folder)
    assert "is not done" in project.exc("export", RL, "-o", str(out)).err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".out", "out"))] == []
