"""One block of samples: the same number of completions for every problem of a split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from exc.runtime.context import Counts, JobContext, JobFailed, Stopped
from exc.runtime.stages.chat import prompt_ids
from exc.runtime.stages.engine import VLLM, require_vllm
from exc.runtime.stages.jsonl import dump_line, write_jsonl
from exc.runtime.stages.models import Loaded, forward_flops, load_model
from exc.runtime.stages.prompts import Row, fewshot_prefix, read_rows, render_prompt

# From prompts, completions of each, how to draw, when to stop and a seed to the ids of completions.
Draw = Callable[[Sequence[Sequence[int]], int, Any, Any, int], list[list[int]]]

# Of the key-value cache of one batch. It is copied at every token: beyond a processor's own caches, a batch
# of 512 long sequences took four times as long as four of 128.
CPU_CACHE_BYTES = 1 << 26
GPU_CACHE_SHARE = 0.4  # of what the weights leave of the device's memory
MOST_SEQUENCES = 512  # more gain nothing and make a stopped job lose more


@dataclass(frozen=True, slots=True)
class Problem:
    """A row's index and its prompt as token ids."""

    index: int
    ids: Sequence[int]


def run(ctx: JobContext) -> None:
    """Write samples.jsonl, ordered by problem and sample.

    Batches are fixed by the prompts, the model and the kind of device, and each draws from its own seed. So a
    job that was stopped goes on after the last whole batch and ends in the same bytes.
    Raises JobFailed("config") when prompt and completion are longer than the model's context, or when vLLM is
    asked for and is not there.
    """
    if ctx.config.get("engine") == VLLM:
        require_vllm()
    loaded = load_model(ctx)
    problems = _problems(ctx, loaded)
    batches = _batches(problems, ctx.config, loaded)
    done = _Progress.resume(ctx, batches)
    for index, lines in _draw(ctx, loaded, batches, start=len(done.batches)):
        done.add(lines)
        ctx.emit("progress", step=index + 1, total=len(batches))
        if ctx.should_stop():
            raise Stopped
    samples = sorted((s for lines in done.batches for s in lines), key=lambda s: (s["problem"], s["sample"]))
    num_tokens = sum(sample["num_tokens"] for sample in samples)
    num_read = num_tokens + sum(len(problem.ids) for problem in problems)

    def write(folder: Path) -> None:
        write_jsonl(folder / "samples.jsonl", samples)

    ctx.publish(
        write,
        metrics={
            "stop_rate": sum(sample["finish"] == "stop" for sample in samples) / len(samples),
            "mean_tokens": num_tokens / len(samples),
        },
        counts=Counts(forward_flops(loaded.num_nonembedding, num_read), len(samples), num_tokens),
    )
    done.path.unlink()


def _problems(ctx: JobContext, loaded: Loaded) -> list[Problem]:
    config = ctx.config
    rows = read_rows(ctx.inputs["rows"])
    pool: list[Row] = read_rows(ctx.inputs["fewshot"]) if config["num_fewshot"] else []
    # The whole split is barred from the exemplars, so that they stay the same whatever the limit is.
    prefix = fewshot_prefix(config["prompt"], pool, rows, config["num_fewshot"], config["fewshot_seed"])
    problems = []
    for row in rows[: config["limit"]]:
        prompt = prefix + render_prompt(config["prompt"], row.fields)
        chat = config.get("chat_template", False)
        problems.append(Problem(row.index, prompt_ids(loaded.tokenizer, prompt, chat)))
    longest = max(problems, key=lambda problem: len(problem.ids))
    room = getattr(loaded.model.config, "max_position_embeddings", None)
    if room is not None and len(longest.ids) + config["max_new_tokens"] > room:
        raise JobFailed(
            "config",
            f"the prompt of problem {longest.index} has {len(longest.ids)} tokens; with max_new_tokens = "
            f"{config['max_new_tokens']} that is more than the model's context of {room}",
        )
    return problems


