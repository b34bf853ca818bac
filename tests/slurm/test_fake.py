"""How the fake misbehaves when it is told to: what a real SLURM does, but not on demand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.slurm.fake import BUSY, DBD_DOWN, LIMIT, SACCT_OFF, TIMED_OUT, FakeSlurm

pytestmark = pytest.mark.ci

PRINT_RUN = 'echo "run ${SLURM_RESTART_COUNT:-0}" >>runs; if [ -z "$SLURM_RESTART_COUNT" ]; then sleep 60; fi'


def sbatch(fake: FakeSlurm, *options: str, wrap: str = "true") -> str:
    return fake.run("sbatch", "--parsable", *options, f"--wrap={wrap}").stdout.strip()


def running(fake: FakeSlurm, job: str, file: str = "") -> None:
    """Until the job runs, and has made a file."""
    fake.wait(lambda jobs: jobs[job].state == "RUNNING" and (fake.folder / (file or ".")).exists())


def sacct(fake: FakeSlurm, *options: str) -> list[str]:
    return fake.run("sacct", "-n", "-P", "-X", "-o", "JobID,State", *options).stdout.splitlines()


def test_a_reply_that_is_lost_after_the_job_was_accepted(fake: FakeSlurm) -> None:
    fake.inject("sbatch", TIMED_OUT, at=2, accepted=True)
    sbatch(fake)
    lost = fake.run("sbatch", "--parsable", "--wrap=true", check=False)
    assert (lost.returncode, lost.stdout, lost.stderr) == (1, "", TIMED_OUT + "\n")
    assert list(fake.wait()) == ["1", "2"]
    assert sbatch(fake) == "3"


@pytest.mark.parametrize("text", [LIMIT, BUSY, TIMED_OUT])
def test_refused_at_the_nth_call(fake: FakeSlurm, text: str) -> None:
    fake.inject("sbatch", text, at=2, times=2)
    codes = [fake.run("sbatch", "--wrap=true", check=False).returncode for _ in range(4)]
    assert codes == [0, 1, 1, 0]
    assert [call.err for call in fake.calls("sbatch")] == ["", text, text, ""]
    assert len(fake.jobs()) == 2


def test_every_command_is_on_record(fake: FakeSlurm) -> None:
    sbatch(fake, "--hold")
    fake.run("squeue", "--me", "-h")
    calls = [(call.command, call.argv) for call in fake.calls()]
    assert calls == [("sbatch", ["--parsable", "--hold", "--wrap=true"]), ("squeue", ["--me", "-h"])]


def test_accounting_that_is_off_down_or_late(fake: FakeSlurm) -> None:
    job = sbatch(fake)
    fake.wait()
    fake.set(accounting=False)
    off = fake.run("sacct", "-j", job, check=False)
    assert (off.returncode, off.stderr) == (1, SACCT_OFF + "\n")
    fake.set(accounting=True, lag=3600)
    assert sacct(fake, "-j", job) == []
    fake.inject("sacct", DBD_DOWN)
    assert "Connection refused" in fake.run("sacct", "-j", job, check=False).stderr
    fake.set(lag=0)
    assert sacct(fake, "-j", job) == [f"{job}|COMPLETED"]


def test_a_controller_that_is_away(fake: FakeSlurm) -> None:
    fake.set(controller=False)
    for command in ("sbatch", "squeue", "scancel", "sinfo"):
        away = fake.run(command, "1", check=False)
        assert away.returncode == 1
        assert "Unable to contact slurm controller" in away.stderr
    assert fake.run("scontrol", "show", "hostnames", "n[1-2]").stdout == "n1\nn2\n"
    fake.set(controller=True)
    assert sbatch(fake) == "1"


def test_after_midnight_sacct_shows_yesterdays_jobs_only_when_asked(fake: FakeSlurm) -> None:
    job = sbatch(fake, "-Jmine")
    fake.wait()
    assert sacct(fake, "--name=mine") == [f"{job}|COMPLETED"]
    fake.advance(24 * 3600)
    assert sacct(fake, "--name=mine") == []
    assert sacct(fake, "--name=mine", "-Snow-2days") == [f"{job}|COMPLETED"]
    assert sacct(fake, "-j", job) == [f"{job}|COMPLETED"]


def test_forgotten_by_the_controller(fake: FakeSlurm) -> None:
    fake.set(min_job_age=60.0)
    job = sbatch(fake, wrap="false")
    fake.wait()
    fake.advance(61)
    assert fake.run("squeue", "-t", "all", "-h").stdout == ""
    assert fake.run("scontrol", "show", "job", job, check=False).returncode == 1
    assert sacct(fake, "-j", job) == [f"{job}|FAILED"]


def test_numbers_that_are_given_out_a_second_time(fake: FakeSlurm) -> None:
    for _ in range(3):
        sbatch(fake)
    fake.wait()
    fake.number_from(2)
    assert sbatch(fake, "-Jother", "--hold") == "2"
    assert fake.run("squeue", "-h", "-t", "all", "-o", "%i %j").stdout == "2 other\n1 wrap\n"


def test_a_node_that_fails(fake: FakeSlurm) -> None:
    job, never = sbatch(fake, wrap=PRINT_RUN), sbatch(fake, "--no-requeue", wrap="touch there; sleep 60")
    running(fake, job, "runs")
    running(fake, never, "there")
    fake.node_fail(job)
    fake.node_fail(never)
    jobs = fake.wait()
    assert (jobs[job].state, jobs[never].state) == ("COMPLETED", "NODE_FAIL")
    assert (fake.folder / "runs").read_text(encoding="utf-8") == "run 0\nrun 1\n"
    assert sacct(fake, "-D", "-j", job) == [f"{job}|NODE_FAIL", f"{job}|COMPLETED"]


def test_a_node_that_is_lost_but_alive_runs_the_job_a_second_time(fake: FakeSlurm) -> None:
    job = sbatch(fake, wrap="echo $$ >>pids; sleep 60")
    running(fake, job, "pids")
    fake.node_fail(job, alive=True)
    pids = fake.folder / "pids"
    fake.wait(lambda _: len(pids.read_text(encoding="utf-8").split()) == 2)
    for pid in pids.read_text(encoding="utf-8").split():
        assert Path("/proc", pid).exists()


def test_out_of_memory(fake: FakeSlurm) -> None:
    job = sbatch(fake, wrap="touch there; sleep 60")
    running(fake, job, "there")
    fake.out_of_memory(job)
    fake.wait()
    assert sacct(fake, "-j", job, "-o", "State,ExitCode") == ["OUT_OF_MEMORY|0:125"]


def test_preempted_after_its_signal_and_grace(fake: FakeSlurm) -> None:
    trap = f"trap 'echo warned >>runs' USR2; {PRINT_RUN.replace('sleep 60', 'sleep 60 & wait; sleep 60')}"
    job = sbatch(fake, "--signal=B:USR2@30", wrap=trap)
    running(fake, job, "runs")
    fake.preempt(job)
    assert fake.wait()[job].restarts == 1
    assert (fake.folder / "runs").read_text(encoding="utf-8") == "run 0\nwarned\nrun 1\n"


def test_a_time_limit_warns_and_ends_what_does_not_end_itself(fake: FakeSlurm) -> None:
    fake.set(scale=60.0)  # a minute passes in a second
    trap = "trap 'echo warned >>said' USR2; trap 'echo asked >>said' TERM; while :; do sleep 0.05; done"
    job = sbatch(fake, "--time=2", "--signal=B:USR2@60", wrap=trap)
    assert fake.wait()[job].state == "TIMEOUT"
    assert (fake.folder / "said").read_text(encoding="utf-8") == "warned\nasked\n"


def test_states_and_reasons_that_are_rare(fake: FakeSlurm) -> None:
    job, other = sbatch(fake, "--hold"), sbatch(fake, "--hold")
    fake.set_job(job, state="SPECIAL_EXIT", reason="job requeued in special exit state")
    fake.set_job(other, state="REVOKED")
    assert fake.run("squeue", "-h", "-o", "%i %t %T").stdout == f"{job} SE SPECIAL_EXIT\n"
    assert sacct(fake, "-j", f"{job},{other}") == [f"{job}|SPECIAL_EXIT", f"{other}|REVOKED"]
    fake.run("scontrol", "update", "nodename=n[1-2]", "state=drain")
    away = sbatch(fake, "-wn1")
    reason = "ReqNodeNotAvail, UnavailableNodes:n1"
    assert fake.run("squeue", "-h", "-j", away, "-o", "%r").stdout == reason + "\n"
    fake.run("scontrol", "update", "nodename=n[1-2]", "state=resume")
    assert fake.wait(lambda jobs: not jobs[away].live)[away].hosts == ["n1"]


def test_a_job_of_a_higher_partition_takes_no_more_room_than_it_needs(fake: FakeSlurm) -> None:
    fake.set(nodes=2, cpus=2)
    low = [sbatch(fake, "-c2", wrap=f"touch there{n}; sleep 60") for n in range(2)]
    for n, job in enumerate(low):
        running(fake, job, f"there{n}")
    high = sbatch(fake, "-purgent", "-c2", wrap="sleep 60")
    running(fake, high)
    jobs = fake.jobs()
    assert [jobs[job].restarts for job in low] == [0, 1]
    assert jobs[low[1]].reason in ("BeginTime", "Resources")


def test_nothing_outlives_the_cluster(tmp_path: Path) -> None:
    with FakeSlurm(tmp_path) as fake:
        job = sbatch(fake, wrap="setsid sleep 61 & echo $! >pid; wait")
        running(fake, job, "pid")
        pid = (tmp_path / "pid").read_text(encoding="utf-8").strip()
    end = time.monotonic() + 10
    while Path("/proc", pid, "cmdline").exists() and Path("/proc", pid, "cmdline").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_nothing_happens_by_itself_where_the_test_wants_to_say_when(fake: FakeSlurm) -> None:
    fake.set(auto=False)
    job = sbatch(fake)
    fake.run("squeue")
    assert fake.jobs()[job].state == "PENDING"
    fake.tick()
    fake.wait()
    assert fake.jobs()[job].state == "COMPLETED"
