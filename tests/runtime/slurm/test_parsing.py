"""What SLURM's commands print, and what their failures mean."""

from __future__ import annotations

import pytest

from exc.runtime.slurm.parsing import (
    array_text,
    config_value,
    parse_accounts,
    parse_queue,
    parse_span,
    references,
)
from exc.runtime.slurm.scheduler import Busy, Full, Refused, SlurmError, plain_environment, reading


@pytest.mark.parametrize(
    ("ids", "meant"),
    [
        ("42", ["42"]),
        ("42_3", ["42_3"]),
        ("42_[0-2,7%4]", ["42_0", "42_1", "42_2", "42_7"]),
        ("42_[0-6:3]", ["42_0", "42_3", "42_6"]),
        ("42_[1,2,...]", ["42_1", "42_2"]),
        ("42+0", []),
        ("", []),
    ],
)
def test_ids_of_arrays_are_taken_apart(ids: str, meant: list[str]) -> None:
    assert references(ids) == meant


def test_indices_are_written_as_sbatch_takes_them() -> None:
    assert array_text([4, 0, 1, 2, 9]) == "0-2,4,9"


def test_a_queue_is_read_line_by_line() -> None:
    text = (
        "42_[3-4]|PENDING||tiny.rl.0123456789ab|Dependency\n"
        "41|RUNNING|n[1-2]|a|None\n"
        "slurm_load_jobs: something else\n"
        "40|SOMETHING_NEW|n1|b|launch failed requeued held\n"
    )
    entries = {entry.ref: entry for entry in parse_queue(text)}
    assert list(entries) == ["42_3", "42_4", "41", "40"]
    assert (entries["42_4"].reason, entries["42_4"].node) == ("Dependency", "")
    assert entries["41"].runs
    assert not entries["40"].ended  # a state that nobody knows is of a job that is there
    assert entries["40"].reason == "launch failed requeued held"


def test_accounts_are_read_without_steps() -> None:
    text = (
        "42_3|CANCELLED by 1000|0:15|n1|a\n"
        "42_3.batch|CANCELLED|0:15|n1|batch\n"
        "43|OUT_OF_ME+|0:125|n2|b\n"
        "44|COMPLETED|0:0|None assigned|c\n"
    )
    first, second, third = parse_accounts(text)
    assert (first.state, first.by, first.code) == ("CANCELLED", "1000", "0:15")
    assert (second.ref, second.state) == ("43", "OUT_OF_ME")
    assert third.node == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1-02:03:04", 93784.0), ("2:03:04", 7384.0), ("3:04", 184.0), ("UNLIMITED", None), ("INVALID", None)],
)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    assert parse_span(text) == seconds


def test_values_of_the_configuration() -> None:
    text = "MaxArraySize            = 1001\nMaxArrayTasks           = 7\n"
    assert (config_value(text, "MaxArraySize"), config_value(text, "Nothing")) == ("1001", "")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Busy),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", Busy),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", Busy),
        (
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job "
            "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            Full,
        ),
        ("sbatch: error: AssocMaxSubmitJobLimit", Full),
        (
            "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Batch job submission failed: Job "
            "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            Refused,
        ),
        ("sbatch: error: invalid partition specified: gpus", Refused),
        ("sbatch: error: Requested time limit is invalid (missing or exceeds some limit)", Refused),
        ("", Refused),
    ],
)
def test_what_a_failure_of_a_command_means(words: str, kind: type[SlurmError]) -> None:
    assert type(reading(words)) is kind


def test_commands_do_not_see_the_job_that_they_are_run_in() -> None:
    given = {"SLURM_JOB_ID": "3", "SBATCH_PARTITION": "x", "SLURM_CONF": "/etc/slurm.conf", "HOME": "/h"}
    assert plain_environment(given) == {"SLURM_CONF": "/etc/slurm.conf", "HOME": "/h"}
