"""How many floating-point operations and bytes a SchNet step is worth: the counter behind floors.

With F hidden channels, C filter channels, G Gaussians, L blocks, H = F // 2 channels of the output
layer, A real atoms, E undirected pairs and R rows on which a block's filter network is evaluated.
A multiply-add is two operations.

Dense layers, forward      2 (A (L (2 F C + F^2) + F H + H) - (A - Z) F C)
             training      three times that: the output, the gradients of input and of weight
Filter network, forward    2 R L (G C + C^2)
                training   2 R L (2 G C + 3 C^2): nothing asks for the gradient of the Gaussians
Convolution, forward       E L C (4 + 2 S), training E L C (12 + 4 S): a multiply-add per channel
                           for each directed edge in the output, in the gradient of the features
                           and in that of the filter; S rows of the table are blended for a pair,
                           and get its gradient

Z is A, or the number of elements where the first block's first layer is applied to their embeddings
instead of to the atoms'. R is E where both directions of a pair share one filter, 2 E where each
edge has its own, and M K where filters are a table of M knots: K = 1 a value each, with S = 2,
K = 2 a value and a slope each (Hermite; the slope goes through the same two matrices), with S = 4.
Without a table S is 0.

Bytes: as if every operation read its inputs from memory and wrote its output there, nothing fused.
Of each atom and block, in channels:

forward    before F + C; convolution 2 C; after C + F; softplus 2 F; after 2 F; residual 3 F
backward   residual 3 F; after 4 F and its bias F; softplus 3 F; after 2 F + 2 C and its bias F;
           convolution 4 C; before 2 F + 2 C

which is 9 F + 4 C forward and 25 F + 12 C in training. Of each row of the filter network and block
6 C + G forward and 17 C + 2 G in training; of each pair and block two slots and a distance, 12
bytes a pass. Softplus, cutoff, loss, output layer and optimizer are left out: operations that are
not multiply-adds of a matrix or of the convolution, and bytes of less than a block.
"""

from __future__ import annotations

from typing import NamedTuple

PAIR_BYTES = 12


class Network(NamedTuple):
    """Sizes of a SchNet."""

    hidden_channels: int
    num_filters: int
    num_interactions: int
    num_gaussians: int


class FilterRows(NamedTuple):
    """Rows of a block's filter network; ``blended`` of them make a pair's filter, 0 = no table."""

    rows: int
    blended: int = 0


class Work(NamedTuple):
    """Operations and bytes of one pass or update."""

    dense: int  # FLOP of the layers that every atom passes
    filters: int  # FLOP of the filter networks
    convolution: int  # FLOP
    bytes: int

    @property
    def matrix_products(self) -> int:
        """FLOP of dense layers and filter networks: what a floor is made of."""
        return self.dense + self.filters


def table_rows(num_knots: int, order: int) -> FilterRows:
    """A table of ``num_knots`` distances; order 1: values (linear), 2: slopes too (Hermite).

    >>> table_rows(256, 2)
    FilterRows(rows=512, blended=4)
    """
    assert order in (1, 2), "a knot holds a value, or a value and a slope"
    return FilterRows(num_knots * order, 2 * order)


def count_work(
    network: Network,
    *,
    atoms: int,
    pairs: int,
    filters: FilterRows,
    first_rows: int | None = None,
    training: bool = True,
) -> Work:
    """Operations and bytes of a forward pass, or of a forward and a backward pass, in float32.

    Args:
        atoms: real atoms.
        pairs: undirected pairs within the cutoff.
        first_rows: Z; None = atoms.
    """
    F, C, L, G = network
    H = F // 2
    saved = 0 if first_rows is None or L == 0 else (atoms - first_rows) * F * C
    dense = 2 * (atoms * (L * (2 * F * C + F * F) + F * H + H) - saved)
    first, second = 2 * filters.rows * L * G * C, 2 * filters.rows * L * C * C
    edges, blends = 4 * pairs * L * C, 2 * filters.blended * pairs * L * C
    if training:
        moved = atoms * (25 * F + 12 * C) + filters.rows * (17 * C + 2 * G)
        return Work(
            dense=3 * dense,
            filters=2 * first + 3 * second,
            convolution=3 * edges + 2 * blends,
            bytes=L * (4 * moved + 2 * PAIR_BYTES * pairs),
        )
    moved = atoms * (9 * F + 4 * C) + filters.rows * (6 * C + G)
    return Work(
        dense=dense,
        filters=first + second,
        convolution=edges + blends,
        bytes=L * (4 * moved + PAIR_BYTES * pairs),
    )
