"""Weights are taken by name, whole parts or none, and nothing is left out in silence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gnnpack.models import Readout, SchNet
from gnnpack.training import head_of, take_weights


def schnet(hidden: int = 8, blocks: int = 2, **options) -> SchNet:
    return SchNet(hidden, blocks, 6, 3.0, **options)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters())
    return all(torch.equal(a, b) for a, b in pairs)


def test_all_weights_are_taken_but_the_readouts():
    before = schnet(readout=Readout("sum", 3.0, 2.0))
    model = schnet(readout=Readout("sum", -1.0, 0.5))
    found = take_weights(model, before.state_dict())
    assert same(model, before)
    assert (model.readout.mean.item(), model.readout.std.item()) == (-1.0, 0.5)
    assert len(found.taken) == len(list(model.parameters()))
    assert (found.new, found.left) == ([], [])


def test_a_head_that_is_to_be_new_is_passed_over_and_told():
    before, model = schnet(), schnet()
    kept = [parameter.clone() for parameter in model.output.parameters()]
    found = take_weights(model, before.state_dict(), but=[head_of(model)])
    assert all(torch.equal(a, b) for a, b in zip(model.output.parameters(), kept))
    assert same(model.interactions, before.interactions)
    assert same(model.embedding, before.embedding)
    names = ["output.0.weight", "output.0.bias", "output.2.weight", "output.2.bias"]
    assert (found.new, found.left) == (names, names)


def test_another_head_is_no_matter_where_it_is_to_be_new():
    weights = {name.replace("output.2", "output.7"): t for name, t in schnet().state_dict().items()}
    model = schnet()
    with pytest.raises(ValueError, match=r"missing are output\.2.*unexpected are output\.7"):
        take_weights(model, weights)
    take_weights(model, weights, but=[head_of(model)])


def test_parts_of_one_side_alone_are_told():
    before, model = schnet(), schnet()
    before.charges, model.dipoles = nn.Linear(2, 1), nn.Linear(3, 1)
    found = take_weights(model, before.state_dict())
    assert found.new == ["dipoles.weight", "dipoles.bias"]
    assert found.left == ["charges.weight", "charges.bias"]


@pytest.mark.parametrize(
    "other, message",
    [
        ({"hidden": 6}, r"of another shape are embedding\.weight \(100, 6\) for \(100, 8\)"),
        ({"blocks": 3}, r"unexpected are interactions\.2\..* and 3 more"),
        ({"blocks": 1}, r"missing are interactions\.1\."),
        ({"num_filters": 4}, r"another shape are interactions\.0\.filter_network"),
        ({"num_elements": 20}, r"another shape are embedding\.weight \(20, 8\) for \(100, 8\)"),
    ],
)
def test_other_blocks_are_refused_and_nothing_is_taken(other, message):
    model = schnet()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        take_weights(model, schnet(**other).state_dict())
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())


def test_weights_of_which_none_fits_are_refused():
    with pytest.raises(ValueError, match="none of 2 has a name that SchNet knows"):
        take_weights(schnet(), nn.Sequential(nn.Linear(2, 2)).state_dict())


def test_a_double_networks_weights_are_rounded_to_the_models_precision():
    before, model = schnet().double(), schnet()
    take_weights(model, before.state_dict())
    assert model.embedding.weight.dtype == torch.float32
    assert torch.equal(model.embedding.weight, before.embedding.weight.float())


def test_gradients_do_not_flow_into_what_was_taken():
    before, model = schnet(), schnet()
    take_weights(model, before.state_dict(keep_vars=True))
    assert all(parameter.is_leaf and parameter.requires_grad for parameter in model.parameters())
