"""Seeds: one rule, blind to names, recipes, checkpoints and settings, so that equal work stays equal."""

from __future__ import annotations

import hashlib

SEED_BITS = 31  # fits every library's idea of a seed


def derive(root: int, purpose: str, index: int) -> int:
    """A seed from the experiment's root seed, what it is for, and which one of these it is."""
    digest = hashlib.sha256(f"exc:seed:1:{root}:{purpose}:{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def round_seed(seed: int, number: int) -> int:
    """The seed of a stage in a round of a repeated block, from its replicate's: each draws its own rows."""
    return seed if number == 1 else derive(seed, "round", number)


def replicate_seed(root: int, replicate: int) -> int:
    """The seed of everything that draws in replicate number `replicate`."""
    return derive(root, "replicate", replicate)
