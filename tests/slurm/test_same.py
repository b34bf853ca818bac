"""What commands do, on the fake and on a real SLURM alike: the same commands, the same answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.fake import SACCT_OFF, FakeSlurm

pytestmark = pytest.mark.slow

World = FakeSlurm | Cluster
T = TypeVar("T")
FORGOTTEN_AFTER_S = 90  # the real one looks for what it may forget every so often


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slurm)])
def world(request: pytest.FixtureRequest) -> World:
    here: World = request.getfixturevalue("slurm" if request.param == "real" else "fake")
    return here


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs write where they were submitted."""
    monkeypatch.chdir(tmp_path)


def sbatch(world: World, *options: str, wrap: str = "true") -> str:
    return world.run("sbatch", "--parsable", *options, f"--wrap={wrap}", cwd=Path.cwd()).stdout.strip()


def rows(world: World, *options: str, fields: str) -> list[str]:
    return sorted(world.run("squeue", "-h", "-o", fields, *options).stdout.splitlines())


def states(world: World, *jobs: str) -> list[str]:
    """`12_3 COMPLETED`, of everything that is still known of these jobs."""
    return rows(world, "-r", "-t", "all", "-j", ",".join(jobs), fields="%i %T")


def accounted(world: World, *jobs: str, fields: str = "JobID,State") -> list[str]:
    out = world.run("sacct", "-n", "-P", "-X", "-j", ",".join(jobs), "-o", fields).stdout
    return sorted(out.splitlines())


def until(expected: T, value: Callable[[], T], seconds: float = 30.0) -> None:
    """Asserts that a value becomes what is expected; of a list, in any order."""

    def now() -> T | list[object]:
        found = value()
        return sorted(found) if isinstance(found, list) else found

    wanted = sorted(expected) if isinstance(expected, list) else expected
    end = time.monotonic() + seconds
    while now() != wanted and time.monotonic() < end:
        time.sleep(0.2)
    assert now() == wanted


def failed(world: World, *argv: str) -> tuple[int, str]:
    done = world.run(*argv, check=False, cwd=Path.cwd())
    assert done.stdout == ""
    return done.returncode, done.stderr.removesuffix("\n")


def test_an_array_is_one_line_until_its_tasks_start(world: World) -> None:
    job = sbatch(world, "--array=0-3,7%2", "--hold")
    fields = "%i|%F|%K|%t|%T|%r|%R|%j|%P|%E|%M|%l"
    rest = "PD|PENDING|JobHeldUser|(JobHeldUser)|wrap|main|(null)|0:00|10:00"
    assert rows(world, "-j", job, fields=fields) == [f"{job}_[0-3,7%2]|{job}|0-3,7%2|{rest}"]
    each = [f"{job}_{task}|{job}|{task}|{rest}" for task in (0, 1, 2, 3, 7)]
    assert rows(world, "-r", "-j", job, fields=fields) == each
    assert rows(world, "-r", "-j", f"{job}_1,{job}_7", fields="%i") == [f"{job}_1", f"{job}_7"]
    until([f"{job}_[0-3,7%2]|PENDING"], lambda: accounted(world, job))
    world.run("scontrol", "release", job)
    done = [f"{job}_{task} COMPLETED" for task in (0, 1, 2, 3, 7)]
    until(done, lambda: states(world, job))
    until([line.replace(" ", "|") for line in done], lambda: accounted(world, job))
    numbers = rows(world, "-r", "-t", "all", "-j", job, fields="%A")
    assert len(set(numbers)) == 5
    assert job in numbers  # the last of them to start has the array's own
    assert rows(world, "-j", job, fields="%i") == []


def test_what_became_of_the_others_decides(world: World) -> None:
    first = sbatch(world, "--hold", wrap="exit 3")
    jobs = {
        "ok": sbatch(world, f"-dafterok:{first}"),
        "killed": sbatch(world, f"-dafterok:{first}", "--kill-on-invalid-dep=yes"),
        "any": sbatch(world, f"-dafterany:{first}"),
        "not": sbatch(world, f"-dafternotok:{first}"),
        "either": sbatch(world, f"-dafterok:{first}?afterany:{first}"),
    }
    jobs["next"] = sbatch(world, f"-dafterok:{jobs['killed']}")
    jobs["both"] = sbatch(world, f"-dafterany:{first},afterok:{jobs['any']}")
    asked = rows(world, "-j", jobs["ok"], fields="%T|%r|%E")
    assert asked == [f"PENDING|Dependency|afterok:{first}(unfulfilled)"]
    world.run("scontrol", "release", first)
    expected = {
        first: "FAILED",
        jobs["ok"]: "PENDING",
        jobs["killed"]: "CANCELLED",
        jobs["any"]: "COMPLETED",
        jobs["not"]: "COMPLETED",
        jobs["either"]: "COMPLETED",
        jobs["next"]: "PENDING",
        jobs["both"]: "COMPLETED",
    }
    lines = sorted(f"{job} {state}" for job, state in expected.items())
    until(lines, lambda: states(world, *expected))
    assert rows(world, "-j", f"{jobs['ok']},{jobs['next']}", fields="%r %E") == [
        f"DependencyNeverSatisfied afterok:{first}(failed)",
        f"DependencyNeverSatisfied afterok:{jobs['killed']}(failed)",
    ]
    until(
        [f"{first}|FAILED|3:0", f"{jobs['killed']}|CANCELLED|0:0"],
        lambda: sorted(accounted(world, first, jobs["killed"], fields="JobID,State,ExitCode")),
    )


