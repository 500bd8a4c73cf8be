"""Lightning's own execution: CPU and CUDA GPUs, one process or one a device.

Each function returns the Trainer arguments its name stands for; nothing else sets them.
"""

from __future__ import annotations

from typing import Any, Sequence

import torch


def cpu(
    devices: int = 1,
    num_nodes: int = 1,
    precision: str = "32-true",
    strategy: str = "auto",
    num_threads: int | None = None,
) -> dict[str, Any]:
    """Train on the CPU.

    Args:
        devices: processes; above 1, each gets its share of every update (``ddp``).
        num_threads: threads a process computes with; None = torch's choice, one a core.
    """
    if num_threads is not None:
        if num_threads < 1:
            raise ValueError(f"accelerator.num_threads is {num_threads}; use 1 or more, or null.")
        torch.set_num_threads(num_threads)
    return _arguments("cpu", devices, num_nodes, precision, strategy)


def gpu(
    devices: int | Sequence[int] = 1,
    num_nodes: int = 1,
    precision: str = "32-true",
    strategy: str = "auto",
    tf32: bool = False,
) -> dict[str, Any]:
    """Train on CUDA GPUs.

    Args:
        devices: how many, or a list of their numbers.
        tf32: let float32 matrix products round their inputs to 10 bits of mantissa: faster on
            Ampere and newer, errors around 1e-3 relative.

    Raises:
        ValueError: torch sees no CUDA GPU.
    """
    if not torch.cuda.is_available():
        raise ValueError(
            f"accelerator=gpu, but torch {torch.__version__} sees no CUDA GPU here. Check "
            "nvidia-smi and that torch is a CUDA build, or use accelerator=cpu or "
            "accelerator=auto."
        )
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    return _arguments("gpu", devices, num_nodes, precision, strategy)


def auto(precision: str = "32-true") -> dict[str, Any]:
    """One CUDA GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return gpu(precision=precision)
    return cpu(precision=precision)


def _arguments(
    accelerator: str, devices: int | Sequence[int], num_nodes: int, precision: str, strategy: str
) -> dict[str, Any]:
    count = devices if isinstance(devices, int) else len(devices)
    many = num_nodes > 1 or count > 1
    if strategy == "auto" and many:
        strategy = "ddp"
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
