"""How times and commands are said to a person."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from exc.compiler.plan import Plan
from exc.runtime.policies import MENDED, policy_of


def duration(seconds: float) -> str:
    """A span of time: `0.4 s`, `41 s`, `6 min 12 s`, `3 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """A running time: `0:07`, `12:40`, `3:05:09`."""
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def plan_command(command: str, plan_folder: Path) -> str:
    """What to type to have `exc COMMAND` on a plan from here."""
    place = os.path.relpath(plan_folder)
    return f"exc {command}" if place == "plan" else f"exc {command} {shlex.quote(place)}"


def submit_command(plan_folder: Path) -> str:
    """What to type to run a plan from here."""
    return plan_command("submit", plan_folder)


def compile_command(plan: Plan, plan_folder: Path) -> str:
    """The command that makes this plan anew, as typed from the current folder."""
    spec = plan_folder / plan.root / plan.spec
    words = ["exc", "compile"]
    if (name := here(spec)) != "experiment.yaml":
        words.append(name)
    if plan.profile["name"] != "local":
        words += ["--profile", plan.profile["name"]]
    if plan_folder.resolve() != spec.resolve().parent / "plan":
        words += ["-o", here(plan_folder)]
    return shlex.join(words)


def cure(kind: str, plan: Plan, plan_folder: Path) -> tuple[str, str]:
    """What to do after a failure of this class: when to give the one command that goes on, and that."""
    policy = policy_of(kind)
    command = submit_command(plan_folder)
    if policy.after == MENDED:
        command = f"{compile_command(plan, plan_folder)} && {command}"
    return policy.advice, command


def here(path: Path) -> str:
    """A path as short as it is from the current folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../../..") else relative
