"""`exc init` and `exc schema`: what they write works at once, here and from an installed wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exc.commands.setup import PROFILES_SCHEMA, SPEC_SCHEMA, TEMPLATES, templates
from exc.spec.json_schema import schema_text, spec_schema

ROOT = Path(__file__).resolve().parents[1]
MODELINE = "# yaml-language-server: $schema=exc.schema.json\n"
NAMES = sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir() and path.name != "common")


def exc(*args: str, cwd: Path, path: Path | None = None, code: int = 0) -> str:
    """What a command says, on both streams."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default"}
    if path is not None:
        env["PYTHONPATH"] = str(path)
    command = [sys.executable, *(["-P"] if path else []), "-m", "exc", *args]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_written_and_valid(name: str, tmp_path: Path) -> None:
    said = exc("init", "study", "--template", name, cwd=tmp_path)
    study = tmp_path / "study"
    for line in ("cd study", "exc compile", "exc submit", "exc report"):
        assert line in said
    assert "no errors" in exc("check", cwd=study)
    assert (study / "experiment.yaml").read_text(encoding="utf-8").startswith(MODELINE)
    assert (study / SPEC_SCHEMA).read_text(encoding="utf-8") == schema_text(spec_schema())
    assert (study / PROFILES_SCHEMA).exists()
    assert {"store/", "report/"} <= set((study / ".gitignore").read_text(encoding="utf-8").split())
    assert "backend: slurm" in (study / "profiles.yaml").read_text(encoding="utf-8")
    assert not list(study.rglob("*.template"))


@pytest.mark.parametrize("name", ["quickstart", "gsm8k"])
def test_a_template_is_the_example_of_that_name(name: str) -> None:
    """The wheel holds no examples, so templates are copies; `cp` them again where this fails."""
    example, template = ROOT / "examples" / name, TEMPLATES / name
    spec = (example / "experiment.yaml").read_text(encoding="utf-8")
    own = [line for line in spec.splitlines(True) if "yaml-language-server" not in line]
    assert (template / "experiment.yaml").read_text(encoding="utf-8") == MODELINE + "".join(own)
    for path in template.rglob("*.*"):
        if path.name != "experiment.yaml":
            same = example / path.relative_to(template).as_posix().removesuffix(".template")
            assert path.read_bytes() == same.read_bytes(), path


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "arithmetic.py").write_text("mine", encoding="utf-8")
    said = exc("init", cwd=tmp_path, code=1)
    assert "arithmetic.py" in said
    assert [path.name for path in tmp_path.iterdir()] == ["arithmetic.py"]
    assert (tmp_path / "arithmetic.py").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_a_file_and_a_template_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("", encoding="utf-8")
    assert "is a file" in exc("init", "study", cwd=tmp_path, code=1)
    assert "did you mean `quickstart`?" in exc("init", "--template", "quickstrat", cwd=tmp_path, code=2)


def test_the_templates_are_listed(tmp_path: Path) -> None:
    lines = exc("init", "--list", cwd=tmp_path).splitlines()
    assert [line.split()[0] for line in lines] == list(templates())
    assert all(len(line.split()) > 4 for line in lines)


def test_the_schema_is_printed_and_written(tmp_path: Path) -> None:
    text = exc("schema", cwd=tmp_path)
    assert json.loads(text)["properties"]["trunks"]
    said = exc("schema", "-o", "exc.schema.json", cwd=tmp_path)
    assert (tmp_path / "exc.schema.json").read_text(encoding="utf-8") == text
    assert MODELINE in said
    assert "slots" in exc("schema", "--profiles", cwd=tmp_path)


@pytest.mark.ci
def test_the_smallest_template_runs_to_its_report_from_a_wheel(tmp_path: Path) -> None:
    tree, out, installed = tmp_path / "source", tmp_path / "wheel", tmp_path / "installed"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tree / name)
    for name in ("src", "spec", "compiler", "runtime"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignored)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run(build, cwd=tree, check=True, capture_output=True)
    [wheel] = out.iterdir()
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(installed))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    for name in NAMES:
        exc("init", name, "--template", name, cwd=tmp_path, path=installed)
        assert "no errors" in exc("check", cwd=tmp_path / name, path=installed)
    for command in ("compile", "submit", "report"):
        exc(command, cwd=tmp_path / "minimal", path=installed)
    assert (tmp_path / "minimal/report/index.html").stat().st_size > 10_000
