"""Write spec/tables/KIND-N.json: the defaults that a stage passes, frozen, with the reason for each that is
not TRL's.

    python tools/freeze_defaults.py KIND             freeze those of a stage that has none yet
    python tools/freeze_defaults.py KIND --print     print them instead

What is frozen is never written again: other values are another computation under the same identity. A stage
whose defaults are to change gets a new version in `spec/args.py`, and with it a new file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from exc.spec.arg_values import typed
from exc.spec.args import TRL_VERSION, stage_version, trl_fields

TABLES = Path(__file__).parent.parent / "spec" / "tables"

# Field -> the value that a stage passes, and why it is not TRL's; of all kinds that have the field.
DIFFERS: dict[str, tuple[object, str]] = {
    "activation_checkpointing": (
        False,
        "the one switch for recomputing activations; off, because it trades time for memory that small "
        "models do not need",
    ),
    "bf16": (
        False,
        "TRL turns it on wherever neither precision is set, and fails on a device that has no bf16; "
        "precision belongs to the spec",
    ),
    "disable_tqdm": (True, "progress goes to the job's events"),
    "gradient_checkpointing": (
        False,
        "TRL's old name of `activation_checkpointing`, which decides; left on, it would contradict it",
    ),
    "pad_to_multiple_of": (None, "TRL's 'auto' depends on the device"),
    "save_strategy": ("no", "the stage saves resume state and kept steps itself"),
    "tf32": (
        False,
        "TRL leaves it to torch's global state; products of float32 are products of float32",
    ),
}
DIFFERS_OF: dict[str, dict[str, tuple[object, str]]] = {
    "sft": {
        "completion_only_loss": (
            True,
            "TRL infers it from the columns; the stage learns demonstrations, not prompts",
        )
    },
    "kto": {
        "train_sampling_strategy": (
            "random",
            "TRL pairs neighbours in the file's order, so that its rows cannot be shuffled; the stage pairs "
            "rows by itself",
        )
    },
}


def frozen(kind: str) -> dict[str, object]:
    """The whole file of a stage's kind."""
    rows = trl_fields(kind)
    changed = {
        field: (value, why)
        for field, (value, why) in {**DIFFERS, **DIFFERS_OF.get(kind, {})}.items()
        if field in rows and rows[field]["default"] != value
    }
    return {
        "kind": kind,
        "version": stage_version(kind),
        "trl": TRL_VERSION,
        "differs": {field: why for field, (_, why) in sorted(changed.items())},
        "defaults": {
            field: typed(changed[field][0] if field in changed else row["default"], row["type"])
            for field, row in sorted(rows.items())
        },
    }


def main() -> None:
    kind = sys.argv[1]
    text = orjson.dumps(frozen(kind), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if "--print" in sys.argv[2:]:
        sys.stdout.buffer.write(text)
        return
    path = TABLES / f"{kind}-{stage_version(kind)}.json"
    if path.exists():
        raise SystemExit(f"{path} is frozen; a change needs a new version in spec/args.py")
    path.write_bytes(text)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
