"""The same spec gives the same bytes, wherever it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.end_to_end.project import Project


def plan_folder(project: Project) -> dict[str, bytes]:
    folder = project.folder / "plan"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_copies_compile_to_the_same_bytes(tmp_path: Path) -> None:
    one = Project.new(tmp_path / "one")
    two = Project.new(tmp_path / "some where" / "else" / "other name")
    two.env["PYTHONHASHSEED"] = "7"
    one.ok("compile")
    two.ok("compile")
    assert plan_folder(one) == plan_folder(two)
    assert {"plan.json", "PLAN.md", "graph.svg"} < plan_folder(one).keys()
    assert str(tmp_path).encode() not in b"".join(plan_folder(one).values())


def test_a_plan_moves_with_its_spec(tmp_path: Path) -> None:
    project = Project.new(tmp_path / "one")
    project.ok("compile")
    shutil.move(project.folder, tmp_path / "two")
    moved = Project(tmp_path / "two")
    moved.ok("compile", "--check")
    moved.edit("seed: 0", "seed: 1")
    assert moved.exc("compile", "--check").code == 1
