"""SchNet on the CUDA kernels equals SchNet in plain torch: energies and every gradient."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gnnpack.batching import PackBatch
from gnnpack.models import Readout, SchNet, Tabulated
from tests.conftest import batch_of, make_source
from tests.kernels.cuda.values.dense_reference import relative

CUTOFF = 3.0
# They wait for the device, or give shapes that depend on values.
WAIT = {
    "_local_scalar_dense",
    "item",
    "nonzero",
    "masked_select",
    "unique_dim",
    "_unique2",
    "unique_consecutive",
    "bincount",
    "repeat_interleave",
    "equal",
}
# They add in any order.
ANY_ORDER = {"scatter_add", "scatter_add_", "index_add", "index_add_", "embedding_dense_backward"}
TABLES = Tabulated(num_knots=24)


def make_model(
    device, filter=TABLES, *, channels: int = 8, readout: str = "sum", **options
) -> SchNet:
    torch.manual_seed(7)
    scale = Readout(readout, mean=-0.3, std=1.7)
    model = SchNet(channels, 2, 6, CUTOFF, filter=filter, readout=scale, **options)
    return model.to(device)


def make_batch(device) -> PackBatch:
    """Packs with molecules of 1 to 6 atoms and one without any; filler positions are poison."""
    batch = batch_of(make_source(6, largest=6), num_atoms=12)
    empty = PackBatch(*(torch.zeros_like(field[:1]) for field in batch))
    empty = empty._replace(molecule_slot=batch.molecule_slot.max() + empty.molecule_slot)
    joined = PackBatch(*(torch.cat(fields) for fields in zip(batch, empty)))
    pos = joined.pos.masked_fill(~joined.atom_mask[..., None], 1e9)
    return PackBatch(*(field.to(device) for field in joined._replace(pos=pos)))


def energies_and_gradients(model: SchNet, batch: PackBatch, *, cuda_kernels: bool):
    model.zero_grad()
    pos = batch.pos.detach().clone().requires_grad_()
    energies = model._predict(batch._replace(pos=pos), cuda_kernels=cuda_kernels)
    weight = torch.linspace(-1, 2, energies.numel(), device=energies.device)
    (energies * weight.view(energies.shape)).sum().backward()
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {"energies": energies.detach(), "positions": pos.grad, **found}


# 8 channels lie in whole steps of 16 bytes, so the first layer is applied to the elements; 6 do
# not, and it is applied to the atoms.
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"channels": 6, "num_filters": 5, "readout": "mean"},
        {"filter": Tabulated(num_knots=40, order="linear"), "largest_molecule": 6},
    ],
    ids=str,
)
def test_kernels_equal_plain_torch(options, device):
    model, batch = make_model(device, **options), make_batch(device)
    fast = energies_and_gradients(model, batch, cuda_kernels=True)
    reference = make_model(device, compiled=False, **options)
    slow = energies_and_gradients(reference, batch, cuda_kernels=False)
    assert not fast["energies"][~batch.molecule_mask].any()
    for name, value in slow.items():
        assert relative(fast[name], value) < (2e-5 if name == "positions" else 2e-6), name
        assert value.abs().max() > 0, f"{name}: nothing is compared"


def test_kernels_equal_exact_filters_within_the_tolerance(device):
    model, batch = make_model(device, Tabulated(tolerance=1e-5)), make_batch(device)
    fast = energies_and_gradients(model, batch, cuda_kernels=True)
    exact = make_model(device, "exact", compiled=False)
    for name, value in energies_and_gradients(exact, batch, cuda_kernels=False).items():
        # A filter's slope in the positions is a power of the knots' spacing less exact.
        assert relative(fast[name], value) < (2e-3 if name == "positions" else 2e-5), name


def test_the_same_batch_gives_the_same_bits(device):
    model, batch = make_model(device), make_batch(device)
    one, two = (energies_and_gradients(model, batch, cuda_kernels=True) for _ in range(2))
    assert all(torch.equal(one[name], value) for name, value in two.items())


def test_half_precision_is_stored_and_the_rest_is_float32(device):
    """The interpreter multiplies the bits of bfloat16, so float16 stands for it on the CPU."""
    dtype = torch.float16 if device.type == "cpu" else torch.bfloat16
    batch = make_batch(device)
    for channels in (8, 6):
        model = make_model(device, channels=channels)
        wanted = energies_and_gradients(model, batch, cuda_kernels=True)
        with torch.autocast(device.type, dtype=dtype):
            found = energies_and_gradients(model, batch, cuda_kernels=True)
        assert not torch.equal(found["energies"], wanted["energies"]), "stored as without autocast"
        for name, value in wanted.items():
            assert found[name].dtype == torch.float32
            assert relative(found[name], value) < (0.01 if dtype == torch.float16 else 0.1), name


def test_evaluation_sorts_no_pairs(device, monkeypatch):
    from gnnpack.models import cuda_path

    seen = []
    make = cuda_path.molecule_ranges

    def spy(*arguments, **options):
        seen.append(make(*arguments, **options))
        return seen[-1]

    monkeypatch.setattr(cuda_path, "molecule_ranges", spy)
    model, batch = make_model(device, largest_molecule=6), make_batch(device)
    trained = model._predict(batch, cuda_kernels=True)
    with torch.no_grad():
        evaluated = model._predict(batch, cuda_kernels=True)
    assert torch.equal(trained, evaluated)
    assert [len(ranges.first) for ranges in seen] == [3 * 30, 0]


class Watch(TorchDispatchMode):
    """Raises at an operation that waits for the device or whose sums have no fixed order."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in WAIT | ANY_ORDER, name
        return func(*args, **(kwargs or {}))


