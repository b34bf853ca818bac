"""What the scheduler itself says of each script, and what a node sees."""

from __future__ import annotations

import os
import shlex
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from exc.compiler.classes import job_classes
from exc.compiler.folder import plan_scripts
from exc.compiler.plan import Job, Plan
from exc.compiler.script_parts import Start
from exc.compiler.slurm_options import sbatch_options
from exc.runtime.devices import ON_DEVICE
from exc.runtime.doctor.asking import Answer, ask
from exc.runtime.doctor.findings import Finding, failure, ok, warning
from exc.runtime.store import Store

_STARTS_S = 300.0  # how long a node is waited for
_RUNS_S = 300.0  # and how long it may take: libraries may come from a cold file system
_PLACES = ("partition", "account", "qos", "constraint", "reservation", "gres", "export")
_NOT_SEEN = 9  # exit code of a node that lacks a folder
_NOT_FREE = "Unable to allocate resources"  # srun's words
_NO_GPU = "and torch sees"  # those of `check_gpus`


def check_scripts(plan: Plan) -> Iterator[Finding]:
    """`sbatch --test-only` of each class's script: whether SLURM would ever start such a job."""
    refused = 0
    classes = job_classes(plan)
    with tempfile.TemporaryDirectory(prefix="exc-doctor-") as folder:
        for name, content in plan_scripts(plan).items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        for cls in classes:
            path = Path(folder) / "jobs" / f"{cls.name}.sh"
            wide = _together(cls.jobs, plan.profile)
            answer = ask(["sbatch", "--test-only", *wide, str(path), cls.jobs[0].id])
            if not answer.well:
                refused += 1
                said = f"{cls.name} with {' '.join(wide)} (`pack`)" if wide else cls.name
                todo = f"see the #SBATCH lines of jobs/{cls.name}.sh, which come from `resources` and `slurm`"
                yield failure("scripts", f"{said}: {answer.complaint}", todo)
    if not refused:
        yield ok("scripts", f"SLURM takes the scripts of all {len(classes)} classes")


def _together(jobs: Sequence[Job], profile: Mapping[str, Any]) -> list[str]:
    """Options over those of the script for jobs that share an allocation; none where each has its own."""
    pack = min(int(jobs[0].resources.get("pack") or 1), len(jobs))
    alone, together = (sbatch_options(jobs[0].resources, profile, "", pack=number) for number in (1, pack))
    return [f"--{name}={value}" for name, value in together.items() if alone.get(name) != value]


def check_node(plan: Plan | None, profile: Mapping[str, Any], root: Path, store: Store) -> Iterator[Finding]:
    """Run a moment on a node that computes: whether it sees the store, exc, and a GPU if jobs want one."""
    token = uuid.uuid4().hex
    there, back = store.root / "tmp" / f".doctor-{token}", store.root / "tmp" / f".doctor-{token}.node"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text(token, encoding="utf-8")
    wanted = _wanted(plan)
    places = {"EXC_ROOT": str(root), "EXC_STORE": str(store.root)}
    words = ["sh", "-c", _step(profile, wanted), "doctor", _on_the_node(profile, wanted, places, there)]
    try:
        answer = ask(words, timeout_s=_STARTS_S + _RUNS_S, cwd=Path("/"), env={**os.environ, **places})
        if answer.well and back.exists():
            host = back.read_text(encoding="utf-8").strip()
            what = "imports exc, and sees a GPU" if wanted["gpus"] else "and imports exc"
            yield ok("node", f"{host} sees the store and the spec's folder, {what}")
        elif answer.well:
            todo = "name a folder by `store` in the profile that all nodes share"
            yield failure("node", "what the node wrote into the store is not seen here", todo)
        elif answer.code is None or _NOT_FREE in answer.err:
            yield warning("node", f"none was free: {answer.complaint}", "try again when one is")
        else:
            said = _last_words(answer)
            todo = "store, spec and environment must lie where every node sees them"
            if _NO_GPU in said:
                todo = "give these jobs a torch that fits the driver of the node, by `setup` or the image"
            yield failure("node", said, todo)
    finally:
        there.unlink(missing_ok=True)
        back.unlink(missing_ok=True)


def _last_words(answer: Answer) -> str:
    """What the node said last; srun itself only says that a task has failed."""
    texts = (answer.out,) if answer.code == _NOT_SEEN else (answer.err, answer.out)
    for text in texts:
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("srun: ")]
        if lines:
            return lines[-1]
    return answer.complaint


def _wanted(plan: Plan | None) -> dict[str, Any]:
    """A processor, and one GPU where the first job that has some gets them."""
    jobs = plan.jobs if plan is not None else ()
    first = next((job.resources for job in jobs if job.kind in ON_DEVICE and job.resources.get("gpus")), None)
    if first is None:
        return {"cpus": 1, "gpus": 0}
    return {"cpus": 1, "gpus": 1, "slurm": first.get("slurm", {})}


def _start(profile: Mapping[str, Any], gpus: int) -> Start:
    container, env = profile.get("container", {}), tuple(profile.get("env", ()))
    return Start("doctor", nodes=1, per_node=1, cpus=1, gpus=gpus, way="", container=container, env=env)


def _step(profile: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The line of shell that has a node run what is given to it."""
    options = sbatch_options(wanted, profile, "exc-doctor")
    places = [f"--{name}={options[name]}" for name in _PLACES if name in options]
    asked = ["srun", "--nodes=1", "--ntasks=1", f"--time={_RUNS_S / 60:.0f}", "--job-name=exc-doctor"]
    line = shlex.join([*asked, f"--immediate={_STARTS_S:.0f}", *places])
    return f'exec {line} {_start(profile, wanted["gpus"]).pyxis} bash -c "$1"'


def _on_the_node(
    profile: Mapping[str, Any], wanted: Mapping[str, Any], places: Mapping[str, str], there: Path
) -> str:
    """What the node runs: as a job does, in its container if there is one."""
    start = _start(profile, wanted["gpus"])
    tried = "from exc.runtime.devices import check_gpus; check_gpus(1)" if wanted["gpus"] else "import exc"
    token = there.read_text(encoding="utf-8")
    lines = [
        "set -eo pipefail",
        f'lacks() {{ echo "$1 is not seen"; exit {_NOT_SEEN}; }}',
        f"STORE_FILE={_quoted(there)}",
        # On the node's own view of the folder: a store that is not shared is empty there.
        f'[ "$(cat "$STORE_FILE" 2>/dev/null)" = {token} ] || lacks "the store"',
        'hostname > "$STORE_FILE.node"',
        *(f"export {name}={shlex.quote(value)}" for name, value in places.items()),
        'cd "$EXC_ROOT" || lacks "the folder of the spec"',
        *profile.get("setup", ()),
        f"{start.wrapper}{start.python} -P -c {shlex.quote(tried)}",
    ]
    return "\n".join(lines)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
