"""CUDA kernels in Triton: the convolution with tabulated filters and what stands around it.

Importing this needs no Triton: `unavailable` says whether the rest can be used here. Nothing in
this folder waits for the device, and every shape follows from the batch's shape alone, so all of it
can be captured in a CUDA graph. Every sum has a fixed order: the same input gives the same bits.
"""

from gnnpack.kernels.cuda.availability import unavailable
from gnnpack.kernels.cuda.convolution import convolve
from gnnpack.kernels.cuda.embedding import embed
from gnnpack.kernels.cuda.molecule_sums import sum_molecules
from gnnpack.kernels.cuda.ranges import MoleculeRanges, molecule_ranges
from gnnpack.kernels.cuda.rows import empty_rows
from gnnpack.kernels.cuda.softplus import shifted_softplus
from gnnpack.kernels.cuda.tail import tail

__all__ = [
    "MoleculeRanges",
    "convolve",
    "embed",
    "empty_rows",
    "molecule_ranges",
    "shifted_softplus",
    "sum_molecules",
    "tail",
    "unavailable",
]
