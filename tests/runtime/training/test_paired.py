"""Stages with two sides compute what they say: checked against the algorithm written out, in float64.

TRL computes log-probabilities through a head that works in float32, which limits how near two computations
can be: so the head is replaced by plain log-probabilities here, in the trainer as in the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.stages import combined, interleave, paired, parallel
from exc.runtime.stages.judging import load_judge
from exc.runtime.stages.ordering import row_at
from exc.runtime.stages.paired import Pace, PairedTrainer
from exc.runtime.stages.session import Run
from exc.runtime.stages.training import train
from tests.runtime.harness import Published, make_context
from tests.runtime.training import world
from tests.runtime.training.conftest import run_stage

pytestmark = pytest.mark.slow

FLOAT64 = {"model_init_kwargs": {"dtype": "float64"}, "adam_beta2": 0.95, "adam_epsilon": 1e-6}
# Different in everything that a side has for itself.
RL = {
    "args": {
        **FLOAT64,
        "loss_type": "grpo",
        "learning_rate": 3e-3,
        "weight_decay": 0.1,
        "max_grad_norm": 0.05,
        "temperature": 0.8,
    }
}
SFT = {
    "args": {
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "max_grad_norm": 0.5,
        "lr_scheduler_type": "constant",
        "adam_beta2": 0.99,
    }
}
TRAINERS: dict[str, tuple[type[PairedTrainer], Pace]] = {
    "parallel": (parallel.ParallelTrainer, Pace(6)),
    "combined": (combined.CombinedTrainer, Pace(6)),
    "interleave": (interleave.InterleaveTrainer, Pace(3, 2, 3)),
}


# --- the algorithm by hand


@dataclass
class Adam:
    """AdamW (arXiv 1711.05101) on named tensors, after clipping by their common norm."""

    args: dict[str, Any]
    num_steps: int  # of the learning rate's schedule
    m: dict[str, Any] = field(default_factory=dict)
    v: dict[str, Any] = field(default_factory=dict)
    t: int = 0

    def step(self, weights: dict[str, Any], gradients: dict[str, Any]) -> dict[str, Any]:
        args, b1, b2 = self.args, self.args["adam_beta1"], self.args["adam_beta2"]
        rate = args["learning_rate"]
        if args["lr_scheduler_type"] == "linear":
            rate *= 1 - self.t / self.num_steps
        norm = sum(float((g * g).sum()) for g in gradients.values()) ** 0.5
        scale = min(1.0, args["max_grad_norm"] / (norm + 1e-6))
        self.t += 1
        out = {}
        for name, w in weights.items():
            g = gradients[name] * scale
            self.m[name] = b1 * self.m.get(name, 0) + (1 - b1) * g
            self.v[name] = b2 * self.v.get(name, 0) + (1 - b2) * g * g
            decay = 0.0 if "norm" in name else args["weight_decay"]
            w = w * (1 - rate * decay)
            m, v = self.m[name] / (1 - b1**self.t), self.v[name] / (1 - b2**self.t)
            out[name] = w - rate * m / (v.sqrt() + args["adam_epsilon"])
        return out


class ByHand:
    """Both losses and their gradients at given weights, on a model of its own."""

    def __init__(self, folder: Path, config: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        from transformers import AutoModelForCausalLM

        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="float64").train()
        self.config, self.rows = config, rows
        self.start = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def gradients(self, weights: dict[str, Any], loss: Callable[[], Any]) -> dict[str, Any]:
        for name, parameter in self.model.named_parameters():
            parameter.data.copy_(weights[name])
            parameter.grad = None
        loss().backward()
        return {name: p.grad.clone() for name, p in self.model.named_parameters()}

    def log_probs(self, ids: Any, mask: Any, temperature: float = 1.0) -> Any:
        """Of each token but the first, given those before it."""
        logits = self.model(input_ids=ids, attention_mask=mask).logits[:, :-1] / temperature
        return logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]

    def rl(self, batches: list[dict[str, Any]]) -> Callable[[], Any]:
        """-A log p, averaged over a completion's tokens, then over completions: on-policy, no reference."""
        import torch

        def loss() -> Any:
            parts = []
            for batch in batches:
                ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
                mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
                length, kept = batch["completion_ids"].size(1), batch["completion_mask"]
                found = self.log_probs(ids, mask, self.config["rl"]["args"]["temperature"])[:, -length:]
                weighed = -(batch["advantages"][:, None] * found * kept).sum(1) / kept.sum(1)
                parts.append(weighed.mean())
            return sum(parts) / len(parts)

        return loss

    def sft(self, step: int) -> Callable[[], Any]:
        """-log p of the demonstrations of a step, averaged over all their tokens."""
        import torch

        size = self.config["sft"]["batch_size"]

        def loss() -> Any:
            total, count = 0.0, 0
            for position in range(step * size, (step + 1) * size):
                row = self.rows[row_at(position, len(self.rows), self.config["seed"])]
                ids = torch.tensor([row["input_ids"]])
                learned = torch.tensor(row["labels"])[1:] != -100
                total = total - self.log_probs(ids, torch.ones_like(ids))[0][learned].sum()
                count += int(learned.sum())
            return total / count

        return loss

    def trained(self, kind: str, rollouts: list[list[dict[str, Any]]]) -> dict[str, Any]:
        config, pace = self.config, TRAINERS[kind][1]
        rl = Adam(config["rl"]["args"], pace.steps * pace.rl)
        sft = Adam(config["sft"]["args"], pace.steps * pace.sft)
        theta = self.start
        if kind == "interleave":
            for n in range(pace.steps):
                for i in range(pace.sft):
                    theta = sft.step(theta, self.gradients(theta, self.sft(n * pace.sft + i)))
                for i in range(pace.rl):
                    theta = rl.step(theta, self.gradients(theta, self.rl(rollouts[n * pace.rl + i])))
            return theta
        of_rl, of_sft = config["weights"]
        a = b = theta
        for n, rollout in enumerate(rollouts):
            g_rl = self.gradients(a, self.rl(rollout))
            g_sft = self.gradients(b, self.sft(n))
            if kind == "combined":
                a = b = rl.step(a, {name: of_rl * g_rl[name] + of_sft * g_sft[name] for name in a})
                continue
            a, b = rl.step(a, g_rl), sft.step(b, g_sft)
            if (n + 1) % config["sync_every"] == 0:
                a = b = {name: of_rl * a[name] + of_sft * b[name] for name in a}
        return a


