"""What is queued together, and what waits for what."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exc.compiler.plan import Job
from exc.runtime.slurm.grouping import ALONE, Call, Spot, group

Edges = dict[str, list[str]]


def make(name: str, cls: str = "c", pack: int | None = None) -> Job:
    return Job(name, "command", cls, name, {}, resources={"cpus": 1, **({"pack": pack} if pack else {})})


def keys() -> Callable[[], str]:
    count = itertools.count()
    return lambda: f"call{next(count)}"


def grouped(
    jobs: Sequence[Job], edges: Edges, queued: dict[str, Spot] | None = None, max_array: int = 1001
) -> list[Call]:
    return group(jobs, edges, queued or {}, keys(), max_array=max_array)


def shapes(calls: list[Call]) -> list[tuple[list[str], list[int]]]:
    return [([job.id for job in call.jobs], list(call.elements)) for call in calls]


def test_a_fan_out_is_one_array_that_waits_for_its_root() -> None:
    leaves = [make(f"leaf{i}") for i in range(1000)]
    root, array = grouped([make("root", "r"), *leaves], {leaf.id: ["root"] for leaf in leaves})
    assert list(root.elements) == [ALONE]
    assert list(array.elements) == list(range(1000))
    assert array.every == {Spot(root.key)}
    assert not array.twins


def test_a_chain_is_one_call_a_link() -> None:
    jobs = [make(f"link{i}") for i in range(20)]
    calls = grouped(jobs, {f"link{i}": [f"link{i - 1}"] for i in range(1, 20)})
    assert [call.waits_for(ALONE) for call in calls[1:]] == [{Spot(call.key)} for call in calls[:-1]]


def test_branches_side_by_side_wait_each_for_its_own() -> None:
    """Samples of each branch and of rows that all share; scores of some of the samples alone."""
    branches = [make(f"rl{i}", "rl") for i in range(5)]
    samples = [make(f"sample{i}", "sample") for i in range(5)]
    scores = [make(f"score{i}", "score") for i in (1, 3, 4)]
    edges = {f"sample{i}": [f"rl{i}", "rows"] for i in range(5)}
    edges |= {f"score{i}": [f"sample{i}", "rows"] for i in (1, 3, 4)}
    calls = grouped([make("rows", "rows"), *branches, *samples, *scores], edges)
    assert [call.cls for call in calls] == ["rows", "rl", "sample", "score"]
    rows, rl, sample, score = calls
    assert sample.every == score.every == {Spot(rows.key)}
    assert sample.twins == {rl.key}
    assert score.twins == {sample.key}
    assert list(score.elements) == [1, 3, 4]  # with the indices of those that they wait for


def test_several_children_of_each_parent_are_layers_or_groups_whichever_are_fewer() -> None:
    parents = [make(f"p{i}", "p") for i in range(6)]
    two = [make(f"c{i}.{k}") for i in range(6) for k in range(2)]
    calls = grouped([*parents, *two], {child.id: [f"p{child.id[1]}"] for child in two})
    assert [list(call.elements) for call in calls[1:]] == [list(range(6))] * 2
    many = [make(f"c{i}.{k}") for i in range(2) for k in range(9)]
    calls = grouped([*parents[:2], *many], {child.id: [f"p{child.id[1]}"] for child in many})
    assert [call.waits_for(0) for call in calls[1:]] == [{Spot("call0", 0)}, {Spot("call0", 1)}]


def test_small_jobs_are_packed_with_those_that_wait_for_the_same() -> None:
    jobs = [make(f"s{i}", "s", pack=4) for i in range(10)]
    roots = [make("a", "r"), make("b", "r")]
    calls = grouped([*roots, *jobs], {job.id: ["ab"[i % 2]] for i, job in enumerate(jobs)})
    packs = [[job.id for job in inside] for call in calls[1:] for inside in call.elements.values()]
    assert packs == [["s0", "s2", "s4", "s6"], ["s8", "s1", "s3", "s5"], ["s7", "s9"]]


def test_long_arrays_are_cut() -> None:
    calls = grouped([make(f"j{i}") for i in range(25)], {}, max_array=10)
    assert [list(call.elements) for call in calls] == [list(range(10)), list(range(10)), list(range(5))]


def test_what_was_queued_before_is_waited_for_where_it_stands() -> None:
    jobs = [make(f"score{i}", "score") for i in range(3)]
    queued = {f"sample{i}": Spot("old", i + 4) for i in range(3)}
    (call,) = grouped(jobs, {f"score{i}": [f"sample{i}"] for i in range(3)}, queued)
    assert list(call.elements) == [4, 5, 6]
    assert call.twins == {"old"}


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[Job], Edges, dict[str, Spot]]:
    """Jobs in topological order, over some that are queued already."""
    queued = {f"q{i}": Spot(f"old{i % 2}", i) for i in range(draw(st.integers(0, 4)))}
    packs = {cls: draw(st.sampled_from([None, None, 2, 3])) for cls in "abc"}
    jobs: list[Job] = []
    edges: Edges = {}
    for number in range(draw(st.integers(1, 24))):
        cls = draw(st.sampled_from("abc"))
        before = [*queued, *(job.id for job in jobs)]
        edges[f"j{number}"] = (
            draw(st.lists(st.sampled_from(before), unique=True, max_size=4)) if before else []
        )
        jobs.append(replace(make(f"j{number}", cls, packs[cls])))
    return jobs, edges, queued


@given(dags(), st.integers(2, 9))
def test_every_plan_is_queued_with_exactly_its_edges(
    dag: tuple[list[Job], Edges, dict[str, Spot]], max_array: int
) -> None:
    jobs, edges, queued = dag
    calls = grouped(jobs, edges, queued, max_array)
    assert sorted(job.id for call in calls for job in call.jobs) == sorted(job.id for job in jobs)
    spots = dict(queued) | {
        job.id: Spot(call.key, index)
        for call in calls
        for index, inside in call.elements.items()
        for job in inside
    }
    known = set(queued.values())
    for call in calls:  # in an order in which sbatch can name what it waits for
        for index, inside in call.elements.items():
            meant = {spots[other] for job in inside for other in edges[job.id]}
            assert call.waits_for(index) == meant
            assert meant <= known
        known.update(call.spots)
        assert len({job.cls for job in call.jobs}) == 1
        assert len(call.elements) <= max_array
        assert (list(call.elements) == [ALONE]) == (len(call.elements) == 1)


@given(dags())
def test_calls_are_no_more_than_the_sets_of_dependencies(
    dag: tuple[list[Job], Edges, dict[str, Spot]],
) -> None:
    calls = grouped(*dag)
    sets = {(call.cls, call.level, call.waits_for(index)) for call in calls for index in call.elements}
    assert len(calls) <= len(sets)
