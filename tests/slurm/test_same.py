"""Arrays and dependencies, on the fake and on a real SLURM alike: the same commands, the same answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.fake import SACCT_OFF, FakeSlurm
from tests.slurm.worlds import World, accounted, failed, rows, sbatch, states, until

pytestmark = [pytest.mark.ci, pytest.mark.usefixtures("elsewhere")]

FORGOTTEN_AFTER_S = 90  # the real one looks for what it may forget every so often


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
    never = {"ok": first, "next": jobs["killed"]}
    for name, before in never.items():
        said = [f"DependencyNeverSatisfied afterok:{before}(failed)"]
        assert rows(world, "-j", jobs[name], fields="%r %E") == said
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
    both = f"afterok:{array}_0(unfulfilled),afterok:{array}_2(unfulfilled)"
    assert rows(world, "-j", every, fields="%E") == [f"afterok:{array}_*(unfulfilled)"]
    assert rows(world, "-j", two, fields="%E") == [both]
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
