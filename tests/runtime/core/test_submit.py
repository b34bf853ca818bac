"""A whole plan on this machine."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from exc.runtime.state import job_states
from exc.runtime.submit import submit
from tests.runtime.core.world import World, job, make_world, steps_job, wait_until


def run(world: World) -> tuple[int, str]:
    out = io.StringIO()
    console = Console(file=out, width=120)
    code = submit(world.plan, world.plan_folder, world.store, console=console, slots=2)
    return code, out.getvalue()


def words(world: World) -> dict[str, str]:
    return {name: state.word for name, state in job_states(world.plan, world.store).items()}


def test_a_plan_runs_to_its_end_and_a_second_time_does_nothing(tmp_path: Path) -> None:
    data = job("data")
    steps = steps_job("t/pretrain/70", [20, 70])
    world = make_world(tmp_path, data, steps, job("t/70/rl", reads=[data, steps]))
    code, shown = run(world)
    assert code == 0, shown
    assert "done 3/3 t/70/rl in " in shown
    assert set(words(world).values()) == {"done"}
    assert run(world) == (0, "tiny: nothing to do, all 3 jobs done\n")
    assert world.started("t/70/rl") == 1


def test_doing_nothing_loads_no_backend(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("data"))
    run(world)
    heavy = "sum(name in sys.modules for name in ('torch', 'transformers', 'exc.runtime.backends.local'))"
    code = "import runpy, sys\ntry: runpy.run_module('tests.runtime.core.submitting', run_name='__main__')\n"
    code += f"except SystemExit as end: print(end.code, {heavy})"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={"EXC_PLAN": str(world.plan_folder), "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown == "tiny: nothing to do, all 1 job done\n0 0\n"


def test_a_failed_job_stops_only_what_reads_it(tmp_path: Path) -> None:
    data = job("data")
    bad = job("t/sft", "fail", [data])
    held = job("t/sft.sample", reads=[bad])
    world = make_world(tmp_path, data, bad, held, job("t/sft.score", reads=[held]), job("t/rl", reads=[data]))
    code, shown = run(world)
    assert code == 1
    assert words(world) == {
        "data": "done",
        "t/sft": "failed",
        "t/sft.sample": "blocked",
        "t/sft.score": "blocked",
        "t/rl": "done",
    }
    assert "failed t/sft (data)\n  gsm8k.jsonl row 17 has no column `question`\n  holds up 2 jobs: " in shown
    assert "/log.txt" in shown
    assert "2 jobs done in" in shown
    assert "1 failed, 2 not run because of that" in shown


def test_a_killed_job_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl", "die"), profile={"name": "local", "retries": {"killed": 0}})
    code, shown = run(world)
    assert code == 1
    assert "failed rl (killed)\n  killed by signal 9 (SIGKILL), which exc did not send" in shown
    assert run(world)[0] == 0


def test_a_script_that_cannot_run_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    world = make_world(tmp_path, job("rl"))
    (world.plan_folder / "jobs" / "trivial.sh").unlink()
    code, shown = run(world)
    assert code == 1
    assert "its script ended with exit code 127" in shown


def test_an_interrupt_stops_cleanly_and_the_next_run_goes_on(tmp_path: Path) -> None:
    steps = steps_job("rl", [20, 70], pause=30)
    world = make_world(tmp_path, steps, job("rl.score", reads=[steps]))
    with world.submit() as process:
        world.wait_for_start("rl")
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate()
    assert process.returncode == 130, shown
    assert "stopped rl, which goes on when it is run again" in shown
    assert words(world) == {"rl": "interrupted", "rl.score": "waiting"}
    assert (world.store.work_path(steps.work_key) / "count").read_text() == "30"
    world.go()
    code, shown = run(world)
    assert code == 0, shown


def test_jobs_stop_when_their_submitter_is_killed(tmp_path: Path) -> None:
    world = make_world(tmp_path, steps_job("rl", [70], pause=30))
    with world.submit() as process:
        world.wait_for_start("rl")
        assert words(world) == {"rl": "running"}
        process.kill()
        process.communicate()
    wait_until(lambda: words(world) == {"rl": "interrupted"})


def test_two_submits_of_one_plan_share_the_work(tmp_path: Path) -> None:
    data = job("data", "wait")
    branches = [job(f"b{number}", reads=[data]) for number in range(6)]
    world = make_world(tmp_path, data, *branches)
    with world.submit() as first:
        world.wait_for_start("data")
        with world.submit() as second:
            assert second.stdout is not None
            wait_until(lambda: "waiting for data" in second.stdout.readline())  # type: ignore[union-attr]
            world.go()
            shown, _ = second.communicate()
        first.communicate()
    assert (first.returncode, second.returncode) == (0, 0), shown
    assert set(words(world).values()) == {"done"}
    assert [world.started(one.id) for one in world.plan.jobs] == [1] * 7


def test_a_job_that_asks_for_more_than_there_is_fails_with_a_reason(tmp_path: Path) -> None:
    world = make_world(tmp_path, replace(job("rl"), resources={"cpus": 1, "gpus": 99}))
    code, shown = run(world)
    assert code == 1
    assert "it asks for 99 GPUs, this machine has" in shown
    assert "lower `gpus` under `resources` in the profile" in shown
    assert words(world) == {"rl": "failed"}