# --- the stage's trainer


def plain_head(model: Any, temperature: float) -> Callable[..., Any]:
    """What TRL's forward gives, from plain log-probabilities in the model's own precision."""
    import torch
    from trl.trainer.utils import FusedCausalLMOutput

    inner = type(model).forward.__get__(model)

    def forward(*args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return inner(*args, **kwargs)
        logits = inner(*args, **kwargs).logits[:, :-1] / temperature
        targets = labels[:, 1:]
        mask = targets != -100
        scores = logits.log_softmax(-1)
        found = scores.gather(-1, targets.clamp(min=0)[..., None])[..., 0].masked_fill(~mask, 0)
        entropy = -(scores.exp() * scores).sum(-1).masked_fill(~mask, 0)
        is_top = (logits.argmax(-1) == targets) & mask
        loss = -found.sum() / mask.sum()
        return FusedCausalLMOutput(
            loss=loss,
            log_probs=found,
            entropy=entropy.detach(),
            log_sum_sq_probs=None,
            mean_logits=None,
            is_top1=is_top.to(torch.float64),
            label_mask=mask,
            aux_loss=None,
        )

    return forward


@dataclass
class Trained:
    weights: dict[str, Any]
    rollouts: list[list[dict[str, Any]]]  # of each step the micro-batches that the loss was computed on
    rows: list[dict[str, Any]]


def trained(
    folder: Path, kind: str, config: dict[str, Any], inputs: dict[str, Path], root: Path, *, is_plain: bool
) -> Trained:
    """Train as the stage does, and note what the rollouts were."""
    trainer_class, pace = TRAINERS[kind]
    ctx, _ = make_context(folder, kind, config, inputs, kept=(pace.steps,), root=root)
    session = Run(ctx, ctx.inputs["model"], pace.rl)
    session.begin()
    rollouts: list[list[dict[str, Any]]] = []
    with load_judge(config["rl"]["verifier"], root, 60) as judge:
        trainer: Any = paired.make_trainer(ctx, session.scratch, judge, trainer_class, pace)
        if is_plain:
            switch = trainer.stream._switch
            switch.first = plain_head(trainer.model, config["rl"]["args"]["temperature"])
            switch.second = plain_head(trainer.model, 1.0)
        prepare = trainer._prepare_inputs

        def noting(generated: Any) -> Any:
            batch = prepare(generated)
            step = trainer.state.global_step
            rollouts.extend([] for _ in range(step + 1 - len(rollouts)))
            rollouts[step].append({k: v.clone() for k, v in batch.items() if hasattr(v, "clone")})
            return batch

        trainer._prepare_inputs = noting
        train(trainer, session, None)
    weights = {name: p.detach() for name, p in trainer.model.named_parameters()}
    return Trained(weights, rollouts, list(trainer.stream.trainer.train_dataset))


def furthest(left: dict[str, Any], right: dict[str, Any]) -> float:
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "parallel": ("parallel", {"weights": [0.3, 0.7]}),
    "parallel, a mean every 3 steps": ("parallel", {"weights": [0.3, 0.7], "sync_every": 3}),
    "combined": ("combined", {"weights": [1.0, 0.2]}),
    "interleave": ("interleave", {}),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("is_plain", "tolerance"), [(True, 1e-12), (False, 1e-6)], ids=["plain", "trl"])
