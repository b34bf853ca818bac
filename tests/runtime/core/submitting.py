"""`exc submit` of the plan named by EXC_PLAN, without the command line."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from exc.compiler.plan import read_plan
from exc.runtime.places import find_plan_folder, find_store
from exc.runtime.submit import submit

if __name__ == "__main__":
    folder = find_plan_folder()
    plan = read_plan(folder)
    slots = int(os.environ.get("SLOTS", "2"))
    sys.exit(submit(plan, folder, find_store(plan, folder), console=Console(), slots=slots))
