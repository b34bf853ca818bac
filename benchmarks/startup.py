"""Start-up of the command line, beside what any Python tool on these libraries must pay."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Command, interleaved, run, spread
from benchmarks.table import Figure, Part, figure, judged

HEAVY = (
    "torch",
    "transformers",
    "trl",
    "submitit",
    "accelerate",
    "datasets",
    "matplotlib",
    "pyarrow",
    "numpy",
)
FORBIDDEN = HEAVY[:4]
ROUNDS = 11
TARGETS = {"exc --help": 0.15, "exc check": 0.25, "exc compile": 0.35}
_IMPORTED = """\
import sys
from exc.cli import main
try:
    main(sys.argv[2:])
except SystemExit:
    pass
import json
print("\\n" + json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]))
"""


def exc() -> str:
    """The installed command."""
    return str(Path(sys.executable).with_name("exc"))


def imported(arguments: Sequence[str], cwd: Path) -> list[str]:
    """Which of the heavy libraries a command of exc imports."""
    argv = [sys.executable, "-c", _IMPORTED, json.dumps(HEAVY), *arguments]
    found: list[str] = json.loads(run(Command(argv, cwd)).output.splitlines()[-1])
    return found


def measure(examples: Path, scratch: Path, rounds: int = ROUNDS) -> Part:
    """Measure help, check and compile of the quickstart's spec in a copy of its folder."""
    folder = scratch / "startup"
    shutil.copytree(examples / "quickstart", folder, ignore=shutil.ignore_patterns("plan", "store", "report"))
    # Writes the plan folder anew each time, as the first compile does.
    fresh = "import shutil; shutil.rmtree('plan', True); from exc.cli import main; main(['compile'])"
    commands = {
        "python -c pass": Command([sys.executable, "-c", "pass"], folder),
        "python -c 'import yaml, pydantic, jinja2'": Command(
            [sys.executable, "-c", "import yaml, pydantic, jinja2"], folder
        ),
        "exc --help": Command([exc(), "--help"], folder),
        "exc check": Command([exc(), "check"], folder),
        "exc compile": Command([sys.executable, "-c", fresh], folder),
    }
    samples = interleaved(commands, rounds)
    figures: list[Figure] = []
    for name, runs in samples.items():
        figures.append(figure(f"`{name}`, wall", spread([s.wall for s in runs]), "s", TARGETS.get(name)))
        figures.append(figure(f"`{name}`, CPU", spread([s.cpu for s in runs]), "s"))
    figures += [_imports(arguments, folder) for arguments in (["--help"], ["check"], ["compile"], ["plan"])]
    return Part(
        "Start-up",
        "Whole processes from start to end, in turn within one run, on the spec of the quickstart. `exc "
        "compile` writes the plan folder from nothing. Targets are for an idle core: where the machine was "
        "not idle, CPU time is the better guide.",
        figures,
    )


def _imports(arguments: list[str], folder: Path) -> Figure:
    found = imported(arguments, folder)
    bad = [name for name in found if name in FORBIDDEN]
    return Figure(
        f"heavy libraries that `exc {' '.join(arguments)}` imports",
        ", ".join(found) or "none",
        f"of {', '.join(HEAVY)}",
        f"none of {', '.join(FORBIDDEN)}",
        judged(len(bad), 0),
    )
