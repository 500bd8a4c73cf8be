"""The counter of operations and bytes: by hand, and beside torch's own counter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import batch_of, make_source
from torch.utils.flop_counter import FlopCounterMode

from gnnpack.bench.models import count_model_work
from gnnpack.bench.work import FilterRows, Network, Work, count_work, table_rows
from gnnpack.kernels import ROWS, find_pairs
from gnnpack.models import SchNet
from gnnpack.models.filters import Tabulated

REFERENCE = Network(100, 100, 4, 25)


def test_dense_layers_of_the_reference_network_by_hand():
    """0.25 MFLOP an atom forward: 4 x 3 x 100^2 + 100^2 / 2 + 100 / 2 multiply-adds."""
    one = count_work(REFERENCE, atoms=1, pairs=0, filters=FilterRows(0), training=False)
    assert one.dense == 2 * (4 * 3 * 10_000 + 5_000 + 50)
    assert count_work(REFERENCE, atoms=1, pairs=0, filters=FilterRows(0)).dense == 3 * one.dense


def test_a_small_network_by_hand():
    """F = 4, C = 3, L = 2, G = 5; 7 atoms, 6 pairs, a cubic table of 10 knots: 20 rows."""
    network, table = Network(4, 3, 2, 5), table_rows(10, 2)
    assert table == FilterRows(20, 4)
    forward = count_work(network, atoms=7, pairs=6, filters=table, training=False)
    assert forward == Work(
        # before 12, after 12 + 16 in each of 2 blocks; output 8 + 2; times 2 x 7
        dense=2 * 7 * (2 * 40 + 10),
        # 5 x 3 + 3 x 3 for each of 20 rows and 2 blocks
        filters=2 * 20 * 2 * 24,
        # per pair, block and channel: 2 edges and 4 blended rows, a multiply-add each
        convolution=6 * 2 * 3 * (2 * 2 + 2 * 4),
        # before 4 + 3, convolution 6, after 3 + 4, softplus 8, after 8, residual 12 for each atom;
        # first layer 5 + 3, softplus 6, second 6, read by the convolution 3 for each row
        bytes=2 * (4 * (7 * 48 + 20 * 23) + 12 * 6),
    )
    training = count_work(network, atoms=7, pairs=6, filters=table)
    assert training == Work(
        dense=3 * forward.dense,
        # the Gaussians have no gradient: 2 products of 15, 3 of 9
        filters=2 * 20 * 2 * (2 * 15 + 3 * 9),
        # three times the edges, twice the blends
        convolution=6 * 2 * 3 * (3 * 4 + 2 * 8),
        # backward of an atom: residual 12, after 16 + 4, softplus 12, after 8 + 6 + 4,
        # convolution 12, before 8 + 6; of a row: 3 written, second 12, softplus 9, first 3 + 5,
        # biases 6
        bytes=2 * (4 * (7 * (48 + 88) + 20 * (23 + 38)) + 2 * 12 * 6),
    )


def test_reference_training_moves_37_vectors_an_atom_and_block():
    work = count_work(REFERENCE, atoms=1, pairs=0, filters=FilterRows(0))
    assert work.bytes == 4 * 37 * 100 * 4


TABULATED = [Tabulated(order=order, num_knots=17) for order in ("linear", "cubic")]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("num_filters", [6, 10])
@pytest.mark.parametrize("how", ["exact", *TABULATED], ids=["exact", "linear", "cubic"])
def test_torch_counts_the_same_matrix_products(training, num_filters, how):
    """On the plain reference, whose filler atoms are multiplied too."""
    batch = batch_of(make_source(12))
    model = SchNet(10, 2, 7, 3.0, num_filters=num_filters, filter=how, compiled=False)
    pairs = find_pairs(batch.pos, batch.molecule_slot, batch.atom_mask, 3.0)
    with FlopCounterMode(display=False) as counter:
        energy = model(batch).sum()
        if training:
            energy.backward()
    number = len(pairs.first)
    filters = FilterRows(number) if how == "exact" else table_rows(17, ROWS[how.order])
    work = count_work(
        Network(10, num_filters, 2, 7),
        atoms=batch.z.numel(),
        pairs=number,
        filters=filters,
        first_rows=None if how == "exact" else 100,
        training=training,
    )
    if training:
        of_model = count_model_work(model, Network(10, num_filters, 2, 7), batch.z.numel(), number)
        assert of_model == work
    assert counter.get_total_flops() == work.matrix_products


@given(
    atoms=st.integers(0, 50),
    pairs=st.integers(0, 50),
    rows=st.integers(0, 50),
    times=st.integers(2, 9),
)
@settings(deadline=None, derandomize=True, database=None, max_examples=30)
def test_work_grows_with_atoms_pairs_and_rows(atoms, pairs, rows, times):
    one = count_work(REFERENCE, atoms=atoms, pairs=pairs, filters=FilterRows(rows, 2))
    more = count_work(
        REFERENCE, atoms=times * atoms, pairs=times * pairs, filters=FilterRows(times * rows, 2)
    )
    assert more == tuple(times * number for number in one)
    forward = count_work(
        REFERENCE, atoms=atoms, pairs=pairs, filters=FilterRows(rows, 2), training=False
    )
    assert all(less <= full for less, full in zip(forward, one))


def test_a_table_costs_the_same_however_many_pairs():
    few, many = (
        count_work(REFERENCE, atoms=100, pairs=pairs, filters=table_rows(128, 2))
        for pairs in (10, 10_000)
    )
    assert few.matrix_products == many.matrix_products
    assert few.convolution < many.convolution
