"""`child`, with FSDP on the CPU: it notes in `share-N.json` how much of the model process N holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from exc.runtime.stages import training
from tests.fsdp_on_cpu import allow
from tests.runtime.training import child


def main(path: Path) -> None:
    allow()
    stages: Any = training
    gather = stages.gather_weights

    def noting(model: Any) -> Any:
        parameters = list(model.parameters())
        share = {
            "here": sum(each.to_local().numel() for each in parameters),
            "all": sum(each.numel() for each in parameters),
        }
        note = path.with_name(f"share-{torch.distributed.get_rank()}.json")
        note.write_text(json.dumps(share), encoding="utf-8")
        return gather(model)

    stages.gather_weights = noting
    child.main(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
