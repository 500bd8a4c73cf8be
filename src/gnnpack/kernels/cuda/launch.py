"""Fixed launch settings of the kernels, by channels F and slots of a pack N.

No tuning at run time: it cannot happen inside a CUDA graph, and results would depend on the day.
The tests compile every kernel with these and read registers and spills from the machine code.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Tiles(NamedTuple):
    """What one program owns."""

    rows: int  # atom slots; rows of the table for its gradient
    channels: int
    warps: int


class TailTiles(NamedTuple):
    """What one program of the fused tail owns, and the pieces it multiplies at once."""

    rows: int
    hidden: int
    filters: int
    warps: int


# A row's slice of a program: one cache line, and 16 bytes a thread. Then 256 knots of a cubic
# float32 table are 64 kB a slice and stay in the L1 cache of an SM.
BYTES_PER_SLICE = 128

# Rows of a program wait for the largest molecule among them. QM9 in packs of 36: 8 rows are busy
# 85 % of the time, 16 rows 70 %; from 64 slots on both exceed 89 %.
SMALL_PACK = 48

# (F, N) whose tiles differ from the default; to be filled from measurements on a GPU.
CONVOLUTION: dict[tuple[int, int], Tiles] = {}

# Streaming multiprocessors of an H100: fewer programs leave some of them idle.
MULTIPROCESSORS = 132

TABLE_ROWS = 16  # the least a tensor core multiplies
PAIRS_PER_STEP = 32  # of the table's gradient
MOST_SHARES = 32
PAIRS_PER_SHARE = 256

ELEMENTS_PER_PROGRAM = 1024  # of the elementwise kernels


def convolution_tiles(num_channels: int, slots_per_pack: int, bytes_each: int) -> Tiles:
    """Tiles of the convolution of F channels of ``bytes_each`` bytes in packs of N slots."""
    if (num_channels, slots_per_pack) in CONVOLUTION:
        return CONVOLUTION[num_channels, slots_per_pack]
    rows = 8 if slots_per_pack <= SMALL_PACK else 16
    return Tiles(rows, BYTES_PER_SLICE // bytes_each, rows // 4)


def position_tiles(num_channels: int) -> Tiles:
    """Tiles of the gradient in positions: all channels in one program, which sums over them."""
    channels = max(power_of_two(num_channels), 16)
    return Tiles(max(1024 // channels, 1), channels, 4)


def table_tiles(bytes_each: int) -> Tiles:
    """Tiles of the table's gradient: rows of the (M * K, F) table."""
    return Tiles(TABLE_ROWS, BYTES_PER_SLICE // bytes_each, 4)


def table_shares(num_pairs: int, num_rows: int) -> int:
    """Into how many programs the pairs of one row tile are split.

    Bins are lopsided (a bond length holds several times the mean), so more than the mean needs.
    From the capacity alone: the same for every batch, and with it the order of the sums.
    """
    mean = num_pairs * TABLE_ROWS // max(num_rows, 1)
    return min(max(power_of_two(mean // PAIRS_PER_SHARE), 1), MOST_SHARES)


def tail_tiles(num_rows: int, num_channels: int, precision: str) -> TailTiles:
    """Tiles of the fused tail for A rows of F channels: the largest that spill no register.

    "ieee" multiplies without tensor cores and needs smaller ones. Compiled up to 512 channels.
    """
    if precision == "ieee":
        return TailTiles(rows=32, hidden=32, filters=32, warps=8)
    if num_channels > 256:
        return TailTiles(rows=16, hidden=32, filters=64, warps=8)
    if num_channels > 128:
        return TailTiles(rows=32, hidden=64, filters=64, warps=8)
    if num_rows >= 64 * MULTIPROCESSORS:
        return TailTiles(rows=64, hidden=64, filters=64, warps=8)
    rows = 32 if num_rows >= 32 * MULTIPROCESSORS else 16
    return TailTiles(rows=rows, hidden=128, filters=128, warps=4)


def dot_precision() -> str:
    """Triton's ``input_precision`` that keeps torch.set_float32_matmul_precision's promise."""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def power_of_two(count: int) -> int:
    """The smallest power of two that is not below ``count``; 1 for 0.

    >>> [power_of_two(count) for count in (0, 1, 3, 100, 128)]
    [1, 1, 4, 128, 128]
    """
    return 1 << max(count - 1, 0).bit_length()


def programs(count: int, tile: int) -> int:
    """Programs of ``tile`` that cover ``count``; at least one, as CUDA starts no empty grid."""
    return max(-(-count // tile), 1)
