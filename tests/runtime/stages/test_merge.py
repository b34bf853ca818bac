from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from tests.runtime.stages.conftest import Bench, ModelMaker


def merge(
    bench: Bench, weights: list[float], *parents: Path, out: str = "merge", method: str = "linear"
) -> Path:
    inputs = {f"parent:{number}": parent for number, parent in enumerate(parents)}
    return bench.run("merge", {"method": method, "weights": weights}, inputs, out=out) / "model"


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.3, 0.5], [1.5, -0.5]])
@pytest.mark.parametrize("tied", [False, True])
def test_a_merge_is_the_weighted_sum(
    bench: Bench, make_model: ModelMaker, weights: list[float], tied: bool
) -> None:
    import torch

    one, other = make_model(0, tie_word_embeddings=tied), make_model(1, tie_word_embeddings=tied)
    merged = tensors(merge(bench, weights, one, other))
    assert merged.keys() == tensors(one).keys()
    for name, tensor in merged.items():
        wanted = weights[0] * tensors(one)[name].double() + weights[1] * tensors(other)[name].double()
        assert torch.allclose(tensor.double(), wanted, rtol=1e-6, atol=1e-7)


def test_sums_are_taken_in_float32(bench: Bench, make_model: ModelMaker) -> None:
    import torch

    parents = [make_model(seed, dtype="bfloat16") for seed in range(3)]
    merged = tensors(merge(bench, [1 / 3] * 3, *parents))
    for name, tensor in merged.items():
        wanted = torch.stack([tensors(parent)[name].float() for parent in parents]).mean(0)
        assert tensor.dtype == torch.bfloat16
        assert torch.allclose(tensor.float(), wanted, rtol=2**-8, atol=1e-6)


def test_it_loads_and_its_tokenizer_is_the_first_parents(bench: Bench, make_model: ModelMaker) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    one, other = make_model(0), make_model(1)
    folder = merge(bench, [0.5, 0.5], one, other)
    AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert AutoTokenizer.from_pretrained(folder, local_files_only=True).eos_token == "<|endoftext|>"
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (one / name).read_bytes()


def test_the_same_parents_give_the_same_bytes(bench: Bench, make_model: ModelMaker) -> None:
    one, other = make_model(0), make_model(1)
    first = merge(bench, [0.5, 0.5], one, other, out="first")
    second = merge(bench, [0.5, 0.5], one, other, out="second")
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_a_parent_may_come_twice(bench: Bench, make_model: ModelMaker) -> None:
    import torch

    one = make_model(0)
    for name, tensor in tensors(merge(bench, [0.25, 0.75], one, one)).items():
        assert torch.equal(tensor, tensors(one)[name])


def test_parents_of_other_shapes_are_refused(bench: Bench, make_model: ModelMaker) -> None:
    message = r"parent:0 and parent:1 cannot be merged: their intermediate_size differ \(64 and 48\)"
    with pytest.raises(JobFailed, match=message) as failure:
        merge(bench, [0.5, 0.5], make_model(), make_model(intermediate_size=48))
    assert failure.value.kind == "config"


def test_parents_with_other_tokenizers_are_refused(bench: Bench, make_model: ModelMaker) -> None:
    one, other = make_model(0), make_model(1)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["model"]["merges"].pop()
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(JobFailed, match="cannot be merged: their tokenizers differ"):
        merge(bench, [0.5, 0.5], one, other)


def test_a_parent_whose_weights_are_cut_short_is_refused(bench: Bench, make_model: ModelMaker) -> None:
    one, other = make_model(0), make_model(1)
    path = other / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(JobFailed, match=r"a parent cannot be merged: model\.safetensors is cut short"):
        merge(bench, [0.5, 0.5], one, other)


def test_config_is_checked(bench: Bench, make_model: ModelMaker) -> None:
    one = make_model()
    with pytest.raises(JobFailed, match="2 parents are merged with 1 weights"):
        merge(bench, [1.0], one, one)
    with pytest.raises(JobFailed, match="merge method `dare` is not known; there are linear, slerp, ties"):
        merge(bench, [0.5, 0.5], one, one, method="dare")
    bare = bench.folder / "bare"
    shutil.copytree(one, bare)
    (bare / "config.json").unlink()
    with pytest.raises(JobFailed, match=r"a parent cannot be merged: bare/ has no config\.json"):
        merge(bench, [0.5, 0.5], one, bare)
