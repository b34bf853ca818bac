"""A SLURM that a test can make misbehave: a state machine behind sbatch, squeue, sacct, scancel, scontrol,
sinfo and srun. Its jobs really run, as processes of this machine.

`tests/slurm/test_same*.py` compare what it answers with what a real cluster does.
"""

from __future__ import annotations

from tests.slurm.fake.handle import (
    BUSY,
    DBD_DOWN,
    LIMIT,
    POLICY,
    SACCT_OFF,
    TIMED_OUT,
    Call,
    FakeSlurm,
)
from tests.slurm.fake.state import Job

__all__ = ["BUSY", "DBD_DOWN", "LIMIT", "POLICY", "SACCT_OFF", "TIMED_OUT", "Call", "FakeSlurm", "Job"]
