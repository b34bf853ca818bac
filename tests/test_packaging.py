"""The three folders become one package: links, package list, wheel, pinned versions."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import exc
from tests.test_words import files_in_git

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("spec", "compiler", "runtime")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def packaged_files() -> set[str]:
    """Every file that stands under a package, by its place in the wheel."""
    here = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found = {f"exc/{path.relative_to(ROOT).as_posix()}" for path in here if path.is_file()}
    found |= {path.relative_to(ROOT / "src").as_posix() for path in command_line("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name and not Path(name).name.startswith(".")}


def command_line(pattern: str) -> list[Path]:
    """Files of src/exc itself, without what its links lead to."""
    found = (ROOT / "src/exc").rglob(pattern)
    return [path for path in found if path.relative_to(ROOT / "src/exc").parts[0] not in FOLDERS]


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What the command printed; fails the test with everything it said if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads: setuptools would leave files beside the sources, and reuse old ones."""
    tree = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tree / name)
    for name in ("src", *FOLDERS):
        shutil.copytree(
            ROOT / name,
            tree / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    return tree


@pytest.fixture(scope="module")
def wheel(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=source_tree)
    [built] = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's contents and nothing else, far from the checkout."""
    target = tmp_path_factory.mktemp("installed")
    options = ("--quiet", "--no-deps", "--no-index", "--target", target)
    run(sys.executable, "-m", "pip", "install", *options, wheel, cwd=target)
    return target


def wheel_files(wheel: Path) -> set[str]:
    names = set(zipfile.ZipFile(wheel).namelist())
    return {name for name in names if ".dist-info/" not in name}


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_links_for_type_checkers_point_at_the_folders(folder: str) -> None:
    link = ROOT / "src/exc" / folder
    assert link.is_symlink()
    assert link.readlink() == Path("../..") / folder
    assert link.resolve() == ROOT / folder


def test_the_package_list_is_the_folders_on_disk() -> None:
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    folders = {path.parent.relative_to(ROOT) for path in sources}
    on_disk = {".".join(("exc", *folder.parts)) for folder in folders}
    on_disk |= {".".join(path.parent.relative_to(ROOT / "src").parts) for path in command_line("*.py")}
    assert sorted(project()["tool"]["setuptools"]["packages"]) == sorted(on_disk)
    without_init = [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()]
    assert not without_init


def test_the_version_is_said_once() -> None:
    assert exc.__version__ == project()["project"]["version"]


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    assert wheel_files(wheel) == packaged_files()


def test_the_wheel_says_its_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        assert archive.read(name).decode() == (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_wheel_is_imported_from_outside_of_the_tree(installed: Path, tmp_path: Path) -> None:
    modules = sorted(project()["tool"]["setuptools"]["packages"])
    code = f"import importlib\nfor name in {modules!r}: print(importlib.import_module(name).__file__)"
    files = run(sys.executable, "-P", "-c", code, cwd=tmp_path, PYTHONPATH=str(installed)).split()
    assert len(files) == len(modules)
    assert all(Path(file).is_relative_to(installed) for file in files), files


def test_the_installed_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    as_module = run(sys.executable, "-P", "-m", "exc", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    as_script = run(installed / "bin/exc", "--version", cwd=tmp_path, PYTHONPATH=str(installed))
    assert exc.__version__ in as_module.split()
    assert as_script == as_module


def test_the_constraints_pin_everything_that_is_installed_with_exc() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert all(str(pin.specifier).startswith("==") and pin.url is None for pin in pins)
    missing = needed_by("exc", {"dev"}) - {canonicalize_name(pin.name) for pin in pins} - {"exc"}
    assert not missing


def needed_by(root: str, extras: set[str]) -> set[str]:
    """Names of all distributions that `root[extras]` brings along in this environment, `root` included."""
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(root), frozenset(extras))]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in done:
            continue
        done.add((name, wanted))
        for line in importlib.metadata.requires(name) or []:
            need = Requirement(line)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    return {name for name, _ in done}


def test_a_source_distribution_has_what_the_readme_names(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for path in files_in_git():
        (tree / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, tree / path.relative_to(ROOT))
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, cwd=tree)
    [sdist] = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"Makefile", "constraints.txt", *links} <= there


@pytest.mark.ci
def test_an_sdist_builds_the_same_wheel_in_isolation(source_tree: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--outdir", tmp_path, cwd=source_tree)
    [sdist], [wheel] = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    assert wheel_files(wheel) == packaged_files()
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/pyproject.toml") for name in archive.getnames())
