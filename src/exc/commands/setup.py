"""`exc init`, `exc schema`, `exc completion`: what a person sets up once."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from exc.commands.terminal import fail
from exc.spec.diagnostics import did_you_mean

TEMPLATES = Path(__file__).parent.parent / "templates"
# Files under another name: sources are no modules of exc, and hidden files are easily missed.
SUFFIX = ".template"
HIDDEN = {"gitignore": ".gitignore"}
COMMON = "common"
SPEC_SCHEMA, PROFILES_SCHEMA = "exc.schema.json", "exc.profiles.schema.json"


def schema(args: argparse.Namespace) -> int:
    """Print or write a JSON Schema."""
    from exc.spec.json_schema import profiles_schema, schema_text, spec_schema

    text = schema_text(profiles_schema() if args.profiles else spec_schema())
    if args.out is None:
        sys.stdout.write(text)
        return 0
    Path(args.out).write_text(text, encoding="utf-8")
    reader = "profiles.yaml" if args.profiles else "the spec"
    print(f"{args.out}: written; name it in the first line of {reader}:")
    print(f"# yaml-language-server: $schema={args.out}")
    return 0


def init(args: argparse.Namespace) -> int:
    """Write a template into a folder; nothing is written where anything of it is there already."""
    titles = templates()
    if args.list:
        width = max(map(len, titles))
        for name, title in titles.items():
            print(f"{name:<{width}}  {title}")
        return 0
    if args.template not in titles:
        hint = did_you_mean(args.template, titles) or "`exc init --list` lists them"
        return fail(f"there is no template `{args.template}`; {hint}", 2)
    folder = Path(args.folder)
    if folder.exists() and not folder.is_dir():
        return fail(f"{folder} is a file; name a folder")
    files = template_files(args.template)
    there = sorted(name for name in files if (folder / name).exists())
    if there:
        return fail(
            f"{', '.join(str(folder / name) for name in there)} would be overwritten; name another folder"
        )
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{folder}: {', '.join(sorted(files))}\n")
    print("\n".join(_next(folder)))
    return 0


def _next(folder: Path) -> list[str]:
    """The commands that go on from here, with what they do."""
    enter = [] if folder == Path() else [f"  cd {shlex.quote(str(folder))}"]
    return [
        "next:",
        *enter,
        "  exc compile   # check the spec and write the plan: read plan/PLAN.md",
        "  exc submit    # run it on this machine",
        "  exc report    # draw report/index.html",
    ]


def templates() -> dict[str, str]:
    """Name -> what it is, in the order of their size."""
    found = [path for path in TEMPLATES.iterdir() if path.is_dir() and path.name != COMMON]
    by_size = sorted(found, key=lambda path: (sum(p.stat().st_size for p in path.rglob("*")), path.name))
    return {path.name: _title(path) for path in by_size}


def _title(folder: Path) -> str:
    """The first sentence of the comment that a spec starts with."""
    lines = (folder / "experiment.yaml").read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("# ") for line in lines if line.startswith("# ") and "$schema" not in line]
    return " ".join(comment).partition(". ")[0].removesuffix(".")


def template_files(template: str) -> dict[str, bytes]:
    """What `exc init` writes: path -> content."""
    from exc.spec.json_schema import profiles_schema, schema_text, spec_schema

    files: dict[str, bytes] = {}
    for folder in (TEMPLATES / COMMON, TEMPLATES / template):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = path.relative_to(folder).as_posix().removesuffix(SUFFIX)
                files[HIDDEN.get(name, name)] = path.read_bytes()
    files[SPEC_SCHEMA] = schema_text(spec_schema()).encode()
    files[PROFILES_SCHEMA] = schema_text(profiles_schema()).encode()
    return files


def completion(args: argparse.Namespace) -> int:
    """Print a completion script, or, for such a script, what may stand at a place."""
    from exc.commands.completion import script, values

    if args.values is not None:
        for value in values(args.values):
            if value.startswith(args.prefix):
                print(value)
        return 0
    if args.shell is None:
        return fail("which shell? bash, zsh or fish", 2)
    sys.stdout.write(script(args.shell))
    return 0
