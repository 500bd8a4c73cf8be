"""Which GPU or cores a job has for itself, among all jobs this user runs on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Mapping, Sequence

from gnnpack.experiments.gpus import gpu_numbers, own_names
from gnnpack.experiments.locks import take_lock

WAIT_SECONDS = 0.2
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLIS_NUM_THREADS",
)


@dataclass(frozen=True)
class Request:
    """What a job wants to itself.

    Attributes:
        kind: ``gpu``, ``cores``, or ``""`` for nothing.
        count: GPUs or cores.
        numbers: instead, GPUs by their place among those that can be seen.
        processes: that share the cores.
    """

    kind: str = ""
    count: int = 1
    numbers: Sequence[int] = ()
    processes: int = 1


@dataclass(frozen=True)
class Share:
    """What a job has to itself.

    Attributes:
        label: e.g. ``cuda:1`` or ``cores 0-1``; None for nothing.
        environment: what its process is told.
        cores: those it may use; () = all.
        locks: descriptors that its process must hold too.
    """

    label: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: Sequence[int] = ()
    locks: Sequence[int] = ()


def core_numbers() -> list[int]:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def too_many(request: Request) -> str | None:
    """Why this machine cannot give what is wanted; None if it can."""
    if not request.kind:
        return None
    there = len(gpu_numbers() if request.kind == "gpu" else core_numbers())
    wanted = max([request.count, *(number + 1 for number in request.numbers)])
    if wanted <= there:
        return None
    what = "GPUs" if request.kind == "gpu" else "cores"
    return (
        f"wants {wanted} {what} to itself and this machine has {there}. Lower "
        "accelerator.devices, or hydra.launcher.n_jobs where jobs share the cores."
    )


def refuse_too_many(request: Request, label: str) -> None:
    """ValueError if this machine cannot give what ``label`` wants."""
    refusal = too_many(request)
    if refusal is not None:
        raise ValueError(f"{label} {refusal}")


@contextlib.contextmanager
def device_share(request: Request, is_over: Callable[[], bool] = lambda: False) -> Iterator[Share]:
    """Wait for what is wanted, have it to oneself, and give it back.

    All of a request is taken while no other job may take any; so requests of several GPUs do not
    wait for each other. Who waits holds the others up even where one GPU is free. In which order
    those behind it come is not promised.

    Args:
        is_over: asked while it waits; whether nobody wants it any more.

    Raises:
        ValueError: there is less than that on this machine.
        KeyboardInterrupt: it is over.
    """
    if not request.kind:
        yield Share()
        return
    refuse_too_many(request, "The job")
    folder = share_folder()
    names = gpu_numbers() if request.kind == "gpu" else [str(one) for one in core_numbers()]
    if request.numbers:
        names = [names[number] for number in request.numbers]
    count = len(request.numbers) or request.count
    # One GPU has one lock, whatever a process calls it.
    locks = own_names(names) if request.kind == "gpu" else {name: name for name in names}
    taken: dict[str, int] = {}

    def wait() -> None:
        if is_over():
            raise KeyboardInterrupt
        time.sleep(WAIT_SECONDS)

    try:
        queue = take_lock(folder / f"{request.kind}.queue", patience=0.0)
        while queue is None:
            wait()
            queue = take_lock(folder / f"{request.kind}.queue", patience=0.0)
        try:
            while not _take(folder, request.kind, locks, count, taken):
                wait()
        finally:
            os.close(queue)
        yield _share(request, [one for one in names if one in taken], list(taken.values()))
    finally:
        for descriptor in taken.values():
            os.close(descriptor)


def share_folder() -> Path:
    """This user's folder of locks, in the machine's folder for temporary files.

    Raises:
        ValueError: somebody else owns the folder.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"gnnpack-devices-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user:
        raise ValueError(f"{folder} belongs to another user; set TMPDIR to a folder of your own.")
    return folder


def _take(
    folder: Path, kind: str, locks: Mapping[str, str], count: int, taken: dict[str, int]
) -> bool:
    """Add what is free of ``locks`` to ``taken`` until it holds ``count``; whether it does."""
    for name, lock in locks.items():
        if len(taken) == count:
            break
        if name in taken:
            continue
        safe = re.sub(r"[^A-Za-z0-9_.-]", "_", lock)
        descriptor = take_lock(folder / f"{kind}-{safe}.lock", patience=0.0)
        if descriptor is not None:
            taken[name] = descriptor
    return len(taken) == count


def _share(request: Request, names: Sequence[str], locks: Sequence[int]) -> Share:
    if request.kind == "gpu":
        label = ",".join(f"cuda:{name}" for name in names)
        # Chosen by number: the job counts from what can be seen, as it would alone.
        chosen = {} if request.numbers else {"CUDA_VISIBLE_DEVICES": ",".join(names)}
        return Share(label, chosen, (), locks)
    cores = [int(name) for name in names]
    each = max(1, len(cores) // request.processes)
    return Share(f"cores {ranges(cores)}", threads(each), cores, locks)


def threads(count: int) -> dict[str, str]:
    """Environment variables by which libraries start ``count`` threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(count))


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers as people write them.

    >>> ranges([0, 1, 2, 5])
    '0-2,5'
    """
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)
