"""The supervised side of a stage that has two: gradients of TRL's own loss, and an optimizer of its own.

TRL's fine-tuning trainer is made on the model that the other side trains, and never run: its rows,
collator, loss and optimizer are used. Which rows a step reads, and what its dropout draws, follow from the
step's number alone, so that there is nothing to resume but the optimizer.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from exc.runtime.stages.adapters import has_adapters
from exc.runtime.stages.ordering import row_at
from exc.runtime.stages.permutation import seed_key
from exc.runtime.stages.sft import FineTuner


class Stream:
    """Batches of demonstrations for a model, their gradients, and the optimizer that follows them.

    `num_steps`: how many steps the learning rate's schedule spans.
    """

    def __init__(self, make: Callable[[], FineTuner], model: Any, num_steps: int) -> None:
        with _kept_random():
            self._switch = Switch(_headed(model))
            self.trainer = make()
            self._switch.install()
        trainer: Any = self.trainer
        args: Any = trainer.args
        self._rows: Any = trainer._remove_unused_columns(trainer.train_dataset, "training")
        self._seed = args.seed
        self._order = args.seed if args.train_sampling_strategy == "random" else None
        self.optimizer: Any = trainer.create_optimizer()
        self.scheduler: Any = trainer.create_scheduler(num_steps)
        # What Trainer would set before its own optimizer is there; `training_step` asks for it.
        trainer.current_gradient_accumulation_steps = args.gradient_accumulation_steps

    def differentiate(self, accelerator: Any, model: Any, step: int) -> float:
        """Add to the parameters' gradients those of step `step`, counted from 0, and return its loss.

        `model` is as accelerate prepared it. Gradients and loss are those of the batch of all processes.
        """
        trainer: Any = self.trainer
        batches = [trainer._prepare_inputs(batch) for batch in self._batches(accelerator, step)]
        num_items = trainer._get_num_items_in_batch(batches, accelerator.device)
        total = torch.zeros((), device=accelerator.device)
        with self._switch.on_second(), _seeded(self._seed, step, accelerator):
            for index, batch in enumerate(batches):
                is_last = index == len(batches) - 1
                with nullcontext() if is_last else accelerator.no_sync(model):
                    total += trainer.training_step(model, batch, num_items)
        mean: Any = accelerator.reduce(total, reduction="mean")
        return float(mean)

    def advance(self) -> None:
        """Move the parameters by their gradients, which are left as they are."""
        self.optimizer.step()
        self.scheduler.step()

    def clip(self, parameters: list[Any]) -> float:
        """Clip the gradients by the stream's own `max_grad_norm` (0: not at all); their norm before."""
        longest = self.trainer.args.max_grad_norm
        if longest <= 0:
            return self.norm(parameters)
        return float(torch.nn.utils.clip_grad_norm_(parameters, longest))

    def norm(self, parameters: list[Any]) -> float:
        """The norm of the gradients."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        return float(self.scheduler.get_last_lr()[0])

    @property
    def num_tokens(self) -> int:
        """Tokens read in this process's life by all processes, prompts included, padding not."""
        return int(self.trainer._total_train_tokens)

    def take_accuracy(self) -> float | None:
        """The mean share of tokens that the model had right since this was last asked."""
        metrics: Any = self.trainer._metrics["train"]
        found = metrics.get("mean_token_accuracy")
        value = sum(found) / len(found) if found else None
        metrics.clear()
        return value

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "scheduler": self.scheduler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])

    def _batches(self, accelerator: Any, step: int) -> Iterator[Any]:
        """The micro-batches of this process: they are dealt out in turn, as accelerate deals them."""
        args: Any = self.trainer.args
        width, world = args.per_device_train_batch_size, accelerator.num_processes
        start = step * self.trainer.rows_per_step
        for micro in range(args.gradient_accumulation_steps):
            first = start + (micro * world + accelerator.process_index) * width
            places = range(first, first + width)
            rows = [self._rows[row_at(place, len(self._rows), self._order)] for place in places]
            yield self.trainer.data_collator(rows)


class Switch:
    """Which of two trainers' forwards a model has: TRL puts its own in, with its temperature."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.first = self.second = model.forward  # to be read, and replaced in tests
        self._is_second = False

    def install(self) -> None:
        """Take what the model has now for the second forward, and choose from now on."""
        self.second = self._model.forward

        @functools.wraps(self.first)  # `generate` reads the signature
        def forward(*args: Any, **kwargs: Any) -> Any:
            return (self.second if self._is_second else self.first)(*args, **kwargs)

        self._model.forward = forward

    @contextmanager
    def on_second(self) -> Iterator[None]:
        self._is_second = True
        try:
            yield
        finally:
            self._is_second = False


def _headed(model: Any) -> Any:
    """The model whose forward TRL replaces."""
    return model.get_base_model() if has_adapters(model) else model


@contextmanager
def _kept_random() -> Iterator[None]:
    """Leave the random generators as they were: a trainer seeds all of them when it is made."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=_devices()):
        yield
    random.setstate(states[0])
    np.random.set_state(states[1])


@contextmanager
def _seeded(seed: int, step: int, accelerator: Any) -> Iterator[None]:
    """Draw what follows from the seed, the step and the process, and disturb nobody else's draws."""
    with torch.random.fork_rng(devices=_devices()):
        torch.manual_seed(seed_key("stream", seed, step, accelerator.process_index))
        yield


def _devices() -> list[int]:
    return [torch.cuda.current_device()] if torch.cuda.is_available() else []
