"""`exc adopt`, `exc export`, `exc gc`: what comes into the store from elsewhere, leaves it, or goes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from exc.commands.console import Output
from exc.commands.terminal import fail, print_json
from exc.compiler.plan import PLAN_FILE, Plan, PlanError, read_plan, short_ref
from exc.runtime.adopt_checks import AdoptError
from exc.runtime.gc import Collector, Removal
from exc.runtime.gc_items import Item, Rules
from exc.runtime.places import find_store
from exc.runtime.registry import find_registrations, registration_of, registrations, unregister
from exc.runtime.store import Store, StoreError
from exc.runtime.submitters import submitters
from exc.runtime.wording import here, plan_command
from exc.spec.units import format_bytes
from exc.spec.words import plural

_SHOWN = 8  # items of a kind before "and N more"


def adopt(args: argparse.Namespace) -> int:
    """Take in what was made elsewhere, as the artifact of a job or as numbers."""
    from exc.runtime.adopt import Statement
    from exc.runtime.adopt import adopt as adopt_artifact
    from exc.runtime.adopted_values import adopt_values

    most = 1 if args.values else 3
    if len(args.names) > most or (not args.values and len(args.names) < 2):
        return fail("give JOB-ID PATH [PLAN], or --values FILE.csv [PLAN]", 2)
    folder = Path(args.names[most - 1] if len(args.names) == most else "plan")
    try:
        plan, store = _opened(folder)
        said = Statement.now(args.why, args.origin)
        if args.values:
            points = adopt_values(plan, Path(args.values), store, said)
            print(
                f"adopted {plural(len(points), 'number')} from {args.values}; "
                "reports mark them, and compare nothing with them"
            )
            return 0
        adoption = adopt_artifact(plan, args.names[0], Path(args.names[1]), store, said)
    except (PlanError, StoreError, AdoptError, LookupError) as error:
        return fail(str(error.args[0]))
    print(f"{adoption.job}: adopted as {short_ref(adoption.artifact)}, content {adoption.digest[:12]}")
    print(f"every report marks it and what descends from it; to go on: {plan_command('submit', folder)}")
    return 0


def export(args: argparse.Namespace) -> int:
    """Write a model folder."""
    from exc.runtime.export import ExportError, final_job
    from exc.runtime.export import export as write

    most = 1 if args.final else 2
    if len(args.names) > most or not (args.final or args.names):
        return fail("give JOB-ID [PLAN], or --final RECIPE [PLAN]", 2)
    folder = Path(args.names[most - 1] if len(args.names) == most else "plan")
    try:
        plan, store = _opened(folder)
        where = {"trunk": args.trunk, "at": args.at, "replicate": args.replicate}
        name = final_job(plan, args.final, **where) if args.final else args.names[0]
        nodes = write(plan, name, store, Path(args.out), license_id=args.license)
    except (PlanError, StoreError, ExportError, LookupError) as error:
        return fail(str(error.args[0]))
    print(f"{args.out}: {nodes[-1].name} ({short_ref(nodes[-1].ref)}), with README.md and lineage.json")
    if any(node.adoptions for node in nodes):
        print("not all of it was computed here: the card says what was adopted")
    if not args.license:
        print("the card names no license; to name one: --license ID")
    return 0


def gc(args: argparse.Namespace) -> int:
    """List what may go, and remove it with --delete."""
    try:
        plan, store = _place(Path(args.place))
        if args.unregister is not None:
            return _unregister(store, args.unregister)
        if args.resume_state and plan is None:
            return fail("--resume-state is about a plan: name its folder, not a store", 2)
        extra = [registration_of(plan, Path(args.place))] if plan is not None else []
        only = frozenset(job.work_key for job in plan.jobs) if args.resume_state and plan else frozenset()
        rules = Rules(args.older_than, keep_attempts=args.keep_attempts, only=only)
        collector = Collector(store, rules, extra)
        items = collector.find()
        removal = collector.remove(items) if args.delete else None
    except (PlanError, StoreError) as error:
        return fail(str(error))
    if args.json:
        print_json(_gc_json(collector, items, removal))
    else:
        _print_gc(collector, items, removal, args)
    return 0


def _opened(folder: Path) -> tuple[Plan, Store]:
    plan = read_plan(folder)
    return plan, find_store(plan, folder.absolute())


def _place(path: Path) -> tuple[Plan | None, Store]:
    """A plan with its store, or a store alone. Raises PlanError."""
    if (path / "artifacts").is_dir() and not (path / PLAN_FILE).exists():
        return None, Store(path)
    plan = read_plan(path)
    return plan, find_store(plan, path.absolute())


def _unregister(store: Store, name: str) -> int:
    found = find_registrations(store, name)
    if not found:
        known = ", ".join(entry.name for entry in registrations(store)) or "none"
        return fail(f"no plan `{name}` is registered in {store.root}; registered: {known}")
    for experiment in sorted({entry.experiment for entry in found}):
        for one in submitters(store, experiment):
            return fail(f"{experiment}: {one.text()}; wait for it, or `exc cancel --all`, and try again")
    for entry in found:
        unregister(store, entry)
        print(f"{entry.name}: no longer registered; `exc gc` lists what only it needed")
    return 0


def _gc_json(collector: Collector, items: Sequence[Item], removal: Removal | None) -> dict[str, object]:
    left = {item.path: why for item, why in removal.left} if removal else {}
    return {
        "store": str(collector.store.root),
        "plans": list(dict.fromkeys(entry.name for entry in collector.needed.plans)),
        "unregistered": collector.needed.strangers,
        "deleted": removal is not None,
        "bytes": sum(item.size for item in items if item.path not in left),
        "items": [
            {
                "sort": item.sort,
                "name": item.name,
                "path": item.path.relative_to(collector.store.root).as_posix(),
                "bytes": item.size,
                "why": item.why,
                "left": left.get(item.path),
            }
            for item in items
        ],
    }


def _print_gc(
    collector: Collector, items: Sequence[Item], removal: Removal | None, args: argparse.Namespace
) -> None:
    console = Output(highlight=False, soft_wrap=True)
    needed = collector.needed
    plans = ", ".join(dict.fromkeys(entry.name for entry in needed.plans)) or "none"
    console.print(f"store {here(collector.store.root)}, plans: {plans}", style="dim")
    if needed.strangers:
        console.print(
            f"kept whole, as these experiments never registered a plan: {', '.join(needed.strangers)} "
            f"(`exc submit` registers one)"
        )
    for entry in needed.plans:
        if entry.superseded:
            console.print(
                f"{entry.name}: {here(Path(entry.folder))} no longer holds this plan; to let go of it: "
                f"exc gc {args.place} --unregister {entry.name}"
            )
    if not items:
        console.print("nothing to remove")
        return
    console.print(_gc_table(items))
    if removal is None:
        total = format_bytes(sum(item.size for item in items), 3)
        console.print(f"{plural(len(items), 'thing')}, {total}; nothing was removed: to do it, add --delete")
        return
    for item, why in removal.left:
        console.print(f"left {item.sort} {escape(item.name)}: {why}")
    freed = format_bytes(sum(item.size for item in removal.removed), 3)
    console.print(f"removed {plural(len(removal.removed), 'thing')}, {freed}")


def _gc_table(items: Sequence[Item]) -> Table:
    """The largest of each sort and why, then how many more of it there are."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("what", "of"):
        table.add_column(name, no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        groups.setdefault((item.sort, item.why), []).append(item)
    for (sort, why), group in groups.items():
        for item in group[:_SHOWN]:
            table.add_row(sort, escape(item.name), format_bytes(item.size, 3), why)
        if rest := group[_SHOWN:]:
            table.add_row(
                sort, f"and {len(rest)} more", format_bytes(sum(item.size for item in rest), 3), why
            )
    table.add_section()
    table.add_row("all", str(len(items)), format_bytes(sum(item.size for item in items), 3), "", style="bold")
    return table
