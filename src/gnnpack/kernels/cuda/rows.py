"""Matrices whose rows the kernels can read and write 16 bytes at a time."""

from __future__ import annotations

import torch
from torch import Tensor

WIDEST_ACCESS = 16  # bytes; the widest load and store of a CUDA thread before sm_100
STORAGE_TYPES = (torch.float32, torch.float16, torch.bfloat16)


def empty_rows(
    num_rows: int, num_channels: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Uninitialised (num_rows, num_channels) whose rows start at multiples of 16 bytes.

    Where ``num_channels`` is not such a multiple the result is a view of wider storage: 100 halves
    lie in rows of 104, and what lies in the rest means nothing.
    """
    step = WIDEST_ACCESS // torch.empty(0, dtype=dtype).element_size()
    stride = -(-num_channels // step) * step
    return torch.empty(num_rows, stride, dtype=dtype, device=device)[:, :num_channels]


def empty_rows_like(matrix: Tensor) -> Tensor:
    """`empty_rows` of a matrix' shape, type and device."""
    return empty_rows(matrix.shape[0], matrix.shape[1], matrix.dtype, matrix.device)


def readable_rows(matrix: Tensor) -> Tensor:
    """The matrix itself where each row lies in one piece, else a copy (an expanded gradient)."""
    lies_in_rows = matrix.stride(1) == 1 and matrix.stride(0) >= matrix.shape[1]
    return matrix if lies_in_rows else matrix.contiguous()


def wide_rows(matrix: Tensor) -> Tensor:
    """The matrix itself where its rows start at multiples of 16 bytes, else a copy that does so.

    For what is small and read often, such as a filter table; features are read as they come.
    """
    if matrix.stride(1) == 1 and matrix.stride(0) * matrix.element_size() % WIDEST_ACCESS == 0:
        return matrix
    return empty_rows_like(matrix).copy_(matrix)


def stored_channels(*matrices: Tensor) -> int:
    """Channels that can be read and written of every row of all: F, or F and what fills its rows.

    A mask that ends inside 16 bytes costs the wide access: 100 halves are read as 104 where rows
    have room for them. Each channel keeps to itself, so what lies there does not matter.
    """
    num_channels = matrices[0].shape[1]
    step = WIDEST_ACCESS // min(matrix.element_size() for matrix in matrices)
    width = -(-num_channels // step) * step
    has_room = all(
        matrix.stride(0) >= width
        and matrix.storage_offset() + (matrix.shape[0] - 1) * matrix.stride(0) + width
        <= matrix.untyped_storage().nbytes() // matrix.element_size()
        for matrix in matrices
    )
    return width if has_room else num_channels


def check_storage(**tensors: Tensor) -> None:
    """Refuse numbers the kernels do not read, and sizes that int32 offsets cannot reach.

    Raises:
        ValueError: a tensor is neither float32, float16 nor bfloat16, or spans 2**31 numbers.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in STORAGE_TYPES:
            raise ValueError(
                f"{name} is {tensor.dtype}; the CUDA kernels read float32, float16 and bfloat16. "
                f"Use the plain-torch reference for other types."
            )
        span = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride()))
        if span >= 2**31:
            raise ValueError(
                f"{name} spans {span:,} numbers; the CUDA kernels count to 2**31. Lower batch_size."
            )
