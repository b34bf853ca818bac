"""What of a plan must run, in which order, and what a failure holds up."""

from __future__ import annotations

from pathlib import Path

from exc.compiler.plan import Job, Need
from exc.runtime.outputs import Present
from exc.runtime.ready import Queue, needed_jobs
from tests.runtime.core.trivial import KIND
from tests.runtime.core.world import digest, job, make_world, steps_job


def leave(world_root: Path, *refs: str) -> None:
    for ref in refs:
        (world_root / "store" / "artifacts" / ref).mkdir(parents=True)


def needed(root: Path, *jobs: Job) -> list[str]:
    world = make_world(root, *jobs)
    return [one.id for one in needed_jobs(world.plan, Present(world.plan, world.store))]


def chain() -> tuple[Job, Job, Job]:
    data = job("data")
    model = job("model", reads=[data])
    return data, model, job("model.score", reads=[model])


def test_all_is_needed_at_first(tmp_path: Path) -> None:
    assert needed(tmp_path, *chain()) == ["data", "model", "model.score"]


def test_what_only_finished_jobs_read_is_not_made_again(tmp_path: Path) -> None:
    jobs = chain()
    leave(tmp_path, jobs[2].artifact)
    assert needed(tmp_path, *jobs) == []


def test_a_lost_input_is_made_again_for_its_unfinished_reader(tmp_path: Path) -> None:
    jobs = chain()
    leave(tmp_path, jobs[1].artifact)
    assert needed(tmp_path, *jobs) == ["model.score"]


def test_a_reader_of_one_kept_step_waits_for_that_step_alone(tmp_path: Path) -> None:
    steps = steps_job("steps", [20, 70])
    need = Need("model", "steps", f"trivial_steps/{steps.kept[20]}", "")
    reader = Job("reader", KIND, "trivial", digest("reader"), {"does": "write"}, (need,))
    world = make_world(tmp_path, steps, reader)
    queue = Queue([steps, reader], Present(world.plan, world.store))
    queue.take(steps)
    assert queue.ready() == []
    queue.arrived([need.artifact])
    assert [one.id for one in queue.ready()] == ["reader"]
    assert queue.failed(steps) == []


def test_a_failure_holds_up_its_descendants_alone(tmp_path: Path) -> None:
    data, model, score = chain()
    other = job("other", reads=[data])
    world = make_world(tmp_path, data, model, score, other)
    queue = Queue(list(world.plan.jobs), Present(world.plan, world.store))
    queue.take(data)
    queue.arrived(data.artifacts())
    queue.take(model)
    assert [one.id for one in queue.failed(model)] == ["model.score"]
    assert [one.id for one in queue.ready()] == ["other"]


def test_the_head_of_the_longest_path_goes_first(tmp_path: Path) -> None:
    alone = job("alone")
    world = make_world(tmp_path, alone, *chain())
    queue = Queue(list(world.plan.jobs), Present(world.plan, world.store))
    assert [one.id for one in queue.ready()] == ["data", "alone"]
