"""Physics and packing must leave a molecule's energy alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gnnpack.batching import assemble
from gnnpack.models import Readout, SchNet, Tabulated
from gnnpack.objective import MAE, MSE
from gnnpack.packing import PackShape, one_per_pack
from tests.conftest import PACKERS, batch_of, in_double, make_source

TABULATED = Tabulated(num_knots=30)
FORMS = [
    {"neighbours": "cutoff"},
    {"neighbours": "cutoff", "compiled": False},
    {"neighbours": "dense"},
    {"neighbours": "knn"},
    {"neighbours": "cutoff", "filter": TABULATED},
    {"neighbours": "cutoff", "filter": TABULATED, "compiled": False},
    {"neighbours": "dense", "filter": TABULATED},
    {"neighbours": "knn", "filter": TABULATED},
]

# All packers with exact filters, whose paths through a pack the tabulated ones share.
PACKED_FORMS = [
    (packer, form) for form in FORMS for packer in (PACKERS[::5] if "filter" in form else PACKERS)
]


def filters(form: dict) -> dict:
    """How a model evaluates its filters, which its reference must share."""
    return {"filter": form["filter"]} if "filter" in form else {}


def make_model(readout: str = "sum", **options) -> SchNet:
    torch.manual_seed(7)
    model = SchNet(8, 2, 6, 3.0, readout=Readout(readout, mean=-0.3, std=1.7), **options)
    return model.double()


def by_row(source, packer, values: torch.Tensor, num_atoms: int) -> torch.Tensor:
    """Molecule slots (P, G) back to the order of the source."""
    plan = packer(source.num_atoms, PackShape(num_atoms))
    found = torch.empty(len(source.rows), dtype=values.dtype)
    for p in range(plan.num_packs):
        molecules = plan.molecules[plan.offsets[p] : plan.offsets[p + 1]]
        found[molecules] = values[p, : len(molecules)]
    return found


def alone(model: SchNet, source) -> torch.Tensor:
    """Each molecule in a batch of its own, in the order of the source."""
    energies = []
    for molecule in range(len(source.rows)):
        single = source._replace(rows=source.rows[molecule : molecule + 1])
        batch = in_double(batch_of(single, one_per_pack, int(single.num_atoms[0])))
        energies.append(model(batch)[0, 0])
    return torch.stack(energies)


@pytest.mark.parametrize("packer, form", PACKED_FORMS)
@pytest.mark.parametrize("readout", ["sum", "mean"])
def test_packed_equals_alone(packer, form, readout):
    source = make_source(15)
    model = make_model(readout, **form)
    packed = by_row(source, packer, model(in_double(batch_of(source, packer))), 24)
    assert_close(
        packed, alone(make_model(readout, **filters(form)), source), rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("packer, form", PACKED_FORMS)
def test_gradients_of_packed_equal_alone(packer, form):
    source = make_source(15)
    model = make_model(**form)
    batch = in_double(batch_of(source, packer))
    MSE()(model(batch), batch).backward()
    reference = make_model(**filters(form))
    target = torch.from_numpy(source.target[source.rows].astype(np.float32)).double()
    ((alone(reference, source) - target) ** 2).mean().backward()
    for (name, packed), single in zip(model.named_parameters(), reference.parameters()):
        assert_close(
            packed.grad, single.grad, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("packer, form", PACKED_FORMS)
def test_position_gradients_of_packed_equal_alone(packer, form):
    source = make_source(8)
    batch = in_double(batch_of(source, packer))
    pos = batch.pos.clone().requires_grad_()
    make_model(**form)(batch._replace(pos=pos)).sum().backward()
    assert not pos.grad[~batch.atom_mask].any()
    plan = packer(source.num_atoms, PackShape(24))
    reference = make_model(**filters(form))
    for p in range(plan.num_packs):
        for slot, molecule in enumerate(plan.molecules[plan.offsets[p] : plan.offsets[p + 1]]):
            single = source._replace(rows=source.rows[molecule : molecule + 1])
            alone = in_double(batch_of(single, one_per_pack, int(single.num_atoms[0])))
            own = alone.pos.clone().requires_grad_()
            reference(alone._replace(pos=own)).sum().backward()
            mine = pos.grad[p][(batch.molecule_slot[p] == slot) & batch.atom_mask[p]]
            assert_close(mine, own.grad[0], rtol=1e-9, atol=1e-11)


def loss_and_gradients(model: SchNet, batch) -> list[torch.Tensor]:
    model.zero_grad()
    loss = MAE()(model(batch), batch)
    loss.backward()
    return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("poison", ["target", "pos", "coincident", "z"])
def test_filler_cannot_leak(batch, form, poison):
    filler, empty = ~batch.atom_mask, ~batch.molecule_mask
    assert filler.any()
    poisoned = {
        "target": lambda: batch._replace(target=batch.target.masked_fill(empty, float("nan"))),
        "pos": lambda: batch._replace(
            pos=torch.where(filler[..., None], 1e3 * torch.randn(batch.pos.shape), batch.pos)
        ),
        # On top of the first atom of the pack: distance 0 to a real atom and to each other.
        "coincident": lambda: batch._replace(
            pos=torch.where(filler[..., None], batch.pos[:, :1], batch.pos)
        ),
        "z": lambda: batch._replace(z=batch.z.masked_fill(filler, 10_000)),
    }[poison]()
    model = make_model(**form)
    clean = loss_and_gradients(model, batch)
    for before, after in zip(clean, loss_and_gradients(model, poisoned)):
        assert torch.equal(before, after)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_empty_pack_changes_nothing(source, form):
    plan = one_per_pack(source.num_atoms, PackShape(20)).pad_to(len(source.rows) + 3)
    molecules = np.full(plan.num_packs, len(source.rows))
    model = make_model(**form)
    padded = in_double(assemble(source, plan, 0, plan.num_packs, molecules))
    full = in_double(assemble(source, plan, 0, plan.num_packs - 3, molecules[3:]))
    for one, other in zip(loss_and_gradients(model, padded), loss_and_gradients(model, full)):
        assert_close(one, other, rtol=1e-12, atol=1e-12)
    empty = in_double(assemble(source, plan, plan.num_packs - 3, plan.num_packs, molecules[:3]))
    loss, *gradients = loss_and_gradients(model, empty)
    assert loss == 0
    assert not any(gradient.any() for gradient in gradients)


def random_rotation() -> torch.Tensor:
    orthogonal, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.double))
    return orthogonal


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_rotation_reflection_and_translation_change_nothing(batch, form):
    model, batch = make_model(**form), in_double(batch)
    moved = batch._replace(pos=batch.pos @ random_rotation() + 100 * torch.randn(3).double())
    assert_close(model(moved), model(batch), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_order_of_packs_permutes_the_result(batch, form):
    model, batch = make_model(**form), in_double(batch)
    order = torch.randperm(len(batch.z))
    shuffled = type(batch)(*(tensor[order] for tensor in batch))
    assert_close(model(shuffled), model(batch)[order], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_order_of_atoms_inside_a_molecule_changes_nothing(source, form):
    model = make_model(**form)
    order = np.arange(len(source.z))
    rng = np.random.RandomState(1)
    for start, stop in zip(source.offsets[:-1], source.offsets[1:]):
        order[start:stop] = rng.permutation(order[start:stop])
    permuted = source._replace(z=source.z[order], pos=source.pos[order])
    before, after = (model(in_double(batch_of(s))) for s in (source, permuted))
    assert_close(after, before, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_moving_an_atom_changes_only_its_molecule(batch, form):
    model, batch = make_model(**form), in_double(batch)
    pos = batch.pos.clone()
    pos[1, 0] += 0.1
    before, after = model(batch), model(batch._replace(pos=pos))
    changed = (before != after).nonzero().tolist()
    assert changed == [[1, int(batch.molecule_slot[1, 0])]]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_energy_is_smooth_across_the_cutoff(form):
    source = make_source(1, largest=2)._replace(
        z=np.array([6, 8], np.uint8), offsets=np.array([0, 2]), rows=np.array([0])
    )
    model = make_model(**form)
    energies = []
    for distance in (3.0 - 1e-4, 3.0 + 1e-4):
        pos = np.array([[0, 0, 0], [distance, 0, 0]], np.float32)
        batch = in_double(batch_of(source._replace(pos=pos)))
        energies.append(model(batch)[0, 0])
    assert_close(*energies, rtol=0, atol=1e-7)


def test_single_atoms_have_no_neighbours_and_an_energy():
    source = make_source(5, largest=1)
    for form in FORMS:
        energies = make_model(**form)(in_double(batch_of(source)))
        assert torch.isfinite(energies).all()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_an_unknown_element_is_refused_and_named(batch, form):
    model = SchNet(8, 1, 6, 3.0, num_elements=9, **form)
    with pytest.raises(ValueError, match=r"Atomic number 9 has no embedding.*num_elements"):
        model(batch)
    z = torch.where(batch.atom_mask, torch.full_like(batch.z, -2), batch.z)
    with pytest.raises(ValueError, match="Atomic number -2 has no embedding"):
        model(batch._replace(z=z))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"hidden_channels": 1}, r"model\.hidden_channels is 1"),
        ({"num_gaussians": 1}, r"model\.num_gaussians is 1"),
        ({"num_interactions": -1}, r"model\.num_interactions is -1"),
        ({"cutoff": 0.0}, "cutoff is 0.0"),
        ({"cutoff": float("nan")}, "cutoff is nan"),
        ({"neighbours": "radius"}, "model.neighbours is 'radius'"),
    ],
)
def test_impossible_models_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SchNet(**options)


def test_unknown_readout_is_refused():
    with pytest.raises(ValueError, match="readout is 'max'"):
        Readout("max")


@pytest.mark.parametrize("kind", ["sum", "mean"])
def test_half_precision_atoms_are_summed_in_float32(batch, kind):
    """bf16 resolves 0.5 eV at 100 eV: a sum in it would be wrong by more than a model's error."""
    values = torch.randn(batch.z.shape).bfloat16()
    readout = Readout(kind, mean=-4.243, std=0.189)
    found = readout(values, batch)
    assert found.dtype == torch.float32
    assert torch.equal(found, readout(values.float(), batch))
