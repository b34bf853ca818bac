"""A small harness for stages: job contexts that publish into a folder, and tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import Counts, JobContext
from exc.runtime.stages import STAGES

TEXT = "Adding 3 and 4 gives 7. 12+30=42\n#### 42\nThe quick brown fox jumps over the lazy dog.\n"


@dataclass
class Bench:
    """Runs stages under one folder; keeps what the last one published and emitted."""

    folder: Path
    should_stop: Callable[[], bool] = lambda: False
    metrics: dict[str, float] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The folder that stands for the spec's."""
        root = self.folder / "spec"
        root.mkdir(exist_ok=True)
        return root

    def write(self, name: str, text: str | bytes) -> Path:
        """Put a file beside the spec."""
        path = self.root / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def source(self, *names: str, kind: str = "jsonl", **more: Any) -> dict[str, Any]:
        """Describe files beside the spec as a source."""
        return {
            "name": "things",
            "kind": kind,
            "files": [{"path": name} for name in names],
            "args": {},
            **more,
        }

    def run(
        self,
        kind: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, Path] | None = None,
        out: str | None = None,
    ) -> Path:
        """Run a stage as a job named `out` and return the folder that it published."""
        import importlib

        name = out or kind
        target = self.folder / "artifacts" / name
        self.events.clear()
        module, _, function = STAGES[kind].partition(":")
        ctx = JobContext(
            job_id=name,
            kind=kind,
            config=config,
            inputs=inputs or {},
            root=self.root,
            work=self.folder / "work" / name,
            kept={},
            publish=self._publisher(target),
            emit=lambda event, **fields: self.events.append((event, fields)),
            should_stop=lambda: self.should_stop(),
            save_interval_s=300,
            num_threads=1,
        )
        getattr(importlib.import_module(module), function)(ctx)
        return target

    def _publisher(self, target: Path) -> Any:
        def publish(
            write: Callable[[Path], None],
            *,
            step: int | None = None,
            metrics: Mapping[str, float] | None = None,
            counts: Counts | None = None,
        ) -> None:
            assert step is None
            target.mkdir(parents=True)
            write(target)
            self.metrics, self.counts = dict(metrics or {}), counts or Counts()
            json.dumps(self.metrics)  # metrics go into artifact.json

        return publish

    def rows(self, problems: list[dict[str, Any]], out: str = "rows") -> Path:
        """Write the artifact of a `rows` job from objects with question and answer."""
        folder = self.folder / "artifacts" / out
        folder.mkdir(parents=True)
        with (folder / "rows.jsonl").open("w", encoding="utf-8") as file:
            for index, problem in enumerate(problems):
                demonstrations = problem.get("demonstrations", [])
                fields = {key: value for key, value in problem.items() if key != "demonstrations"}
                row = {"index": index, "fields": fields, "answer": problem.get("answer")}
                file.write(json.dumps({**row, "demonstrations": demonstrations}) + "\n")
        return folder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that the stage itself trained."""
    bench = Bench(tmp_path_factory.mktemp("tokenizer"))
    bench.write("text.txt", TEXT)
    source = bench.source("text.txt", kind="text", split="file")
    config = {
        "algorithm": "bpe",
        "vocab_size": 270,
        "split_digits": True,
        "sources": [source],
        "max_bytes": None,
    }
    return bench.run("tokenizer", config)


ModelMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory, tokenizer_folder: Path) -> ModelMaker:
    """Return a maker of tiny random Llama folders; `head` fills the output layer (0: all tokens alike)."""

    def make(seed: int = 0, head: float | None = None, dtype: str = "float32", **config: Any) -> Path:
        import torch
        from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

        torch.set_num_threads(1)
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
        torch.manual_seed(seed)
        shape: dict[str, Any] = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
            "initializer_range": 0.3,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        model: Any = LlamaForCausalLM(LlamaConfig(**{**shape, **config}))
        if head is not None:
            torch.nn.init.constant_(model.lm_head.weight, head)
        folder = tmp_path_factory.mktemp("model")
        model.to(getattr(torch, dtype)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make
