"""`exc gc`: what no registered plan needs goes, and nothing else, whoever works beside it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exc.compiler.plan import Job, Plan
from exc.runtime.attempts import new_attempt
from exc.runtime.files import write_json
from exc.runtime.gc import Collector
from exc.runtime.gc_items import DAY_S, Item, Rules
from exc.runtime.lease import Lease, acquire
from exc.runtime.outputs import Present
from exc.runtime.owner import this_process
from exc.runtime.ready import needed_jobs
from exc.runtime.registry import find_registrations, register, registrations, unregister
from exc.runtime.slurm.grouping import ALONE
from exc.runtime.slurm.records import ENDED, Ledger, Member, Record
from exc.runtime.store import Store, StoreError
from tests.runtime.store.shelf import digest, finish, job, plan

AT_ONCE = Rules(older_than_s=0.0)
FOLDER = Path("/nowhere/plan")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def done(store: Store, *jobs: Job, experiment: str = "study", registered: bool = True) -> Plan:
    """A plan of these jobs, all of them done."""
    made = plan(*jobs, experiment=experiment)
    if registered:
        register(made, FOLDER, store)
    for one in jobs:
        finish(store, made, one)
    return made


def found(items: Sequence[Item], sort: str) -> set[str]:
    return {item.name for item in items if item.sort == sort}


def test_what_a_plan_needs_stays_and_what_only_an_old_one_needed_goes(store: Store) -> None:
    base, old, new = job("base", "pretrain", kept=[10, 20]), job("old"), job("new")
    first = done(store, base, old)
    second = done(store, base, new)
    assert found(Collector(store, AT_ONCE).find(), "artifact") == set()
    unregister(store, next(entry for entry in registrations(store) if entry.digest == first.digest))
    collector = Collector(store, AT_ONCE)
    items = collector.find()
    assert found(items, "artifact") == {"old"}
    assert collector.remove(items).left == ()
    assert not store.has("merge", old.identity)
    assert needed_jobs(second, Present(second, store)) == []
    assert (store.root / "removed" / "merge" / f"{old.identity}.json").is_file()
    assert not os.path.lexists(store.root / "results" / "study" / "old")
    assert collector.find() == []


def test_resume_state_of_what_is_done_goes_and_of_what_is_not_stays(store: Store) -> None:
    ready, half = job("ready", "sft", kept=[5]), job("half", "grpo", kept=[3, 6])
    made = done(store, ready)
    both = plan(ready, half)
    register(both, FOLDER, store)
    (store.work_path(half.work_key) / "step-3").mkdir(parents=True)
    store.publish("grpo", half.kept[3], lambda _: None, lambda: {"metrics": {}, "inputs": {}})
    collector = Collector(store, AT_ONCE)
    assert found(collector.find(), "resume state") == {"ready"}
    collector.remove(collector.find())
    assert not store.work_path(ready.work_key).exists()
    assert (store.work_path(half.work_key) / "step-3").is_dir()
    assert needed_jobs(made, Present(made, store)) == []


def test_only_resume_state_goes_where_that_is_asked_for(store: Store) -> None:
    mine, other, orphan = job("mine", "sft", kept=[5]), job("other", "sft", kept=[5]), job("orphan")
    done(store, mine)
    done(store, other, experiment="another")
    finish(store, plan(orphan), orphan)
    rules = Rules(older_than_s=0.0, only=frozenset({mine.work_key}))
    assert [(item.sort, item.name) for item in Collector(store, rules).find()] == [("resume state", "mine")]


def test_a_computation_that_runs_is_left_alone(store: Store) -> None:
    one = job("one", "sft", kept=[5])
    done(store, one)
    collector = Collector(store, AT_ONCE)
    items = collector.find()
    lease = acquire(store.work_path(one.work_key), "one")
    assert isinstance(lease, Lease)
    try:
        assert found(collector.find(), "resume state") == set()
        removal = collector.remove(items)  # it was free when it was listed
        assert [(item.name, why) for item, why in removal.left] == [("one", "one works on it now")]
        assert store.work_path(one.work_key).is_dir()
    finally:
        lease.release()


def test_no_artifact_goes_while_a_job_runs_that_no_plan_is_known_to_have(store: Store) -> None:
    done(store, job("one"))
    orphan = job("orphan")
    finish(store, plan(orphan), orphan)
    collector = Collector(store, AT_ONCE)
    items = [item for item in collector.find() if item.sort == "artifact"]
    assert [item.name for item in items] == ["orphan"]
    lease = acquire(store.work_path(digest("by hand")), "by hand")
    assert isinstance(lease, Lease)
    try:
        assert found(collector.find(), "artifact") == set()
        assert "runs now" in collector.remove(items).left[0][1]
        assert store.has("merge", orphan.identity)
    finally:
        lease.release()


def test_a_plan_that_is_registered_after_listing_keeps_what_it_needs(store: Store) -> None:
    done(store, job("one"))
    wanted = job("wanted")
    later = plan(wanted, experiment="study")
    finish(store, later, wanted)
    collector = Collector(store, AT_ONCE)
    items = [item for item in collector.find() if item.sort == "artifact"]
    register(later, FOLDER, store)
    assert [why for _, why in collector.remove(items).left] == ["it is needed by now"]
    assert needed_jobs(later, Present(later, store)) == []


def test_a_plan_that_is_registered_while_an_artifact_goes_gets_it_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(store, job("one"))
    wanted = job("wanted")
    later = plan(wanted)
    finish(store, later, wanted)
    collector = Collector(store, AT_ONCE)
    items = [item for item in collector.find() if item.sort == "artifact"]
    rename = Path.rename

    def register_first(path: Path, target: Path) -> Path:
        if target.name == "gone":
            register(later, FOLDER, store)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", register_first)
    assert [why for _, why in collector.remove(items).left] == ["it is needed by now"]
    assert store.read("merge", wanted.identity).record["job"] == "wanted"
    assert list((store.root / "tmp").iterdir()) == []


def test_samples_scores_and_adopted_results_never_go(store: Store) -> None:
    done(store, job("one"))
    sample, score, adopted = job("s", "sample"), job("c", "score"), job("a")
    other = plan(sample, score, adopted)
    for each in (sample, score):
        finish(store, other, each)
    finish(store, other, adopted, {"adopted": {"job": "a", "why": "lost", "from": "paper"}})
    assert found(Collector(store, AT_ONCE).find(), "artifact") == set()


def test_a_chosen_model_is_a_model_and_no_measurement(store: Store) -> None:
    done(store, job("one"))
    model, choice = job("m", "sft"), job("b", "select")
    other = plan(model, choice)
    for each in (model, choice):
        finish(store, other, each)
    assert found(Collector(store, AT_ONCE).find(), "artifact") == {"m", "b"}


def test_the_size_of_what_goes_is_what_that_gives_back(store: Store) -> None:
    """Resume state shares its files with the artifact that was made of it."""
    trained = job("t", "sft", kept=[2])
    done(store, trained)
    work = store.work_path(trained.work_key) / "step-1"
    os.link(store.ref_path(trained.artifact) / "weights", work / "optimizer")
    os.link(work / "weights", work / "again")
    (item,) = Collector(store, AT_ONCE).find()
    assert (item.sort, item.size) == ("resume state", 100)


def test_an_experiment_that_never_registered_keeps_what_its_results_lead_to(store: Store) -> None:
    done(store, job("one"))
    base = job("their-base")
    final = job("their-final", reads=[base])
    done(store, base, final, experiment="theirs", registered=False)
    collector = Collector(store, AT_ONCE)
    assert collector.needed.strangers == ["theirs"]
    assert collector.find() == [item for item in collector.find() if item.name == "one"]
    assert found(collector.find(), "artifact") == found(collector.find(), "attempts") == set()


def test_without_any_plan_nothing_of_unknown_use_goes(store: Store) -> None:
    orphan = job("orphan", "sft", kept=[5])
    finish(store, plan(orphan), orphan)
    assert Collector(store, AT_ONCE).find() == []


def test_what_is_new_waits_for_a_plan_that_may_come(store: Store) -> None:
    done(store, job("one"))
    orphan = job("orphan")
    finish(store, plan(orphan), orphan)
    assert found(Collector(store, Rules()).find(), "artifact") == set()
    record = store.artifact_path("merge", orphan.identity) / "artifact.json"
    before = time.time() - 2 * DAY_S
    os.utime(record, (before, before))
    assert found(Collector(store, Rules()).find(), "artifact") == {"orphan"}


def test_the_last_attempts_of_a_job_that_no_plan_has_stay(store: Store) -> None:
    one = job("one")
    done(store, one)
    for _ in range(3):
        new_attempt(store, one.identity)
        new_attempt(store, digest("vanished"))
    collector = Collector(store, Rules(older_than_s=0.0, keep_attempts=1))
    items = [item for item in collector.find() if item.sort == "attempts"]
    assert {item.path.name for item in items} == {"1", "2"}
    assert {item.path.parent.name for item in items} == {digest("vanished")}
    collector.remove(items)
    assert [path.name for path in store.attempts_path(digest("vanished")).iterdir()] == ["3"]
    assert len(list(store.attempts_path(one.identity).iterdir())) == 4


def test_leftovers_go_when_their_writer_is_gone_or_was_not_heard_of_for_days(store: Store) -> None:
    done(store, job("one"))
    mine = this_process().to_json()
    for name, owner in {
        "alive": mine,
        "dead": {**mine, "started": 1},
        "elsewhere": {**mine, "boot": "another machine"},
        "long-ago": {**mine, "boot": "another machine", "host": "node7"},
    }.items():
        (store.root / "tmp" / name).mkdir(parents=True, exist_ok=True)
        write_json(store.root / "tmp" / name / "owner.json", owner)
    before = time.time() - 8 * DAY_S
    for path in (store.root / "tmp" / "long-ago", store.root / "tmp" / "long-ago" / "owner.json"):
        os.utime(path, (before, before))
    collector = Collector(store, AT_ONCE)
    items = [item for item in collector.find() if item.sort == "leftovers"]
    assert {item.name: "node7" in item.why for item in items} == {"tmp/dead": False, "tmp/long-ago": True}
    collector.remove(items)
    assert {path.name for path in (store.root / "tmp").iterdir()} == {"alive", "elsewhere"}


def test_what_a_call_of_sbatch_left_goes_when_all_of_it_has_left_the_queue(store: Store) -> None:
    done(store, job("one"))
    ledger = Ledger(store, "study")
    for key in ("gone", "waiting"):
        members = {ALONE: (Member("one", digest("one")),)}
        record = Record(key, f"study.x.{key}", "x", "/plan", "me", "", members, {}, False, 9, None, "7")
        ledger.write(record)
        ledger.runs(key).mkdir(parents=True)
        (ledger.runs(key) / "7_0_log.out").write_text("said", encoding="utf-8")
        if key == "gone":
            ledger.close(record, ENDED)
    assert found(Collector(store, Rules()).find(), "call") == set()  # somebody may still want to read it
    collector = Collector(store, AT_ONCE)
    (item,) = (item for item in collector.find() if item.sort == "call")
    assert (item.name, item.size) == ("study gone", 4)
    ledger.write(record_of(ledger, "gone"))  # it was taken up again meanwhile
    assert collector.remove([item]).left == ((item, "something of it is in the queue"),)
    ledger.close(record_of(ledger, "gone"), ENDED)
    assert collector.remove([item]).left == ()
    assert ledger.find("gone") is None
    assert not ledger.runs("gone").exists()
    assert [record.key for record in ledger.open_records()] == ["waiting"]
    assert ledger.output(record_of(ledger, "waiting"), ALONE).read_text(encoding="utf-8") == "said"


def record_of(ledger: Ledger, key: str) -> Record:
    record = ledger.find(key)
    assert record is not None
    return record


def test_a_damaged_registration_stops_everything(store: Store) -> None:
    made = done(store, job("one"))
    path = store.root / "plans" / "study" / f"{made.digest}.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="what its plan needs is not known"):
        Collector(store, AT_ONCE).find()


def test_registrations_are_found_by_folder_experiment_and_digest(store: Store, tmp_path: Path) -> None:
    made = done(store, job("one"))
    assert not register(made, FOLDER, store)
    folder = tmp_path / "plan"
    folder.mkdir()
    write_json(folder / "plan.json", {"digest": made.digest})
    for name in ("study", made.digest[:12], f"study/{made.digest[:4]}", str(folder)):
        assert [entry.digest for entry in find_registrations(store, name)] == [made.digest], name
    assert find_registrations(store, "other") == find_registrations(store, "study/x") == []
    (entry,) = registrations(store)
    assert not entry.superseded  # its folder cannot be seen from here


def test_a_plan_is_superseded_when_its_folder_holds_another(store: Store, tmp_path: Path) -> None:
    made = plan(job("one"))
    folder = tmp_path / "plan"
    folder.mkdir()
    register(made, folder, store)
    (entry,) = registrations(store)
    for digest_there, superseded in ((made.digest, False), ("another", True)):
        write_json(folder / "plan.json", {"digest": digest_there})
        assert entry.superseded is superseded
    assert entry.work == {made.jobs[0].identity: made.jobs[0].artifacts()}


# --- every store, every registry ----------------------------------------------------------------------------

KINDS = ("merge", "sft", "score", "sample")


@st.composite
def studies(draw: st.DrawFn) -> tuple[list[Plan], list[bool]]:
    """Plans over a common pool of jobs, and which of them are registered."""
    pool: list[Job] = []
    for number in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(KINDS))
        reads = (
            draw(st.lists(st.sampled_from(pool), max_size=2, unique_by=lambda one: one.id)) if pool else []
        )
        kept = draw(st.lists(st.integers(1, 3), min_size=1, unique=True)) if kind == "sft" else ()
        pool.append(job(f"job{number}", kind, reads, kept))
    plans = []
    for _ in range(draw(st.integers(1, 3))):
        chosen = draw(st.sets(st.sampled_from([one.id for one in pool]), min_size=1))
        for one in reversed(pool):
            chosen |= {need.job for need in one.needs if one.id in chosen}
        plans.append(plan(*(one for one in pool if one.id in chosen), experiment=draw(st.sampled_from("ab"))))
    return plans, [draw(st.booleans()) for _ in plans]


@settings(max_examples=60, deadline=None)
@given(studies())
def test_after_gc_no_registered_plan_has_anything_to_do(study: tuple[list[Plan], list[bool]]) -> None:
    plans, registered = study
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for made, known in zip(plans, registered, strict=True):
            (store.root / "plans" / made.experiment).mkdir(parents=True, exist_ok=True)
            if known:
                register(made, FOLDER, store)
            for one in made.jobs:
                finish(store, made, one)
        kept = [made for made, known in zip(plans, registered, strict=True) if known]
        needed = {ref for made in kept for one in made.jobs for ref in one.artifacts()}
        collector = Collector(store, AT_ONCE)
        items = collector.find()
        listed = {f"{i.path.parent.name}/{i.path.name}" for i in items if i.sort == "artifact"}
        assert not listed & needed
        there = {f"{kind}/{identity}" for kind, identity in store.list()}
        if kept:
            free = {ref for ref in there - needed if ref.partition("/")[0] not in ("score", "sample")}
            assert listed == free
        assert collector.remove(items).left == ()
        for made in kept:
            assert needed_jobs(made, Present(made, store)) == []
            assert all(Present(made, store).done(one) for one in made.jobs)
        assert {f"{kind}/{identity}" for kind, identity in store.list()} == there - listed
        assert collector.find() == []
