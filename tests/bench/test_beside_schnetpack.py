"""SchNetPack's SchNet with our weights; what is said where it cannot take part."""

from __future__ import annotations

import sys

import pytest
import torch
from tests.conftest import make_source

from gnnpack.bench import beside_schnetpack as room
from gnnpack.bench.batches import whole_batch
from gnnpack.bench.beside_pyg import directed_edges
from gnnpack.models import Readout, SchNet
from gnnpack.packing import PackShape, one_per_pack


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_it_computes_the_same_energies(kind):
    if room.schnetpack_absence() is not None:
        pytest.skip(room.schnetpack_absence())
    source, cutoff = make_source(12), 3.0
    batch = whole_batch(source, one_per_pack(source.num_atoms, PackShape(14)))
    ours = SchNet(10, 2, 7, cutoff, readout=Readout(kind, -1.5, 0.3))
    theirs = room.schnetpack_schnet(ours)
    edges = directed_edges(batch, cutoff)
    pos = batch.pos[batch.atom_mask]
    source_atom, target_atom = edges.edge_index
    owner = torch.arange(12).repeat_interleave(torch.from_numpy(source.num_atoms))
    inputs = room.schnetpack_inputs(
        batch.z[batch.atom_mask], owner, edges, pos[source_atom] - pos[target_atom]
    )
    torch.testing.assert_close(theirs(inputs), ours(batch)[:, 0], rtol=1e-5, atol=1e-5)


def test_where_it_is_absent_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "schnetpack", None)
    assert room.schnetpack_absence() == room.ABSENT


def test_where_it_cannot_be_imported_the_reason_is_said(monkeypatch):
    def fail():
        raise ImportError("No module named 'torch_ema'")

    monkeypatch.setattr(room, "find_spec", lambda name: object())
    monkeypatch.setattr(room, "_import", fail)
    assert "torch_ema" in room.schnetpack_absence()
