"""Imports run one way, `runtime -> compiler -> spec`, and the compile path stays light."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "examples" / "quickstart"
CLI = ROOT / "src" / "exc" / "cli.py"

# A pass may import itself and what stands before it.
PASSES = ("spec", "compiler", "runtime")
HEAVY = frozenset({"torch", "transformers", "trl", "submitit", "accelerate", "datasets", "matplotlib"})

IMPORT_ALL = """
import importlib, pkgutil
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
"""
RUN_CLI = """
from exc.cli import main
try:
    status = main()
except SystemExit as stop:
    status = stop.code
assert not status, status
"""
REPORT_MODULES = """
import json, os, pathlib, sys
pathlib.Path(os.environ["LOADED"]).write_text(json.dumps(sorted(sys.modules)), encoding="utf-8")
"""


def imported_names(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of every import in `source`, inside functions too.

    `package` is the dotted package that relative imports start from. `from a import b` gives `a.b`, since `b`
    may be a module. Calls of `import_module` and `__import__` count where the name is written out.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parts = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*parts, *([module] if module else [])])
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in names)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name
            case _:
                pass


def fault(name: str, owner: str) -> str | None:
    """Why a module of the pass `owner` may not import `name`, or None if it may."""
    top, _, rest = name.partition(".")
    if top in PASSES:
        return f"imports {name}; write exc.{name}"
    if top == "exc":
        target = rest.split(".")[0]
        if target in PASSES:
            return f"imports {name}, to its right" if PASSES.index(target) > PASSES.index(owner) else None
        return None if target in {"", "__version__"} else f"imports {name}; only the command line may"
    if top in HEAVY and owner != "runtime":
        return f"imports {name}, which the compile path must not load"
    return None


def faults(source: str, module: str, owner: str) -> list[str]:
    package = module.rpartition(".")[0]
    found = ((line, fault(name, owner)) for line, name in imported_names(source, package))
    return [f"{module}:{line} {why}" for line, why in found if why]


def modules_of(owner: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / owner).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(("exc", *parts))


@pytest.mark.parametrize("owner", PASSES)
def test_imports_run_leftward(owner: str) -> None:
    modules = list(modules_of(owner))
    assert modules
    found = [why for path, name in modules for why in faults(path.read_text(encoding="utf-8"), name, owner)]
    assert not found, "\n".join(found)


def test_importing_the_package_alone_loads_no_pass() -> None:
    code = "import sys, exc\nassert not [name for name in sys.modules if name.startswith('exc.')]"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("source", "owner"),
    [
        ("import exc.compiler", "spec"),
        ("from exc import runtime", "compiler"),
        ("from ..runtime.store import Store", "compiler"),
        ("def f():\n    from exc.runtime import store", "compiler"),
        ("import importlib\nimportlib.import_module('exc.runtime.store')", "spec"),
        ("import exc.cli", "runtime"),
        ("from exc import cli", "runtime"),
        ("import spec", "runtime"),
        ("from compiler.plan import Plan", "runtime"),
        ("def f():\n    import torch.nn", "compiler"),
        ("from datasets import Dataset", "spec"),
    ],
)
def test_a_wrong_import_is_found(source: str, owner: str) -> None:
    assert len(faults(source, f"exc.{owner}.sample", owner)) == 1


@pytest.mark.parametrize(
    ("source", "owner"),
    [
        ("from exc.spec.experiment import Experiment", "compiler"),
        ("from ..spec import load", "runtime"),
        ("from . import plan", "compiler"),
        ("from exc import __version__", "compiler"),
        ("def f():\n    import torch", "runtime"),
        ("import torchlike, specific", "spec"),
    ],
)
def test_a_right_import_is_let_through(source: str, owner: str) -> None:
    assert faults(source, f"exc.{owner}.sample", owner) == []


def heavy_loaded_by(code: str, args: list[str], folder: Path) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after running `code` in `folder`."""
    loaded = folder / "loaded.json"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code + REPORT_MODULES, *args],
        cwd=folder,
        env={**os.environ, "LOADED": str(loaded)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name.partition(".")[0] for name in json.loads(loaded.read_text(encoding="utf-8"))} & HEAVY


def test_a_heavy_import_is_seen(tmp_path: Path) -> None:
    assert heavy_loaded_by("import submitit\n", [], tmp_path) == {"submitit"}


def test_spec_and_compiler_load_nothing_heavy(tmp_path: Path) -> None:
    code = IMPORT_ALL.format(packages=["exc.spec", "exc.compiler"])
    assert heavy_loaded_by(code, [], tmp_path) == set()


@pytest.mark.skipif(not CLI.exists(), reason="there is no command line yet")
@pytest.mark.parametrize("command", ["--help", "--version", "check", "compile"])
def test_the_command_line_loads_nothing_heavy(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns("plan", "store", "report"))
    assert heavy_loaded_by(RUN_CLI, [command], folder) == set()
