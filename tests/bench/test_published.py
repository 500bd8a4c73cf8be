"""Figures of others: each table says where they can be read, and shows every one."""

from __future__ import annotations

import re

from gnnpack.bench.published import Published, published_figures


def test_every_table_names_the_address_and_the_files_of_its_figures():
    assert published_figures()
    for table in published_figures():
        assert table["title"].startswith("Published, not measured here: ")
        assert re.search(r"https://\S+/\S+", table["source"]), table["title"]
        assert re.search(r"experiments/\S+\.(csv|ipynb)", table["source"]), table["title"]


def test_a_cell_without_a_figure_is_empty():
    table = Published("t", "s", {"a": {"one": 1_000}, "b": {"two": 2, "one": 3}}).as_dict()
    assert table["columns"] == ["", "one", "two"]
    assert table["rows"] == [["a", "1,000", ""], ["b", "3", "2"]]
