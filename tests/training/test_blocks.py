"""Blocks are frozen, and learn at rates of their own, by their names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gnnpack.models import SchNet
from gnnpack.training import blocks_of, cosine, freeze_blocks, head_of, one_cycle, plateau
from gnnpack.training.blocks import optimizer_over
from gnnpack.training.fused import fuse_on_cpu

LR = 3e-3


@pytest.fixture
def model() -> SchNet:
    return SchNet(8, 2, 6, 3.0)


def adamw(parameters) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=LR)


def test_blocks_are_named_in_the_order_of_the_data_and_hold_all_parameters(model):
    blocks = blocks_of(model)
    assert list(blocks) == ["embedding", "0", "1", "head"]
    of_blocks = [parameter for block in blocks.values() for parameter in block.parameters()]
    assert {id(p) for p in of_blocks} == {id(p) for p in model.parameters()}
    assert len(of_blocks) == len(list(model.parameters()))


def test_a_model_that_names_no_blocks_has_its_children_and_no_head():
    model = nn.Module()
    model.first = nn.Linear(2, 2)
    model.silent = nn.Tanh()
    model.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2))
    assert list(blocks_of(model)) == ["first", "0", "1"]
    with pytest.raises(ValueError, match=r"which of its blocks \(first, 0, 1\) is the head"):
        head_of(model)
    # Which it is asked for only where it matters.
    assert len(optimizer_over(model, model, adamw).param_groups) == 1
    with pytest.raises(ValueError, match="is the head"):
        optimizer_over(model, model, adamw, body_lr=0.1)


def test_frozen_blocks_are_no_part_of_the_optimizer(model):
    freeze_blocks(model, ["embedding", "1"])
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert {name.split(".")[0] for name in frozen} == {"embedding", "interactions"}
    assert all(name.startswith(("embedding.", "interactions.1.")) for name in frozen)
    (group,) = optimizer_over(model, model, adamw).param_groups
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    assert {id(p) for p in group["params"]} == trained


@pytest.mark.parametrize(
    "names, message",
    [
        (["embeding"], r"'embeding', which SchNet does not have.*embedding, 0, 1, head"),
        (["2"], "'2'"),
        (["embedding", "0", "1", "head"], "leaves nothing to train"),
    ],
)
def test_wrong_names_are_told_with_the_right_ones(model, names, message):
    with pytest.raises(ValueError, match=message):
        freeze_blocks(model, names)


def test_the_body_has_a_rate_of_its_own_behind_the_heads(model):
    head, body = optimizer_over(model, model, adamw, body_lr=0.1).param_groups
    assert {id(p) for p in head["params"]} == {id(p) for p in model.output.parameters()}
    assert len(head["params"]) + len(body["params"]) == len(list(model.parameters()))
    assert (head["lr"], body["lr"]) == (LR, pytest.approx(0.1 * LR))


def test_without_a_rate_of_its_own_all_parameters_are_in_one_group_in_their_order(model):
    (group,) = optimizer_over(model, model, adamw).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]


def test_where_the_body_is_frozen_the_head_keeps_its_rate(model):
    freeze_blocks(model, ["embedding", "0", "1"])
    (group,) = optimizer_over(model, model, adamw, body_lr=0.1).param_groups
    assert group["lr"] == pytest.approx(LR)


def test_a_rate_of_the_body_beside_a_frozen_head_is_refused(model):
    freeze_blocks(model, ["head"])
    with pytest.raises(ValueError, match=r"body_lr is 0\.1, but .* Leave finetune\.body_lr=1"):
        optimizer_over(model, model, adamw, body_lr=0.1)
    (group,) = optimizer_over(model, model, adamw).param_groups
    assert group["lr"] == LR


@pytest.mark.parametrize("schedule", [one_cycle, cosine])
def test_schedules_keep_the_proportion_of_the_rates(model, schedule):
    optimizer = optimizer_over(model, model, adamw, body_lr=0.1)
    made = schedule(optimizer, total_updates=50)["scheduler"]
    for _ in range(50):
        head, body = (group["lr"] for group in optimizer.param_groups)
        assert body == pytest.approx(0.1 * head, rel=1e-9)
        optimizer.step()
        made.step()
    assert head < 0.05 * LR


def test_a_plateau_lowers_all_rates_in_proportion(model):
    optimizer = optimizer_over(model, model, adamw, body_lr=0.1)
    made = plateau(optimizer, total_updates=1, patience=0, factor=0.1, min_lr=1e-4)["scheduler"]
    for _ in range(8):
        made.step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-4, 1e-5])


def test_one_group_falls_as_torchs_own_cosine_does_bit_for_bit():
    rates = []
    for own in (True, False):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
        made = (
            cosine(optimizer, total_updates=30, final_factor=0.01)["scheduler"]
            if own
            else torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30, eta_min=LR * 0.01)
        )
        rates.append([])
        for _ in range(30):
            rates[-1].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            made.step()
    assert rates[0] == rates[1]


def test_a_rate_of_zero_is_no_division(model):
    optimizer = optimizer_over(model, model, lambda p: torch.optim.SGD(p, lr=0.0), body_lr=0.1)
    falling = cosine(optimizer, total_updates=5)["scheduler"]
    optimizer.step()
    falling.step()
    plateau(optimizer, total_updates=5)["scheduler"].step(1.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.0, 0.0]


def test_all_groups_are_fused_or_none(model):
    optimizer = optimizer_over(model, model, adamw, body_lr=0.1)
    fuse_on_cpu(optimizer)
    assert len({group["fused"] for group in optimizer.param_groups}) == 1
