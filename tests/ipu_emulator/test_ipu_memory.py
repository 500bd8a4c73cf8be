"""The memory estimate: each term by hand, what is kept against autograd, the published shapes."""

from __future__ import annotations

import pytest
import torch
from tests.ipu_emulator.published_schnet import PublishedSchNet, micro_batch
from torch import nn

from gnnpack.accelerators.ipu_emulator import optim
from gnnpack.accelerators.ipu_emulator.capture import capture
from gnnpack.accelerators.ipu_emulator.kept_activations import kept_for_backward, num_bytes
from gnnpack.accelerators.ipu_emulator.losses import identity_loss
from gnnpack.accelerators.ipu_emulator.memory import MIB, NUM_TILES, TERMS, TILE_BYTES, estimate
from gnnpack.accelerators.ipu_emulator.options import Options
from gnnpack.accelerators.ipu_emulator.options_locations import TensorLocationSettings

PUBLISHED = {
    "qm9": (16, 36, 7),
    "hydronet_small": (7, 192, 6),
    "hydronet_medium": (7, 192, 5),
    "hydronet_large": (7, 154, 6),
}


class Tiny(nn.Module):
    """(B, 3) -> a loss: 3 x 5 weights, 5 biases, and 5 numbers that are not trained."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.register_buffer("scale", torch.ones(5))

    def forward(self, x):
        y = self.linear(x).exp() * self.scale
        return y, identity_loss(y.sum(), reduction="none")


def of_tiny(optimizer=None, options=None, rows=4):
    model = Tiny()
    made = None if optimizer is None else optimizer(model.parameters())
    captured = capture(model, [torch.ones(rows, 3)], training=made is not None)
    return estimate(captured, dict(model.named_parameters()), made, options)


def adam(parameters, **arguments):
    return optim.Adam(parameters, lr=1e-3, **arguments)


def accumulating():
    options = Options()
    options.Training.gradientAccumulation(2)
    return options


def of_published(shape, features=100, blocks=4):
    # Without memory: nothing is computed.
    model = PublishedSchNet(features, blocks).to("meta")
    captured = capture(model, [value.to("meta") for value in micro_batch(*shape)])
    return estimate(
        captured, dict(model.named_parameters()), adam(model.parameters()), accumulating()
    )


# --- each term ---


def test_every_term_of_a_small_model_by_hand():
    found = of_tiny(adam, accumulating())
    assert found.weights == 4 * (15 + 5 + 5)
    assert found.gradients == found.accumulators == 4 * 20
    assert found.optimizer_state == 2 * 4 * 20
    # exp keeps its result; the product keeps the scale, which is a weight; the rest keeps nothing.
    assert found.activations == 4 * (4 * 5)
    assert found.inputs_and_outputs == 4 * (4 * 3 + 4 * 5 + 1)
    # addmm: bias, input, weight, result.
    assert found.temporaries == 4 * (5 + 12 + 15 + 20)
    assert found.available == 1472 * 638_976
    assert found.total == sum(getattr(found, name) for name in TERMS)


@pytest.mark.parametrize(
    "optimizer, numbers",
    [
        (lambda p: torch.optim.SGD(p, lr=0.1), 0),
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), 1),
        (lambda p: torch.optim.Adam(p), 2),
        (lambda p: optim.AdamW(p, lr=0.1), 2),
        (lambda p: optim.RMSprop(p, lr=0.1), 1),
        (lambda p: optim.RMSprop(p, lr=0.1, momentum=0.9, centered=True), 3),
    ],
)
def test_optimizer_state_is_what_torch_keeps(optimizer, numbers):
    found = of_tiny(optimizer)
    assert found.optimizer_state == numbers * 4 * 20
    # The reference: one step of torch's.
    model = Tiny()
    stepped = optimizer(model.parameters())
    model(torch.ones(4, 3))[1].backward()
    stepped.step()
    kept = [v for state in stepped.state.values() for v in state.values() if torch.is_tensor(v)]
    assert sum(v.numel() for v in kept if v.dim()) == numbers * 20


def test_half_precision_accumulators_take_half():
    found = of_tiny(
        lambda p: adam(p, accum_type=torch.float16, first_order_momentum_accum_type=torch.float16),
        accumulating(),
    )
    assert found.accumulators == 2 * 20
    assert found.optimizer_state == (2 + 4) * 20


def test_accumulators_only_where_gradients_are_accumulated():
    assert of_tiny(adam).accumulators == 0
    assert of_tiny(adam, accumulating()).accumulators == 80


def test_inference_keeps_nothing_for_a_backward_pass():
    found = of_tiny()
    trained = of_tiny(adam)
    assert (found.gradients, found.optimizer_state, found.activations) == (0, 0, 0)
    assert (found.weights, found.temporaries) == (trained.weights, trained.temporaries)
    assert found.code < trained.code


def test_frozen_parameters_have_no_gradients():
    model = Tiny().requires_grad_(False)
    model.linear.bias.requires_grad_(True)
    captured = capture(model, [torch.ones(4, 3)])
    found = estimate(captured, dict(model.named_parameters()), adam([model.linear.bias]))
    assert (found.gradients, found.optimizer_state) == (4 * 5, 2 * 4 * 5)


def test_io_tiles_compute_nothing():
    options = Options()
    options.TensorLocations.numIOTiles(64)
    assert of_tiny(adam, options).available == (NUM_TILES - 64) * TILE_BYTES


@pytest.mark.parametrize(
    "setter, term",
    [
        ("setOptimizerLocation", "optimizer_state"),
        ("setAccumulatorLocation", "accumulators"),
        ("setWeightLocation", "weights"),
        ("setActivationLocation", "activations"),
    ],
)
def test_what_lives_off_the_ipu_takes_none_of_it(setter, term):
    options = accumulating()
    getattr(options.TensorLocations, setter)(TensorLocationSettings().useOnChipStorage(False))
    found, on_chip = of_tiny(adam, options), of_tiny(adam, accumulating())
    assert getattr(found, term) == 0
    assert on_chip.total - found.total == getattr(on_chip, term) > 0


def test_the_memory_proportion_bounds_the_temporaries_of_a_product():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4096, 8192, device="meta"))

        def forward(self, x):
            return identity_loss(torch.mm(x, self.weight).sum(), reduction="none")

    model = Product()
    captured = capture(model, [torch.zeros(8192, 4096, device="meta")])
    sizes = {}
    for proportion in (0.1, 0.3, 0.6):
        options = Options().setAvailableMemoryProportion({"IPU0": proportion})
        found = estimate(
            captured, dict(model.named_parameters()), adam(model.parameters()), options
        )
        sizes[proportion] = found.temporaries
    result = 4 * 8192 * 8192
    # The sum over the product reads it whole, which no proportion bounds.
    assert sizes[0.1] == result + 4
    assert sizes[0.3] == int(0.3 * NUM_TILES * TILE_BYTES)
    assert sizes[0.6] == 4 * (8192 * 8192 + 2 * 4096 * 8192)


def test_the_lines_say_that_it_is_an_estimate():
    fits, fits_not = of_tiny(adam), of_published(PUBLISHED["qm9"], features=4096)
    assert (fits.likely_fits, fits_not.likely_fits) == (True, False)
    assert "an estimate: likely fits one IPU" in fits.lines()[0]
    assert "an estimate: likely does not fit one IPU" in fits_not.lines()[0]
    assert len(fits.lines()) == 1 + len(TERMS)
    assert [line for line in fits.lines() if "rule of thumb" in line] == [
        line for line in fits.lines() if "code" in line
    ]


# --- what is kept ---


def kept_bytes(model, arguments):
    captured = capture(model, arguments)
    placeholders = [n for n in captured.graph_module.graph.nodes if n.op == "placeholder"]
    trained = {
        node
        for name, node in zip(captured.weights, placeholders)
        if name in dict(model.named_parameters())
    }
    kept = kept_for_backward(captured.graph_module.graph, trained)
    return sum(num_bytes(node.meta["val"]) for node in kept)


def saved_bytes(model, arguments):
    """What torch's autograd keeps, each memory once; neither weights nor inputs."""
    known = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    known |= {t.untyped_storage().data_ptr() for t in arguments}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            numbers = storage.nbytes() // tensor.element_size()
            saved[storage.data_ptr()] = (numbers * min(tensor.element_size(), 4), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(*arguments)
    assert loss.requires_grad
    return sum(size for size, _ in saved.values())


@pytest.mark.parametrize("shape", [(1, 40, 3), (3, 30, 2)])
@pytest.mark.parametrize("features, blocks", [(8, 1), (6, 3)])
def test_what_is_kept_is_what_autograd_keeps(shape, features, blocks):
    torch.manual_seed(0)
    model = PublishedSchNet(features, blocks)
    arguments = micro_batch(*shape)
    assert kept_bytes(model, arguments) == saved_bytes(model, arguments)


def test_an_unknown_operation_is_taken_to_keep_all_it_reads_and_makes():
    class Unknown(nn.Module):
        def __init__(self, operation):
            super().__init__()
            self.linear, self.operation = nn.Linear(3, 5), operation

        def forward(self, x):
            return identity_loss(self.operation(self.linear(x)).sum(), reduction="none")

    rows = [torch.ones(4, 3)]
    assert kept_bytes(Unknown(torch.neg), rows) == 0
    assert kept_bytes(Unknown(torch.exp), rows) == 4 * 20
    assert kept_bytes(Unknown(torch.sinh), rows) == 2 * 4 * 20


# --- the published runs ---


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_runs_are_said_to_fit(name):
    # 100 features, 4 blocks, 25 Gaussians, Adam, gradient accumulation: these ran on Bow IPUs.
    found = of_published(PUBLISHED[name])
    assert found.likely_fits, "\n".join(found.lines())
    # And for the right reason: edges x features of 4 blocks are most of the data.
    packs, atoms, _ = PUBLISHED[name]
    edges = packs * atoms * 28
    assert found.activations > 4 * 4 * edges * 100 * 4
    assert found.total < 600 * MIB


def test_ten_times_the_published_micro_batch_is_said_not_to_fit():
    packs, atoms, molecules = PUBLISHED["hydronet_small"]
    assert not of_published((10 * packs, atoms, molecules)).likely_fits


def test_more_of_everything_takes_more():
    small, wide = of_published((2, 36, 7)), of_published((2, 36, 7), features=200)
    deep, large = of_published((2, 36, 7), blocks=8), of_published((4, 36, 7))
    assert small.total < min(wide.total, deep.total, large.total)
    assert large.weights == small.weights
    assert large.code == small.code < deep.code
