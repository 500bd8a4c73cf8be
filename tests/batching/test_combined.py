"""Combined batches are the host loader's packs, however they are asked for and wherever made."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from tests.conftest import make_source

from gnnpack.batching import CombinedBatches, EpochCalls, PackLoader, PackSource
from gnnpack.packing import PackShape, lpfhp, random_exact

EPOCHS = (0, 1, 5)


def make_loader(packer=lpfhp, *, iterations: int = 4, epoch=None, source=None) -> PackLoader:
    source = make_source(70) if source is None else source
    plan = packer(source.num_atoms, PackShape(24))
    return PackLoader(
        source, plan, packs_per_update=3, seed=5, epoch=epoch, device_iterations=iterations
    )


@pytest.mark.parametrize("packer", [lpfhp, random_exact])
@pytest.mark.parametrize("iterations", [1, 2, 5, 100])
def test_a_call_holds_the_updates_of_the_host_loader(packer, iterations):
    now = [0]
    loader = make_loader(packer, iterations=iterations, epoch=lambda: now[0])
    loader.device_iterations = iterations
    combined = CombinedBatches(loader)
    single = make_loader(packer, iterations=1, epoch=lambda: now[0])
    for now[0] in EPOCHS:
        updates = [step.packs for step in single]
        calls = [combined[now[0], call] for call in range(len(combined))]
        assert {tensor.shape[0] for call in calls for tensor in call} == {3 * iterations}
        for field, name in enumerate(updates[0]._fields):
            made = torch.cat([call[field] for call in calls])
            expected = torch.cat([packs[field] for packs in updates])
            assert torch.equal(made[: len(expected)], expected), name
            rest = made[len(expected) :]
            if name in ("atom_mask", "molecule_mask", "num_atoms", "z"):
                assert not rest.any(), name
            if name == "step_molecules":
                # Divided by, also where nothing is.
                assert (rest == 1).all()


def test_without_epochs_the_order_is_the_plan_s():
    combined = CombinedBatches(make_loader())
    for one, other in zip(combined[0, 1], combined[7, 1]):
        assert torch.equal(one, other)


def test_calls_go_on_epoch_after_epoch():
    calls = EpochCalls(3, epoch=4, call=1)
    assert list(calls) == [(4, 1), (4, 2)]
    assert list(calls) == [(5, 0), (5, 1), (5, 2)]
    stopped = iter(calls)
    next(stopped)
    assert list(calls) == [(7, 0), (7, 1), (7, 2)]
    assert len(calls) == 3


def test_a_worker_gets_the_names_of_files_and_not_their_content(tmp_path):
    plain = make_source(70)
    opened = []
    for name in ("z", "pos", "offsets", "target"):
        np.save(tmp_path / f"{name}.npy", getattr(plain, name))
        opened.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r").view(np.ndarray))
    # As a split has them: some rows of the files.
    source = PackSource(*opened, plain.rows)
    mapped = CombinedBatches(make_loader(source=source))
    sent = pickle.dumps(mapped)
    assert plain.pos.tobytes() not in sent
    assert plain.pos.tobytes() in pickle.dumps(CombinedBatches(make_loader(source=plain)))
    received = pickle.loads(sent)
    for one, other in zip(received[0, 0], mapped[0, 0]):
        assert torch.equal(one, other)
    # A part of a column is no whole file.
    part = CombinedBatches(make_loader(source=source._replace(target=opened[3][:])))
    half = pickle.loads(pickle.dumps(part))
    assert np.array_equal(half.source.target, plain.target)
