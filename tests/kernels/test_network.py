"""The network as one compiled function against its layers in torch; what packs do not share."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnnpack.kernels import ROWS, Block, Output, Stencil, atom_values, network, threads
from gnnpack.kernels.network import ATOMS_OF_A_TASK, MOST_TASKS

ORDERS = sorted(ROWS)
ELEMENTS = 9
NAN = float("nan")
# Channels of the atoms F, of the convolution C, of the output layer H.
SIZES = [(2, 1, 1), (5, 3, 2), (16, 16, 8), (7, 20, 33), (40, 70, 17), (100, 100, 50)]


class Case(NamedTuple):
    """What `atom_values` takes."""

    z: Tensor
    stencil: Stencil
    elements: Tensor
    first: Tensor
    blocks: list[Block]
    output: Output


def make_case(
    sizes: tuple[int, int, int] = (7, 20, 5),
    num_blocks: int = 2,
    order: str = "cubic",
    *,
    packs: int = 6,
    slots: int = 24,
    pairs: float = 0.3,
    seed: int = 0,
    dtype: torch.dtype = torch.float,
) -> Case:
    """Random numbers, the same in all precisions; a third of the packs is empty.

    Args:
        pairs: share of a pack's pairs of atoms that are neighbours.
    """
    generator = torch.Generator().manual_seed(seed)

    def numbers(*shape: int, terms: int = 1) -> Tensor:
        """Such that a sum over the terms is about 1."""
        return torch.randn(shape, generator=generator).div_(terms**0.5).to(dtype)

    F, C, H = sizes
    rows, num_knots = ROWS[order], 11
    full = torch.randint(0, 3, (packs,), generator=generator) > 0
    real = torch.randint(1, max(1, slots) + 1, (packs,), generator=generator) * full
    slot = torch.arange(slots)
    near = torch.rand(packs, slots, slots, generator=generator) < pairs
    near &= (slot[:, None] < slot) & (slot < real[:, None, None])
    pack, first, second = near.nonzero(as_tuple=True)
    stencil = Stencil(
        (pack * slots + first).int(),
        (pack * slots + second).int(),
        torch.cat([torch.zeros(1, dtype=torch.int64), near.sum((1, 2)).cumsum(0)]),
        torch.randint(0, num_knots - 1, pack.shape, generator=generator).int(),
        numbers(len(pack), 2 * rows, terms=max(1, int(slots * pairs))),
    )
    blocks = [
        Block(
            numbers(num_knots, rows, C),
            numbers(F, C, terms=C),
            numbers(F),
            numbers(F, F, terms=F),
            numbers(F),
            numbers(H if block == num_blocks - 1 else C, F, terms=F),
        )
        for block in range(num_blocks)
    ]
    z = torch.randint(0, ELEMENTS - 1, (packs * slots,), generator=generator)
    output = Output(numbers(H), numbers(1, H, terms=H), numbers(1))
    case = Case(z, stencil, numbers(ELEMENTS, F), numbers(ELEMENTS, C), blocks, output)
    for parameter in parameters_of(case):
        parameter.requires_grad_()
    return case


def parameters_of(case: Case) -> list[Tensor]:
    return [case.elements, case.first, *(t for block in case.blocks for t in block), *case.output]


def with_parameters(case: Case, parameters: list[Tensor]) -> Case:
    """The case with others in the order of `parameters_of`."""
    elements, first, *layers = parameters
    ends = [layers[i : i + 6] for i in range(0, len(layers) - 3, 6)]
    blocks = [Block(*of_block) for of_block in ends]
    return Case(case.z, case.stencil, elements, first, blocks, Output(*layers[-3:]))


def names_of(case: Case) -> list[str]:
    blocks = [f"{name} {i}" for i in range(len(case.blocks)) for name in Block._fields]
    return ["elements", "first", *blocks, *(f"output {name}" for name in Output._fields)]


def loss_of(values: Tensor) -> Tensor:
    """With another gradient for each atom, such that sums over the atoms are about 1."""
    weights = torch.randn(len(values), generator=torch.Generator().manual_seed(9))
    return (values[:, 0] * weights.div_(max(1, len(values)) ** 0.5)).sum()


def results(case: Case, **options: Any) -> list[Tensor]:
    """Values, and the gradients of all parameters from two backward passes."""
    values = atom_values(*case, **options)
    assert values.shape == (len(case.z), 1)
    parameters, loss = parameters_of(case), loss_of(values)
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    for one, two in zip(gradients, torch.autograd.grad(loss, parameters)):
        assert torch.equal(one, two), "a second backward pass gives another gradient"
    return [values.detach(), *gradients]


def assert_near(
    found: list[Tensor], exact: list[Tensor], case: Case, tolerance: float = 1e-5
) -> None:
    """Each tensor within ``tolerance`` of its largest number, or of 1: what its sums' terms are."""
    for name, one, two in zip(["values", *names_of(case)], found, exact):
        assert one.shape == two.shape, name
        if two.numel():
            error = (one.double() - two).abs().max() / two.abs().max().clamp(min=1)
            assert error <= tolerance, f"{name}: {float(error)}"


