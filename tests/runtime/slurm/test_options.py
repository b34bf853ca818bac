"""What an sbatch call is given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exc.compiler.slurm_options import sbatch_options
from exc.runtime.attempts import Failure, new_attempt
from exc.runtime.events import EventWriter
from exc.runtime.slurm.grouping import ALONE, Call, Spot
from exc.runtime.slurm.options import bad_nodes, call_options, dependency_text, lead_time
from exc.runtime.store import Store
from tests.runtime.core.world import job
from tests.runtime.slurm.tools import cluster_world

IDS = {"a": "11", "b": "12", "c": "13"}


def call(every: set[Spot] | None = None, twins: set[str] | None = None) -> Call:
    return Call(
        "new", "c", 1, {0: (job("x"),), 3: (job("y"),)}, frozenset(every or ()), frozenset(twins or ())
    )


def test_dependencies_are_named_by_job_and_element() -> None:
    some = call({Spot("a"), Spot("b", 4), Spot("c", 0), Spot("c", 1)}, {"b"})
    assert dependency_text(some, IDS, {"c"}, {}) == "afterok:11:12_4,afterany:13_0:13_1,aftercorr:12"
    assert dependency_text(some, IDS, (), {"c": 2}) == "afterok:11:12_4:13,aftercorr:12"
    assert dependency_text(call(), IDS, (), {}) == ""


def test_a_call_has_the_options_of_its_script_and_its_own(tmp_path: Path) -> None:
    world = cluster_world(tmp_path, job("x"), job("y"), slurm={"partition": "gpu", "exclude": "n9"})
    given = call_options(
        world.plan,
        call(),
        "name",
        dependency="afterok:1",
        held=True,
        lead_s=33,
        exclude=["n2", "n1"],
        folder="/shared/plan",
    )
    script = sbatch_options(world.plan.jobs[0].resources, world.plan.profile, "name")
    as_flags = {key.replace("_", "-"): "" if value is True else value for key, value in given.items()}
    own = {"signal", "array", "dependency", "hold", "exclude", "chdir"}
    assert {key: value for key, value in as_flags.items() if key not in own} == {
        key: value for key, value in script.items() if key not in own
    }
    assert given["array"] == "0,3"
    assert given["hold"] is True
    assert given["exclude"] == "n9,n1,n2"
    assert given["signal"] == "B:USR2@33"
    assert given["kill_on_invalid_dep"] == "yes"


def test_an_element_alone_is_no_array(tmp_path: Path) -> None:
    world = cluster_world(tmp_path, job("x"))
    alone = Call("new", "c", 0, {ALONE: (world.plan.jobs[0],)})
    given = call_options(world.plan, alone, "n", dependency="", held=False, lead_s=1, exclude=(), folder="/")
    assert not {"array", "dependency", "hold", "exclude"} & given.keys()


def test_the_signal_leaves_time_for_the_slowest_step_seen(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    slow = job("slow")
    world = cluster_world(tmp_path, slow, slurm={"grace": 20})
    assert lead_time(world.plan, [slow], store, None) == 20
    assert lead_time(world.plan, [slow], store, 40.0) == 16  # of a short limit a part
    events = EventWriter(new_attempt(store, slow.identity).events)
    events.emit("progress", step=1)
    events.close()
    path = new_attempt(store, slow.identity).events
    path.write_text('{"time": 100.0, "event": "progress"}\n{"time": 400.0, "event": "saved"}\n')
    assert lead_time(world.plan, [slow], store, None) == 630
    assert lead_time(world.plan, [slow], store, 1000.0) == 400


def test_nodes_on_which_a_job_failed_are_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    one = replace(job("one"), cls="x")

    def fails(kind: str, node: str) -> None:
        attempt = new_attempt(store, one.identity)
        attempt.begin("one", {"job": "7", "node": node})
        attempt.end(1, Failure(kind, "why"))

    fails("node", "n1")
    fails("killed", "n2")
    fails("data", "n3")
    fails("data", "n3")
    assert bad_nodes([one], store) == {"n1"}
    fails("error", "n2")
    assert bad_nodes([one], store) == {"n1", "n2"}
    assert bad_nodes([job("other")], store) == set()
