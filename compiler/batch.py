"""Batches: from units that do not depend on the number of devices to the fields that TRL counts in."""

from __future__ import annotations


def sft_batch(batch_size: int, micro: int | None, world: int) -> dict[str, int]:
    """One optimizer step over `batch_size` sequences on `world` devices, `micro` per device at once.

    `micro` None is a device's whole share at once; more than its share means the same.
    Raises ValueError, with what would divide, when the batch cannot be split evenly.
    """
    share = _share(batch_size, world, "batch_size")
    per_device = _at_once(share, micro)
    return {"per_device_train_batch_size": per_device, "gradient_accumulation_steps": share // per_device}


def kto_batch(batch_size: int, micro: int | None, world: int) -> dict[str, int]:
    """`sft_batch` for a trainer that refuses to have one completion on a device at once."""
    fields = sft_batch(batch_size, micro, world)
    if fields["per_device_train_batch_size"] < 2:
        how = f"batch_size {batch_size} on {world} devices" if micro is None else f"micro_batch_size {micro}"
        raise ValueError(
            f"kto compares completions on a device, so it must hold at least 2 at once: not {how}"
        )
    return fields


def grpo_batch(
    num_generations: int, prompts_per_rollout: int, updates_per_rollout: int, micro: int | None, world: int
) -> dict[str, int]:
    """One rollout of prompts x generations completions, split evenly over its optimizer steps.

    TRL's `steps_per_generation` counts micro-batches, and its `num_iterations` passes over the same rollout:
    every completion is trained on once. Raises ValueError as `sft_batch` does, and for groups of one.
    """
    if num_generations < 2:
        raise ValueError("an advantage is relative to a group: num_generations must be at least 2")
    completions = num_generations * prompts_per_rollout
    if completions % updates_per_rollout:
        raise ValueError(
            f"{prompts_per_rollout} prompts x {num_generations} generations are {completions} completions, "
            f"which {updates_per_rollout} updates cannot share evenly; updates_per_rollout may be "
            f"{_listed(_divisors_near(completions, updates_per_rollout))}"
        )
    share = _share(completions // updates_per_rollout, world, "completions of one update")
    per_device = _at_once(share, micro)
    accumulated = share // per_device
    return {
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": accumulated,
        "steps_per_generation": accumulated * updates_per_rollout,
        "num_iterations": 1,
    }


def _share(batch: int, world: int, name: str) -> int:
    if batch % world:
        below, above = batch // world * world, (batch // world + 1) * world
        near = f"{below} or {above}" if below else str(above)
        raise ValueError(f"{name} {batch} cannot be split evenly over {world} devices; {near} could")
    return batch // world


def _at_once(share: int, micro: int | None) -> int:
    if micro is None or micro >= share:
        return share
    if share % micro:
        raise ValueError(
            f"a device's share of {share} sequences is no multiple of micro_batch_size {micro}; it may be "
            f"{_listed(_divisors_near(share, micro))}"
        )
    return micro


def _divisors_near(number: int, wanted: int) -> list[int]:
    """The divisors of `number` on either side of `wanted`, which is none."""
    below = next(n for n in range(min(wanted, number), 0, -1) if number % n == 0)
    above = next((n for n in range(wanted + 1, number + 1) if number % n == 0), None)
    return [below] if above is None else [below, above]


def _listed(numbers: list[int]) -> str:
    return " or ".join(str(number) for number in numbers)
