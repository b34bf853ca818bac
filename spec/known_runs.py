"""Runs whose checkpoints others published, by a short name. One table.

As known in September 2025. Each entry says where its facts are from; what is marked *unverified* was
inferred and not read at the source. `steps` only serves plans that are not locked: `exc lock` reads what the
hub holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from exc.spec.ladders import Names

_OLMO2 = "stage1-step{step}-tokens{tokens}B"  # tokens are rounded up to whole billions
_PYTHIA_BATCH = 1024 * 2048
_PYTHIA_SIZES = ("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")
_NOT_DEDUPED = ("14m", "31m")  # sizes that exist once


def _steps(*parts: Iterable[int], without: Iterable[int] = ()) -> tuple[int, ...]:
    return tuple(sorted(set(chain(*parts)) - set(without)))


def _pythia(name: str) -> Names:
    # arXiv 2304.01373: batches of 1,024 sequences of 2,048 tokens; 154 checkpoints, of which step0 is
    # untrained: powers of two to 512, then every 1,000 to 143,000.
    steps = _steps((2**power for power in range(10)), range(1000, 143_001, 1000))
    return Names((f"EleutherAI/{name}",), "step{step}", _PYTHIA_BATCH, (steps,))


def _smollm2(size: str, batch: int, steps: tuple[int, ...] = ()) -> Names:
    repo = f"HuggingFaceTB/SmolLM2-{size}-intermediate-checkpoints"
    return Names((repo,), "step-{step}", batch, (steps,) if steps else ())


KNOWN_RUNS: Mapping[str, Names] = {
    # Stage 1 of OLMo 2 (arXiv 2501.00656): steps from configs/official-*/*.csv of github.com/allenai/OLMo,
    # tokens per step from those in names (sequences of 4,096). Stage 2 counts its steps anew, from
    # several seeds: a pattern such as "stage2-ingredient3-step{step}-tokens{tokens}B" has one. The first
    # 37,000 steps of the 1B model are in a repository of their own, every 1,000 (names seen in use).
    "olmo2-1b": Names(
        ("allenai/OLMo-2-0425-1B", "allenai/OLMo-2-0425-1B-early-training"),
        _OLMO2,
        512 * 4096,
        (
            _steps(range(10_000, 1_900_001, 10_000), (300, 23_100, 66_200, 1_907_359)),
            _steps(range(1000, 37_001, 1000)),
        ),
    ),
    # Seven steps are listed and missing on the hub (discussion 6 of the repository), and so they are here.
    "olmo2-7b": Names(
        ("allenai/OLMo-2-1124-7B",),
        _OLMO2,
        1024 * 4096,
        (
            _steps(
                range(1000, 928_001, 1000),
                (150, 600, 700, 850, 900, 2150, 928_646),
                without=(100_000, 174_000, 317_000, 536_000, 605_000, 632_000, 672_000),
            ),
        ),
    ),
    # Some fifty more lie between the thousands.
    "olmo2-13b": Names(
        ("allenai/OLMo-2-1124-13B",), _OLMO2, 2048 * 4096, (_steps(range(1000, 596_001, 1000), (596_057,)),)
    ),
    "olmo2-32b": Names(
        ("allenai/OLMo-2-0325-32B",), _OLMO2, 2048 * 4096, (_steps(range(1000, 721_001, 1000), (721_901,)),)
    ),
    **{f"pythia-{size}": _pythia(f"pythia-{size}") for size in _PYTHIA_SIZES},
    **{
        f"pythia-{size}-deduped": _pythia(f"pythia-{size}-deduped")
        for size in _PYTHIA_SIZES
        if size not in _NOT_DEDUPED
    },
    # Batch: 135M on its model card. 1.7B: 1,024 samples a step by the counts in its nanotron config. 360M:
    # *unverified*, from 160,000 steps being about 250B tokens. 1.7B has one every 125,000 steps to 5,125,000
    # (names seen in use); how far the smaller ones go is not known here.
    "smollm2-135m": _smollm2("135M", 1_048_576),
    "smollm2-360m": _smollm2("360M", 1_572_864),
    "smollm2-1.7b": _smollm2("1.7B", 2_097_152, _steps(range(125_000, 5_125_001, 125_000))),
    # Its model card: every 40,000 steps, counted through three stages (to 3,450,000, 4,200,000, 4,720,000),
    # batches of 2,359,296 tokens. Branches of the long-context and post-training stages do not fit, nor does
    # `main`. Names past stage 1 were seen in use, not on the card.
    "smollm3-3b": Names(
        ("HuggingFaceTB/SmolLM3-3B-checkpoints",),
        "stage{any}-step-{step}",
        2_359_296,
        (_steps(range(40_000, 4_720_001, 40_000)),),
    ),
    # A checkpoint is saved behind each of 360 chunks of 1,706,976 sequences of 2,048 tokens (main.py of
    # github.com/LLM360/amber-train); a step is a chunk. Branches go
    # to `ckpt_358`, and `main` holds the 360th (model card).
    "amber": Names(("LLM360/Amber",), "ckpt_{index}", 1_706_976 * 2048, (_steps(range(1, 360)),)),
}
