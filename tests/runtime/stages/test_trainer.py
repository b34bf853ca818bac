"""A trainer of one's own: what it sees, where it goes on, and what it must leave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobContext, JobFailed, Stopped
from exc.runtime.stages.trainer import run
from tests.runtime.core.world import wait_until
from tests.runtime.harness import Published, make_context

# Counts steps in a file; at each step that is branched it leaves a model whose weight is the count.
TRAINER = """\
import json, os, struct, sys, time
from pathlib import Path

work, stop = Path(os.environ["EXC_WORK"]), int(os.environ["EXC_STEP"])
keep = {int(step) for step in os.environ["EXC_KEEP"].split(",")}
state, calls = work / "state", work.parent / "calls"
step = int(state.read_text()) if state.exists() else 0
with calls.open("a") as out:
    out.write(f"{step}-{stop} {' '.join(sys.argv[1:])}\\n")
if "--through" in sys.argv:
    stop = int(os.environ["EXC_STEPS"])
while step < stop:
    step += 1
    folder = work / f"step{step}"
    if step in keep:
        folder.mkdir(exist_ok=True)
        header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        weights = struct.pack("<Q", len(header)) + header + struct.pack("<f", step)
        if os.environ.get("DIES_AT") == str(step):
            (folder / "model.safetensors").write_bytes(weights[:-2])
            os.kill(os.getpid(), 9)
        (folder / "model.safetensors").write_bytes(weights)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (folder / "tokenizer.json").write_text("{}")
        (folder / "optimizer.pt").write_text("large")
    state.write_text(str(step))
    time.sleep(float(os.environ.get("PER_STEP", 0)))
