"""The fused update on a CPU is chosen where nobody chose, and gives the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gnnpack.training.fused import _torch_has_it, fuse_on_cpu

NEEDS_A_FUSED_UPDATE = pytest.mark.skipif(
    not _torch_has_it(torch.optim.AdamW), reason="torch before 2.4 has no fused update on a CPU"
)


def trained(fuse: bool, **choice) -> list[torch.Tensor]:
    torch.manual_seed(0)
    net = nn.Linear(5, 3).double()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, **choice)
    if fuse:
        fuse_on_cpu(optimizer)
    for _ in range(5):
        optimizer.zero_grad()
        net(torch.ones(2, 5, dtype=torch.double)).square().sum().backward()
        optimizer.step()
    return [parameter.detach() for parameter in net.parameters()]


@NEEDS_A_FUSED_UPDATE
def test_weights_are_those_of_the_plain_update():
    for fused, plain in zip(trained(fuse=True), trained(fuse=False)):
        torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        pytest.param({}, (True, False), marks=NEEDS_A_FUSED_UPDATE),
        ({"fused": False}, (False, None)),
        ({"foreach": True}, (None, True)),
    ],
)
def test_a_choice_of_the_users_own_stays(choice, expected):
    optimizer = torch.optim.AdamW(nn.Linear(2, 2).parameters(), lr=1e-3, **choice)
    fuse_on_cpu(optimizer)
    group = optimizer.param_groups[0]
    assert (group["fused"], group["foreach"]) == expected


def test_an_optimizer_without_a_fused_update_is_left_alone():
    optimizer = torch.optim.Rprop(nn.Linear(2, 2).parameters(), lr=1e-3)
    before = dict(optimizer.param_groups[0])
    fuse_on_cpu(optimizer)
    assert optimizer.param_groups[0].keys() == before.keys()
