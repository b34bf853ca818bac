"""`exc check`, `exc compile`, `exc explain`: from the spec to the plan folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from shlex import quote

from exc.commands.terminal import diagnostics_json, fail, print_json, show_diagnostics
from exc.compiler.folder import plan_folder
from exc.compiler.plan import PLAN_FILE, Plan
from exc.pipeline import Compiled, compile_spec, is_written, stale_files, write_plan
from exc.spec.codes import CODES
from exc.spec.diagnostics import Diagnostics, did_you_mean
from exc.spec.load import load_experiment
from exc.spec.words import plural

_OURS = frozenset({PLAN_FILE, "PLAN.md", "graph.svg", "jobs"})


def check(args: argparse.Namespace) -> int:
    """Report every mistake in a spec."""
    compiled = compile_spec(Path(args.spec), profile_name=args.profile)
    if args.json:
        print_json({"ok": compiled.plan is not None, "diagnostics": diagnostics_json(compiled)})
        return 0 if compiled.plan else 1
    show_diagnostics(compiled)
    if compiled.plan is None:
        return 1
    print(f"{args.spec}: no errors; {_counts(compiled.plan)}")
    return 0


def compile_(args: argparse.Namespace) -> int:
    """Write the plan folder of a spec."""
    spec = Path(args.spec)
    out = Path(args.out) if args.out else spec.parent / "plan"
    if out.exists() and not out.is_dir():
        return fail(f"{out} is a file; name a folder with -o")
    compiled = compile_spec(spec, out, args.profile)
    if not args.check and any(d.code == "unlocked" for d in compiled.diagnostics.sorted()):
        for line in lock_missing(spec):
            print(line, file=sys.stderr if args.json else sys.stdout)
        compiled = compile_spec(spec, out, args.profile)
    if not args.json:
        show_diagnostics(compiled)
    changed = False
    if compiled.plan is not None and not _foreign(out):
        changed = _differs(compiled.plan, out) if args.check else write_plan(compiled.plan, out)
    if args.json:
        jobs = len(compiled.plan.jobs) if compiled.plan else None
        print_json(
            {"plan": str(out), "jobs": jobs, "changed": changed, "diagnostics": diagnostics_json(compiled)}
        )
    if compiled.plan is None:
        return 1
    if _foreign(out):
        return fail(f"{out}: the folder is not empty and holds no plan; name another with -o")
    if not args.json:
        _say(compiled.plan, out, changed=changed, written=not args.check)
    return 1 if args.check and changed else 0


def lock_missing(spec: Path) -> list[str]:
    """Resolve what the lock lacks, where the hub can be reached; what is wrong, compiling says."""
    from exc.lock import LockError, Unreachable
    from exc.locking import update_lock

    draft = load_experiment(spec).draft
    try:
        said = update_lock(draft, spec.parent, anew=False, diagnostics=Diagnostics()) if draft else []
    except (LockError, Unreachable):
        return []
    return [f"locked {line}" for line in said]


def lock(args: argparse.Namespace) -> int:
    """Resolve the spec's names on the hub, and say what they are."""
    from exc.lock import LockError, Unreachable, read_refs
    from exc.locking import named, update_lock

    spec = Path(args.spec)
    loaded = load_experiment(spec)
    found = Compiled(None, loaded.experiment, loaded.diagnostics, loaded.sources)
    if loaded.draft is None:
        show_diagnostics(found)
        return 1
    try:
        said = update_lock(loaded.draft, spec.parent, anew=args.update, diagnostics=loaded.diagnostics)
    except LockError as error:
        return fail(str(error))
    except Unreachable as error:
        return fail(f"the hub cannot be reached: {error}", 3)
    show_diagnostics(found)
    refs = read_refs(spec.parent)
    print("\n".join(said) or f"exc.lock: nothing to resolve, {len(list(named(loaded.draft, refs)))} locked")
    return 1 if loaded.diagnostics.has_errors else 0


def explain(args: argparse.Namespace) -> int:
    """What a diagnostic code means, with an example and its mending."""
    if args.code is None:
        width = max(map(len, CODES))
        for name, code in CODES.items():
            print(f"{name:<{width}}  {code.title}")
        return 0
    if args.code not in CODES:
        return fail(
            f"there is no code `{args.code}`; {did_you_mean(args.code, CODES) or '`exc explain` lists them'}",
            2,
        )
    code = CODES[args.code]
    example = "\n".join(f"    {line}" for line in code.example.strip("\n").splitlines())
    print(f"{args.code}: {code.title}\n\n{code.what}\n\nWhy: {code.why}\n")
    print(f"Example:\n\n{example}\n\nFix: {code.fix}")
    return 0


def _foreign(out: Path) -> bool:
    """Whether a folder holds things that are no plan, nor what is left of one whose writing was cut short."""
    if not out.is_dir() or (out / PLAN_FILE).exists():
        return False
    return any(path.name not in _OURS and not path.name.startswith(".") for path in out.iterdir())


def _differs(plan: Plan, out: Path) -> bool:
    content = plan_folder(plan)
    are_written = all(is_written(out / name, data) for name, data in content.items())
    return not are_written or bool(stale_files(content, out))


def _say(plan: Plan, out: Path, *, changed: bool, written: bool) -> None:
    if not changed:
        print(f"{out}: up to date; {_counts(plan)}")
    elif written:
        command = "exc submit" if str(out) == "plan" else f"exc submit {quote(str(out))}"
        print(f"{out}: {_counts(plan)}\nread {out / 'PLAN.md'}, then run: {command}")
    else:
        print(f"{out}: not what the spec says now; write it with `exc compile`")


def _counts(plan: Plan) -> str:
    classes = len({job.cls for job in plan.jobs})
    return f"{plural(len(plan.jobs), 'job')} in {plural(classes, 'class', 'classes')}"
