"""The accelerator options: CPU and CUDA GPUs, one process or one a device.

Each function returns the Trainer arguments its name stands for; nothing else sets them.
"""

from __future__ import annotations

import os
from typing import Any, Sequence

import torch

from gnnpack.accelerators.cuda_graph import CUDAGraphStrategy
from gnnpack.accelerators.host_memory import keep_freed_memory
from gnnpack.accelerators.whole_step import WholeStepStrategy

# Lightning's loop and logs take about a millisecond a call, an update of 128 QM9 molecules a
# quarter on the device: 16 of them hide the host on any processor seen.
DEVICE_ITERATIONS = 16


def cpu(
    devices: int = 1,
    num_nodes: int = 1,
    precision: str = "32-true",
    strategy: str = "auto",
    num_threads: int | None = None,
    device_iterations: int | None = None,
) -> dict[str, Any]:
    """Train on the CPU.

    Args:
        devices: processes; above 1, each gets its share of every update (``ddp``).
        strategy: ``single_device`` (one update a call), ``whole_step``, or Lightning's name of
            one; ``auto`` is ``ddp`` above one device, ``whole_step`` with ``device_iterations``,
            else ``single_device``.
        num_threads: threads a process computes with; None = torch's choice, one a core.
        device_iterations: updates a call of the training step, as on a GPU; None = one.
    """
    if devices < 1:
        raise ValueError(f"accelerator.devices is {devices}; it counts processes: 1 or more.")
    if num_threads is not None:
        if num_threads < 1:
            raise ValueError(f"accelerator.num_threads is {num_threads}; use 1 or more, or null.")
        torch.set_num_threads(num_threads)
    keep_freed_memory()
    many = num_nodes > 1 or devices > 1
    chosen: Any = strategy
    if strategy == "auto" and device_iterations is not None and not many:
        strategy = "whole_step"
    if strategy == "whole_step":
        _refuse_many(strategy, many)
        chosen = WholeStepStrategy("cpu", _count(device_iterations, 1))
    else:
        _refuse_iterations(device_iterations, strategy, "whole_step")
    return _arguments("cpu", devices, num_nodes, precision, chosen)


def gpu(
    devices: int | Sequence[int] = 1,
    num_nodes: int = 1,
    precision: str = "32-true",
    strategy: str = "auto",
    tf32: bool = False,
    device_iterations: int | None = None,
) -> dict[str, Any]:
    """Train on CUDA GPUs.

    Args:
        devices: how many, or a list of their numbers.
        strategy: ``single_device`` (one update a call), ``cuda_graph``, ``whole_step``, or
            Lightning's name of one; ``auto`` is ``ddp`` above one device, else ``cuda_graph``, but
            for 16-mixed, which no graph can hold.
        tf32: let float32 matrix products round their inputs to 10 bits of mantissa: faster on
            Ampere and newer, errors around 1e-3 relative.
        device_iterations: updates a call of the training step, at most those of an epoch; None =
            16, with ``cuda_graph`` and ``whole_step``.

    Raises:
        ValueError: torch sees no CUDA GPU; iterations or graphs where the strategy has none.
    """
    if not torch.cuda.is_available():
        raise ValueError(
            f"accelerator=gpu, but torch {torch.__version__} sees no CUDA GPU here. Check "
            "nvidia-smi and that torch is a CUDA build, or use accelerator=cpu or "
            "accelerator=auto."
        )
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    many = num_nodes > 1 or (devices != 1 if isinstance(devices, int) else len(devices) != 1)
    chosen: Any = strategy
    if strategy == "auto" and not many and precision != "16-mixed":
        strategy = "cuda_graph"
    if strategy in ("cuda_graph", "whole_step"):
        _refuse_many(strategy, many)
        # Without it cuBLAS may split a product differently inside a graph and outside of it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        device = f"cuda:{0 if isinstance(devices, int) else devices[0]}"
        iterations = _count(device_iterations, DEVICE_ITERATIONS)
        kind = CUDAGraphStrategy if strategy == "cuda_graph" else WholeStepStrategy
        chosen = kind(device, iterations)
    else:
        _refuse_iterations(device_iterations, strategy, "cuda_graph")
    return _arguments("gpu", devices, num_nodes, precision, chosen)


def auto(precision: str = "32-true") -> dict[str, Any]:
    """One CUDA GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return gpu(precision=precision)
    return cpu(precision=precision)


def _count(device_iterations: int | None, default: int) -> int:
    return default if device_iterations is None else device_iterations


def _refuse_many(strategy: str, many: bool) -> None:
    if many:
        raise ValueError(
            f"accelerator.strategy={strategy} is of one device. Use accelerator.devices=1, or "
            "accelerator.strategy=ddp."
        )


def _refuse_iterations(device_iterations: int | None, strategy: str, cure: str) -> None:
    if device_iterations not in (None, 1):
        raise ValueError(
            f"accelerator.device_iterations is {device_iterations}, but accelerator.strategy="
            f"{strategy} makes one update a call here. Leave it out, or use one device and "
            f"accelerator.strategy={cure}."
        )


def _arguments(
    accelerator: str, devices: int | Sequence[int], num_nodes: int, precision: str, strategy: Any
) -> dict[str, Any]:
    count = devices if isinstance(devices, int) else len(devices)
    many = num_nodes > 1 or count > 1
    if strategy == "auto" and many:
        strategy = "ddp"
    if strategy == "single_device":
        # Lightning would make one of the CPU of that name; "auto" is one of the device asked for.
        _refuse_many(strategy, many)
        strategy = "auto"
    return {
        "accelerator": accelerator,
        "devices": devices,
        "num_nodes": num_nodes,
        "precision": precision,
        "strategy": strategy,
        # Packs are shared out by PackPlan.shard, so that an update holds the same molecules for
        # any number of ranks.
        "use_distributed_sampler": False,
    }
