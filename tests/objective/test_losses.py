"""Packing, ranks and accumulation must not change a gradient."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import PACKERS, make_source
from torch.testing import assert_close

from gnnpack.batching import PackBatch, PackLoader
from gnnpack.objective import MAE, MSE, Huber, error_metrics, real_values
from gnnpack.packing import PackShape

OBJECTIVES = [MAE(), MSE(), Huber(0.3)]


def error_by_hand(objective, difference: float) -> float:
    size = abs(difference)
    if isinstance(objective, MAE):
        return size
    if isinstance(objective, MSE):
        return size * size
    delta = objective.delta
    return 0.5 * size * size if size <= delta else delta * (size - 0.5 * delta)


def predict(batch: PackBatch, weights: torch.Tensor) -> torch.Tensor:
    """A stand-in for a network: depends on a molecule's own atoms alone, and on the weights."""
    atoms = torch.where(batch.atom_mask, weights[batch.z], torch.zeros_like(weights[batch.z]))
    total = torch.zeros(batch.molecule_mask.shape, dtype=weights.dtype)
    return total.scatter_add(1, batch.molecule_slot, atoms)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_loss_is_the_mean_over_real_molecules(batch, objective):
    prediction = torch.randn(batch.target.shape, dtype=torch.double)
    real = batch.molecule_mask
    by_hand = [
        error_by_hand(objective, float(p) - float(t))
        for p, t in zip(prediction[real], batch.target[real])
    ]
    assert_close(objective(prediction, batch).item(), sum(by_hand) / len(by_hand))


@given(
    packer=st.sampled_from(PACKERS),
    objective=st.sampled_from(OBJECTIVES),
    world_size=st.sampled_from([1, 2, 4]),
    accumulation=st.sampled_from([1, 2, 3]),
    num_atoms=st.integers(14, 40),
)
@settings(max_examples=80, deadline=None)
def test_gradient_of_an_update_does_not_know_how_it_was_cut(
    packer, objective, world_size, accumulation, num_atoms
):
    """Mean over executors of the micro-batch gradients = gradient of one molecule-wise mean."""
    source = make_source(30)
    plan = packer(source.num_atoms, PackShape(num_atoms)).epoch(0, 1)
    # One update that holds every pack, completed with empty ones.
    parts = world_size * accumulation
    per_update = -(-plan.num_packs // parts) * parts
    weights = torch.linspace(-1, 1, 10, dtype=torch.double).requires_grad_()
    gradient = torch.zeros_like(weights)
    for rank in range(world_size):
        loader = PackLoader(
            source,
            plan,
            packs_per_update=per_update,
            rank=rank,
            world_size=world_size,
            accumulation=accumulation,
        )
        for batch in loader:
            loss = objective(predict(batch, weights), batch, parts)
            gradient += torch.autograd.grad(loss, weights)[0] / parts

    sizes = source.offsets[source.rows], source.offsets[source.rows + 1]
    energies = torch.stack([weights[source.z[a:b].astype(int)].sum() for a, b in zip(*sizes)])
    target = torch.from_numpy(source.target[source.rows]).float().double()
    expected = torch.autograd.grad(objective.cost(energies - target).mean(), weights)[0]
    assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_the_papers_weighting_is_the_mean_of_the_micro_batch(batch):
    prediction = torch.randn(batch.target.shape)
    few = batch._replace(step_molecules=batch.step_molecules * 7)
    loss = MSE(weighting="micro_batch_mean")(prediction, few)
    real = batch.molecule_mask
    assert_close(loss, (prediction - batch.target)[real].square().mean())


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: type(o).__name__)
def test_nan_in_filler_reaches_neither_loss_nor_gradient(batch, objective):
    prediction = torch.randn(batch.target.shape).requires_grad_()
    empty = ~batch.molecule_mask
    poisoned = batch._replace(target=batch.target.masked_fill(empty, float("nan")))
    objective(prediction, poisoned).backward()
    assert torch.isfinite(prediction.grad).all()
    assert not prediction.grad[empty].any()
    assert prediction.grad[~empty].all()


def test_metrics_are_those_of_the_real_molecules(batch):
    metrics = error_metrics("val/")
    prediction = torch.randn(batch.target.shape)
    # Over two batches of unequal size, the mean is over molecules and not over batches.
    for part in (slice(0, 2), slice(2, None)):
        piece = PackBatch(*(tensor[part] for tensor in batch))
        metrics.update(*real_values(prediction[part], piece))
    difference = (prediction - batch.target)[batch.molecule_mask]
    found = metrics.compute()
    assert_close(found["val/mae"], difference.abs().mean())
    assert_close(found["val/rmse"], difference.square().mean().sqrt())


def test_impossible_objectives_are_refused():
    with pytest.raises(ValueError, match=r"objective\.weighting is 'atoms'"):
        MSE(weighting="atoms")
    with pytest.raises(ValueError, match=r"objective\.delta is 0"):
        Huber(delta=0)
