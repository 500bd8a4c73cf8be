"""How much memory a call needs at its highest, as the kernel counts it."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, NamedTuple, Sequence

METHOD = (
    "Peak MB (10^6 bytes): how far the resident set rises above where it stood (VmHWM after "
    "/proc/self/clear_refs), in a process of its own, apart from the timed calls, the second time "
    "that a call is made. It counts what compiled kernels allocate too, not the sizes themselves. "
    "Python loops: tracemalloc, since Python keeps much of what was freed."
)
# glibc then gives every array back to the system at once: no call lives on what another freed.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class Job(NamedTuple):
    """Calls to measure, each on what `load` makes; all of it can be pickled.

    loops: calls that allocate nothing but Python's objects.
    """

    load: Callable[[], Any]
    calls: Sequence[Callable[[Any], object]]
    loops: Sequence[Callable[[Any], object]] = ()


def peak_memory(jobs: Sequence[Job]) -> list[list[int]] | None:
    """Bytes that each job's calls, then loops, add at their highest; None where Linux cannot tell.

    RuntimeError: a call failed.
    """
    if not _can_tell():
        return None
    done = subprocess.run(
        [sys.executable, "-c", "from gnnpack.bench.peak_memory import serve; serve()"],
        input=pickle.dumps(list(jobs)),
        stdout=subprocess.PIPE,
        env={**os.environ, **_ENVIRONMENT},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"measuring memory failed (exit {done.returncode}); see above for why.")
    found: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def serve() -> None:
    """The process of its own: pickled jobs on stdin, bytes as JSON on stdout."""
    jobs: list[Job] = pickle.load(sys.stdin.buffer)
    found = [_peaks(_resident_peak, job.load, job.calls) for job in jobs]
    # Afterwards: Python's objects leave holes in which later arrays would hide.
    for peaks, job in zip(found, jobs):
        peaks += _peaks(_traced_peak, job.load, job.loops)
    print(json.dumps(found))


def _peaks(
    measure: Callable[[Callable[[Any], object], Any], int],
    load: Callable[[], Any],
    calls: Sequence[Callable[[Any], object]],
) -> list[int]:
    loaded = load()
    return [measure(call, loaded) for call in calls]


def _resident_peak(call: Callable[[Any], object], loaded: Any) -> int:
    # The first time compiles, and brings the program's own pages in.
    call(loaded)
    _trim()
    _CLEAR.write_text("5")
    before = status_bytes("VmRSS")
    call(loaded)
    after = status_bytes("VmHWM")
    assert before is not None, "only asked where Linux can tell"
    assert after is not None, "only asked where Linux can tell"
    return after - before


def _traced_peak(loop: Callable[[Any], object], loaded: Any) -> int:
    tracemalloc.start()
    loop(loaded)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def _trim() -> None:
    """Give free memory back to the system; libraries but glibc keep none or have no such call."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def status_bytes(name: str) -> int | None:
    """An entry of this process's /proc/self/status in bytes; None where there is no such file."""
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise AssertionError(f"Linux always has {name} in {_STATUS}")


def _can_tell() -> bool:
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return _STATUS.exists()
