"""Softplus, tail, embedding and sums per molecule against plain torch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gnnpack.kernels.cuda import embed, shifted_softplus, sum_molecules, tail
from tests.kernels.cuda.values.dense_reference import packs, relative


@pytest.fixture(params=["highest", "high"])
def precision(request):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(request.param)
    yield request.param
    torch.set_float32_matmul_precision(before)


def gradients(out, weight, inputs):
    return (out, *torch.autograd.grad((out * weight.to(out.dtype)).sum(), inputs))


def test_softplus_and_its_gradient_are_right_far_out_too(device):
    x = torch.cat([torch.randn(1500) * 8, torch.tensor([0.0, 100.0, -100.0, 20.0, -20.0])])
    x = x.to(device).requires_grad_()
    exact = x.detach().double().requires_grad_()
    weight = torch.randn_like(x)
    found = gradients(shifted_softplus(x), weight, [x])
    wanted = gradients(F.softplus(exact, threshold=200) - math.log(2), weight, [exact])
    for one, other in zip(found, wanted):
        torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=2e-7)


def test_softplus_takes_any_layout_and_gives_the_inputs_type(device):
    x = torch.randn(6, 5, 3).to(device).transpose(0, 2)
    torch.testing.assert_close(shifted_softplus(x), F.softplus(x) - math.log(2))
    assert shifted_softplus(x.half()).dtype == torch.float16
    assert not shifted_softplus(torch.zeros((), device=device)).any()


def tail_inputs(filters: int, hidden: int, rows: int, device, dtype=torch.float32):
    lin1, lin2 = nn.Linear(filters, hidden), nn.Linear(hidden, hidden)
    messages, residual = torch.randn(rows, filters, dtype=dtype), torch.randn(rows, hidden)
    given = [messages, residual, lin1.weight, lin1.bias, lin2.weight, lin2.bias]
    return [t.detach().to(device).requires_grad_() for t in given]


def tail_reference(messages, residual, w1, b1, w2, b2):
    return residual + F.linear(F.softplus(F.linear(messages, w1, b1)) - math.log(2), w2, b2)


# More hidden channels than a tile of "ieee", and rows, filters and channels with a rest.
@pytest.mark.parametrize("filters, hidden, rows", [(20, 36, 37), (40, 10, 16)])
def test_tail_and_its_gradients_equal_the_layers_in_float64(
    filters, hidden, rows, precision, device
):
    given = tail_inputs(filters, hidden, rows, device)
    exact = [t.detach().double().requires_grad_() for t in given]
    weight = torch.randn(rows, hidden).to(device)
    found = gradients(tail(*given), weight, given)
    # TF32 keeps 10 bits of a product's factors; the interpreter keeps all.
    tolerance = 2e-6 if precision == "highest" else 2e-3
    for one, other in zip(found, gradients(tail_reference(*exact), weight, exact)):
        assert relative(one, other) < tolerance


def test_tail_in_narrow_products_keeps_the_residual_stream_wide(device):
    # The interpreter multiplies the bits of bfloat16; a GPU has the harder of the two types.
    dtype = torch.float16 if device.type == "cpu" else torch.bfloat16
    given = tail_inputs(20, 36, 19, device, dtype)
    exact = [t.detach().double().requires_grad_() for t in given]
    weight = torch.randn(19, 36).to(device)
    found = gradients(tail(*given), weight, given)
    assert [t.dtype for t in found] == [torch.float32, dtype] + 5 * [torch.float32]
    for one, other in zip(found, gradients(tail_reference(*exact), weight, exact)):
        assert relative(one, other) < 1e-2
    # Of no message the layers add the same to every row: the residual itself must not be rounded.
    silent = [torch.zeros_like(given[0]), *given[1:]]
    added = (tail(*silent) - given[1]).detach()
    torch.testing.assert_close(added, added[:1].expand_as(added), rtol=0, atol=1e-6)


def test_tail_refuses_layers_of_other_sizes(device):
    given = tail_inputs(20, 36, 4, device)
    with pytest.raises(ValueError, match=r"\(36, 20\)"):
        tail(*given[:2], given[2].t(), *given[3:])


def test_embedding_equals_torchs_with_its_gradient(device):
    z = torch.randint(0, 10, (5, 7)).to(device)
    weight = torch.randn(12, 6).to(device).requires_grad_()
    probe = torch.randn(5, 7, 6).to(device)
    found = gradients(embed(z, weight), probe, [weight])
    wanted = gradients(F.embedding(z, weight), probe, [weight])
    assert torch.equal(found[0], wanted[0])
    torch.testing.assert_close(found[1], wanted[1])
    assert not found[1][10:].any()


@pytest.mark.parametrize("num_slots", [14, 70])
def test_molecule_sums_equal_the_loop_and_ignore_filler(num_slots, device):
    sizes = (7, 5, 1), (14,), (), (2, 12)
    _, slot, mask = packs(*sizes, num_slots=num_slots, device=device)
    num_molecule_slots = 19  # more than a program's 16
    values = torch.randn(slot.shape).to(device)
    values[~mask] = float("nan")
    values.requires_grad_()
    weight = torch.randn(4, num_molecule_slots).to(device)
    found = gradients(sum_molecules(values, slot, mask, num_molecule_slots), weight, [values])
    out, grad = torch.zeros(4, num_molecule_slots), torch.zeros(slot.shape)
    for p, n in mask.nonzero().tolist():
        out[p, slot[p, n]] += values[p, n].item()
        grad[p, n] = weight[p, slot[p, n]]
    torch.testing.assert_close(found[0].cpu(), out)
    assert torch.equal(found[1].cpu(), grad)
