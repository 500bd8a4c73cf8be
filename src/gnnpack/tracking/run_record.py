"""run.json: what code, machine, data and seeds made this run."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any, Mapping, Sequence

GIT_TIMEOUT_SECONDS = 10.0

# Whatever of these is installed can change a result or a speed.
PACKAGES = (
    "gnnpack",
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "torch-geometric",
    "triton",
    "schnetpack",
    "numpy",
    "scipy",
    "numba",
    "ase",
    "hydra-core",
    "omegaconf",
    "wandb",
    "qm9pack",
    "poptorch",
)


def run_record(
    *,
    seeds: Mapping[str, int],
    data: Mapping[str, Any],
    argv: Sequence[str],
    source: Path | None = None,
) -> dict[str, Any]:
    """Everything needed to tell this run from another: start, argv, git, versions, machine.

    ``data`` is the data's fingerprint, kept as it is. ``source`` is the folder whose commit
    counts, the package's own by default.
    """
    return {
        "started": datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds"),
        "argv": list(argv),
        "seeds": dict(seeds),
        "data": dict(data),
        "git": git_state(source or Path(__file__).resolve().parents[1]),
        "versions": versions(),
        "machine": machine(),
    }


def git_state(folder: Path) -> dict[str, Any]:
    """``commit`` and ``dirty`` of the checkout that tracks ``folder``; both None outside one."""
    nothing: dict[str, Any] = {"commit": None, "dirty": None}
    # An installed copy may lie in a .venv inside somebody else's checkout, which ignores it.
    if not _git(folder, "ls-files", "--", "."):
        return nothing
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain")
    if commit is None or status is None:
        return nothing
    return {"commit": commit, "dirty": bool(status)}


def versions() -> dict[str, str]:
    """Python's version and those of the installed packages that matter."""
    found = {name: _version(name) for name in PACKAGES}
    installed = {name: version for name, version in found.items() if version is not None}
    return {"python": platform.python_version(), **installed}


def machine() -> dict[str, Any]:
    """CPU model, usable cores, memory in bytes, GPU names and system; no host name."""
    return {
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
        "gpus": _gpu_names(),
        "os": platform.platform(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    # GIT_DIR and its like, set inside a git hook, would point at another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=GIT_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int | None:
    # A container or a job may own fewer cores than the machine has; not every system can say.
    affinity = getattr(os, "sched_getaffinity", None)
    return os.cpu_count() if affinity is None else len(affinity(0))


def _memory_bytes() -> int | None:
    try:
        return int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return None


def _gpu_names() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
