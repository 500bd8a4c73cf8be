"""Energy from a tree of files like Linux's, and from a module like NVML's."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gnnpack.tracking.compile_clock import CompileClock
from gnnpack.tracking.energy import (
    NVML,
    RAPL,
    EnergyTally,
    device_uuid,
    energy_counters,
    nvml_counter,
    rapl_zones,
    visible_device,
)
from gnnpack.tracking.peak_memory import peak_host_bytes

RANGE = 1_000_000_000


def zone(folder: Path, name: str, microjoules: int | None) -> Path:
    folder.mkdir(parents=True)
    (folder / "name").write_text(name + "\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    if microjoules is not None:
        (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


@pytest.fixture
def powercap(tmp_path) -> Path:
    """Two packages, memory and cores of the first, the board, and the same counter once more."""
    root = tmp_path / "powercap"
    first = zone(root / "intel-rapl:0", "package-0", 500)
    zone(first / "intel-rapl:0:0", "core", 100)
    zone(first / "intel-rapl:0:1", "dram", 50)
    zone(root / "intel-rapl:1", "package-1", 700)
    zone(root / "intel-rapl:2", "psys", 9_000)
    zone(root / "intel-rapl-mmio:0", "package-0", 500)
    zone(root / "intel-rapl", "", None)
    return root


def add(zone: Path, microjoules: int) -> None:
    file = zone / "energy_uj"
    file.write_text(str((int(file.read_text()) + microjoules) % RANGE))


def test_packages_and_their_memory_count_once(powercap):
    counter = RAPL(rapl_zones(powercap))
    assert counter.source == "RAPL dram package-0 package-1"
    assert counter.joules() == 0.0
    for path in powercap.rglob("energy_uj"):
        add(path.parent, 2_000_000)
    assert counter.joules() == pytest.approx(3 * 2.0)


def test_a_counter_that_begins_anew_goes_on(powercap):
    counter = RAPL(rapl_zones(powercap)[:1])
    for _ in range(5):
        add(powercap / "intel-rapl:0", 700_000_000)
        found = counter.joules()
    assert found == pytest.approx(5 * 700.0)


def test_files_that_may_not_be_read_tell_nothing(powercap, tmp_path):
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    assert [path.name for path in rapl_zones(powercap)] == ["intel-rapl:1", "intel-rapl:0:1"]
    assert rapl_zones(tmp_path / "none") == []
    assert energy_counters(torch.device("cpu"), tmp_path / "none") == []
    counter = RAPL(rapl_zones(powercap))
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert counter.joules() is None


class FakeNVML:
    """NVML of two devices, by number and by UUID, at 1 and 5 kJ."""

    def __init__(self) -> None:
        self.millijoules = {0: 1_000_000, 1: 5_000_000}
        self.names = [b"NVIDIA Fake", b"NVIDIA Fake"]

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> int:
        return {b"GPU-a": 0, b"GPU-b": 1}[uuid]

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return self.names[handle]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        return self.millijoules[handle]


@pytest.fixture
def nvml(monkeypatch) -> FakeNVML:
    fake = FakeNVML()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr("gnnpack.tracking.energy.device_uuid", lambda index: None)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_the_gpu_is_the_one_the_process_sees(nvml, monkeypatch, powercap):
    for visible, joules in ((None, 1_000), ("1", 5_000), ("GPU-b,GPU-a", 5_000)):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        counters = energy_counters(torch.device("cuda", 0), powercap)
        assert [counter.source.split()[0] for counter in counters] == ["RAPL", "NVML"]
        assert counters[1].joules() == joules
    assert counters[1].source == "NVML NVIDIA Fake"
    assert visible_device(1, "2, 3") == 3


def test_torchs_own_name_of_a_gpu_counts_first(nvml, monkeypatch, tmp_path):
    """CUDA counts the fastest first, so its number 0 may be NVML's 1."""
    monkeypatch.setattr("gnnpack.tracking.energy.device_uuid", ["GPU-b", "GPU-a"].__getitem__)
    for index, joules in ((0, 5_000), (1, 1_000)):
        (counter,) = energy_counters(torch.device("cuda", index), tmp_path)
        assert counter.joules() == joules


