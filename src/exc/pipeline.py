"""The way from a spec file to a plan, on one page: load, check, gather facts, compile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from exc.columns import check_columns
from exc.compiler.check_batches import check_micro_batches
from exc.compiler.check_launch import check_whole_weights
from exc.compiler.checks import check
from exc.compiler.compile import compile_plan
from exc.compiler.diff import shown
from exc.compiler.folder import plan_folder, plan_scripts
from exc.compiler.plan import Plan
from exc.facts import gather
from exc.spec.cells import base_of, includes
from exc.spec.copying import Override
from exc.spec.diagnostics import Diagnostics, did_you_mean, one_of
from exc.spec.experiment import Experiment, Spec
from exc.spec.launch_files import read_launch_files
from exc.spec.load import load_experiment
from exc.spec.profile import load_profile
from exc.spec.profiles import Profile


@dataclass(frozen=True, slots=True)
class Compiled:
    """What came of a spec: a plan where it has no errors, and everything there is to say about it."""

    plan: Plan | None
    experiment: Experiment | None
    diagnostics: Diagnostics
    sources: Mapping[str, str]  # file -> text, for showing the lines of diagnostics


def compile_spec(spec: Path, out: Path | None = None, profile_name: str = "local") -> Compiled:
    """Compile a spec for a profile. `out` is the plan folder, by default `plan` beside the spec."""
    loaded = load_experiment(spec)
    diagnostics, draft = loaded.diagnostics, loaded.draft
    root = spec.parent
    if draft is None:
        return Compiled(None, None, diagnostics, loaded.sources)
    facts = gather(draft, root, diagnostics)
    check(draft, diagnostics, facts)
    check_columns(draft, root, facts, diagnostics)
    sources = dict(loaded.sources)
    profile = load_profile(profile_name, root, diagnostics, sources)
    if profile is not None:
        facts = replace(facts, launch=read_launch_files(profile, root, diagnostics, sources))
        check_micro_batches(draft, profile, diagnostics)
        check_whole_weights(draft, profile, facts.launch, diagnostics)
        _check_settings(profile, diagnostics)
    if diagnostics.has_errors or loaded.experiment is None or profile is None:
        return Compiled(None, loaded.experiment, diagnostics, sources)
    findings = tuple((d.code, d.message) for d in diagnostics.sorted() if d.severity == "warning")
    plan = compile_plan(
        loaded.experiment,
        facts,
        profile,
        profile_name=profile_name,
        root=_relative(root, out or root / "plan"),
        warnings=findings,
        overrides=tuple(_override(change) for change in loaded.overrides),
    )
    # Of this machine, not of the plan, which is the same wherever it is compiled: said, and not written.
    _check_trackers(profile, diagnostics)
    _check_selected(profile, plan, loaded.experiment.spec, diagnostics)
    return Compiled(plan, loaded.experiment, diagnostics, sources)


def _check_settings(profile: Profile, diagnostics: Diagnostics) -> None:
    """Report settings that a tracker does not have."""
    for tracker in profile.trackers:
        for key in ("mode", "entity"):
            if tracker.name != "wandb" and getattr(tracker, key) is not None:
                diagnostics.error(
                    "unknown-key",
                    f"the profile's tracker `{tracker.name}` has no `{key}`",
                    expected="it of `wandb` alone",
                )


def _check_trackers(profile: Profile, diagnostics: Diagnostics) -> None:
    """Warn of trackers whose package is not in this environment."""
    for tracker in profile.trackers:
        if find_spec(tracker.name) is None:
            diagnostics.warning(
                "tracker-not-installed",
                f"the profile's tracker `{tracker.name}` is not installed here",
                hint=f"where jobs run: pip install {tracker.name}",
            )


def _check_selected(profile: Profile, plan: Plan, spec: Spec, diagnostics: Diagnostics) -> None:
    """Warn of resources for what this study does not have: a misspelt name, whose jobs get the defaults."""
    known = {
        "recipe": [*spec.recipes, "base"],
        "trunk": list(spec.trunks),
        "class": list(dict.fromkeys(job.cls for job in plan.jobs)),
    }
    for entry in profile.resources:
        for key, name in entry.on.model_dump(by_alias=True, exclude_none=True).items():
            names = known.get(key)
            if names is not None and not any(includes(name, each) for each in names):
                message = f"the profile has resources for the {key} `{name}`, which this study does not have"
                hint = did_you_mean(name, [*names, *map(base_of, names)])
                diagnostics.warning("unused", message, hint=hint or f"name {one_of(names)}")


def _override(change: Override) -> str:
    """What an entry changes of the one it is `like`, as a line for PLAN.md."""
    where = ".".join(str(part) for part in change.path)
    after = "removed" if change.is_deleted else shown(change.after)
    return f"`{where}`: {shown(change.before)} -> {after}"


def _relative(root: Path, out: Path) -> str:
    """The spec's folder as seen from the plan folder: the same wherever both are moved together."""
    return Path(os.path.relpath(root.resolve(), out.resolve())).as_posix()


def write_plan(plan: Plan, out: Path) -> bool:
    """Write the plan folder; files that are as they should be are not touched. True when anything changed.

    plan.json is written last and by renaming, so that a reader never sees half of a plan. Scripts of classes
    that are no more are removed.
    """
    content = plan_folder(plan)
    (out / "jobs").mkdir(parents=True, exist_ok=True)
    stale = stale_files(content, out)
    for path in stale:
        path.unlink()
    changed = bool(stale)
    for name in sorted(content, key=lambda name: name == "plan.json"):
        changed |= _write(out / name, content[name])
    return changed


def stale_files(content: Mapping[str, bytes], out: Path) -> list[Path]:
    """Scripts and configs in a plan folder whose class is no more."""
    folder = out / "jobs"
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if path.suffix in (".sh", ".yaml") and f"jobs/{path.name}" not in content]


def _write(path: Path, content: bytes) -> bool:
    if is_written(path, content):
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.chmod(0o755 if path.suffix == ".sh" else 0o644)
    temporary.replace(path)
    return True


def edited_scripts(plan: Plan, out: Path) -> list[str]:
    """Scripts in a plan folder that are not what the plan says, sorted: changed by hand, or gone."""
    return sorted(name for name, content in plan_scripts(plan).items() if not is_written(out / name, content))


def is_written(path: Path, content: bytes) -> bool:
    """Whether a file is there, and has this content."""
    try:
        return path.read_bytes() == content
    except OSError:
        return False