def assert_equal(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    for one, two in zip(found, expected):
        assert torch.equal(one, two)


def check(*sizes: Any, **options: Any) -> None:
    """The compiled function, and its reference in float32, against that in float64."""
    case = make_case(*sizes, **options)
    exact = results(make_case(*sizes, dtype=torch.double, **options), compiled=False)
    assert_near(results(case), exact, case)
    assert_near(results(case, compiled=False), exact, case)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("num_blocks", [1, 2, 4])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_every_gradient_equal_the_reference(sizes, num_blocks, order):
    check(sizes, num_blocks, order)


@pytest.mark.parametrize("order", ORDERS)
@given(
    channels=st.tuples(st.integers(2, 40), st.integers(1, 40), st.integers(1, 40)),
    packs=st.integers(1, 40),
    slots=st.integers(1, 40),
    pairs=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
def test_they_do_for_packs_of_any_shape(order, channels, packs, slots, pairs, seed):
    check(channels, 2, order, packs=packs, slots=slots, pairs=pairs, seed=seed)


# Packs of one atom; of more atoms than go through the network at a time; more and fewer packs than
# tasks; several tasks of several turns; one pack alone.
SHAPES = [(300, 1), (3, 130), (40, 130), (1, 24), (1, 1), (60, 24), (200, 12), (17, 109)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("packs, slots", SHAPES)
def test_they_do_however_packs_are_shared_out(packs, slots, order):
    check((7, 20, 5), 2, order, packs=packs, slots=slots, pairs=0.1)


@pytest.mark.parametrize("order", ORDERS)
def test_they_do_without_any_pair(order):
    case = make_case(order=order, pairs=0.0)
    assert not len(case.stencil.first)
    check((7, 20, 5), 2, order, pairs=0.0)
    for block in case.blocks:
        assert not torch.autograd.grad(loss_of(atom_values(*case)), block.table)[0].any()


@pytest.mark.parametrize("packs, slots", [(0, 24), (0, 0), (3, 0)])
def test_a_batch_without_atoms_has_no_values_and_gradients_of_0(packs, slots):
    case = make_case(packs=packs, slots=slots)
    values, *gradients = results(case)
    assert values.shape == (0, 1)
    assert not any(gradient.any() for gradient in gradients)


def test_elements_that_no_atom_has_have_no_gradient():
    case = make_case()
    used = torch.zeros(ELEMENTS, dtype=torch.bool)
    used[case.z] = True
    assert not used.all()
    _, of_elements, of_first, *_ = results(case)
    for gradient in (of_elements, of_first):
        assert gradient[used].any(1).all()
        assert not gradient[~used].any()


def test_every_element_serves():
    case = make_case()
    for z in (torch.arange(len(case.z)) % ELEMENTS, torch.full_like(case.z, ELEMENTS - 1)):
        wide = make_case(dtype=torch.double)._replace(z=z)
        assert_near(results(case._replace(z=z)), results(wide, compiled=False), case)


# --- packs and tasks ---


@pytest.mark.parametrize("order", ORDERS)
def test_a_packs_values_are_those_it_has_alone(order):
    packs, slots = 60, 24
    case = make_case(order=order, packs=packs, slots=slots)
    values, (first, second, offsets, *rows) = atom_values(*case).view(packs, slots), case.stencil
    for pack in (0, 1, 7, 30, 58, 59):
        pairs = slice(int(offsets[pack]), int(offsets[pack + 1]))
        atoms = [ends[pairs] - pack * slots for ends in (first, second)]
        stencil = Stencil(
            *atoms, offsets[pack : pack + 2] - offsets[pack], *(t[pairs] for t in rows)
        )
        z = case.z.view(packs, slots)[pack]
        alone = atom_values(*case._replace(z=z, stencil=stencil))
        assert torch.equal(alone[:, 0], values[pack])


def full_pack(order: str) -> tuple[Case, slice, slice]:
    """A case, its fullest pack's atoms, and that pack's pairs; no other has the last element."""
    slots = 24
    case = make_case(order=order, packs=60, slots=slots)
    offsets = case.stencil.offsets
    pack = int(offsets.diff().argmax())
    atoms = slice(pack * slots, (pack + 1) * slots)
    case.z[atoms] = ELEMENTS - 1
    return case, atoms, slice(int(offsets[pack]), int(offsets[pack + 1]))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("what", ["distances", "an element"])
def test_nan_in_one_pack_stays_there(what, order):
    case, atoms, pairs = full_pack(order)
    clean = atom_values(*case)
    with torch.no_grad():
        (case.stencil.weights[pairs] if what == "distances" else case.elements[-1]).fill_(NAN)
    values = atom_values(*case)
    inside = torch.zeros(len(values), dtype=torch.bool)
    if what == "distances":
        inside[case.stencil.first[pairs].long()] = inside[case.stencil.second[pairs].long()] = True
    else:
        inside[atoms] = True
    assert values[inside].isnan().all()
    assert torch.equal(values[~inside], clean[~inside])


@pytest.mark.parametrize("order", ORDERS)
def test_nan_in_one_atoms_gradient_reaches_what_it_depends_on_and_no_other_pack(order):
    case, _, pairs = full_pack(order)
    parameters, values = parameters_of(case), atom_values(*case)
    seed = torch.ones_like(values)
    clean = torch.autograd.grad(values, parameters, seed, retain_graph=True)
    seed[case.stencil.first[pairs][0]] = NAN
    found = torch.autograd.grad(values, parameters, seed)
    for name, gradient in zip(names_of(case), found):
        assert gradient.isnan().any(), name
    for one, two in zip(found[:2], clean):
        assert one[-1].isnan().all()
        assert torch.equal(one[:-1], two[:-1])


@pytest.mark.parametrize("most, atoms", [(1, ATOMS_OF_A_TASK), (MOST_TASKS, 1), (5, 1), (1000, 1)])
def test_the_number_of_tasks_changes_sums_by_rounding_and_values_not_at_all(
    most, atoms, monkeypatch
):
    options = {"packs": 37, "slots": 9, "order": "cubic"}
    case, wide = make_case(**options), make_case(dtype=torch.double, **options)
    values = atom_values(*case)
    monkeypatch.setattr(network, "MOST_TASKS", most)
    monkeypatch.setattr(network, "ATOMS_OF_A_TASK", atoms)
    found = results(case)
    assert torch.equal(found[0], values)
    assert_near(found, results(wide, compiled=False), case)


@pytest.mark.parametrize("order", ORDERS)
def test_nothing_is_read_before_it_is_written(order):
    case = make_case(order=order, packs=60)
    expected, before = results(case), torch.are_deterministic_algorithms_enabled()
    try:
        # From torch 2.2 on tensors without values of their own are then full of NaN.
        torch.use_deterministic_algorithms(True)
        found = results(case)
    finally:
        torch.use_deterministic_algorithms(before)
    assert_equal(found, expected)


@pytest.mark.parametrize("python_threads", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_the_number_of_threads_changes_no_bit(order, python_threads, monkeypatch, torch_threads):
    if python_threads:
        monkeypatch.setattr(threads, "_torch_team", lambda: None)
    case, found = make_case((40, 40, 20), 3, order, packs=100), []
    for number in (1, 2, 3):
        torch_threads(number)
        found.append(results(case))
    for other in found[1:]:
        assert_equal(other, found[0])


# --- which path ---


def test_float32_on_a_cpu_is_the_compiled_function(monkeypatch):
    monkeypatch.setattr(network, "_Compiled", None)
    with pytest.raises(AttributeError):
        atom_values(*make_case())


@pytest.mark.parametrize("way", ["compiled=False", "float64", "autocast", "without numba"])
def test_all_else_is_the_reference(way, monkeypatch):
    monkeypatch.setattr(network, "_Compiled", None)
    if way == "without numba":
        monkeypatch.setattr("gnnpack.kernels.compiled.has_numba", lambda: False)
        monkeypatch.setattr("gnnpack.kernels.tabulated.has_numba", lambda: False)
    case = make_case(dtype=torch.double if way == "float64" else torch.float)
    with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
        found = results(case, compiled=way != "compiled=False")
    exact = results(make_case(dtype=torch.double), compiled=False)
    assert_near(found, exact, case, 0.1 if way == "autocast" else 1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_distances_have_their_gradient_from_the_reference(order, monkeypatch):
    monkeypatch.setattr(network, "_Compiled", None)
    found = []
    for dtype in (torch.double, torch.float):
        case = make_case(order=order, dtype=dtype)
        weights = case.stencil.weights.requires_grad_()
        compiled = dtype == torch.float
        inputs = [*parameters_of(case), weights]
        values = atom_values(*case, compiled=compiled)
        found.append([values, *torch.autograd.grad(loss_of(values), inputs)])
    *exact, of_weights = found[0]
    *near, near_weights = found[1]
    assert_near(near, exact, case)
    assert (near_weights - of_weights).abs().max() <= 1e-5 * of_weights.abs().max().clamp(min=1)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_inference_is_compiled_and_gives_the_same_bits(mode, monkeypatch):
    case = make_case()
    training = atom_values(*case)
    case.stencil.weights.requires_grad_()
    with mode():
        assert torch.equal(atom_values(*case), training)
        monkeypatch.setattr(network, "_Compiled", None)
        with pytest.raises(AttributeError):
            atom_values(*case)


# --- what autograd may do ---


def test_two_graphs_can_be_alive_at_once():
    cases = [make_case(seed=1), make_case((16, 3, 40), 3, seed=2, packs=20), make_case(seed=3)]
    expected = [results(case) for case in cases]
    values = [atom_values(*case) for case in cases]
    for case, one, two in reversed(list(zip(cases, values, expected))):
        gradients = torch.autograd.grad(loss_of(one), parameters_of(case))
        assert_equal([one, *gradients], two)


def test_parameters_written_to_after_the_forward_pass_leave_its_gradients_alone():
    """It has copies of its own; plain torch refuses."""
    case = make_case()
    expected, values = results(case), atom_values(*case)
    with torch.no_grad():
        for parameter in parameters_of(case):
            parameter.fill_(9)
    gradients = torch.autograd.grad(loss_of(values), parameters_of(case))
    assert_equal([values, *gradients], expected)


@pytest.mark.parametrize("name", ["z", *Stencil._fields])
def test_what_it_has_no_copy_of_may_not_be_written_to(name):
    case = make_case()
    values = atom_values(*case)
    (case.z if name == "z" else getattr(case.stencil, name)).zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss_of(values).backward()


def test_a_gradient_of_a_gradient_is_refused():
    case = make_case()
    loss, parameter = loss_of(atom_values(*case)).sin(), case.blocks[0].weight_1
    (gradient,) = torch.autograd.grad(loss, parameter, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_tensors_that_do_not_lie_row_by_row_serve():
    case = make_case()
    expected = results(case)

    def spread(tensor: Tensor) -> Tensor:
        return tensor.detach().repeat_interleave(2, -1)[..., ::2]

    parameters = [spread(parameter).requires_grad_() for parameter in parameters_of(case)]
    strided = with_parameters(case, parameters)._replace(
        z=spread(case.z), stencil=Stencil(*(spread(t) for t in case.stencil))
    )
    tensors = [t for t in (*parameters, strided.z, *strided.stencil) if t.numel() > 1]
    assert not any(tensor.is_contiguous() for tensor in tensors)
    assert_equal(results(strided), expected)


def test_a_gradient_that_is_one_number_spread_out_serves():
    case = make_case()
    values, parameters = atom_values(*case), parameters_of(case)
    spread = torch.autograd.grad(values.sum(), parameters, retain_graph=True)
    assert_equal(spread, torch.autograd.grad(values, parameters, torch.ones_like(values)))


def test_frozen_parameters_have_no_gradient_and_the_others_theirs():
    expected = results(make_case())[1:]
    for frozen in range(len(expected)):
        case = make_case()
        parameters = parameters_of(case)
        parameters[frozen].requires_grad_(False)
        loss_of(atom_values(*case)).backward()
        assert parameters[frozen].grad is None
        assert_equal(
            [parameter.grad for i, parameter in enumerate(parameters) if i != frozen],
            [gradient for i, gradient in enumerate(expected) if i != frozen],
        )


def test_no_argument_is_written_to():
    case = make_case()
    given = [case.z, *case.stencil, *parameters_of(case)]
    before = [tensor.detach().clone() for tensor in given]
    results(case)
    assert_equal(given, before)
