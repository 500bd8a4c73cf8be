"""Energy that the machine's own counters tell: RAPL for processors, NVML for NVIDIA GPUs.

Both count all that the part draws, whoever uses it, idle current included; nothing is subtracted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Protocol, Sequence

POWERCAP = Path("/sys/class/powercap")
MICROJOULES, MILLIJOULES = 1e-6, 1e-3


class EnergyCounter(Protocol):
    """Counts joules.

    Attributes:
        source: who counts what.
        of_machine: of all processes of the machine, not of this one's device.
    """

    source: str
    of_machine: bool

    def joules(self) -> float | None:
        """Since a moment that stays the same; None when it cannot tell any more."""


class RAPL:
    """Processor packages and their memory, of Intel and of AMD, through Linux's powercap files.

    A file counts microjoules and begins anew at its largest number, which a busy server reaches
    within minutes: between two calls of `joules` it may do so once.

    Args:
        zones: folders with ``energy_uj`` and ``max_energy_range_uj``, no one part of another.
    """

    of_machine = True

    def __init__(self, zones: Sequence[Path]) -> None:
        names = sorted(_read_text(zone / "name") or zone.name for zone in zones)
        self.source = f"RAPL {' '.join(names)}"
        self._zones = list(zones)
        self._ranges = [_read_number(zone / "max_energy_range_uj") or 0 for zone in zones]
        self._last = [_read_number(zone / "energy_uj") for zone in zones]
        self._sum = 0

    def joules(self) -> float | None:
        now = [_read_number(zone / "energy_uj") for zone in self._zones]
        for place, (number, before) in enumerate(zip(now, self._last)):
            if number is None or before is None:
                return None
            moved = number - before
            if moved < 0:
                moved += self._ranges[place]
            self._sum += max(0, moved)
        self._last = now
        return MICROJOULES * self._sum


class NVML:
    """One NVIDIA GPU, board memory included (Volta and newer).

    Args:
        read: millijoules so far; raises whatever it likes when it cannot tell.
    """

    of_machine = False

    def __init__(self, name: str, read: Callable[[], int]) -> None:
        self.source = f"NVML {name}"
        self._read = read

    def joules(self) -> float | None:
        try:
            return MILLIJOULES * self._read()
        except Exception:  # NVML's errors are of its own module, which may be gone
            return None


class EnergyTally:
    """Joules of this process from one reading to the next, all its counters together.

    Args:
        ranks: processes of this machine that share what is of the machine.

    Attributes:
        source: who counts; None = nobody.
        tells: whether all counters still do.
    """

    def __init__(self, counters: Sequence[EnergyCounter], ranks: int) -> None:
        self._counters, self._ranks = list(counters), max(1, ranks)
        self.source = " + ".join(counter.source for counter in counters) or None
        self.tells = bool(counters)
        self._before = 0.0

    def begin(self) -> None:
        """Take no account of what was drawn up to now."""
        self.take()

    def take(self) -> float | None:
        """Joules since the last call; None where nobody tells."""
        if not self.tells:
            return None
        now = 0.0
        for counter in self._counters:
            joules = counter.joules()
            if joules is None:
                self.tells = False
                return None
            now += joules / self._ranks if counter.of_machine else joules
        taken, self._before = now - self._before, now
        return taken


def energy_counters(device: Any, powercap: Path = POWERCAP) -> list[EnergyCounter]:
    """What tells of a training on a torch ``device``: the processors, and the GPU it is."""
    found: list[EnergyCounter] = []
    zones = rapl_zones(powercap)
    if zones:
        found.append(RAPL(zones))
    if device.type == "cuda":
        index = 0 if device.index is None else device.index
        gpu = nvml_counter(device_uuid(index) or _number_or_uuid(index))
        found += [] if gpu is None else [gpu]
    return found


def rapl_zones(powercap: Path = POWERCAP) -> list[Path]:
    """Packages, and the memory beside them, whose files may be read; on most systems only by root.

    ``psys`` is the whole board and holds the others; ``core`` and ``uncore`` are parts of a
    package.
    """
    packages = [zone for zone in sorted(powercap.glob("intel-rapl:*")) if zone.name.count(":") == 1]
    packages = [zone for zone in packages if (_read_text(zone / "name") or "") != "psys"]
    memory = [
        zone
        for package in packages
        for zone in sorted(package.glob("intel-rapl:*:*"))
        if _read_text(zone / "name") == "dram"
    ]
    return [zone for zone in (*packages, *memory) if _read_number(zone / "energy_uj") is not None]


def nvml_counter(device: int | str | None) -> NVML | None:
    """Of a GPU by number or UUID; None without pynvml, driver, such a GPU or a counter."""
    if device is None:
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        if isinstance(device, int):
            handle = pynvml.nvmlDeviceGetHandleByIndex(device)
        else:
            # Older versions of pynvml take bytes alone.
            handle = pynvml.nvmlDeviceGetHandleByUUID(device.encode())
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        name = pynvml.nvmlDeviceGetName(handle)
    except Exception:  # what pynvml raises is of its own types, and all mean the same
        return None
    name = name.decode() if isinstance(name, bytes) else name
    return NVML(name, lambda: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)))


def device_uuid(index: int) -> str | None:
    """NVML's name of the CUDA device that torch calls ``index``; None where torch cannot tell."""
    import torch

    try:
        uuid = torch.cuda.get_device_properties(index).uuid
    except (AttributeError, AssertionError, RuntimeError):  # older torch; no driver
        return None
    return str(uuid) if str(uuid).startswith("GPU-") else f"GPU-{uuid}"


def _number_or_uuid(index: int) -> int | str | None:
    """As the environment tells; None where CUDA may count the GPUs in another order than NVML."""
    name = visible_device(index, os.environ.get("CUDA_VISIBLE_DEVICES"))
    ordered = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return name if isinstance(name, str) or ordered or _gpus_are_alike() else None


def _gpus_are_alike() -> bool:
    """Whether all GPUs of the machine have one name: only then their order is the bus's."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return len({pynvml.nvmlDeviceGetName(handle) for handle in handles}) == 1
    except Exception:  # what pynvml raises is of its own types, and all mean the same
        return False


def visible_device(index: int, visible: str | None) -> int | str:
    """Number among all of the machine, or UUID, of the device that a process calls ``index``.

    >>> visible_device(1, None), visible_device(1, "4,7"), visible_device(0, "GPU-8f2e")
    (1, 7, 'GPU-8f2e')
    """
    if visible is None:
        return index
    name = visible.split(",")[index].strip()
    return int(name) if name.isdigit() else name


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _read_number(path: Path) -> int | None:
    text = _read_text(path)
    return int(text) if text is not None and text.isdigit() else None
