"""Tables of filter networks: true to the networks, within the tolerance, and so is the model."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from gnnpack.kernels import ROWS
from gnnpack.models import Readout, SchNet, Tabulated, schnet_from_pyg, schnet_to_pyg
from gnnpack.models.filters import FilterGrid, filter_choice, filter_error
from gnnpack.models.layers import Gaussians, Interaction, envelope
from tests.conftest import PACKERS, batch_of, in_double, make_source

ORDERS = sorted(ROWS)


def make_blocks(seed: int, num_gaussians: int, *, blocks: int = 2, scale: float = 1.0, F: int = 8):
    """Interaction blocks in float64 whose biases are no zeros, and weights `scale` times first."""
    torch.manual_seed(seed)
    made = [Interaction(6, num_gaussians, F).double() for _ in range(blocks)]
    with torch.no_grad():
        for block in made:
            for parameter in block.filter_network.parameters():
                parameter.mul_(scale) if parameter.dim() == 2 else parameter.normal_()
    return made


def exact_filters(block, gaussians, distance, cutoff):
    """The filter network at distances, cutoff function included."""
    return block.filter_network(gaussians(distance)) * envelope(distance, cutoff)[..., None]


# --- tables ---


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_gaussians", [2, 5, 25])
def test_rows_are_values_and_slopes_of_the_networks(order, num_gaussians):
    cutoff, num_knots = 4.0, 11
    gaussians = Gaussians(num_gaussians, cutoff).double()
    blocks = make_blocks(0, num_gaussians, blocks=3)
    grid = FilterGrid(Tabulated(order=order, num_knots=num_knots), gaussians, cutoff)
    tables = grid.tables(blocks)
    assert tables.shape == (3, num_knots, ROWS[order], 8)
    knots = torch.linspace(0, cutoff, num_knots, dtype=torch.double)
    for table, block in zip(tables, blocks):
        assert_close(table[:, 0], exact_filters(block, gaussians, knots, cutoff))
        assert_close(table[-1, 0], torch.zeros(8, dtype=torch.double), rtol=0, atol=1e-15)
        if order == "cubic":
            slope = torch.autograd.functional.jacobian(
                lambda d, b=block: exact_filters(b, gaussians, d, cutoff).sum(0), knots
            ).t()
            assert_close(table[:, 1], slope * (cutoff / (num_knots - 1)), rtol=1e-9, atol=1e-9)
            assert_close(table[-1, 1], torch.zeros(8, dtype=torch.double), rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", ORDERS)
def test_tables_differentiate_in_every_weight(order):
    gaussians, block = Gaussians(5, 3.0).double(), make_blocks(1, 5, blocks=1)[0]
    grid = FilterGrid(Tabulated(order=order, num_knots=4), gaussians, 3.0)
    parameters = list(block.filter_network.parameters())

    def table(*values):
        with torch.no_grad():
            for parameter, value in zip(parameters, values):
                parameter.copy_(value)
        return grid.tables([block])

    found = torch.autograd.grad(table(*parameters).sin().sum(), parameters)
    for parameter, gradient in zip(parameters, found):
        direction = torch.randn_like(parameter)
        ends = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(step * direction)
                ends.append(grid.tables([block]).sin().sum())
                parameter.sub_(step * direction)
        assert_close((gradient * direction).sum(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("order", ORDERS)
@given(
    num_gaussians=st.sampled_from([2, 3, 5, 10, 25, 50, 300]),
    cutoff=st.sampled_from([2.0, 6.0, 12.0]),
    tolerance=st.sampled_from([1e-2, 1e-3, 1e-4]),
    scale=st.sampled_from([1.0, 3.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_the_error_stays_below_the_tolerance(order, num_gaussians, cutoff, tolerance, scale, seed):
    gaussians = Gaussians(num_gaussians, cutoff).double()
    (block,) = make_blocks(seed, num_gaussians, blocks=1, scale=scale, F=60)
    grid = FilterGrid(Tabulated(tolerance, order), gaussians, cutoff)
    distance = torch.linspace(0, cutoff, 7_001, dtype=torch.double)
    with torch.no_grad():
        found = grid.filters(grid.tables([block])[0], distance)
        expected = exact_filters(block, gaussians, distance, cutoff)
    error = (found - expected).abs().max() / expected.square().mean().sqrt()
    assert error < tolerance


@pytest.mark.parametrize("order", ORDERS)
def test_the_error_falls_as_the_order_says(order):
    """Twice the knots: a quarter of the error, a sixteenth."""
    gaussians, (block,) = Gaussians(25, 6.0).double(), make_blocks(0, 25, blocks=1)
    distance = torch.linspace(0, 6.0, 5_003, dtype=torch.double)
    errors = []
    with torch.no_grad():
        expected = exact_filters(block, gaussians, distance, 6.0)
        for num_knots in (201, 401):
            grid = FilterGrid(Tabulated(order=order, num_knots=num_knots), gaussians, 6.0)
            found = grid.filters(grid.tables([block])[0], distance)
            errors.append((found - expected).abs().max().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2 * ROWS[order], abs=0.1)


def test_knots_given_are_taken_and_else_the_tolerance_decides():
    gaussians = Gaussians(25, 6.0)
    assert FilterGrid(Tabulated(num_knots=37), gaussians, 6.0).num_knots == 37
    coarse, fine = (FilterGrid(Tabulated(t), gaussians, 6.0).num_knots for t in (1e-2, 1e-5))
    assert coarse < fine
    assert FilterGrid(Tabulated(), gaussians, 6.0).num_knots == 112


def test_tables_follow_the_precision_of_the_weights():
    gaussians, blocks = Gaussians(25, 6.0), make_blocks(0, 25)
    grid = FilterGrid(Tabulated(), gaussians, 6.0)
    double = grid.tables(blocks)
    single = grid.tables([block.float() for block in blocks])
    assert double.dtype == torch.double
    assert single.dtype == torch.float
    assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


def test_tables_made_in_inference_serve_training(batch):
    model = SchNet(8, 2, 6, 3.0, filter="tabulated")
    with torch.inference_mode():
        before = model(batch)
    after = model(batch)
    assert torch.equal(before, after)
    after.sum().backward()


# --- the model ---


def make_model(filter="exact", readout: str = "sum", num_interactions: int = 3, **options):
    torch.manual_seed(11)
    options = {"num_filters": 12, **options}
    scale = Readout(readout, mean=-0.3, std=1.7)
    return SchNet(16, num_interactions, 12, 4.0, filter=filter, readout=scale, **options)


def energies_and_gradients(model, batch):
    model.zero_grad()
    energies = model(batch)
    energies.square().sum().backward()
    return energies.detach(), {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("packer", PACKERS[::3])
@pytest.mark.parametrize("order, tolerance", [("linear", 1e-4), ("cubic", 1e-4), ("cubic", 1e-7)])
@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_energies_and_gradients_are_those_of_exact_filters(packer, order, tolerance, readout):
    batch = in_double(batch_of(make_source(20), packer))
    exact = make_model(readout=readout).double()
    tabulated = make_model(Tabulated(tolerance, order), readout).double()
    energies, gradients = energies_and_gradients(tabulated, batch)
    expected, expected_gradients = energies_and_gradients(exact, batch)
    # A filter's error over its root mean square, as an error of energies over theirs.
    scale = expected.abs().max().item()
    assert_close(energies, expected, rtol=0, atol=3 * tolerance * scale)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        size = expected_gradients[name].abs().max().item()
        close = {"rtol": 0, "atol": 10 * tolerance * size}
        assert_close(gradient, expected_gradients[name], **close, msg=lambda m, n=name: f"{n}: {m}")


def test_in_float32_too():
    batch = batch_of(make_source(20))
    energies, gradients = energies_and_gradients(make_model("tabulated"), batch)
    wide = make_model("tabulated").double()
    expected, expected_gradients = energies_and_gradients(wide, in_double(batch))
    assert_close(energies.double(), expected, rtol=1e-5, atol=1e-5)
    for name, gradient in gradients.items():
        size = expected_gradients[name].abs().max().item()
        assert_close(gradient.double(), expected_gradients[name], rtol=1e-4, atol=1e-5 * size)


FORMS = [{"neighbours": "dense"}, {"neighbours": "dense", "compiled": False}, {"compiled": False}]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_interactions", [0, 1, 3])
def test_all_forms_of_a_tabulated_model_agree(form, order, num_interactions):
    batch = in_double(batch_of(make_source(12)))
    found = []
    for options in ({}, form):
        model = make_model(Tabulated(order=order), num_interactions=num_interactions, **options)
        pos = batch.pos.clone().requires_grad_()
        energies = model.double()(batch._replace(pos=pos))
        energies.square().sum().backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        slope = torch.zeros_like(pos) if pos.grad is None else pos.grad
        found.append((energies.detach(), slope, *gradients))
    assert len(found[0]) == len(found[1])
    for one, two in zip(*found):
        assert_close(one, two, rtol=1e-9, atol=1e-10)


def test_without_numba_plain_torch_does_the_same(monkeypatch):
    batch = batch_of(make_source(12))
    expected = energies_and_gradients(make_model("tabulated"), batch)
    for module in ("tabulated", "compiled", "pairs", "cfconv"):
        monkeypatch.setattr(f"gnnpack.kernels.{module}.has_numba", lambda: False)
    found = energies_and_gradients(make_model("tabulated"), batch)
    assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
    for name, gradient in found[1].items():
        assert_close(gradient, expected[1][name], rtol=1e-3, atol=1e-4)


def test_under_autocast_it_trains_and_stays_close():
    batch = batch_of(make_source(12))
    expected = make_model("tabulated")(batch)
    model = make_model("tabulated")
    with torch.autocast("cpu", torch.bfloat16):
        energies = model(batch)
    assert energies.dtype == torch.float32
    energies.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert_close(energies, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())


def test_filters_are_no_part_of_the_weights(tmp_path):
    batch = in_double(batch_of(make_source(12)))
    exact, tabulated = make_model().double(), make_model(Tabulated(1e-6)).double()
    assert exact.state_dict().keys() == tabulated.state_dict().keys()
    torch.manual_seed(99)
    for here, there in ((exact, tabulated), (tabulated, exact)):
        with torch.no_grad():
            for parameter in here.parameters():
                parameter.normal_(std=0.3)
        torch.save(here.state_dict(), tmp_path / "weights")
        there.load_state_dict(torch.load(tmp_path / "weights"))
        assert_close(there(batch), here(batch), rtol=1e-4, atol=1e-4)


def test_a_copied_and_converted_model_tabulates_its_own_weights():
    batch = batch_of(make_source(12))
    model = make_model("tabulated")
    expected = model(batch)
    double = copy.deepcopy(model).double()
    assert_close(double(in_double(batch)).float(), expected, rtol=1e-5, atol=1e-5)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(model(batch), expected)
    assert not torch.equal(other(batch), expected)


def test_pyg_weights_serve_both_ways():
    pytest.importorskip("torch_geometric")
    batch = in_double(batch_of(make_source(12)))
    exact, tabulated = make_model().double(), make_model(Tabulated(1e-7)).double()
    theirs = schnet_to_pyg(tabulated)
    back = schnet_from_pyg(theirs, filter=Tabulated(1e-7))
    assert back.grid is not None
    assert torch.equal(back(batch), tabulated(batch))
    assert_close(schnet_from_pyg(theirs)(batch), exact(batch), rtol=1e-10, atol=1e-10)


# --- positions ---


@pytest.mark.parametrize("form", [{}, *FORMS], ids=str)
@pytest.mark.parametrize("order", ["exact", *ORDERS])
def test_position_gradients_are_the_slope_of_the_energy(form, order):
    batch = in_double(batch_of(make_source(3)))
    filter = order if order == "exact" else Tabulated(order=order)
    model = make_model(filter, **form).double().requires_grad_(False)

    def energy(pos):
        return model(batch._replace(pos=pos))

    assert torch.autograd.gradcheck(energy, (batch.pos.clone().requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("order", ["exact", *ORDERS])
def test_forces_are_right_and_vanish_on_the_way_to_the_cutoff(order):
    """Two atoms, moved apart: the force is the energy's slope, also within a step of the cutoff."""
    batch = in_double(batch_of(make_source(1, largest=2, seed=1), num_atoms=2))
    assert batch.atom_mask.all()
    filter = order if order == "exact" else Tabulated(order=order)
    model = make_model(filter).double().requires_grad_(False)

    def energy(distance):
        pos = torch.zeros(1, 2, 3, dtype=torch.double)
        pos[0, 1, 0] = 1.0
        return model(batch._replace(pos=pos * distance)).sum()

    slopes = []
    for below in (1.9, 1e-1, 1e-2, 1e-3, 1e-4):
        distance = torch.tensor(4.0 - below, dtype=torch.double, requires_grad=True)
        (slope,) = torch.autograd.grad(energy(distance), distance)
        step = 1e-6 if order == "linear" else min(1e-5, 0.1 * below)
        with torch.no_grad():
            ends = energy(distance + step), energy(distance - step)
        assert_close(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-3, atol=1e-9)
        slopes.append(abs(slope.item()))
    beyond = torch.tensor(4.0, dtype=torch.double, requires_grad=True)
    outside = energy(beyond)
    assert_close(energy(torch.tensor(4.0 - 1e-6, dtype=torch.double)), outside, rtol=0, atol=1e-7)
    # Linear filters have corners: their last slope is small, not 0.
    assert slopes[-1] < (1e-1 if order == "linear" else 1e-3) * max(slopes)


