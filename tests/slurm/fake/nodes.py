"""sinfo."""

from __future__ import annotations

from collections.abc import Sequence

from tests.slurm.fake.options import parsed
from tests.slurm.fake.reply import Reply
from tests.slurm.fake.schedule import TIERS
from tests.slurm.fake.state import State
from tests.slurm.fake.texts import hostlist

VALUED = "format/o partition/p nodes/n states/t Format/O"
FLAGS = "noheader/h Node/N version/V long/l"


def sinfo(state: State, argv: Sequence[str]) -> Reply:
    options, _ = parsed(argv, VALUED, FLAGS)
    if "version" in options:
        return Reply("slurm-wlm 22.05.8")
    names = [f"n{number + 1}" for number in range(state.settings.nodes)]
    groups = {"down": state.down, "idle": [name for name in names if name not in state.down]}
    form = options.get("format", "%P %a %l %D %t %N")
    lines: list[str] = [] if "noheader" in options else ["PARTITION AVAIL TIMELIMIT NODES STATE NODELIST"]
    for partition in TIERS:
        if options.get("partition", partition) != partition:
            continue
        for condition, members in groups.items():
            for some in [[name] for name in members] if "Node" in options else [members] if members else []:
                lines.append(_node_line(state, form, partition, condition, some))
    return Reply("\n".join(lines))


def _node_line(state: State, form: str, partition: str, condition: str, nodes: Sequence[str]) -> str:
    values = {
        "P": partition + ("*" if partition == "main" else ""),
        "R": partition,
        "a": "up",
        "l": "infinite",
        "D": str(len(nodes)),
        "t": condition,
        "T": condition,
        "N": hostlist(nodes),
        "c": str(state.settings.cpus),
        "m": "32000",
        "G": f"gpu:{state.settings.gpus}" if state.settings.gpus else "(null)",
    }
    for letter, value in values.items():
        form = form.replace(f"%{letter}", value)
    return form
