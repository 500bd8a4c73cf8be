"""Figures of pack sizes, and the page they stand in."""

from __future__ import annotations

import struct

import pytest

from gnnpack.tracking.plan_figures import empty_slots, molecule_sizes, packing_efficiency
from gnnpack.tracking.plan_page import write_page


def png_size(file):
    data = file.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize("sizes", [[36], [36, 40, 54]])
def test_efficiency(tmp_path, sizes):
    share = [1.0, 0.9, 0.5][: len(sizes)]
    file = tmp_path / "figures" / "efficiency.png"
    packing_efficiency(
        sizes, {f"p{n}": share for n in range(9)}, share, file, title="t", marked={36: "here"}
    )
    assert png_size(file) == (1500, 1140)


def test_sizes_and_empty_slots(tmp_path):
    molecule_sizes([3, 6, 9], [5, 1, 2], tmp_path / "sizes.png", title="t")
    plans = {"a": ([0, 2, 40], [90, 5, 5]), "b": ([0], [1])}
    empty_slots(plans, tmp_path / "fill.png", title="t")
    assert png_size(tmp_path / "sizes.png") == png_size(tmp_path / "fill.png") == (1500, 600)


def test_bad_input_is_named(tmp_path):
    file = tmp_path / "x.png"
    with pytest.raises(ValueError, match="2 pack sizes and lines of"):
        packing_efficiency([36, 40], {"a": [1.0]}, [1.0, 1.0], file, title="t")
    with pytest.raises(ValueError, match="0 pack sizes"):
        packing_efficiency([], {}, [], file, title="t")
    with pytest.raises(ValueError, match="1 sizes and 2 counts"):
        molecule_sizes([3], [1, 2], file, title="t")
    with pytest.raises(ValueError, match="no plans"):
        empty_slots({}, file, title="t")
    assert not file.exists()


def test_text_of_a_page_is_escaped(tmp_path):
    page = {"title": "a<b", "sentences": ["<script>"], "headings": ["x", "y"], "figures": {}}
    write_page(tmp_path / "plan.html", **page, rows=[["1", "<i>"], ["2", "&"]], marked=1)
    text = (tmp_path / "plan.html").read_text(encoding="utf-8")
    for wrong in ("a<b", "<script>", "<i>"):
        assert wrong not in text
    assert '<tr class="marked"><td>2</td><td>&amp;</td></tr>' in text


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="cannot write"):
        molecule_sizes([3], [1], tmp_path / "file" / "x.png", title="t")
