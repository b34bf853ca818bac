"""The best of several models: by the metric's sense, ties to the earliest, the model itself unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exc.runtime.context import JobFailed
from exc.runtime.stages.select import run
from tests.runtime.harness import Published, make_context


def chosen(folder: Path, values: dict[int, float], *, mode: str = "max", metric: str = "pass@1") -> Published:
    inputs: dict[str, Path] = {}
    for step, value in values.items():
        model, score = folder / f"model-{step}", folder / f"score-{step}"
        model.mkdir(parents=True)
        score.mkdir()
        (model / "model.safetensors").write_bytes(b"weights of %d" % step)
        (score / "artifact.json").write_text(json.dumps({"metrics": {"pass@1": value}}), encoding="utf-8")
        inputs |= {f"model:{step}": model, f"score:{step}": score}
    ctx, published = make_context(folder, "select", {"metric": metric, "mode": mode}, inputs)
    run(ctx)
    return published


@pytest.mark.parametrize(
    ("values", "mode", "step"),
    [
        ({20: 0.1, 40: 0.3, 100: 0.2}, "max", 40),
        ({20: 0.1, 40: 0.3, 100: 0.2}, "min", 20),
        ({20: 0.3, 40: 0.1, 100: 0.3}, "max", 20),
        ({100: 0.5, 20: 0.5}, "min", 20),
    ],
)
def test_the_best_step_is_published(tmp_path: Path, values: dict[int, float], mode: str, step: int) -> None:
    published = chosen(tmp_path, values, mode=mode)
    assert (published.path() / "model" / "model.safetensors").read_bytes() == b"weights of %d" % step
    choice = json.loads((published.path() / "choice.json").read_text(encoding="utf-8"))
    assert (choice["step"], choice["values"]) == (step, {str(at): values[at] for at in sorted(values)})
    assert published.record()["metrics"] == {"step": step, "pass@1": values[step], "candidates": len(values)}


def test_a_score_without_the_metric_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match=r"has no pass@4; it has pass@1"):
        chosen(tmp_path, {20: 0.1}, metric="pass@4")