# --- the choice ---


def test_filter_choices():
    assert filter_choice("exact") is None
    assert filter_choice("tabulated") == Tabulated()
    mine = Tabulated(1e-3, "linear")
    assert filter_choice(mine) is mine


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: SchNet(filter="tabulate"), r"model\.filter is 'tabulate'; choose 'exact', 'tabul"),
        (lambda: SchNet(filter=None), r"model\.filter is None"),
        (lambda: Tabulated(0.0), r"model\.filter\.tolerance is 0\.0"),
        (lambda: Tabulated(1.0), r"model\.filter\.tolerance is 1\.0"),
        (lambda: Tabulated(float("nan")), r"model\.filter\.tolerance is nan"),
        (lambda: Tabulated(order="qubic"), r"model\.filter\.order is 'qubic'.*linear.*cubic"),
        (lambda: Tabulated(num_knots=1), r"model\.filter\.num_knots is 1; .* at least 2"),
        (lambda: Tabulated(num_knots=0), r"model\.filter\.num_knots is 0"),
    ],
)
def test_impossible_filters_are_refused_with_the_cure(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_check_of_filters_takes_no_distance_and_hides_no_nan():
    model = make_model("tabulated")
    assert filter_error(model, torch.empty(0, dtype=torch.float64)) == 0
    some = torch.linspace(0.5, 2.5, 9_000, dtype=torch.float64)
    assert 0 < filter_error(model, some) < 1
    with torch.no_grad():
        model.interactions[0].filter_network[2].weight[0, 0] = float("nan")
    assert math.isnan(filter_error(model, some))


def test_an_update_has_the_same_bits_for_any_number_of_threads(torch_threads):
    """Compiled and plain parts together: what a seed promises."""
    batch, found = batch_of(make_source(40)), []
    for number in (1, 2, 3):
        torch_threads(number)
        torch.manual_seed(4)
        model = SchNet(100, 2, 25, 6.0, filter="tabulated")
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(2):
            optimizer.zero_grad()
            model(batch).square().mean().backward()
            optimizer.step()
        found.append([p.detach().clone() for p in model.parameters()])
    for other in found[1:]:
        for one, two in zip(found[0], other):
            assert torch.equal(one, two)
