from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_runs
from rich.console import Console

from gnnpack.experiments.columns import Column, draw, fit_columns
from gnnpack.experiments.find_runs import find_runs
from gnnpack.experiments.runs_table import runs_table

CELLS = st.lists(st.text("abc é", max_size=40), min_size=3, max_size=3)
COLUMNS = st.lists(st.tuples(CELLS, st.sampled_from([0, 9, 24])), min_size=1, max_size=6).map(
    lambda made: [Column(f"h{i}", cells, foldable=least) for i, (cells, least) in enumerate(made)]
)


def printed(what: object, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(what)
    return out.getvalue().splitlines()


@given(COLUMNS, st.integers(1, 200), st.randoms())
def test_columns_give_way_in_their_order_until_the_rest_fits(columns, width, random):
    give_way = [column.heading for column in columns[1:]]
    random.shuffle(give_way)
    kept = fit_columns(columns, width, give_way)
    assert kept == [column for column in columns if column in kept]
    assert columns[0] in kept
    needed = sum(column.width + 2 for column in kept) - 2
    assert needed <= width or kept == columns[:1]
    gone = [column for column in columns if column not in kept]
    if gone:
        assert sum(column.width + 2 for column in columns) - 2 > width
    # No column that says something went while an empty one stayed.
    if any(not column.empty for column in gone):
        assert not any(column.empty for column in kept[1:])


def test_a_folding_column_keeps_all_its_text():
    column = Column("text", ["word " * 40], foldable=24)
    assert column.width == 24
    lines = printed(draw([column, Column("n", ["1"])], 60, []), 60)
    assert " ".join(lines).split().count("word") == 40
    assert lines[1].split()[-1] == "1"


def test_the_table_of_runs_fits_any_screen_and_says_what_is_missing(tmp_path):
    make_runs(tmp_path, 6, states={2: "failed"})
    runs = find_runs([tmp_path])
    for width in (50, 80, 120, 250, 1000):
        for reasons in (False, True):
            lines = printed(runs_table(runs, 0.0, width=width, reasons=reasons), width)
            assert max(map(len, lines)) <= width
            text = " ".join(lines)
            assert ("a wider screen shows" in text) == (width <= 120)
            assert ("RuntimeError" in text) == reasons
            assert "folder" in text
            assert width < 80 or runs[2].name in text
