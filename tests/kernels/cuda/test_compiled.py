"""Every kernel compiles for sm_80 and sm_90, wide accesses, no spills; no GPU needed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or sys.version_info < (3, 10),
    reason="Triton 3 is not installed; `make setup` installs it on Linux x86-64",
)

KERNELS = Path(__file__).resolve().parents[3] / "src" / "gnnpack" / "kernels" / "cuda"
# They move rows of channels, so the widest access is to be had for each.
MOVE_ROWS = {
    "convolve_ranges",
    "position_gradient",
    "table_gradient_shares",
    "tail_forward",
    "softplus_forward",
    "softplus_backward",
}
# What a program may ask for on the smallest device of the generation (sm_86 beside sm_80).
SHARED_BYTES = {80: 99 * 1024, 90: 227 * 1024}


@pytest.fixture(
    scope="module",
    params=[pytest.param(80, marks=pytest.mark.slow, id="sm_80"), pytest.param(90, id="sm_90")],
)
def compiled(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cubin")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("TRITON_INTERPRET", None)
    script = Path(__file__).with_name("compile_kernels.py")
    done = subprocess.run(
        [sys.executable, script, folder, str(request.param)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_kernel_is_compiled(compiled):
    written = set()
    for file in KERNELS.glob("*_kernels.py"):
        # A function that others call has no program of its own.
        for part in file.read_text(encoding="utf-8").split("@triton.jit\n")[1:]:
            if "tl.program_id" in part:
                written.add(part.split("def ")[1].split("(")[0])
    assert {row["kernel"] for row in compiled} == written
    assert written >= MOVE_ROWS


def test_no_kernel_spills_or_asks_for_more_than_there_is(compiled):
    for row in compiled:
        assert row["stack"] == 0, row
        assert row["registers"] < 255, row
        assert row["shared"] <= SHARED_BYTES[row["architecture"]], row


def test_rows_are_read_and_written_sixteen_bytes_at_a_time(compiled):
    for row in compiled:
        if row["kernel"] not in MOVE_ROWS:
            continue
        # It sums over channels, so it may not read past the last one: 8 bytes of 100 halves.
        sums_halves = row["kernel"] == "position_gradient" and row["table_bytes"] == 2
        assert max(row["loads"]) == (8 if sums_halves else 16), row
        # Slots, ranges and positions are single numbers; channels one by one would be dozens.
        assert sum(size <= 4 for size in row["loads"]) <= 18, row
        if row["kernel"] != "position_gradient":
            assert max(row["stores"]) == 16, row


def test_a_pair_costs_the_convolution_its_taps_and_one_row(compiled):
    rows = [row for row in compiled if row["kernel"] == "convolve_ranges"]
    # A float32 table beside features of 2 bytes takes twice the loads.
    for times_wider, taps in ((1, (2, 4)), (2, (4,))):  # linear, cubic Hermite
        found = {
            row["loads"].count(16)
            for row in rows
            if row["table_bytes"] == times_wider * row["bytes"]
        }
        assert found == {times_wider * count + 1 for count in taps}  # each loop is compiled once


def test_the_models_rows_have_room_for_the_widest_access(compiled):
    """100 channels of 2 bytes lie in rows of 104, and so does the float32 table beside them."""
    rows = [row for row in compiled if row["table_bytes"] != row["bytes"]]
    for kernel in ("convolve_ranges", "table_gradient_shares"):
        found = [row for row in rows if row["kernel"] == kernel]
        assert found, kernel
        assert not any(8 in row["loads"] + row["stores"] for row in found), found


def test_products_use_tensor_cores_where_torch_allows_tf32_alone(compiled):
    products = [
        row for row in compiled if row["kernel"] in ("table_gradient_shares", "tail_forward")
    ]
    assert len({row["precision"] for row in products}) == 2
    for row in products:
        assert bool(row["products"]) is (row["precision"] != "highest"), row


def test_no_kernel_uses_atomics(compiled):
    assert not any(row["atomics"] for row in compiled)
