"""Sampling completions from a causal model with a key-value cache.

Shapes: B sequences, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from exc.runtime.context import JobFailed


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn; temperature 0 takes the likeliest one."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of one sequence: the text before the stop string, why it ended ("stop" or "length"), and how
    many tokens were drawn, those of the ending included."""

    text: str
    finish: str
    num_tokens: int


class Stops:
    """Tells when a sequence has ended: by an end-of-text token, or once its text holds a stop string."""

    def __init__(self, tokenizer: Any, model: Any, strings: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.strings = tuple(strings)
        self.ids = end_ids(tokenizer, model)
        # Only a token that shows the last character of a stop string can complete it, or one that shows
        # nothing by itself, or a part of a character (U+FFFD). No other is decoded while sampling.
        lasts = {string[-1] for string in self.strings} | {"\ufffd"}
        texts = tokenizer.batch_decode(
            [[i] for i in range(len(tokenizer))], clean_up_tokenization_spaces=False
        )
        self.candidates = (
            {i for i, text in enumerate(texts) if not text or lasts & set(text)}
            if self.strings
            else set[int]()
        )

    def ended(self, ids: Sequence[int]) -> bool:
        """Say whether a completion's newest token ends it."""
        if ids[-1] in self.ids:
            return True
        return ids[-1] in self.candidates and self._cut(self._decode(ids)) is not None

    def completion(self, ids: Sequence[int]) -> Completion:
        """Decode a completion, up to its end."""
        text = self._decode(ids[:-1] if ids[-1] in self.ids else ids)
        cut = self._cut(text)
        finish = "stop" if cut is not None or ids[-1] in self.ids else "length"
        return Completion(text if cut is None else text[:cut], finish, len(ids))

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _cut(self, text: str) -> int | None:
        return min((at for string in self.strings if (at := text.find(string)) >= 0), default=None)


def end_ids(tokenizer: Any, model: Any) -> frozenset[int]:
    """Gather the ids that end a text, as the tokenizer and the model's generation config name them."""
    named = getattr(model.generation_config, "eos_token_id", None)
    ids = named if isinstance(named, list) else [named]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


@torch.inference_mode()
def generate(
    model: Any, prompts: Sequence[Sequence[int]], repeats: int, sampling: Sampling, stops: Stops, seed: int
) -> list[list[int]]:
    """Draw `repeats` completions of every prompt and return their token ids, prompt by prompt.

    Each prompt is read once, whatever the number of its completions. The draw depends on `seed` and on the
    batch as a whole. Raises JobFailed("diverged") when the model's output is not finite.
    """
    device = model.device
    draw = torch.Generator(device=device).manual_seed(seed)
    logits_BV, cache, mask_BT = _read_prompts(model, prompts, repeats)
    completions: list[list[int]] = [[] for _ in range(len(prompts) * repeats)]
    live = list(range(len(completions)))  # row of the batch -> completion
    for step in range(sampling.max_new_tokens):
        ids_B = _draw(logits_BV, sampling, draw)
        keep = []
        for row, token in enumerate(ids_B.tolist()):
            completions[live[row]].append(token)
            if not stops.ended(completions[live[row]]):
                keep.append(row)
        if not keep or step + 1 == sampling.max_new_tokens:
            break
        if len(keep) < len(live):
            rows = torch.tensor(keep, device=device)
            live = [live[row] for row in keep]
            ids_B, mask_BT = ids_B[rows], mask_BT[rows]
            cache.batch_select_indices(rows)
        mask_BT = torch.cat([mask_BT, mask_BT.new_ones(len(live), 1)], dim=1)
        logits_BV = _forward(model, ids_B[:, None], mask_BT, mask_BT.sum(1, keepdim=True) - 1, cache)
    return completions


def _read_prompts(
    model: Any, prompts: Sequence[Sequence[int]], repeats: int
) -> tuple[Any, DynamicCache, Any]:
    """Run the prompts, padded on the left, and repeat each row of what comes out."""
    length = max(map(len, prompts))
    pad = 0  # masked: which token stands there does not matter
    ids_BT = torch.tensor([[pad] * (length - len(ids)) + list(ids) for ids in prompts], device=model.device)
    mask_BT = torch.tensor(
        [[0] * (length - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device
    )
    cache = DynamicCache(config=model.config)
    logits_BV = _forward(model, ids_BT, mask_BT, (mask_BT.cumsum(1) - 1).clamp(min=0), cache)
    cache.batch_repeat_interleave(repeats)
    return logits_BV.repeat_interleave(repeats, dim=0), cache, mask_BT.repeat_interleave(repeats, dim=0)


def _forward(model: Any, ids_BT: Any, mask_BT: Any, position_ids_BT: Any, cache: DynamicCache) -> Any:
    output = model(
        input_ids=ids_BT,
        attention_mask=mask_BT,
        position_ids=position_ids_BT,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1].float()


def _draw(logits_BV: Any, sampling: Sampling, draw: torch.Generator) -> Any:
    if not torch.isfinite(logits_BV).all():
        raise JobFailed("diverged", "the model's output is not finite")
    if sampling.temperature == 0:
        return logits_BV.argmax(dim=-1)
    probs_BV = torch.softmax(logits_BV / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        sorted_BV, order_BV = probs_BV.sort(dim=-1, descending=True, stable=True)
        # The likeliest tokens that together reach top_p stay; the one that crosses it is among them.
        outside_BV = (sorted_BV.cumsum(dim=-1) - sorted_BV) >= sampling.top_p
        probs_BV = probs_BV.scatter(1, order_BV, sorted_BV.masked_fill(outside_BV, 0.0))
    # The largest of p / Exp(1) is token i with chance p_i / sum(p): no second pass to normalise is needed.
    noise_BV = torch.empty_like(probs_BV).exponential_(generator=draw).clamp_(min=1e-30)
    return (probs_BV / noise_BV).argmax(dim=-1)
