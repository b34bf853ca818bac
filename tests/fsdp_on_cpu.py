"""FSDP on the CPU, for tests: torch has it there, and accelerate on accelerators alone.

Of exc, only its look for the GPUs of the plan is left out. accelerate is told that its processes are of a
kind for which it takes FSDP up, and waits for them by a barrier that names no device.
"""

from __future__ import annotations

from typing import Any


def allow() -> None:
    """Have accelerate take up FSDP in the processes of this machine, where its settings say so."""
    import accelerate.state
    import torch

    from exc.runtime import devices

    state: Any = accelerate.state
    begin = state.AcceleratorState.__init__

    def begin_sharded(self: Any, *args: Any, **kwargs: Any) -> None:
        if not state.AcceleratorState._shared_state:
            partial = state.PartialState(cpu=True)
            if partial.num_processes > 1:
                partial.distributed_type = state.DistributedType.MULTI_GPU
        begin(self, *args, **{**kwargs, "cpu": True})

    def wait(self: Any) -> None:
        if self.num_processes > 1:
            torch.distributed.barrier()

    looks: Any = devices
    looks.check_gpus = lambda _number: None
    state.AcceleratorState.__init__ = begin_sharded
    state.PartialState.wait_for_everyone = wait
