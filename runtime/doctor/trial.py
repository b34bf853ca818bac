"""What the scheduler itself says of each script, and what a node sees."""

from __future__ import annotations

import shlex
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from exc.compiler.classes import job_classes
from exc.compiler.folder import plan_scripts
from exc.compiler.plan import Job, Plan
from exc.compiler.slurm_options import sbatch_options
from exc.runtime.doctor.asking import ask
from exc.runtime.doctor.findings import Finding, failure, ok
from exc.runtime.store import Store

_STARTS_S = 300.0  # how long a node is waited for
_PLACES = ("partition", "account", "qos", "constraint", "reservation")


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


def check_node(profile: Mapping[str, Any], root: Path, store: Store) -> Iterator[Finding]:
    """Run a moment on a node that computes: whether it sees the store, and exc."""
    token = uuid.uuid4().hex
    there, back = store.root / "tmp" / f".doctor-{token}", store.root / "tmp" / f".doctor-{token}.node"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_text(token, encoding="utf-8")
    # On the node's own view of the folder: a store that is not shared is empty there.
    lines = [
        "set -eo pipefail",
        f'[ "$(cat "$STORE_FILE" 2>/dev/null)" = {token} ] || {{ echo "the store is not seen"; exit 9; }}',
        'hostname > "$STORE_FILE.node"',
        'cd "$SPEC_FOLDER" || { echo "the folder of the spec is not seen"; exit 9; }',
        *profile.get("setup", ()),
        '"${EXC_PYTHON:-python}" -P -c "import exc"' if not profile.get("container") else "true",
    ]
    options = sbatch_options({"cpus": 1}, profile, "exc-doctor")
    places = [f"--{name}={options[name]}" for name in _PLACES if name in options]
    command = ["srun", "--nodes=1", "--ntasks=1", "--time=2", "--job-name=exc-doctor", *places]
    script = [f"STORE_FILE={_quoted(there)}", f"SPEC_FOLDER={_quoted(root)}", *lines]
    try:
        answer = ask([*command, "bash", "-c", "\n".join(script)], timeout_s=_STARTS_S, cwd=Path("/"))
        if answer.well and back.exists():
            host = back.read_text(encoding="utf-8").strip()
            yield ok("node", f"{host} sees the store and the spec's folder, and imports exc")
        elif answer.well:
            todo = "name a folder by `store` in the profile that all nodes share"
            yield failure("node", "what the node wrote into the store is not seen here", todo)
        else:
            said = answer.out.strip().splitlines()
            todo = "store, spec and environment must lie where every node sees them"
            yield failure("node", said[-1] if answer.code == 9 and said else answer.complaint, todo)
    finally:
        there.unlink(missing_ok=True)
        back.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
