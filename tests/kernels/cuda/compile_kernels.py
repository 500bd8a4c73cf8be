"""Compile every kernel for a CUDA architecture without a GPU; prints one JSON line a kernel.

A driver that knows an architecture and no device takes the place of Triton's own, and a launch
compiles and runs nothing. So what is compiled is what the operators really launch: their types,
strides and tiles.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

from gnnpack.batching import PackBatch
from gnnpack.kernels.cuda import (
    convolve,
    empty_rows,
    molecule_ranges,
    shifted_softplus,
    sum_molecules,
    tail,
)
from gnnpack.models import SchNet
from gnnpack.models.cuda_path import atom_values

CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
CUTOFF = 6.0

_run = JITFunction.run
_compiled = {}  # hash -> (kernel, case)
case = {}  # what is being launched


class Architecture:
    """What Triton asks of a driver before it compiles."""

    def __init__(self, number: int) -> None:
        self.number = number

    def get_current_device(self) -> int:
        return self.number  # kernels are kept by device: here, by architecture

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", self.number, 32)


def compile_only(self, *args, grid, warmup, **kwargs):
    kernel = _run(self, *args, grid=grid, warmup=True, **kwargs)
    _compiled.setdefault(kernel.hash, (kernel, case))
    return kernel


def launch_convolution(
    channels: int, slots: int, knots: int, order: int, dtype: torch.dtype
) -> None:
    """Forward and every backward kernel of one setting; on a CPU, so values mean nothing."""
    packs = 32
    pos = torch.zeros(packs, slots, 3, requires_grad=True)
    slot = torch.zeros(packs, slots, dtype=torch.int64)
    mask = torch.ones(packs, slots, dtype=torch.bool)
    ranges = molecule_ranges(pos, slot, mask, CUTOFF, knots, largest_molecule=29)
    features = empty_rows(packs * slots, channels, dtype, pos.device).zero_().requires_grad_()
    table = torch.zeros(knots, order, channels, dtype=dtype, requires_grad=True)
    grad = empty_rows(*features.shape, dtype, pos.device)
    convolve(features, table, ranges).backward(grad)


def launch_layers(channels: int, dtype: torch.dtype) -> None:
    """Tail of a small and of a large batch, softplus, sums; forward and backward."""
    weight, bias = torch.zeros(channels, channels), torch.zeros(channels)
    for rows in (1024, 6144, 16384):
        messages = torch.zeros(rows, channels, dtype=dtype, requires_grad=rows == 1024)
        out = tail(messages, torch.zeros(rows, channels), weight, bias, weight, bias)
    tail(messages[:16].requires_grad_(), out[:16], weight, bias, weight, bias).sum().backward()
    messages = messages[:16].detach().requires_grad_()
    shifted_softplus(messages).sum().backward()
    slot = torch.zeros(8, 36, dtype=torch.int64)
    sum_molecules(torch.zeros(8, 36), slot, torch.ones(8, 36, dtype=torch.bool), 5)


def launch_model(channels: int, slots: int, storage: torch.dtype) -> None:
    """Two blocks of SchNet with features stored as ``storage``, forward and every gradient.

    The model makes the tables, float32 whatever the storage, and the rows both lie in: 100
    channels of 2 bytes in rows of 104.
    """
    packs, molecules = 32, 3
    real = torch.ones(packs, slots, dtype=torch.bool)
    batch = PackBatch(
        z=torch.ones(packs, slots, dtype=torch.int64),
        pos=torch.zeros(packs, slots, 3, requires_grad=True),
        molecule_slot=torch.zeros(packs, slots, dtype=torch.int64),
        atom_mask=real,
        molecule_mask=torch.ones(packs, molecules, dtype=torch.bool),
        target=torch.zeros(packs, molecules),
        num_atoms=torch.ones(packs, molecules, dtype=torch.int64),
        step_molecules=torch.ones(packs, dtype=torch.int64),
    )
    model = SchNet(channels, 2, 25, CUTOFF, filter="tabulated", largest_molecule=29)
    with torch.autocast("cpu", storage, enabled=storage != torch.float32):
        atom_values(model, batch.z.reshape(-1), batch.pos, batch).sum().backward()


def accesses(ptx: str, instruction: str) -> list[int]:
    """Bytes a thread moves by each of these instructions."""
    found = re.findall(re.escape(instruction) + r"[\w.:]*?(?:\.v(\d))?\.b(\d+)", ptx)
    return [int(count or 1) * int(bits) // 8 for count, bits in found]


def copies(ptx: str) -> list[int]:
    """The same of asynchronous copies to shared memory."""
    found = re.findall(r"cp\.async\.c[ag]\.shared\.global[^;]*?\], (0x[0-9a-f]+|\d+)", ptx)
    return [int(size, 0) for size in found]


def facts(kernel) -> dict:
    """Registers and stack bytes a thread, and the loads and stores of the machine code."""
    cubin = Path(sys.argv[1]) / f"{kernel.hash}.cubin"
    cubin.write_bytes(kernel.asm["cubin"])
    usage = subprocess.run(
        [CUOBJDUMP, "--dump-resource-usage", cubin], capture_output=True, text=True, check=True
    ).stdout
    ptx = kernel.asm["ptx"]
    return {
        "registers": int(re.search(r"REG:(\d+)", usage)[1]),
        "stack": int(re.search(r"STACK:(\d+)", usage)[1]),
        "shared": kernel.metadata.shared,
        "loads": accesses(ptx, "ld.global") + copies(ptx),
        "stores": accesses(ptx, "st.global"),
        "products": sorted(set(re.findall(r"\bw?g?mma\.[\w.]*", ptx))),
        "atomics": sorted(set(re.findall(r"\b(?:red|atom)\.global[\w.]*", ptx))),
    }


def launch_all() -> None:
    """Set ``case`` and launch: the two shapes of the published runs, a wide one, narrow storage."""
    global case
    for precision in ("highest", "high"):
        torch.set_float32_matmul_precision(precision)
        for channels, slots in ((100, 36), (128, 100), (512, 256)):
            case = {"channels": channels, "precision": precision, "bytes": 4, "table_bytes": 4}
            for order in (1, 2) if channels == 100 else (2,):
                launch_convolution(channels, slots, 256, order, torch.float32)
            launch_layers(channels, torch.float32)
    case = {"channels": 100, "precision": "high", "bytes": 2, "table_bytes": 2}
    launch_convolution(100, 36, 256, 2, torch.float16)
    launch_layers(100, torch.bfloat16)
    case = {"channels": 100, "precision": "high", "bytes": 2, "table_bytes": 4}
    launch_model(100, 36, torch.bfloat16)


if __name__ == "__main__":
    JITFunction.run = compile_only
    driver.set_active(Architecture(int(sys.argv[2])))
    launch_all()
    for kernel, where in _compiled.values():
        row = {"kernel": kernel.name, "architecture": int(sys.argv[2]), **where, **facts(kernel)}
        print(json.dumps(row))
