"""The commands about a spec and its plan: check, compile, lock, plan and diff; show and explain."""

from __future__ import annotations

from exc.cli_arguments import Command, add_json, add_out, add_plan, add_spec, add_spec_file


def add_spec_commands(command: Command) -> None:
    """Add those that read a spec to the command line's parser."""
    add_spec(command("check", "check a spec and report every mistake in it"), json=True)
    compiled = command("compile", "check a spec and write its plan, for review")
    add_spec(compiled, json=True)
    add_out(compiled)
    compiled.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the plan folder is not up to date"
    )
    lock = command("lock", "resolve names on the hub to commits, in exc.lock beside the spec")
    add_spec_file(lock)
    lock.add_argument("--update", action="store_true", help="also resolve again what is already locked")
    planned = command("plan", "say for each job whether it will run or be reused, and why")
    add_spec(planned, json=True)
    add_out(planned)
    diff = command("diff", "compare two plan folders, or a plan folder with its spec")
    diff.add_argument("old", metavar="PLAN", help="plan folder")
    diff.add_argument("new", metavar="PLAN2", nargs="?", help="another one (default: what the spec says now)")
    add_json(diff)


def add_reading_commands(command: Command) -> None:
    """Add `show` and `explain`."""
    show = command("show", "show a job of a plan: config, script, lineage")
    show.add_argument("job", metavar="JOB-ID", help="an id, an alias, a unique beginning or a pattern")
    add_plan(show, json=True)
    explain = command("explain", "explain a diagnostic code")
    explain.add_argument("code", metavar="CODE", nargs="?", help="the code (default: list all codes)")
