"""A user's folder whose jobs run on a real SLURM, and do there what a test says."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tests.end_to_end.project import Project
from tests.slurm.cluster import Cluster

FAULTS = Path(__file__).parent / "faults"
SETTLED_S = 240.0  # all jobs of a plan, one after the other, on a busy machine


@dataclass
class ClusterProject(Project):
    """A copy of the spec in `faults`, for a cluster. Its commands see that cluster."""

    JOBS: ClassVar[dict[str, str]] = {  # what work.sh calls a job -> its id
        "one": "tiny/1/chain/r0/one",
        "two": "tiny/1/chain/r0/two",
        **{f"beside{number}": f"tiny/1/beside{number}/r0/only" for number in range(1, 5)},
    }

    cluster: Cluster = field(kw_only=True)

    @classmethod
    def compiled(cls, folder: Path, cluster: Cluster) -> ClusterProject:
        shutil.copytree(FAULTS, folder)
        project = cls(folder, {"SLURM_CONF": str(cluster.conf)}, cluster=cluster)
        write_model(folder / "model")
        project.ok("compile", "--profile", "cluster")
        return project

    # What a job does

    def hold(self, *names: str) -> None:
        for name in names:
            (self.folder / f"hold-{name}").touch()

    def free(self, *names: str) -> None:
        for name in names:
            (self.folder / f"hold-{name}").unlink()

    def let_do(self, name: str, command: str) -> None:
        (self.folder / f"do-{name}").write_text(command + "\n", encoding="utf-8")

    def mend(self, name: str) -> None:
        (self.folder / f"do-{name}").unlink()

    # What has become of it

    def begun(self, name: str) -> int:
        """How often a job began."""
        path = self.folder / f"begun-{name}"
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0

    def until_alone(self, name: str) -> None:
        """Until a job that is held is the only one that runs."""
        self.cluster.until(lambda: self.begun(name), SETTLED_S)
        self.cluster.until(lambda: len(self.cluster.squeue("-t", "R,CG")) == 1, SETTLED_S)

    def completed(self) -> dict[str, int]:
        """How often each job was run to its end."""
        records = [json.loads(path.read_bytes()) for path in self.store.glob("attempts/*/*/attempt.json")]
        good = Counter(record["job"] for record in records if record.get("exit") == 0)
        return {name: good[job] for name, job in self.JOBS.items()}

    def settle(self) -> None:
        """Until nothing of it is in the queue."""
        self.cluster.until(lambda: not self.cluster.squeue(), SETTLED_S)

    def number(self, name: str) -> tuple[str, str]:
        """A job's own SLURM number, and the node that it runs on."""
        rows = self.cluster.squeue("-t", "R", fields="%j|%A|%N")
        cls = "chain.one" if name == "one" else self.plan.job(self.JOBS[name]).cls
        (found,) = [row for row in rows if f".{cls}." in row[0]]
        return found[1], found[2]

    def told(self, name: str) -> str:
        """What `exc status` says of a failed job."""
        shown = self.exc("status").out
        blocks = [part for part in shown.split("\n\n") if f"failed {self.JOBS[name]} " in part]
        assert blocks, shown
        return blocks[0][blocks[0].index("failed ") :]

    def is_complete(self) -> None:
        """Asserts that every job is done, and that none was done twice."""
        states = self.states()
        assert set(states.values()) == {"done"}, (states, self.exc("status").out)
        assert self.completed() == dict.fromkeys(self.JOBS, 1)


def write_model(folder: Path) -> None:
    """The least that is a model with its tokenizer."""
    import numpy
    from safetensors.numpy import save_file

    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 4}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({"weight": numpy.zeros(4, dtype=numpy.float32)}, folder / "model.safetensors")
    empty = {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(empty), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
