"""Resume states are whole or absent, and never silently wrong."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from exc.runtime import files
from exc.runtime.context import JobFailed
from exc.runtime.stages import states
from exc.runtime.stages.states import (
    MARKER,
    REQUIRED,
    State,
    copy_state,
    find_state,
    remove_leftovers,
    remove_older,
    write_state,
)


def fill(text: str = "x") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for name in (*REQUIRED, "rng_state.pth"):
            (folder / name).write_text(text + name, encoding="utf-8")

    return write


def test_the_newest_within_reach_is_found(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        write_state(tmp_path, step, fill(), finish=True)
    assert find_state([tmp_path], 100) == State(tmp_path / "step-10", 10)
    assert find_state([tmp_path], 9) == State(tmp_path / "step-9", 9)
    assert find_state([tmp_path], 1) is None
    assert find_state([tmp_path / "nowhere"], 1) is None


def test_a_state_given_by_itself_counts_too(tmp_path: Path) -> None:
    given = write_state(tmp_path / "other", 7, fill(), finish=True).folder
    assert find_state([tmp_path / "work", given], 8) == State(given, 7)


class Killed(Exception):
    """Stands for the process's death: nothing after it runs."""


@pytest.mark.parametrize("moment", range(10))
def test_death_at_any_moment_of_saving_leaves_the_old_or_the_new(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(tmp_path, 1, fill("old"), finish=True)
    calls = 0
    sync = files.sync

    def die(path: Path) -> None:
        nonlocal calls
        if calls == moment:
            raise Killed
        calls += 1
        sync(path)

    monkeypatch.setattr(states, "sync", die)
    try:
        state = write_state(tmp_path, 2, fill("new"), finish=True)
        remove_older(tmp_path, state)
    except Killed:
        pass
    monkeypatch.undo()
    found = find_state([tmp_path], 5)
    assert found is not None
    assert (found.folder / "optimizer.pt").read_text() == {1: "old", 2: "new"}[found.step] + "optimizer.pt"
    remove_leftovers(tmp_path)
    assert all(path.name.startswith("step-") for path in tmp_path.iterdir())


def test_a_folder_without_its_marker_is_no_state(tmp_path: Path) -> None:
    state = write_state(tmp_path, 3, fill(), finish=True)
    (state.folder / MARKER).unlink()
    assert find_state([tmp_path], 5) is None


@pytest.mark.parametrize("name", [*REQUIRED, "rng_state.pth"])
def test_a_missing_or_changed_file_is_an_error(name: str, tmp_path: Path) -> None:
    state = write_state(tmp_path, 3, fill(), finish=True)
    (state.folder / name).write_text("y" + name, encoding="utf-8")
    with pytest.raises(JobFailed, match="is not what was written"):
        find_state([tmp_path], 5)
    (state.folder / name).unlink()
    with pytest.raises(JobFailed, match="is missing"):
        find_state([tmp_path], 5)


def test_a_state_that_never_had_its_optimizer_is_an_error(tmp_path: Path) -> None:
    def partly(folder: Path) -> None:
        fill()(folder)
        (folder / "optimizer.pt").unlink()

    write_state(tmp_path, 3, partly, finish=True)
    with pytest.raises(JobFailed, match=r"optimizer\.pt was never written"):
        find_state([tmp_path], 5)


def test_later_states_are_left_alone(tmp_path: Path) -> None:
    kept = [write_state(tmp_path, step, fill(), finish=True) for step in (1, 5, 9)]
    remove_older(tmp_path, kept[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-5", "step-9"]


def test_a_state_is_written_over_its_own_step(tmp_path: Path) -> None:
    write_state(tmp_path, 4, fill("a"), finish=True)
    state = write_state(tmp_path, 4, fill("b"), finish=True)
    assert (state.folder / "optimizer.pt").read_text() == "boptimizer.pt"


def test_a_copy_is_complete(tmp_path: Path) -> None:
    state = write_state(tmp_path, 4, fill(), finish=True)
    copy_state(state, tmp_path / "published")
    remove_older(tmp_path, State(tmp_path, 100))
    assert find_state([tmp_path / "published"], 4) == State(tmp_path / "published", 4)


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(JobFailed, match="no space left to save step 4") as failure:
        write_state(tmp_path, 4, full, finish=True)
    assert failure.value.kind == "disk"
    assert find_state([tmp_path], 5) is None
