"""Small molecules and packs for every room's tests; nothing here touches the network."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import settings

from gnnpack.batching import PackBatch, PackSource, assemble
from gnnpack.packing import (
    PackShape,
    best_fit_decreasing,
    first_fit_decreasing,
    lpfhp,
    next_fit,
    one_per_pack,
    optimal,
    random_exact,
    spfhp,
    streaming,
    tuple_packing,
)

# The same examples in every run, however slow the machine; `pytest --hypothesis-profile=default`
# draws others.
settings.register_profile("gnnpack", derandomize=True, deadline=None)
settings.load_profile("gnnpack")

PACKERS = [
    one_per_pack,
    next_fit,
    first_fit_decreasing,
    best_fit_decreasing,
    spfhp,
    lpfhp,
    tuple_packing,
    streaming,
    optimal,
    random_exact,
]


def named(value: object) -> str:
    """A parameter's name in a test's id: the same in every process."""
    return re.sub(r" at 0x\w+", "", str(value))


def make_source(num_molecules: int = 40, seed: int = 0, largest: int = 14) -> PackSource:
    """Random molecules: rows are shuffled, so that a plan molecule is never its own row."""
    rng = np.random.RandomState(seed)
    sizes = rng.randint(1, largest + 1, num_molecules)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    pos = [rng.rand(size, 3) * 1.9 * size ** (1 / 3) for size in sizes]
    return PackSource(
        z=rng.choice([1, 6, 7, 8, 9], offsets[-1]).astype(np.uint8),
        pos=np.concatenate(pos).astype(np.float32),
        offsets=offsets.astype(np.int64),
        target=rng.randn(num_molecules),
        rows=rng.permutation(num_molecules).astype(np.int64),
    )


def batch_of(source: PackSource, packer=lpfhp, num_atoms: int = 24) -> PackBatch:
    """All molecules of the source as one batch of one update."""
    plan = packer(source.num_atoms, PackShape(num_atoms))
    molecules = np.full(plan.num_packs, len(source.rows))
    return assemble(source, plan, 0, plan.num_packs, molecules)


def in_double(batch: PackBatch) -> PackBatch:
    """The batch with double positions and targets."""
    return batch._replace(pos=batch.pos.double(), target=batch.target.double())


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("weight_average") is not None:
        from pytorch_lightning import callbacks

        if not hasattr(callbacks, "WeightAveraging"):
            pytest.skip("callbacks=ema needs pytorch-lightning 2.6")


@pytest.fixture
def source() -> PackSource:
    return make_source()


@pytest.fixture
def batch(source: PackSource) -> PackBatch:
    return batch_of(source)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def compose(tmp_path, monkeypatch):
    """Compose the shipped config as the command line would; data and outputs in a folder apart."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from gnnpack.commands.folders import conf_dir, register_resolvers

    register_resolvers()
    monkeypatch.setenv("GNNPACK_DATA", str(tmp_path / "data"))

    def compose(*overrides: str):
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return hydra_compose("config", list(overrides))

    return compose


@pytest.fixture
def torch_threads():
    """Sets torch's number of threads; the test's end sets it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
