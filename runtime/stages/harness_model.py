"""A loaded model as lm-evaluation-harness wants it: stopped between batches, and counting what it reads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exc.runtime.context import Stopped
from exc.runtime.stages.models import Loaded

BATCH_SIZE = 16  # problems at once, where the profile says nothing


@dataclass
class HarnessModel:
    """`model` is what the harness asks; `num_tokens` counts what it read and wrote."""

    model: Any
    should_stop: Callable[[], bool]
    num_tokens: int = 0

    def __post_init__(self) -> None:
        """Raise Stopped between batches, and count them, wherever the harness calls the model."""
        self.model._model_call = self._watched(self.model._model_call, lambda given, _: given)
        self.model._model_generate = self._watched(self.model._model_generate, lambda _, made: made)

    def _watched(self, call: Callable[..., Any], counted: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if self.should_stop():
                raise Stopped
            made = call(*args, **kwargs)
            given = args[0] if args else kwargs.get("inps", kwargs.get("context"))
            self.num_tokens += int(counted(given, made).numel())
            return made

        return watched


def make_harness_model(
    loaded: Loaded, batch_size: int | None, should_stop: Callable[[], bool]
) -> HarnessModel:
    from lm_eval.models import huggingface

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    library: Any = huggingface  # its decorators hide what its classes take
    made = library.HFLM(
        pretrained=loaded.model,
        tokenizer=loaded.tokenizer,
        batch_size=batch_size or BATCH_SIZE,
        device=str(loaded.device),
    )
    return HarnessModel(made, should_stop)
