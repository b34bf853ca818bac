"""Plans for a cluster, submitted and looked at as a person does."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from exc.compiler.plan import Job, read_plan
from exc.runtime.slurm.records import Ledger
from exc.runtime.state import job_states
from exc.runtime.status import print_status
from exc.runtime.submit import submit
from tests.runtime.core.world import World, job, make_world, steps_job
from tests.slurm.fake import FakeSlurm


def cluster_world(root: Path, *jobs: Job, slurm: Mapping[str, Any] | None = None, **profile: Any) -> World:
    """A plan of trivial jobs for a cluster."""
    settings = {"grace": 20, **(slurm or {})}
    return make_world(
        root, *jobs, profile={"name": "cluster", "backend": "slurm", "slurm": settings, **profile}
    )


def again(world: World, *jobs: Job) -> World:
    """The same folder with another plan, as after a change of the spec."""
    from exc.compiler.plan import PLAN_FILE, dump, to_json

    plan = replace(world.plan, jobs=jobs)
    (world.plan_folder / PLAN_FILE).write_bytes(dump(to_json(plan)))
    return World(world.root, read_plan(world.plan_folder))


def branches(number: int, does: str = "write") -> list[Job]:
    """Data; branches over it, with samples and scores of their own; a choice among them."""
    data = job("data", does, cls="data")
    rl = [job(f"b{i}/rl", reads=[data], cls="rl") for i in range(number)]
    samples = [job(f"b{i}/rl.sample", reads=[one, data], cls="sample") for i, one in enumerate(rl)]
    scores = [job(f"b{i}/rl.score", reads=[one], cls="score") for i, one in enumerate(samples)]
    return [data, *rl, *samples, *scores, job("select", reads=scores, cls="select")]


def run(world: World) -> tuple[int, str]:
    """`exc submit`: its exit code and what it said."""
    out = io.StringIO()
    console = Console(file=out, width=200)
    code = submit(world.plan, world.plan_folder, world.store, console=console)
    return code, out.getvalue()


def status(world: World) -> str:
    out = io.StringIO()
    print_status(world.plan, world.plan_folder, world.store, Console(file=out, width=200))
    return out.getvalue()


def words(world: World) -> dict[str, str]:
    return {name: state.word for name, state in job_states(world.plan, world.store).items()}


def count(world: World, word: str) -> int:
    return list(words(world).values()).count(word)


def ledger(world: World) -> Ledger:
    return Ledger(world.store, world.plan.experiment)


def number_of(fake: FakeSlurm, command: str) -> int:
    return len(fake.calls(command))


def refs(world: World) -> dict[str, str]:
    """Job id -> how SLURM calls its element."""
    return {
        member.job: record.ref(index)
        for record in ledger(world).open_records()
        for index, members in record.elements.items()
        for member in members
    }


def go(fake: FakeSlurm) -> None:
    """Let the cluster start jobs, and wait until it has none."""
    fake.set(auto=True)
    fake.tick()
    fake.wait()


def run_until_waiting(fake: FakeSlurm, world: World, job_id: str) -> None:
    fake.set(auto=True)
    fake.tick()
    world.wait_for_start(job_id)


def pausing(name: str = "rl", time_s: int | None = None) -> Job:
    """A job that saves 30 steps, and then waits for `go`."""
    one = steps_job(name, [20, 70], pause=30)
    return replace(one, resources={"cpus": 1, **({"time": time_s} if time_s else {})})