def one_update(model: SchNet, batch: PackBatch) -> None:
    model(batch).square().sum().backward()


# What torch says of its own way to look.
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("channels", [8, 6])
def test_an_update_never_waits_for_the_device(channels, device, as_on_a_gpu):
    model, batch = make_model(device, channels=channels), make_batch(device)
    one_update(model, batch)  # knots are made once, on the host
    with Watch() as watch:
        one_update(model, batch)
    if device.type == "cpu":
        assert len(watch.kernels) > 10
    else:
        try:
            torch.cuda.set_sync_debug_mode("error")
            one_update(model, batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_the_watch_sees_what_waits(as_on_a_gpu):
    """Plain torch searches neighbours with nonzero, and sums with index_add."""
    model, batch = make_model("cpu", compiled=False), make_batch("cpu")
    with pytest.raises(AssertionError, match="nonzero"), Watch():
        one_update(model, batch)
    with pytest.raises(AssertionError, match="scatter_add"), Watch():
        Readout()(batch.target[:, :1].expand(batch.z.shape), batch)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["host", "resident"])
def test_whole_steps_replay_it(place, device, as_on_a_gpu, tmp_path, monkeypatch):
    """Replayed by the emulation's rules, the path gives plain Lightning's weights bit for bit."""
    if device.type != "cpu":
        pytest.skip("the emulation is of the CPU; a GPU's own graphs: make bench-gpu")
    from gnnpack.accelerators import CUDAGraphStrategy
    from tests.accelerators import recorded_graph, tiny_training

    def small() -> SchNet:
        torch.manual_seed(7)
        return SchNet(4, 1, 4, CUTOFF, filter=Tabulated(num_knots=8), largest_molecule=14)

    monkeypatch.setattr(tiny_training, "TinyModel", small)
    options = {
        "optimizer": partial(torch.optim.AdamW, lr=2e-2, fused=True),
        "max_steps": 6,
        "max_epochs": 1,
        "limit_val_batches": 1,
    }
    plain = tiny_training.train(tmp_path / "plain", **options)
    strategy = CUDAGraphStrategy("cpu", 2, capture=recorded_graph.RecordedCapture())
    data = tiny_training.make_data(place=place)
    run = tiny_training.train(tmp_path / "graph", strategy, data=data, **options)
    assert strategy._capture.replays > 0
    assert strategy.run_summary["graph_recaptures"] == 0
    for name, value in plain.weights.items():
        assert torch.equal(value, run.weights[name]), name
