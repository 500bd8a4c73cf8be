"""Same weights, same energies as PyTorch Geometric's SchNet."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gnnpack.batching import PackSource
from gnnpack.models import SchNet, schnet_from_pyg, schnet_to_pyg
from tests.conftest import batch_of, make_source

pyg = pytest.importorskip("torch_geometric.nn")


def all_edges(cutoff: float):
    """PyG's interaction graph without its compiled extension, which need not be installed."""

    def graph(pos: torch.Tensor, batch: torch.Tensor):
        near = (batch[:, None] == batch[None, :]) & (torch.cdist(pos, pos) < cutoff)
        near.fill_diagonal_(False)
        target, source = near.nonzero(as_tuple=True)
        return torch.stack([source, target]), (pos[source] - pos[target]).norm(dim=1)

    return graph


def make_pyg(**options):
    torch.manual_seed(3)
    options = {"hidden_channels": 12, "num_filters": 10, "num_interactions": 3, **options}
    return pyg.SchNet(num_gaussians=9, cutoff=3.5, interaction_graph=all_edges(3.5), **options)


def pyg_energies(model, batch, dtype):
    """Energies of the real molecules, in the order of the packs."""
    G = batch.molecule_mask.shape[1]
    owner = batch.molecule_slot + G * torch.arange(len(batch.z))[:, None]
    _, molecule = owner[batch.atom_mask].unique_consecutive(return_inverse=True)
    return model(batch.z[batch.atom_mask], batch.pos[batch.atom_mask].to(dtype), molecule)[:, 0]


@pytest.mark.parametrize("dtype, rtol", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("form", [{}, {"neighbours": "dense"}, {"compiled": False}], ids=str)
@pytest.mark.parametrize("options", [{}, {"readout": "mean", "mean": 0.5, "std": 2.0}], ids=str)
def test_energies_equal_pyg(dtype, rtol, form, options):
    theirs = make_pyg(**options).to(dtype)
    ours = schnet_from_pyg(theirs, **form)
    batch = batch_of(make_source(30))
    batch = batch._replace(pos=batch.pos.to(dtype))
    expected = pyg_energies(theirs, batch, dtype)
    assert_close(ours(batch)[batch.molecule_mask], expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype, rtol", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_energies_equal_pyg_on_qm9(dtype, rtol, tmp_path):
    # Found and not imported: its import asks for packages that need not be here.
    if importlib.util.find_spec("qm9pack") is None:
        pytest.skip("QM9 is an optional package")
    from gnnpack.datasets import QM9

    molecules = next(iter(QM9(raw_dir=str(tmp_path)).chunks()))
    rows = np.arange(0, molecules.num_molecules, max(1, molecules.num_molecules // 60))
    source = PackSource(molecules.z, molecules.pos, molecules.offsets, None, rows)
    theirs = make_pyg(hidden_channels=100, num_filters=100).to(dtype)
    batch = batch_of(source, num_atoms=36)
    batch = batch._replace(pos=batch.pos.to(dtype))
    ours = schnet_from_pyg(theirs)(batch)[batch.molecule_mask]
    assert_close(ours, pyg_energies(theirs, batch, dtype), rtol=rtol, atol=0)


def test_gradients_equal_pyg():
    theirs = make_pyg().double()
    ours = schnet_from_pyg(theirs)
    batch = batch_of(make_source(30))
    ours(batch)[batch.molecule_mask].square().sum().backward()
    pyg_energies(theirs, batch, torch.float64).square().sum().backward()
    assert_close(
        ours.embedding.weight.grad[1:], theirs.embedding.weight.grad[1:], rtol=1e-9, atol=1e-11
    )
    assert_close(
        ours.interactions[0].filter_network[0].weight.grad,
        theirs.interactions[0].mlp[0].weight.grad,
        rtol=1e-9,
        atol=1e-11,
    )


def test_there_and_back_keeps_every_weight():
    ours = SchNet(12, 2, 9, 3.5)
    again = schnet_from_pyg(schnet_to_pyg(ours))
    state = again.state_dict()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(state[name], tensor), name


def test_what_does_not_carry_over_is_refused():
    with pytest.raises(ValueError, match="dipole"):
        schnet_from_pyg(make_pyg(dipole=True))
    with pytest.raises(ValueError, match="num_elements is 20"):
        schnet_to_pyg(SchNet(12, 1, 9, num_elements=20))
