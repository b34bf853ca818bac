"""Whether jobs find what they need: the store, room on its disk, a Python with exc in it, models."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from exc.compiler.plan import Plan
from exc.compiler.slurm_options import exported
from exc.runtime.doctor.asking import ask
from exc.runtime.doctor.findings import Finding, failure, ok, warning
from exc.runtime.outputs import is_done
from exc.runtime.room import free_bytes
from exc.runtime.store import Store
from exc.spec.units import format_bytes

_LITTLE = 10 * 10**9  # bytes; a few checkpoints of a small model
_IMPORTED = ("torch", "transformers", "trl", "accelerate", "datasets")
_VERSIONS = (
    "import json, sys\n"
    "from importlib import metadata\n"
    "found = {'python': sys.version.split()[0]}\n"
    "for name in sys.argv[1:]:\n"
    "    try:\n"
    "        found[name] = metadata.version(name)\n"
    "    except metadata.PackageNotFoundError:\n"
    "        pass\n"
    "print('exc-found ' + json.dumps(found))\n"
)
_IMPORTS_S = 300.0  # a cold shared file system


def check_store(store: Store) -> Iterator[Finding]:
    """Whether files can be written, renamed and linked there, as leases and artifacts are."""
    folder = store.root / "tmp" / f".doctor-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True)
        try:
            probe = folder / "a"
            probe.write_text("exc", encoding="utf-8")
            probe.replace(folder / "b")
            os.link(folder / "b", folder / "c")
        finally:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    except OSError as error:
        yield failure(
            "store", f"{store.root}: {error.strerror}", "name another folder by `store` in the profile"
        )
        return
    yield ok("store", f"{store.root} can be written to")
    free = free_bytes(store.root)
    if free is not None and free < _LITTLE:
        todo = "make room, or name another folder by `store` in the profile"
        yield warning("disk", f"{format_bytes(free, 2)} are free under {store.root}", todo)
    elif free is not None:
        yield ok("disk", f"{format_bytes(free, 2)} are free under {store.root}")


def check_python(profile: Mapping[str, Any], root: Path) -> Iterator[Finding]:
    """Whether the profile's `setup` leads to a Python with this exc, and with what trains."""
    if profile.get("container"):
        todo = "see that this version of exc is installed in the image; `--run` tries it"
        yield warning("python", "jobs run in a container, which is not started here", todo)
        return
    names = ("exc", *_IMPORTED)
    lines = ["set -eo pipefail", *profile.get("setup", ()), '"${EXC_PYTHON:-python}" -P -c "$CODE" "$@"']
    is_slurm = profile.get("backend") == "slurm"
    env = {name: os.environ[name] for name in exported(profile) if name in os.environ}
    environment = {**(env if is_slurm else os.environ), "CODE": _VERSIONS}
    if not is_slurm:
        environment.setdefault("EXC_PYTHON", sys.executable)
    answer = ask(
        ["bash", "-c", "\n".join(lines), "setup", *names], cwd=root, env=environment, timeout_s=_IMPORTS_S
    )
    told = next((line for line in answer.out.splitlines() if line.startswith("exc-found ")), None)
    if told is None:
        todo = (
            "mend `setup` in the profile, which is run in the spec's folder; or name a Python by EXC_PYTHON"
        )
        yield failure("python", answer.complaint, todo)
        return
    yield from _versions(json.loads(told.removeprefix("exc-found ")))


def _versions(found: Mapping[str, str]) -> Iterator[Finding]:
    here = metadata.version("exc")
    if "exc" not in found:
        yield failure("python", f"Python {found['python']} has no exc", "install it there: pip install exc")
    elif found["exc"] != here:
        said = f"exc {found['exc']} is installed there, and {here} here"
        yield failure("python", said, "install the same version in both")
    else:
        yield ok("python", f"Python {found['python']} with exc {here}")
    missing = [name for name in _IMPORTED if name not in found]
    if missing:
        todo = f"where jobs run: pip install {' '.join(missing)}"
        yield failure("packages", f"not installed there: {', '.join(missing)}", todo)
    else:
        yield ok("packages", ", ".join(f"{name} {found[name]}" for name in _IMPORTED))


def check_environment(profile: Mapping[str, Any]) -> Iterator[Finding]:
    """Variables that the profile names."""
    unset = [name for name in profile.get("env", ()) if not os.environ.get(name)]
    if unset:
        yield warning("env", f"not set here: {', '.join(unset)}", "set them where `exc submit` is run")
    elif profile.get("env"):
        yield ok("env", f"set here: {', '.join(profile['env'])}")


def check_models(plan: Plan, store: Store) -> Iterator[Finding]:
    """Whether what others published is in the store already: nodes that compute reach no hub."""
    fetched = [job for job in plan.jobs if job.kind == "fetch"]
    absent = [job for job in fetched if not is_done(job, store)]
    if absent:
        some = ", ".join(job.id for job in absent[:3]) + (", ..." if len(absent) > 3 else "")
        said = f"{len(absent)} of {len(fetched)} models and data sets are not in the store yet: {some}"
        todo = "`exc submit` fetches them from where it is run, so run it where the hub can be reached"
        yield warning("models", said, todo)
    elif fetched:
        yield ok("models", f"all {len(fetched)} published models and data sets are in the store")
