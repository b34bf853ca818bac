"""Run a script or module and note when the first and the last optimizer step of its Trainer ended.

`stopwatch.py OUT.json SCRIPT ARGUMENTS...` or `stopwatch.py OUT.json -m MODULE ARGUMENTS...`. The same on
both sides of a comparison: two clock readings a step, and one module imported before its turn.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from transformers.trainer_callback import CallbackHandler


def main() -> None:
    out, target, *arguments = sys.argv[1:]
    marks: list[tuple[float, float]] = []
    on_step_end = CallbackHandler.on_step_end

    def noted(self: Any, *given: Any, **named: Any) -> Any:
        marks.append((time.perf_counter(), time.process_time()))
        return on_step_end(self, *given, **named)

    def save() -> None:
        (wall, cpu), (last_wall, last_cpu) = marks[0], marks[-1]
        text = json.dumps({"steps": len(marks), "wall": last_wall - wall, "cpu": last_cpu - cpu})
        Path(out).write_text(text, encoding="utf-8")

    leave = os._exit

    def saved(status: int) -> NoReturn:
        save()
        leave(status)

    CallbackHandler.on_step_end = noted  # type: ignore[method-assign]
    os._exit = saved  # a job ends so, and nothing after it would run
    try:
        if target == "-m":
            sys.argv = arguments
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv = [target, *arguments]
            runpy.run_path(target, run_name="__main__")
    finally:
        save()


if __name__ == "__main__":
    main()