def test_steps_are_those_of_the_algorithm_written_out(
    name: str, is_plain: bool, tolerance: float, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    kind, changes = CASES[name]
    config = world.paired_config(kind, rl=RL, sft=SFT, **changes)
    found = trained(tmp_path, kind, config, inputs, root, is_plain=is_plain)
    assert [len(rollout) for rollout in found.rollouts] == [4] * 6, "micro-batches of 2 completions"
    assert any(float(batch["advantages"].abs().max()) > 0 for step in found.rollouts for batch in step)
    by_hand = ByHand(inputs["model"], config, found.rows)
    expected = by_hand.trained(kind, found.rollouts)
    assert furthest(expected, by_hand.start) > 1e-3
    assert furthest(found.weights, expected) < tolerance


# --- in terms of the other stages


def run(
    folder: Path, kind: str, config: dict[str, Any], inputs: dict[str, Path], root: Path, step: int
) -> dict[str, Any]:
    """The weights that a stage publishes."""
    from safetensors.torch import load_file

    ctx, published = make_context(folder / kind, kind, config, inputs, kept=(step,), root=root)
    run_stage(ctx)
    return load_file(published.path(step) / "model" / "model.safetensors")


def alone(
    folder: Path, inputs: dict[str, Path], root: Path, step: int, seed: int = 7
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The weights that each side leaves as a stage of its own."""
    rl_inputs, sft_inputs = ({**inputs, "rows": inputs[f"rows:{side}"]} for side in ("rl", "sft"))
    rl = world.grpo_config(updates_per_rollout=1, rollouts=step, seed=seed)
    sft = world.sft_config(max_steps=step, seed=seed)
    return run(folder, "grpo", rl, rl_inputs, root, step), run(folder, "sft", sft, sft_inputs, root, step)


def test_a_side_of_all_the_weight_is_a_stage_of_its_own(
    inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    """To the last bit, in float32 and with TRL's own losses."""
    import torch

    sides = alone(tmp_path, inputs, root, 6)
    for number, weights in enumerate(([1.0, 0.0], [0.0, 1.0])):
        for every in (1, 3):
            config = world.paired_config("parallel", weights=weights, sync_every=every)
            found = run(tmp_path / f"{number}-{every}", "parallel", config, inputs, root, 6)
            for name, tensor in sides[number].items():
                assert torch.equal(found[name], tensor), (weights, every, name)
    config = world.paired_config("combined", weights=[1.0, 0.0])
    summed = run(tmp_path / "sum", "combined", config, inputs, root, 6)
    assert furthest(summed, sides[0]) == 0


@pytest.mark.parametrize("every", [1, 3])
def test_the_first_mean_is_that_of_two_models(
    every: int, inputs: dict[str, Path], root: Path, tmp_path: Path
) -> None:
    """Of models that each side has trained by itself for as many steps: 1, and 3."""
    rl, sft = alone(tmp_path, inputs, root, every)
    config = world.paired_config("parallel", max_steps=every, sync_every=every)
    found = run(tmp_path, "parallel", config, inputs, root, every)
    assert furthest(found, {name: 0.5 * rl[name] + 0.5 * sft[name] for name in rl}) < 1e-8
    assert furthest(rl, sft) > 1e-3


def test_what_it_consumed_is_counted(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    for kind, samples in (("parallel", 6 * (8 + 4)), ("interleave", 3 * (2 * 8 + 3 * 4))):
        config = world.paired_config(kind)
        steps = 6 if kind == "parallel" else 3
        ctx, published = make_context(tmp_path / kind, kind, config, inputs, kept=(steps,), root=root)
        run_stage(ctx)
        record = published.record(steps)
        assert record["counts"]["samples"] == samples
        assert record["counts"]["tokens"] > 0
        assert record["counts"]["flops"] > 0
        wanted = {"sft_loss", "sft_grad_norm", "sft_learning_rate", "sft_token_accuracy", "reward", "loss"}
        assert wanted <= record["metrics"].keys()
        assert _steps(published) == list(range(1, steps + 1))


def test_it_costs_what_both_sides_cost_alone(inputs: dict[str, Path], root: Path, tmp_path: Path) -> None:
    """With all the weight on rl, what is sampled is what rl alone samples."""
    rl_inputs, sft_inputs = ({**inputs, "rows": inputs[f"rows:{side}"]} for side in ("rl", "sft"))
    counted = []
    for kind, config, own in (
        ("grpo", world.grpo_config(updates_per_rollout=1, rollouts=6, seed=7), rl_inputs),
        ("sft", world.sft_config(max_steps=6, seed=7), sft_inputs),
        ("parallel", world.paired_config("parallel", weights=[1.0, 0.0]), inputs),
        ("combined", world.paired_config("combined", weights=[1.0, 0.0]), inputs),
    ):
        ctx, published = make_context(tmp_path / kind, kind, config, own, kept=(6,), root=root)
        run_stage(ctx)
        counted.append(published.record(6)["counts"])
    rl, sft, *both = counted
    for counts in both:
        assert counts == {name: pytest.approx(rl[name] + sft[name], rel=1e-12) for name in rl}


def _steps(published: Published) -> list[int]:
    return [event["step"] for event in published.said("progress")]
