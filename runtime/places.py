"""Where things are: the plan folder, the spec's folder and the store."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exc.compiler.plan import PLAN_FILE, Plan, PlanError
from exc.runtime.store import Store


def find_plan_folder() -> Path:
    """EXC_PLAN, else the nearest of here, ./plan and the folder above that holds a plan.

    Raises PlanError if there is none.
    """
    named = os.environ.get("EXC_PLAN")
    if named:
        return Path(named).absolute()
    here = Path.cwd()
    for folder in (here, here / "plan", here.parent):
        if (folder / PLAN_FILE).is_file():
            return folder
    raise PlanError(f"no plan in {here}: name its folder by EXC_PLAN, or run from beside it")


def spec_root(plan: Plan, plan_folder: Path) -> Path:
    """The spec's folder, absolute: data paths and user modules are relative to it."""
    return (plan_folder / plan.root).resolve()


def find_store(plan: Plan, plan_folder: Path) -> Store:
    """EXC_STORE, else what the profile says (relative to the spec's folder), else `store` beside the spec.

    Raises NotADirectoryError where a file stands there.
    """
    return store_of(plan.profile, spec_root(plan, plan_folder))


def store_of(profile: Mapping[str, Any], spec_folder: Path) -> Store:
    """The store of a profile, as a plan carries it. Raises NotADirectoryError where a file stands there."""
    named = os.environ.get("EXC_STORE")
    said = Path(named or profile.get("store") or "store").expanduser()
    # Absolute, because jobs are run in the spec's folder.
    root = said.absolute() if named else spec_folder / said
    if root.exists() and not root.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "the store is a file, not a folder", str(root))
    return Store(root)