def _batches(problems: Sequence[Problem], config: Mapping[str, Any], loaded: Loaded) -> list[list[Problem]]:
    """Group problems of like length, so that little is padded, into batches whose cache fits in memory."""
    ordered = sorted(problems, key=lambda problem: (len(problem.ids), problem.index))
    per_token = _cache_bytes_per_token(loaded.model.config)
    budget = _cache_budget(loaded.model, loaded.device)
    batches: list[list[Problem]] = []
    for problem in ordered:
        # Lengths only grow, so the newcomer sets the width of the batch that it joins.
        width = len(problem.ids) + config["max_new_tokens"]
        most = min(MOST_SEQUENCES, budget // (per_token * width)) // config["block_size"]
        if not batches or len(batches[-1]) >= max(1, most):
            batches.append([])
        batches[-1].append(problem)
    return batches


def _cache_bytes_per_token(config: Any) -> int:
    """Bound the key-value cache of one token, in float32."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * 4 * config.num_hidden_layers * heads * head_dim)


def _cache_budget(model: Any, device: Any) -> int:
    import torch

    if device.type != "cuda":
        return CPU_CACHE_BYTES
    held = sum(each.numel() * each.element_size() for each in model.parameters())
    left = torch.cuda.get_device_properties(device).total_memory - held
    return max(0, int(left * GPU_CACHE_SHARE))


def _draw(
    ctx: JobContext, loaded: Loaded, batches: Sequence[Sequence[Problem]], start: int
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    from exc.runtime.stages.generate import Sampling, Stops, generate

    config = ctx.config
    sampling = Sampling(config["temperature"], config["top_p"], config["max_new_tokens"])
    stops = Stops(loaded.tokenizer, loaded.model, config["stop"])
    size, first = config["block_size"], config["block"] * config["block_size"]
    draw: Draw = partial(generate, loaded.model)
    if config.get("engine") == VLLM:
        from exc.runtime.stages.vllm_sampling import start_engine

        draw = start_engine(ctx.inputs["model"], loaded.model, config)
    for index in range(start, len(batches)):
        prompts = [problem.ids for problem in batches[index]]
        drawn = draw(prompts, size, sampling, stops, _seed(config, index))
        lines = []
        for number, ids in enumerate(drawn):
            completion = stops.completion(ids)
            lines.append(
                {
                    "problem": batches[index][number // size].index,
                    "sample": first + number % size,
                    "text": completion.text,
                    "finish": completion.finish,
                    "num_tokens": completion.num_tokens,
                }
            )
        yield index, lines


def _seed(config: Mapping[str, Any], batch: int) -> int:
    """Derive the seed of one batch: 63 bits, as torch takes no more without a sign."""
    text = f"sample {config['seed']}  {config['block']} {batch}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class _Progress:
    """The batches drawn so far, one line each in the work folder, after a line that says what they are of."""

    def __init__(self, path: Path, batches: list[list[dict[str, Any]]]) -> None:
        self.path = path
        self.batches = batches

    @classmethod
    def resume(cls, ctx: JobContext, batches: Sequence[Sequence[Problem]]) -> _Progress:
        """Take up what an earlier process left; a line cut off, and all of another config, is dropped."""
        ctx.work.mkdir(parents=True, exist_ok=True)
        path = ctx.work / "batches.jsonl"
        plan = {
            "config": hashlib.sha256(json.dumps(dict(ctx.config), sort_keys=True).encode()).hexdigest(),
            "batches": [[problem.index for problem in batch] for batch in batches],
        }
        header = dump_line(plan)
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        whole = [line for line in lines[1:] if line.endswith(b"\n")] if lines[:1] == [header] else []
        path.write_bytes(b"".join([header, *whole]))
        return cls(path, [json.loads(line)["samples"] for line in whole])

    def add(self, samples: list[dict[str, Any]]) -> None:
        with self.path.open("ab") as file:
            file.write(dump_line({"samples": samples}))
        self.batches.append(samples)