@pytest.mark.parametrize("uuid", ["8f2e-01", "GPU-8f2e-01"])
def test_torchs_uuid_is_written_as_nvml_does(monkeypatch, uuid):
    properties = SimpleNamespace(uuid=uuid)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    assert device_uuid(0) == "GPU-8f2e-01"
    del properties.uuid
    assert device_uuid(0) is None


def test_unlike_gpus_in_an_order_that_nobody_knows_are_not_measured(nvml, monkeypatch, tmp_path):
    nvml.names[1] = b"NVIDIA Other"
    assert energy_counters(torch.device("cuda", 0), tmp_path) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-b")
    assert energy_counters(torch.device("cuda", 0), tmp_path)[0].joules() == 5_000
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert energy_counters(torch.device("cuda", 0), tmp_path)[0].joules() == 5_000


@pytest.mark.parametrize("broken", ["missing", "no driver", "no counter", "no such device"])
def test_without_a_counter_of_the_gpu_nothing_is_said(nvml, monkeypatch, broken):
    def refuse(*arguments: object) -> None:
        raise RuntimeError("NVML: Not Supported")

    if broken == "missing":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    elif broken == "no driver":
        nvml.nvmlInit = refuse
    elif broken == "no counter":
        nvml.nvmlDeviceGetTotalEnergyConsumption = refuse
    assert nvml_counter(7 if broken == "no such device" else 0) is None


class Counting:
    """Joules that are told."""

    def __init__(self, source: str, of_machine: bool) -> None:
        self.source, self.of_machine, self.now = source, of_machine, 0.0

    def joules(self):
        return self.now


def test_a_tally_shares_what_is_of_the_machine():
    host, gpu = Counting("RAPL x", True), Counting("NVML y", False)
    tally = EnergyTally([host, gpu], ranks=4)
    assert tally.source == "RAPL x + NVML y"
    host.now, gpu.now = 100.0, 10.0
    tally.begin()
    host.now, gpu.now = 180.0, 13.0
    assert tally.take() == pytest.approx(20.0 + 3.0)
    assert tally.take() == 0.0
    gpu.now = None
    assert tally.take() is None
    assert not tally.tells
    nobody = EnergyTally([], ranks=1)
    assert (nobody.take(), nobody.source, nobody.tells) == (None, None, False)


def test_an_nvml_that_breaks_later_tells_no_more():
    assert NVML("x", lambda: 1 // 0).joules() is None
    assert NVML("x", lambda: 2500).joules() == 2.5


def test_peak_memory_is_linuxs_or_the_systems(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  9999 kB\nVmHWM:\t    2048 kB\n")
    assert peak_host_bytes(status) == 2048 * 1024
    elsewhere = peak_host_bytes(tmp_path / "none")
    assert elsewhere is None or elsewhere > 1 << 20


def test_compilations_count_once_however_deep():
    now = iter([1.0, 4.0, 10.0, 10.5])
    clock = CompileClock(lambda: next(now))
    clock.begin()
    clock.begin()
    clock.end()
    clock.end()
    assert clock.seconds == 3.0
    clock.begin()
    clock.end()
    assert clock.seconds == 3.5
    clock.stop()


def test_numbas_compilations_are_heard_until_stopped():
    numba = pytest.importorskip("numba")
    clock = CompileClock()
    numba.njit(lambda x: x + 1)(1)
    heard = clock.seconds
    assert heard > 0
    clock.stop()
    numba.njit(lambda x: x + 2)(1)
    assert clock.seconds == heard


def test_no_numba_no_compilation(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba.core", SimpleNamespace())
    clock = CompileClock()
    clock.stop()
    assert clock.seconds == 0.0
