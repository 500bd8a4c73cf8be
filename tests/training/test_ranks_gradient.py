"""However many ranks share an update: the gradient of one process, and nobody reads another's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import in_double, make_source
from torch.testing import assert_close

from gnnpack.batching import PackLoader, PackSource
from gnnpack.models import SchNet
from gnnpack.objective import MAE, MSE
from gnnpack.packing import PackShape, lpfhp, random_exact

EPOCH = 3


class Read(np.ndarray):
    """A column that remembers which of its rows were looked at."""

    seen: set[int]

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, np.ndarray):
            self.seen.update(np.flatnonzero(key).tolist() if key.dtype == bool else key.tolist())
        return np.asarray(self)[key]


def watched(source: PackSource) -> PackSource:
    """The source with positions that remember."""
    pos = source.pos.view(Read)
    pos.seen = set()
    return source._replace(pos=pos)


def loader(source, rank: int, world_size: int, packer=random_exact, accumulation=1) -> PackLoader:
    plan = packer(source.num_atoms, PackShape(24))
    return PackLoader(
        source,
        plan,
        packs_per_update=4,
        rank=rank,
        world_size=world_size,
        accumulation=accumulation,
        seed=2,
        epoch=lambda: EPOCH,
        depth=0,
    )


def gradients(dtype, world_size: int, accumulation: int, objective, form) -> list[torch.Tensor]:
    """Of the first and the last update, averaged over ranks and accumulated batches."""
    torch.manual_seed(0)
    model = SchNet(8, 2, 6, 3.0, **form).to(dtype)
    parts = world_size * accumulation
    loaders = [
        loader(make_source(50), r, world_size, accumulation=accumulation) for r in range(world_size)
    ]
    updates = [list(one) for one in loaders]
    assert len({len(batches) for batches in updates}) == 1
    found = []
    for update in (0, len(updates[0]) // accumulation - 1):
        model.zero_grad()
        for batches in updates:
            for batch in batches[update * accumulation : (update + 1) * accumulation]:
                batch = in_double(batch) if dtype == torch.float64 else batch
                (objective(model(batch), batch, parts) / parts).backward()
        found += [p.grad.clone() for p in model.parameters()]
    return found


FORMS = [{"filter": "exact"}, {"filter": "tabulated"}, {"neighbours": "dense"}]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("world_size, accumulation", [(2, 1), (4, 1), (2, 2), (1, 4)])
@pytest.mark.parametrize("objective", [MAE(), MSE()], ids=["mae", "mse"])
def test_gradients_are_those_of_one_process(form, world_size, accumulation, objective):
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-6)):
        alone = gradients(dtype, 1, 1, objective, form)
        shared = gradients(dtype, world_size, accumulation, objective, form)
        for one, other in zip(alone, shared):
            assert one.abs().max() > 0
            size = float(one.abs().max())
            assert_close(other, one, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("packer", [lpfhp, random_exact])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_a_rank_reads_its_own_molecules_alone(packer, world_size):
    seen = []
    for rank in range(world_size):
        source = watched(make_source(50))
        batches = list(loader(source, rank, world_size, packer))
        assert {tuple(t.shape for t in batch) for batch in batches} == {
            tuple(t.shape for t in batches[0])
        }
        seen.append(source.pos.seen)
    together = sorted(atom for one in seen for atom in one)
    # All atoms, and none twice.
    assert together == list(range(len(make_source(50).z)))