def test_each_task_of_an_array_may_have_its_own_dependents(world: World) -> None:
    array = sbatch(world, "--array=0-2", "--hold", wrap='[ "$SLURM_ARRAY_TASK_ID" != 1 ]')
    twin = sbatch(world, "--array=0-3", f"-daftercorr:{array}", "--kill-on-invalid-dep=yes")
    one = sbatch(world, f"-dafterok:{array}_0")
    two = sbatch(world, f"-dafterok:{array}_0:{array}_2")
    bad = sbatch(world, f"-dafterok:{array}_1")
    every = sbatch(world, f"-dafterok:{array}")
    absent = sbatch(world, f"-dafterok:{array}_9")
    assert rows(world, "-j", f"{every},{two}", fields="%E") == [
        f"afterok:{array}_*(unfulfilled)",
        f"afterok:{array}_0(unfulfilled),afterok:{array}_2(unfulfilled)",
    ]
    world.run("scontrol", "release", array)
    expected = {f"{array}_0": "COMPLETED", f"{array}_1": "FAILED", f"{array}_2": "COMPLETED"}
    expected |= {f"{twin}_0": "COMPLETED", f"{twin}_1": "CANCELLED", f"{twin}_2": "COMPLETED"}
    # The twin has one task too many: real clusters differ in what becomes of it, so nobody may count on it.
    expected |= {one: "COMPLETED", two: "COMPLETED", bad: "PENDING", every: "PENDING", absent: "COMPLETED"}
    lines = sorted(f"{job} {state}" for job, state in expected.items())

    def known() -> list[str]:
        found = states(world, array, twin, one, two, bad, every, absent)
        return [line for line in found if not line.startswith(f"{twin}_3 ")]

    until(lines, known)


def test_jobs_of_one_name_go_one_at_a_time(world: World) -> None:
    first = sbatch(world, "-J", "alone", "-d", "singleton", wrap="sleep 2")
    second = sbatch(world, "-J", "alone", "-d", "singleton")
    other = sbatch(world, "-J", "other", "-d", "singleton")
    until([f"{other} COMPLETED"], lambda: states(world, other))
    assert rows(world, "-j", second, fields="%r %E") == ["Dependency singleton(unfulfilled)"]
    until([f"{first} COMPLETED", f"{second} COMPLETED"], lambda: states(world, first, second))


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slurm)])
def forgetful(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster of its own that soon forgets what has ended."""
    if request.param == "fake":
        with FakeSlurm(tmp_path_factory.mktemp("fake"), min_job_age=2.0) as fake:
            yield fake
        return
    request.getfixturevalue("cluster")  # skips where there can be none
    real = Cluster(tmp_path_factory.mktemp("forgetful"), NODES=1, DBD=0, EXTRA_CONF="MinJobAge=2")
    real.up()
    yield real
    real.cancel_all()
    real.down()


def test_danger_a_job_that_is_no_longer_known_counts_as_one_that_was_right(forgetful: World) -> None:
    world = forgetful
    job = sbatch(world, wrap="exit 1")
    late = sbatch(world, f"-dafterok:{job}", "--kill-on-invalid-dep=yes")
    nothing: list[str] = []
    until(nothing, lambda: rows(world, "-t", "all", "-j", f"{job},{late}", fields="%i"), FORGOTTEN_AFTER_S)
    assert failed(world, "squeue", "-j", job) == (1, "slurm_load_jobs error: Invalid job id specified")
    file = Path("ran")
    sbatch(world, f"-dafterok:{job}", "--kill-on-invalid-dep=yes", wrap="touch ran")
    until(True, file.exists)
    file.unlink()
    sbatch(world, "-dafterok:99999", wrap="touch ran")  # nor need there ever have been such a job
    until(True, file.exists)


def test_without_accounting_sacct_says_so(forgetful: World) -> None:
    if isinstance(forgetful, FakeSlurm):
        forgetful.set(accounting=False)
    assert failed(forgetful, "sacct", "-j", "1") == (1, SACCT_OFF)


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
