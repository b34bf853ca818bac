"""Each method of merging against its formula, written out here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exc.runtime.context import JobFailed
from tests.runtime.stages.conftest import Bench, ModelMaker
from tests.runtime.stages.test_merge import tensors


def merge(
    bench: Bench, method: str, *parents: Path, base: Path | None = None, **config: Any
) -> dict[str, Any]:
    inputs = {f"parent:{number}": parent for number, parent in enumerate(parents)}
    inputs |= {} if base is None else {"base": base}
    return tensors(bench.run("merge", {"method": method, **config}, inputs, out=method) / "model")


def assert_close(merged: dict[str, Any], wanted: dict[str, Any]) -> None:
    import torch

    assert merged.keys() == wanted.keys()
    for name, tensor in merged.items():
        assert torch.allclose(tensor.double(), wanted[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_slerp_goes_along_the_arc_from_the_first_to_the_second(
    bench: Bench, make_model: ModelMaker, t: float
) -> None:
    import torch

    one, other = make_model(0), make_model(1)

    def slerp(a: Any, b: Any) -> Any:
        a, b = a.double(), b.double()
        cosine = (a.flatten() / a.norm()) @ (b.flatten() / b.norm())
        if cosine.abs() > 0.9995:  # all but parallel: norms, which both have at one
            return (1 - t) * a + t * b
        angle = torch.arccos(cosine)
        return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)

    first, second = tensors(one), tensors(other)
    assert_close(
        merge(bench, "slerp", one, other, t=t), {name: slerp(first[name], second[name]) for name in first}
    )


@pytest.mark.parametrize("normalize", [False, True])
def test_task_arithmetic_adds_weighted_differences_to_the_base(
    bench: Bench, make_model: ModelMaker, normalize: bool
) -> None:
    weights = [0.8, -0.3, 0.4]
    base, *parents = [make_model(seed) for seed in range(4)]
    root, held = tensors(base), [tensors(parent) for parent in parents]
    divisor = sum(weights) if normalize else 1.0
    wanted = {}
    for name, start in root.items():
        total = sum(
            weight * (each[name].double() - start.double())
            for weight, each in zip(weights, held, strict=True)
        )
        wanted[name] = start.double() + total / divisor
    given = {"weights": weights, "normalize": normalize}
    assert_close(merge(bench, "task_arithmetic", *parents, base=base, **given), wanted)


def test_half_of_a_task_vector_is_the_mean_with_the_base(bench: Bench, make_model: ModelMaker) -> None:
    base, parent = make_model(0), make_model(1)
    root, other = tensors(base), tensors(parent)
    merged = merge(bench, "task_arithmetic", parent, base=base, weights=[0.5], normalize=False)
    assert_close(merged, {name: (root[name].double() + other[name].double()) / 2 for name in root})


@pytest.mark.parametrize("normalize", [False, True])
def test_ties_trims_elects_a_sign_and_takes_the_mean_of_those_that_have_it(
    bench: Bench, make_model: ModelMaker, normalize: bool
) -> None:
    import torch

    weights, density = [1.0, 0.5, 2.0], [0.5, 0.3, 1.0]
    base, *parents = [make_model(seed) for seed in range(4)]
    root, held = tensors(base), [tensors(parent) for parent in parents]

    def trimmed(difference: Any, share: float) -> Any:
        """The largest `share` of the entries; the others 0."""
        flat = difference.flatten().clone()
        kept = max(1, int(share * flat.numel()))
        flat[torch.argsort(flat.abs(), descending=True)[kept:]] = 0
        return flat.reshape(difference.shape)

    def ties(name: str) -> Any:
        start = root[name].float()
        differences = [
            trimmed(each[name].float() - start, share) for each, share in zip(held, density, strict=True)
        ]
        weighted = [weight * each for weight, each in zip(weights, differences, strict=True)]
        elected = torch.where(torch.stack(weighted).sum(0) >= 0, 1.0, -1.0)
        total, divisor = torch.zeros_like(start), torch.zeros_like(start)
        for weight, each in zip(weights, weighted, strict=True):
            agrees = torch.sign(each) == elected
            total += torch.where(agrees, each, 0.0)
            divisor += torch.where(agrees, weight, 0.0)
        divisor = torch.where(divisor == 0, 1.0, divisor) if normalize else torch.ones_like(divisor)
        return (start + total / divisor).double()

    given = {"weights": weights, "density": density, "normalize": normalize}
    assert_close(merge(bench, "ties", *parents, base=base, **given), {name: ties(name) for name in root})


def test_ties_of_one_model_twice_is_that_model_trimmed(bench: Bench, make_model: ModelMaker) -> None:
    base, one = make_model(0), make_model(1)
    given = {"weights": [1.0, 1.0], "density": [1.0, 1.0], "normalize": True}
    merged = merge(bench, "ties", one, one, base=base, **given)
    assert_close(merged, {name: tensor.double() for name, tensor in tensors(one).items()})


def test_a_linear_merge_that_is_normalized_is_the_weighted_mean(bench: Bench, make_model: ModelMaker) -> None:
    one, other = make_model(0), make_model(1)
    first, second = tensors(one), tensors(other)
    merged = merge(bench, "linear", one, other, weights=[1.0, 3.0], normalize=True)
    wanted = {name: 0.25 * first[name].double() + 0.75 * second[name].double() for name in first}
    assert_close(merged, wanted)


def test_a_base_of_another_shape_is_named(bench: Bench, make_model: ModelMaker) -> None:
    one, base = make_model(0), make_model(1, vocab_size=300)
    with pytest.raises(JobFailed, match=r"parent:0 and base cannot be merged: their vocab_size differ"):
        merge(bench, "task_arithmetic", one, base=base, weights=[1.0])


def test_a_tensor_of_another_shape_is_named(bench: Bench, make_model: ModelMaker, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    one, other = make_model(0), tmp_path / "other"
    shutil.copytree(one, other)
    held = load_file(other / "model.safetensors")
    name = next(name for name in held if name.endswith("mlp.up_proj.weight"))
    held[name] = held[name][:-1].contiguous()
    save_file(held, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobFailed, match=rf"tensor {name} is .* and "):
        merge(bench, "slerp", one, other, t=0.5)


def test_what_a_method_needs_is_asked_for(bench: Bench, make_model: ModelMaker) -> None:
    one, other = make_model(0), make_model(1)
    with pytest.raises(JobFailed, match="ties needs a base"):
        merge(bench, "ties", one, other, weights=[1.0, 1.0], density=[1.0, 1.0])
    with pytest.raises(JobFailed, match="slerp is of two models, not 3"):
        merge(bench, "slerp", one, other, one, t=0.5)
    with pytest.raises(JobFailed, match="2 parents are merged with 1 density"):
        merge(bench, "ties", one, other, base=one, weights=[1.0, 1.0], density=[1.0])
