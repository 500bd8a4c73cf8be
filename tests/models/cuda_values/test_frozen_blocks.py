"""Frozen blocks get no gradient on the CUDA kernels, and change nobody else's."""

from __future__ import annotations

import pytest
import torch

from gnnpack.training import freeze_blocks
from tests.models.cuda_values.test_values import make_batch, make_model


@pytest.mark.parametrize(
    "names", [["embedding"], ["1"], ["embedding", "0", "1"], ["head"]], ids=str
)
@pytest.mark.parametrize("cuda_kernels", [True, False])
def test_other_gradients_are_the_same(device, names, cuda_kernels):
    found = []
    for frozen in ([], names):
        model = make_model(device)
        freeze_blocks(model, frozen)
        energies = model._predict(make_batch(device), cuda_kernels=cuda_kernels)
        energies.square().sum().backward()
        found.append({name: p.grad for name, p in model.named_parameters()})
    whole, partly = found
    assert all(gradient is not None for gradient in whole.values())
    for name, gradient in partly.items():
        block = {"embedding": "embedding", "output": "head"}.get(name.split(".")[0])
        if (block or name.split(".")[1]) in names:
            assert gradient is None, name
        else:
            torch.testing.assert_close(gradient, whole[name], rtol=1e-5, atol=1e-6, msg=name)
