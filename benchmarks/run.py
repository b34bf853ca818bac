"""Measure everything and write RESULTS.md: `python benchmarks/run.py [PART...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.table import Part

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def parts(scratch: Path) -> dict[str, Callable[[], Part]]:
    """Name -> what measures it, in order."""
    from benchmarks import fork_server, parallel, per_job, scale, slurm, stage, startup
    from benchmarks.workbench import Study, make_study

    def finished() -> Study:
        study = scratch / "study"
        if study.exists():
            return Study(study)
        made = make_study(study)
        made.submit(1, fork=True)
        return made

    return {
        "startup": lambda: startup.measure(ROOT / "examples", scratch),
        "scale": lambda: scale.measure(scratch, say=say),
        "per_job": lambda: per_job.measure(scratch, make_study(scratch / "study"), say),
        "fork_server": lambda: fork_server.measure(ROOT / "examples", scratch, say),
        "stage": lambda: stage.measure(finished(), scratch, say=say),
        "parallel": lambda: parallel.measure(scratch, say=say),
        "slurm": lambda: slurm.measure(scratch, say=say),
    }


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Measure the parts that are named, all by default. RESULTS.md is written only when all came through."""
    # So that `import benchmarks` works from wherever this script is started.
    sys.path[0] = str(ROOT)
    from benchmarks.machine import circumstances, machine
    from benchmarks.table import part_text, section_text, write_results

    with tempfile.TemporaryDirectory(prefix="exc-bench-") as name:
        known = parts(Path(name))
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(known)}; all by default")
        wanted = parser.parse_args().parts or list(known)
        if unknown := set(wanted) - set(known):
            parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        about, began = circumstances(ROOT), time.monotonic()
        done: list[Part] = []
        for part in [part for part in known if part in wanted]:
            say(f"{part} (at {time.monotonic() - began:.0f} s)")
            try:
                done.append(known[part]())
            except Exception:
                # The others can still be measured.
                traceback.print_exc()
                continue
            say("\n" + part_text(done[-1]))
    say(f"{time.monotonic() - began:.0f} s")
    if len(done) < len(known):
        say(f"{RESULTS.name} is left as it was: not every part was measured")
        return 0 if len(done) == len(wanted) else 1
    write_results(RESULTS, machine(), section_text(machine(), about, done))
    say(f"written: {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
