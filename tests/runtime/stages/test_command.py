from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exc.runtime.context import JobFailed, Stopped
from tests.runtime.stages.conftest import Bench, ModelMaker

COPY = 'cp -r "$EXC_INPUT_MODEL" "$EXC_OUTPUT/model"'


def command(bench: Bench, run: str, model: Path, leaves: str = "model") -> Path:
    return bench.run(
        "command", {"run": run, "leaves": leaves, "seed": 7}, {"model": model, "samples:0": model}
    )


def test_it_reads_its_inputs_and_leaves_a_model(
    bench: Bench, make_model: ModelMaker, capfd: pytest.CaptureFixture[str]
) -> None:
    model = make_model()
    bench.write("beside.txt", "beside the spec")
    shell = f"""
        {COPY}; cat beside.txt; echo " seed $EXC_SEED"
        grep '"seed": 7' "$EXC_CONFIG"; ls "$EXC_INPUT_SAMPLES_0" >&2
    """
    folder = command(bench, shell, model)
    assert (folder / "model/model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    printed = capfd.readouterr().out
    assert printed.startswith('beside the spec seed 7\n "seed": 7\nconfig.json\n')


def test_what_it_leaves_may_have_another_name(bench: Bench, make_model: ModelMaker) -> None:
    files = '"$EXC_INPUT_MODEL"/{config.json,model.safetensors}'
    shell = f'mkdir "$EXC_OUTPUT/out" && cp {files} "$EXC_OUTPUT/out"'
    folder = command(bench, shell, make_model(), leaves="out")
    assert (folder / "model/tokenizer.json").is_file()  # taken from the input model


def test_links_to_inputs_become_files(bench: Bench, make_model: ModelMaker) -> None:
    shell = 'mkdir "$EXC_OUTPUT/model" && ln -s "$EXC_INPUT_MODEL"/* "$EXC_OUTPUT/model"'
    folder = command(bench, shell, make_model())
    assert not any(path.is_symlink() for path in (folder / "model").iterdir())


@pytest.mark.parametrize("leaves", ["/etc", "../..", "model/../../x"])
def test_nothing_is_taken_from_elsewhere(bench: Bench, make_model: ModelMaker, leaves: str) -> None:
    with pytest.raises(JobFailed, match=r"is not a folder under \$EXC_OUTPUT"):
        command(bench, COPY, make_model(), leaves=leaves)


@pytest.mark.parametrize(
    ("shell", "message"),
    [
        (
            "for i in $(seq 30); do echo line $i; done; exit 3",
            "exited with 3\nits last lines:\nline 11\nline 12\n",
        ),
        ("echo to stderr >&2; exit 1", "exited with 1\nits last lines:\nto stderr"),
        ("exit 4", "exited with 4 and printed nothing"),
        (f"false; {COPY}", "exited with 1"),
        (f"false | true; {COPY}", "exited with 1"),
        ("kill -KILL $$", "was killed by SIGKILL"),
        ("true", "the command left no folder `model` under $EXC_OUTPUT"),
        ('mkdir "$EXC_OUTPUT/model"', "what the command left is no model: model/ has no config.json"),
        (f'{COPY}; rm "$EXC_OUTPUT"/model/*.safetensors', "is no model: model/ has no safetensors file"),
        (f'{COPY}; echo {{ > "$EXC_OUTPUT/model/config.json"', "is no model: model/config.json is not JSON"),
        (f'{COPY}; truncate -s -9 "$EXC_OUTPUT/model/model.safetensors"', "model.safetensors is cut short"),
    ],
)
def test_failures(bench: Bench, make_model: ModelMaker, shell: str, message: str) -> None:
    with pytest.raises(JobFailed) as failure:
        command(bench, shell, make_model())
    assert failure.value.kind == "command"
    assert message in str(failure.value)
    assert len(str(failure.value).splitlines()) <= 22


def test_much_output_is_passed_on_and_its_end_is_kept(
    bench: Bench, make_model: ModelMaker, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JobFailed) as failure:
        command(bench, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1", make_model())
    assert len(capfd.readouterr().out) == 3000000 + len("\nthe end\n")
    assert len(str(failure.value)) < 20_000
    assert str(failure.value).endswith("\nthe end")


def test_a_stop_reaches_the_whole_group(bench: Bench, make_model: ModelMaker) -> None:
    note = bench.folder / "note"
    trap = f'trap "echo stopped > {note}; exit" TERM'
    shell = f"bash -c '{trap}; touch {note}.on; while :; do sleep 0.05; done'; true"
    bench.should_stop = Path(f"{note}.on").exists
    with pytest.raises(Stopped):
        command(bench, shell, make_model())
    assert note.read_text() == "stopped\n"


def test_a_command_that_is_told_before_its_job_is_has_not_failed(
    bench: Bench, make_model: ModelMaker
) -> None:
    note = bench.folder / "note"
    bench.should_stop = lambda: note.exists() and time.time() > note.stat().st_mtime + 0.5
    with pytest.raises(Stopped):
        command(bench, f"touch {note}; kill -TERM $$", make_model())
    note.unlink()
    with pytest.raises(JobFailed, match="was killed by SIGTERM"):
        command(bench, "kill -TERM $$", make_model())


def test_what_runs_on_in_the_background_is_ended(bench: Bench, make_model: ModelMaker) -> None:
    beat = bench.folder / "beat"
    command(bench, f"{COPY}; (while :; do date +%N > {beat}; sleep 0.02; done) & sleep 0.1", make_model())
    time.sleep(0.1)
    last = beat.read_text()
    time.sleep(0.2)
    assert beat.read_text() == last


KILLED = """
import os, subprocess, sys
from exc.runtime.stages.command import Guardian
guardian = Guardian()
shell = "sleep 1000 & echo $!; trap '' TERM; wait"
child = subprocess.Popen(["bash", "-c", shell], process_group=guardian.group, stdout=subprocess.PIPE)
print(guardian.group, child.pid, int(child.stdout.readline()), flush=True)
sys.stdin.read()
"""


def test_a_command_ends_with_a_job_that_is_killed() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", KILLED], stdin=pipe, stdout=pipe, text=True) as job:
        assert job.stdout is not None
        started = [psutil.Process(int(word)) for word in job.stdout.readline().split()]
        assert all(process.is_running() for process in started)
        job.kill()
    gone, alive = psutil.wait_procs(started, timeout=30)
    assert (len(gone), alive) == (3, [])


@pytest.mark.parametrize(
    ("shell", "kind"),
    [
        ("ulimit -v 300000; python -c 'x = bytearray(1 << 30)'", "out-of-memory"),
        ("head -c 9 /dev/zero > /dev/full", "disk"),
        ("ulimit -f 1; head -c 99999 /dev/zero > $EXC_OUTPUT/big", "disk"),
        ("echo MemoryError; for i in 1 2 3 4; do echo on; done; exit 1", "command"),
    ],
)
def test_what_a_command_died_of_is_its_class(
    bench: Bench, make_model: ModelMaker, shell: str, kind: str
) -> None:
    with pytest.raises(JobFailed) as failure:
        command(bench, shell, make_model())
    assert failure.value.kind == kind
