"""What an IPU cannot do is refused while forward is traced."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny_models import options

from gnnpack.accelerators import ipu_emulator as poptorch
from gnnpack.accelerators.ipu_emulator.supported_ops import SUPPORTED, UNSUPPORTED, refusal


class Does(torch.nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step(x)


def trace(step):
    return poptorch.inferenceModel(Does(step), options())(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))


NONZERO = "Operations using aten::nonzero are unsupported because the output shape is determined"
ITEM = "aten::item is only supported in eager mode"


@pytest.mark.parametrize(
    "step, message",
    [
        (lambda x: x.nonzero(), NONZERO),
        (lambda x: torch.where(x > 0)[0], NONZERO),
        (lambda x: x[x > 0], NONZERO),
        (lambda x: x[:, x[0] > 0], NONZERO),
        (lambda x: torch.masked_select(x, x > 0), NONZERO),
        (lambda x: torch.unique(x), "The IPU cannot support dynamic output shapes"),
        (lambda x: torch.unique_consecutive(x), "dynamic output shapes"),
        (lambda x: x.repeat_interleave(x[0].long().abs(), 0), "dynamic output shapes"),
        (lambda x: x.index_add(0, torch.tensor([0, 1]), x), "aten::index_add has no"),
        (lambda x: F.huber_loss(x, x), "aten::huber_loss has no"),
        (lambda x: torch.segment_reduce(x, "sum", lengths=torch.tensor([1, 1])), "segment_reduce"),
        (lambda x: x * x.sum().item(), ITEM),
        (lambda x: x if x.sum() > 0 else -x, ITEM),
        (lambda x: x[: int(x[0, 0])], ITEM),
        (lambda x: x * float(x[0, 0]), ITEM),
        (lambda x: x + x.tolist()[0][0], ITEM),
        (lambda x: x.cpu(), ITEM),
        (lambda x: x.to("cpu"), ITEM),
        (lambda x: torch.from_numpy(x.numpy()), ITEM),
        (lambda x: x if torch.equal(x, x) else -x, ITEM),
        (lambda x: x if torch.allclose(x, x) else -x, ITEM),
        (lambda x: torch.topk(x, 1, sorted=False).values, "sorted=True only"),
        (lambda x: F.one_hot(x.long().abs()), "num classes must be specified"),
        (lambda x: torch.linalg.svd(x)[0], "neither among PopTorch's supported operations"),
        (lambda x: torch.fft.rfft(x).real, "neither among PopTorch's supported operations"),
    ],
)
def test_behaviour_33_refused(step, message):
    with pytest.raises(poptorch.Error, match=message):
        trace(step)


def masked_write(x):
    x = x.clone()
    x[x > 0] = 7.0
    return x


@pytest.mark.parametrize(
    "step",
    [
        lambda x: torch.where(x > 0, x, 0.0),
        masked_write,
        lambda x: x[torch.tensor([1, 0])],
        lambda x: torch.zeros(3, 2).scatter_add(0, torch.tensor([[0, 2], [2, 2]]), x),
        lambda x: torch.zeros(3, 2).scatter_reduce(0, torch.tensor([[0, 2], [2, 2]]), x, "amax"),
        lambda x: torch.cdist(x, x),
        lambda x: torch.cdist(x.repeat(20, 1), x),
        lambda x: torch.topk(x, 2, largest=False)[1],
        lambda x: torch.sort(x)[0],
        lambda x: F.one_hot(x.long().abs(), 4),
        lambda x: F.softplus(x) + F.silu(x) + torch.expm1(x) + torch.log1p(x.abs()),
        lambda x: F.pairwise_distance(x, x + 1),
        lambda x: torch.linalg.vector_norm(x, dim=-1),
        lambda x: x.to(x.device) @ x.t() + x.var() + x.std(0) + x.norm(),
        lambda x: torch.einsum("ij,jk->ik", x, x).clamp_min(0).square().mean(0),
        lambda x: torch.bucketize(x, torch.tensor([0.0, 1.0])),
        lambda x: torch.stack(torch.meshgrid(x[0], x[1], indexing="ij")).cumsum(0),
        lambda x: F.layer_norm(x, (2,)) + torch.softmax(x, -1) + F.log_softmax(x, -1),
        lambda x: (x * torch.tensor(2.0)).masked_fill(x.isnan() | (x == 0), 1.0),
        lambda x: torch.cat([x, x.new_zeros(1, 2)]).split([1, 2])[1].flatten().unbind()[0],
    ],
)
def test_behaviour_33_allowed_and_equal_to_torch(step):
    x = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    expected = step(x)
    made = trace(step)
    assert made.shape == expected.shape
    torch.testing.assert_close(made, expected.to(made.dtype))


def test_behaviour_33_gradients_inside_forward():
    def force(x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(x.square().sum(), x)[0]

    with pytest.raises(poptorch.Error, match="Gradients cannot be taken inside forward"):
        trace(force)
    with pytest.raises(poptorch.Error, match="Gradients cannot be taken inside forward"):
        trace(lambda x: x.detach().requires_grad_().sum().backward())


def test_a_function_with_its_own_backward_is_refused():
    class Own(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x * 2

        @staticmethod
        def backward(context, gradient):
            return gradient

    class Uses(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return poptorch.identity_loss(Own.apply(self.weight) * x, "mean")

    with pytest.raises(poptorch.Error, match=r"torch\.autograd\.Function \(OwnBackward"):
        poptorch.trainingModel(Uses(), options())(torch.ones(2))


def test_the_guard_is_gone_behind_a_trace():
    with pytest.raises(poptorch.Error):
        trace(lambda x: x.nonzero())
    assert len(torch.ones(2).nonzero().tolist()) == 2


def test_no_operation_is_both_supported_and_not():
    assert not SUPPORTED & set(UNSUPPORTED)
    assert all(refusal(name) is None for name in SUPPORTED)
    assert "aten::made_up" in str(refusal("made_up"))