"""


def job(
    folder: Path, step: int, run_line: str = f"{sys.executable} train.py", **more: Any
) -> tuple[JobContext, Published]:
    (folder / "train.py").write_text(TRAINER, encoding="utf-8")
    inputs = more.pop("inputs", {})
    stops = more.pop("should_stop", lambda: False)
    config = {
        "run": run_line,
        "leaves": "step{step}",
        "tokens_per_step": 10,
        "total_steps": 9,
        "seed": 7,
        "keep": [3, 6, 9],
        "step": step,
        **more,
    }
    return make_context(folder, "trainer", config, inputs, kept=(step,), should_stop=stops)


def calls(folder: Path) -> list[str]:
    return [line.strip() for line in (folder / "work/calls").read_text().splitlines()]


def weight(published: Published, step: int) -> bytes:
    return (published.path(step) / "model/model.safetensors").read_bytes()[-4:]


def test_segments_go_on_where_the_one_before_ended(tmp_path: Path) -> None:
    for step in (3, 6):
        context, published = job(tmp_path, step)
        run(context)
    assert calls(tmp_path) == ["0-3", "3-6"]
    assert weight(published, 3) != weight(published, 6)
    assert sorted(path.name for path in (published.path(6) / "model").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json"
    ]  # fmt: skip
    assert published.record(6)["counts"]["tokens"] == 60


def test_one_that_runs_through_is_not_started_again(tmp_path: Path) -> None:
    line = f"{sys.executable} train.py --through"
    for step in (3, 6, 9):
        context, published = job(tmp_path, step, line)
        run(context)
    assert calls(tmp_path) == ["0-3 --through"]
    assert weight(published, 9) != weight(published, 6)


def test_a_checkpoint_before_what_was_reached_is_trained_to_anew(tmp_path: Path) -> None:
    run(job(tmp_path, 6, keep=[6, 9])[0])
    context, published = job(tmp_path, 3)
    run(context)
    assert calls(tmp_path) == ["0-6", "6-3", "0-3"]
    assert published.path(3).is_dir()
    run(job(tmp_path, 9)[0])
    assert calls(tmp_path)[3:] == ["6-9"]  # the run itself goes on from where it was
    assert sorted(path.name for path in (tmp_path / "work").glob("run*")) == ["run", "run-left.json"]


def test_a_half_written_checkpoint_of_one_that_was_killed_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIES_AT", "3")
    context, published = job(tmp_path, 3)
    with pytest.raises(JobFailed, match="SIGKILL"):
        run(context)
    assert (tmp_path / "work/run/step3").is_dir()
    monkeypatch.delenv("DIES_AT")
    run(job(tmp_path, 3)[0])
    alone = tmp_path / "alone"
    alone.mkdir()
    fresh, whole = job(alone, 3)
    run(fresh)
    assert weight(published, 3) == weight(whole, 3)
    assert calls(tmp_path) == ["0-3", "2-3"]


def test_stopped_it_goes_on_and_leaves_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PER_STEP", "0.2")
    state = tmp_path / "work/run/state"
    context, _ = job(tmp_path, 6, should_stop=lambda: state.exists() and int(state.read_text() or 0) >= 2)
    with pytest.raises(Stopped):
        run(context)
    monkeypatch.setenv("PER_STEP", "0")
    again, published = job(tmp_path, 6, resume=f"{sys.executable} train.py --resume")
    run(again)
    began, said = calls(tmp_path)
    assert began == "0-6"
    assert said.endswith("-6 --resume")
    assert not said.startswith("0-")
    assert published.path(6).is_dir()


def test_what_it_sees(tmp_path: Path) -> None:
    names = ("EXC_STEP", "EXC_STEPS", "EXC_KEEP", "EXC_SEED", "EXC_INPUT_MODEL")
    line = "; ".join(f'echo "${{{name}}}" >> seen' for name in names)
    model = tmp_path / "base"
    model.mkdir()
    context, _ = job(tmp_path, 3, f"{line}; {sys.executable} train.py", inputs={"model": model})
    run(context)
    assert (tmp_path / "seen").read_text().split() == ["3", "9", "3,6,9", "7", str(model)]
    assert json.loads((tmp_path / "work/config.json").read_text())["tokens_per_step"] == 10


def test_a_checkpoint_in_another_form_is_converted(tmp_path: Path) -> None:
    made = "mkdir -p $EXC_WORK/step$EXC_STEP && echo 42 > $EXC_WORK/step$EXC_STEP/native"
    (tmp_path / "convert.py").write_text(
        "import os, json, struct\nfrom pathlib import Path\n"
        "source, out = Path(os.environ['EXC_CHECKPOINT']), Path(os.environ['EXC_OUTPUT'])\n"
        "value = float((source / 'native').read_text())\n"
        "header = json.dumps({'w': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}).encode()\n"
        "weights = struct.pack('<Q', len(header)) + header + struct.pack('<f', value)\n"
        "(out / 'model.safetensors').write_bytes(weights)\n"
        "(out / 'config.json').write_text('{\"model_type\": \"llama\"}')\n"
        "(out / 'tokenizer.json').write_text('{}')\n",
        encoding="utf-8",
    )
    context, published = job(tmp_path, 3, made, convert=f"{sys.executable} convert.py")
    run(context)
    assert sorted(path.name for path in (published.path(3) / "model").iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json"
    ]  # fmt: skip
    assert not list((tmp_path / "work").glob("converted-*"))


MAKE = "mkdir -p $EXC_WORK/step$EXC_STEP"
WEIGHTS = "printf '\\2\\0\\0\\0\\0\\0\\0\\0{}' > $EXC_WORK/step$EXC_STEP/model.safetensors"
CONFIG = """echo '{"model_type": "llama"}' > $EXC_WORK/step$EXC_STEP/config.json"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("true", "the trainer left no `step3` under $EXC_WORK; of its checkpoints there are: none at all"),
        ("mkdir $EXC_WORK/step6", "there are: step6"),
        (MAKE, "step3/ has no config.json; `convert` makes a Hugging Face model"),
        (f"{MAKE}; {CONFIG}", "step3/ has no safetensors file"),
        (f"{MAKE}; {CONFIG}; {WEIGHTS}", "has no tokenizer: none of tokenizer.json"),
        ("exit 3", "the command exited with 3"),
    ],
)
def test_what_it_leaves_is_checked(line: str, said: str, tmp_path: Path) -> None:
    context, published = job(tmp_path, 3, line)
    with pytest.raises(JobFailed) as failure:
        run(context)
    assert failure.value.kind == "command"
    assert said in str(failure.value)
    assert not published.path(3).exists()


def test_a_tokenizer_comes_with_the_model_that_it_starts_from(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "tokenizer.json").write_text("theirs")
    context, published = job(tmp_path, 3, f"{MAKE}; {CONFIG}; {WEIGHTS}", inputs={"model": base})
    run(context)
    assert (published.path(3) / "model/tokenizer.json").read_text() == "theirs"


def test_what_it_started_ends_with_it(tmp_path: Path) -> None:
    line = f"sleep 1000 & echo $! > pid; {sys.executable} train.py"
    run(job(tmp_path, 3, line)[0])
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except OSError:
        return False
