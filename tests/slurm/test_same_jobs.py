"""Refusals, signals and ends, on the fake and on a real SLURM alike: the same commands, the same answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.slurm.fake import FakeSlurm
from tests.slurm.worlds import World, accounted, failed, rows, sbatch, states, until

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("elsewhere")]

SUBMISSION_FAILED = "sbatch: error: Batch job submission failed: "
HELP = 'Try "sbatch --help" for more information'


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (["--bogus", "--wrap=true"], 255, f"sbatch: unrecognized option '--bogus'\n{HELP}"),
        (["absent.sh"], 1, "sbatch: error: Unable to open file absent.sh"),
        (
            ["-pnone", "--wrap=true"],
            1,
            "sbatch: error: invalid partition specified: none\n"
            + SUBMISSION_FAILED
            + "Invalid partition name specified",
        ),
        (
            ["--test-only", "-pnone", "--wrap=true"],
            1,
            "sbatch: error: invalid partition specified: none\n"
            "allocation failure: Invalid partition name specified",
        ),
        (["--time=soon", "--wrap=true"], 255, "sbatch: error: Invalid --time specification"),
        (["-dafterok:x", "--wrap=true"], 1, SUBMISSION_FAILED + "Job dependency problem"),
        (["--array=0-20000", "--wrap=true"], 1, SUBMISSION_FAILED + "Invalid job array specification"),
        (["--array=3-1", "--wrap=true"], 1, SUBMISSION_FAILED + "Invalid job array specification"),
        (
            ["plain.sh"],
            1,
            "sbatch: error: This does not look like a batch script.  The first\n"
            "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
            "sbatch: error: For instance: #!/bin/sh",
        ),
    ],
)
def test_what_sbatch_refuses(world: World, argv: list[str], code: int, text: str) -> None:
    Path("plain.sh").write_text("true\n", encoding="utf-8")
    assert failed(world, "sbatch", *argv) == (code, text)
    assert rows(world, fields="%i") == []


def test_what_is_said_of_jobs_that_are_not_there(world: World) -> None:
    invalid = "Invalid job id specified"
    assert failed(world, "squeue", "-j", "99999") == (1, f"slurm_load_jobs error: {invalid}")
    assert failed(world, "scontrol", "show", "job", "99999") == (1, f"slurm_load_jobs error: {invalid}")
    assert failed(world, "scontrol", "requeue", "99999") == (1, f"{invalid} for job 99999")
    gone = f"{invalid} for job 99999\nslurm_suspend error: {invalid}"
    assert failed(world, "scontrol", "release", "99999") == (1, gone)
    assert failed(world, "scancel", "99999") == (0, "")
    assert failed(world, "scancel", "mine") == (1, "scancel: error: Invalid job id mine")
    text = f"scancel: error: Kill job error on job id 99999: {invalid}"
    assert failed(world, "scancel", "--batch", "--signal=USR2", "99999") == (1, text)
    assert accounted(world, "99999") == []
    text = 'sacct: error: Invalid field requested: "Bogus"'
    assert failed(world, "sacct", "-o", "JobID,Bogus", "-j", "99999") == (1, text)


def test_a_job_that_is_over_cannot_be_held(world: World) -> None:
    job = sbatch(world)
    until([f"{job} COMPLETED"], lambda: states(world, job))
    ended = "Job has already finished"
    text = f"{ended} for job {job}\nslurm_suspend error: {ended}"
    assert failed(world, "scontrol", "hold", job) == (1, text)
    assert failed(world, "scontrol", "update", f"jobid={job}", "comment=x") == (1, f"{ended} for job {job}")


def test_cancelled(world: World) -> None:
    running = sbatch(world, wrap="sleep 100")
    waiting = sbatch(world, "--hold")
    named = sbatch(world, "-J", "mine", "--hold")
    until([f"{running} RUNNING"], lambda: states(world, running))
    world.run("scancel", running, waiting)
    world.run("scancel", "--name=mine")
    until(
        sorted(f"{job} CANCELLED" for job in (running, waiting, named)),
        lambda: states(world, running, waiting, named),
    )
    until(
        [f"{running}|CANCELLED by 0|0:0", f"{waiting}|CANCELLED by 0|0:0"],
        lambda: accounted(world, running, waiting, fields="JobID,State,ExitCode"),
    )


def test_danger_a_task_cancelled_before_it_starts_is_forgotten_at_once(world: World) -> None:
    job = sbatch(world, "--array=0-4", "--hold")
    world.run("scancel", f"{job}_2")
    until([f"{job}_[0-1,3-4]"], lambda: rows(world, "-j", job, fields="%i"))
    assert f"{job}_2" not in " ".join(states(world, job))
    until([f"{job}_[0-1,3-4]|PENDING"], lambda: accounted(world, job))


def test_a_job_runs_again_when_it_is_requeued(world: World) -> None:
    job = sbatch(world, "--open-mode=append", "-oout", wrap="echo run ${SLURM_RESTART_COUNT:-0}")
    until([f"{job} COMPLETED"], lambda: states(world, job))
    world.run("scontrol", "requeue", job)
    until("run 0\nrun 1\n", lambda: Path("out").read_text(encoding="utf-8"))
    until([f"{job} COMPLETED"], lambda: states(world, job))


def test_a_job_that_never_can_start_may_be_told_to_wait_for_something_else(world: World) -> None:
    bad, good = sbatch(world, wrap="exit 1"), sbatch(world)
    job = sbatch(world, f"-dafterok:{bad}")
    until(["DependencyNeverSatisfied"], lambda: rows(world, "-j", job, fields="%r"))
    world.run("scontrol", "update", f"jobid={job}", f"dependency=afterok:{good}")
    until([f"{job} COMPLETED"], lambda: states(world, job))


def test_a_task_knows_its_number(world: World) -> None:
    script = Path("script.sh")
    script.write_text(
        "#!/bin/bash\n#SBATCH --job-name=numbers --array=3,5\n#SBATCH --output=out-%A_%a-%x\n"
        'echo "$1" $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN '
        "$SLURM_ARRAY_TASK_MAX $SLURM_JOB_NAME $SLURM_JOB_NUM_NODES ${SLURM_NTASKS:-none} "
        "$SLURM_SUBMIT_DIR\n",
        encoding="utf-8",
    )
    job = world.run("sbatch", "--parsable", "script.sh", "an argument", cwd=Path.cwd()).stdout.strip()
    until([f"{job}_3 COMPLETED", f"{job}_5 COMPLETED"], lambda: states(world, job))
    for task in (3, 5):
        said = Path(f"out-{job}_{task}-numbers").read_text(encoding="utf-8")
        assert said == f"an argument {job} {task} 2 3 5 numbers 1 none {Path.cwd()}\n"


def test_a_step_of_two_nodes(world: World) -> None:
    command = "srun bash -c 'echo $SLURM_PROCID $SLURM_NTASKS $SLURMD_NODENAME $SLURM_JOB_NODELIST'"
    job = sbatch(world, "-N2", "--ntasks-per-node=1", "-oout", wrap=command)
    until([f"{job} COMPLETED"], lambda: states(world, job))
    lines = sorted(Path("out").read_text(encoding="utf-8").splitlines())
    assert [line.split()[:2] for line in lines] == [["0", "2"], ["1", "2"]]
    assert len({line.split()[2] for line in lines}) == 2
    assert world.run("scontrol", "show", "hostnames", "n[1-2],m5").stdout.split() == ["n1", "n2", "m5"]


LOOP = "i=0; while [ $i -lt 300 ]; do sleep 0.1; i=$((i + 1)); done"
TRAP = f"#!/bin/bash\ntrap 'echo USR2 >>batch; exit 7' USR2\ntouch ready\n{LOOP}\n"


def test_a_signal_goes_to_the_batch_shell_or_to_the_steps(world: World) -> None:
    Path("trap.sh").write_text(TRAP, encoding="utf-8")
    job = world.run("sbatch", "--parsable", "trap.sh", cwd=Path.cwd()).stdout.strip()
    until(True, Path("ready").exists)
    world.run("scancel", "--signal=USR2", job)  # to steps, and there is none
    time.sleep(1)
    assert not Path("batch").exists()
    world.run("scancel", "--batch", "--signal=USR2", job)
    until([f"{job} FAILED"], lambda: states(world, job))
    until([f"{job}|FAILED|7:0"], lambda: accounted(world, job, fields="JobID,State,ExitCode"))
    assert Path("batch").read_text(encoding="utf-8") == "USR2\n"


def test_a_shell_that_traps_nothing_dies_of_the_signal(world: World) -> None:
    job = sbatch(world, wrap="touch ready; sleep 100 & wait")
    until(True, Path("ready").exists)
    world.run("scancel", "--batch", "--signal=USR2", job)
    until([f"{job}|FAILED|0:12"], lambda: accounted(world, job, fields="JobID,State,ExitCode"))


def test_preempted_warned_and_run_again(world: World) -> None:
    text = TRAP.replace("exit 7", "").replace("touch ready", "echo ${SLURM_RESTART_COUNT:-0} >>ready")
    text = text.replace("\ntrap", '\n[ -z "$SLURM_RESTART_COUNT" ] || { echo 1 >>ready; exit 0; }\ntrap')
    Path("trap.sh").write_text(text, encoding="utf-8")
    options = ("-N4", "-n64", "--signal=B:USR2@60", "--requeue")
    job = world.run("sbatch", "--parsable", *options, "trap.sh", cwd=Path.cwd()).stdout.strip()
    until(True, Path("ready").exists)
    urgent = sbatch(world, "-purgent", "-n1")
    until([f"{urgent} COMPLETED"], lambda: states(world, urgent), 90)
    assert Path("batch").read_text(encoding="utf-8") == "USR2\n"
    until([f"{job} COMPLETED"], lambda: states(world, job), 90)
    assert Path("ready").read_text(encoding="utf-8") == "0\n1\n"


def test_a_limit_on_jobs_of_a_user(world: World) -> None:
    if isinstance(world, FakeSlurm):
        world.set(max_submit=3)
        options: tuple[str, ...] = ("--hold",)
    else:
        world.limit("few", MaxSubmitJobsPerUser=3)
        options = ("--hold", "-qfew")
    text = (
        f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{SUBMISSION_FAILED}"
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    )
    sbatch(world, "--array=0-1", *options)
    assert failed(world, "sbatch", *options, "--array=0-1", "--wrap=true") == (1, text)
    sbatch(world, *options)
    assert failed(world, "sbatch", *options, "--wrap=true") == (1, text)
