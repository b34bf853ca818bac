"""The project speaks of itself alone: no file names a place on the machine that it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# `store/work/x`, `$EXC_STORE/work/x` and `{store}/work/x` are no absolute paths.
NOT_INSIDE_A_PATH = r"(?<![\w.$)}\]>~*-])"
# Spelled so that this file does not find itself.
PLACES = ("work", "root", "home", "Users", "farm")
GENERAL = [rf"{NOT_INSIDE_A_PATH}/{place}/\w" for place in PLACES]


def this_machine() -> list[str]:
    """Patterns for the folder of this checkout and the home folder, unless too short to tell anything."""
    folders = [folder for folder in (ROOT, Path.home()) if len(folder.parts) > 2]
    return [rf"{NOT_INSIDE_A_PATH}{re.escape(str(folder))}(?![\w-])" for folder in folders]


def absolute_paths(text: str) -> list[str]:
    """The lines of `text` that name such a place, each with its number."""
    pattern = re.compile("|".join([*GENERAL, *this_machine()]))
    lines = enumerate(text.splitlines(), start=1)
    return [f"{number}: {line.strip()[:160]}" for number, line in lines if pattern.search(line)]


def files_in_git() -> list[Path]:
    """What is committed or would be with the next `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not a git checkout: {error}")
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def test_no_file_names_a_place_on_a_machine() -> None:
    files = files_in_git()
    assert ROOT / "pyproject.toml" in files
    found = []
    for path in files:
        content = path.read_bytes()
        if b"\0" not in content:
            text = content.decode("utf-8", errors="replace")
            found += [f"{path.relative_to(ROOT)}:{line}" for line in absolute_paths(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("place", PLACES)
def test_an_absolute_path_is_found(place: str) -> None:
    assert absolute_paths(f"one\nstore: /{place}/somebody/x\n") == [f"2: store: /{place}/somebody/x"]


def test_the_folder_of_this_checkout_is_found() -> None:
    assert absolute_paths(f'"{ROOT}/plan"')


def test_a_path_inside_the_store_is_let_through() -> None:
    assert not absolute_paths("store/work/<id> $EXC_STORE/work/x {store}/work/x ~/work/x ../root/x")
