"""The one program behind all shims: `command.py NAME FOLDER ARGUMENT...`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from tests.slurm.fake import accounting, control, listing, nodes, runner, step, submission
from tests.slurm.fake.reply import Reply
from tests.slurm.fake.schedule import tick
from tests.slurm.fake.state import Fault, State, opened

COMMANDS: dict[str, Callable[[State, Sequence[str]], Reply]] = {
    "sbatch": submission.sbatch,
    "squeue": listing.squeue,
    "sacct": accounting.sacct,
    "scancel": control.scancel,
    "scontrol": control.scontrol,
    "sinfo": nodes.sinfo,
}
UNREACHABLE = {
    "sbatch": submission.FAILED,
    "squeue": "slurm_load_jobs error: ",
    "scancel": "scancel: error: ",
    "scontrol": "slurm_load_jobs error: ",
    "sinfo": "slurm_load_partitions: ",
}
NO_CONTROLLER = "Unable to contact slurm controller (connect failure)"


def main(argv: Sequence[str]) -> int:
    name, folder, *words = argv
    where = Path(folder)
    if name == "_run":
        runner.run(where, words[0])
    elif name == "_wake":
        time.sleep(max(0.0, float(words[0])) + 0.01)
        _tick(where)
    elif name == "_tick":
        _tick(where)
    elif name == "srun":
        return step.srun(words)
    else:
        return _answer(where, name, words)
    return 0


def _tick(folder: Path) -> None:
    with opened(folder) as state:
        state.waking = 0.0
        tick(state)


def _answer(folder: Path, name: str, words: Sequence[str]) -> int:
    with opened(folder) as state:
        number = state.calls[name] = state.calls.get(name, 0) + 1
        fault = _fault(state, name, number)
        reply = _done(state, name, words, fault)
        if state.settings.auto:
            tick(state)
        _log(folder, name, words, reply, state.now())
    if fault:
        time.sleep(fault.delay)
    for text, stream in ((reply.out, sys.stdout), (reply.err, sys.stderr)):
        if text:
            print(text, file=stream)
    return reply.code


def _fault(state: State, name: str, number: int) -> Fault | None:
    for fault in state.faults:
        if fault.command == name and fault.at <= number < fault.at + fault.times:
            return fault
    return None


def _done(state: State, name: str, words: Sequence[str], fault: Fault | None) -> Reply:
    if fault and not fault.accepted and fault.text:
        return Reply(err=fault.text, code=fault.code)
    local = name == "scontrol" and words[:2] in (["show", "hostnames"], ["show", "hostlist"])
    if not state.settings.controller and name in UNREACHABLE and not local:
        return Reply(err=UNREACHABLE[name] + NO_CONTROLLER, code=1)
    if state.settings.auto and name != "sbatch":
        tick(state)
    reply = COMMANDS[name](state, words)
    return Reply(err=fault.text, code=fault.code) if fault and fault.text else reply


def _log(folder: Path, name: str, words: Sequence[str], reply: Reply, now: float) -> None:
    call = {
        "command": name,
        "argv": list(words),
        "code": reply.code,
        "out": reply.out,
        "err": reply.err,
        "time": now,
    }
    with (folder / "calls.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(call) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
