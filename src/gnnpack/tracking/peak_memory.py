"""The most memory a process has had, on the host and on its GPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def peak_host_bytes(status: Path = STATUS) -> int | None:
    """Resident memory of this process at its highest since it began; None where nobody tells."""
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return _from_rusage()


def peak_device_bytes(device: Any) -> int | None:
    """What torch has reserved of a CUDA ``device`` at its highest since `forget_device_peak`."""
    if device.type != "cuda":
        return None
    import torch

    return int(torch.cuda.max_memory_reserved(device))


def forget_device_peak(device: Any) -> None:
    """Let the highest begin anew: an earlier run of the same process may have had more."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def _from_rusage() -> int | None:
    try:
        import resource
    except ImportError:
        return None  # Windows
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest
