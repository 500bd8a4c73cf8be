from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import make_runs
from rich.console import Console

from gnnpack.experiments.run_facts import filler_fraction, molecules_per_second, seconds
from gnnpack.experiments.run_folder import RunFacts
from gnnpack.experiments.run_state import STATES
from gnnpack.experiments.time_left import run_seconds_left, sweep_seconds_left
from gnnpack.experiments.watch import pick_watched, watch
from gnnpack.experiments.watch_table import (
    OTHER_LINES,
    PAUSE_SECONDS,
    cells,
    over,
    watch_view,
    watched_rows,
)

NOW = 1_800_000_000.0


def job(number: int, state: str, **facts: object) -> RunFacts:
    return RunFacts(Path(f"s/{number}"), state, sweep="s", swept={"seed": str(number)}, **facts)


def done(number: int, seconds: float) -> RunFacts:
    return job(number, "done", summary={"wall_seconds": seconds})


def running(number: int, *, age: float = 0.0, **live: object) -> RunFacts:
    told = {"phase": "training", "epoch": 3, "max_epochs": 20, "time": NOW - age, **live}
    return job(number, "running", live=told)


def printed(runs: list[RunFacts], height: int | None = None, width: int = 200) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(watch_view(runs, NOW, width=width, height=height))
    return out.getvalue()


def test_a_running_job_tells_epoch_loss_speed_and_time():
    run = running(
        0, loss=0.51234, val_mae=0.25, molecules_per_second=5417.2, seconds=75.0, seconds_left=40.0
    )
    assert cells(run, NOW) == [
        "seed=0", "training", "3/20", "0.5123", "0.25", "5,417", "1 min 15 s", "40.0 s", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "state, is_search", [("failed", False), ("unfinished", False), ("done", True)]
)
def test_a_moment_between_two_jobs_is_no_end(tmp_path, state, is_search):
    if is_search:
        (tmp_path / "study.json").write_text("{}")
    time = datetime.fromtimestamp(NOW, timezone.utc).isoformat()
    runs = [
        RunFacts(tmp_path / "0", state, sweep="s", status={"ended": time}),
        RunFacts(tmp_path / "1", "done", sweep="s", status={"ended": time}),
    ]
    assert not over(runs, NOW + 1.0)
    assert over(runs, NOW + PAUSE_SECONDS + 1.0)
    (tmp_path / "study.json").unlink(missing_ok=True)
    assert over(runs[1:], NOW + 1.0), "nothing is left that a start could try again"


def test_time_left_runs_on_between_two_news():
    assert run_seconds_left(running(0, seconds_left=40.0, age=15.0), NOW) == 25.0
    assert run_seconds_left(running(0, seconds_left=40.0, age=50.0), NOW) == 0.0
    by_updates = running(0, updates=100, total_updates=400, seconds=30.0)
    assert run_seconds_left(by_updates, NOW) == pytest.approx(90.0)
    assert run_seconds_left(running(0, updates=100), NOW) is None
    assert run_seconds_left(done(0, 5.0), NOW) is None


def test_a_job_that_tells_nothing_any_more_is_shown_so():
    assert cells(running(0, age=200.0), NOW)[1] == "silent for 3 min 20 s"
    assert cells(job(0, "running"), NOW)[1] == "waiting"
    assert cells(job(0, "running", status={"state": "running"}), NOW)[1] == "starting"


def test_errors_have_their_unit_as_far_as_it_is_told():
    assert cells(running(0, val_mae=0.25, unit="eV"), NOW)[4] == "250.0 meV"
    assert cells(running(0, val_mae=0.25), NOW)[4] == "0.25"


def test_the_sweep_s_time_left_is_the_work_over_those_side_by_side():
    jobs = [done(0, 100.0), done(1, 200.0), job(4, "missing"), job(5, "unfinished")]
    two = [running(2, seconds_left=30.0), running(3, seconds_left=10.0)]
    assert sweep_seconds_left([*jobs, *two], NOW) == pytest.approx((30 + 10 + 2 * 150) / 2)
    # It cannot end before its longest job.
    assert sweep_seconds_left([*two, running(6, seconds_left=500.0)], NOW) == pytest.approx(500.0)


def test_a_job_s_time_is_that_of_its_process():
    begun = {"started": "2027-01-15T08:00:00+00:00"}
    status = {**begun, "ended": "2027-01-15T08:01:30+00:00"}
    summary = {"wall_seconds": 60.0}
    assert seconds(job(0, "done", status=status, summary=summary), NOW) == 90.0
    assert seconds(job(0, "done", status=begun, summary=summary), NOW) == 60.0
    assert seconds(job(0, "running", status=begun), NOW + 5.0) == 5.0
    assert seconds(job(0, "unfinished", live={"seconds": 7.0}), NOW) == 7.0


def test_old_summaries_tell_filler_and_rate_too():
    old = job(0, "done", summary={"atom_efficiency": 0.75, "train_molecules_per_second": 5.0})
    assert (filler_fraction(old), molecules_per_second(old)) == (0.25, 5.0)
    old.summary = {**old.summary, "filler_fraction": 0.3, "molecules_per_second_median": None}
    assert (filler_fraction(old), molecules_per_second(old)) == (0.3, 5.0)
    assert filler_fraction(job(0, "done")) is None


def test_the_sweep_s_time_left_is_unknown_until_something_tells():
    assert sweep_seconds_left([running(0), job(1, "missing")], NOW) is None
    one = running(0, seconds=20.0, seconds_left=80.0)
    assert sweep_seconds_left([one, job(1, "missing")], NOW) == pytest.approx(180.0)
    assert sweep_seconds_left([done(0, 9.0)], NOW) == 0.0


def test_counts_and_time_left_stand_above_the_table():
    failed = job(3, "failed", reason="ValueError: no")
    text = printed([done(0, 100.0), running(1, seconds_left=90.0), failed, job(2, "missing")])
    first, second, *_ = text.splitlines()
    assert first.strip() == "sweep s: done 1, running 1, failed 1 (ValueError: no), missing 1"
    assert second.strip() == "about 3 min 10 s left"


def test_a_stopped_sweep_says_what_starts_it_again():
    assert "its command starts what is missing" in printed([job(0, "missing"), done(1, 1.0)])


def test_a_narrow_screen_says_what_it_leaves_out():
    run = running(0, loss=0.5, val_mae=0.25, molecules_per_second=5417.0, seconds_left=40.0)
    lines = printed([run], width=40).splitlines()
    assert lines[2].split() == ["job", "state", "epoch", "left"]
    assert lines[3].split() == ["seed=0", "training", "3/20", "40.0", "s"]
    last = " ".join(" ".join(lines[4:]).split())
    assert last == "a wider screen shows: loss, val MAE, molecules/s"


def test_a_small_screen_holds_what_goes_on_first():
    ended = [done(n, 10.0 + n) for n in range(50)]
    for n, run in enumerate(ended):
        run.status = {"ended": f"2026-03-01T12:{n:02d}:00+00:00"}
    runs = [*ended, job(50, "missing"), running(51)]
    shown = watched_rows(runs, OTHER_LINES + 3)
    assert [run.swept["seed"] for run in shown] == ["51", "49", "48"]
    assert "and 49 others" in printed(runs, OTHER_LINES + 3)
    assert watched_rows(runs, None) == runs


LIVE = [
    *("epoch", "max_epochs", "updates", "total_updates", "loss", "val_mae"),
    *("molecules_per_second", "seconds", "seconds_left", "time", "phase"),
]
FACTS = st.builds(
    lambda state, number, live, seconds: job(
        number,
        state,
        live=live,
        summary={"wall_seconds": seconds, "unit": "eV"} if state == "done" else {},
    ),
    st.sampled_from(STATES),
    st.integers(0, 99),
    st.dictionaries(
        st.sampled_from(LIVE),
        st.sampled_from([None, 0, -1, 3, 0.5, 1e9, NOW, float("nan"), "", "testing", []]),
    ),
    st.floats(0, 1e6),
)


@given(st.lists(FACTS, max_size=6), st.integers(9, 40), st.integers(100, 200))
def test_whatever_the_runs_tell_it_is_a_table_that_fits_the_screen(runs, height, width):
    lines = printed(runs, height, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= height
    left = sweep_seconds_left(runs, NOW)
    assert left is None or left >= 0.0


def scene(*looks: list[RunFacts]):
    """Reads one after the other; the clock is told, and waiting never waits."""
    left = list(looks)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_watching_ends_when_nothing_runs_and_nothing_is_missing():
    out = io.StringIO()
    waits = []
    looks = (
        [running(0), job(1, "missing")],
        [done(0, 5.0), running(1)],
        [done(0, 5.0), done(1, 6.0)],
    )
    watch(
        scene(*looks),
        Console(file=out, width=200),
        seconds=2.0,
        clock=lambda: NOW,
        wait=lambda seconds: waits.append(seconds),
    )
    assert waits == [2.0, 2.0]
    # A pipe gets a whole table each time, and nothing that moves a cursor.
    assert out.getvalue().count("molecules/s") == 3
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "All have ended: done 2."


@pytest.mark.parametrize("terminal", [False, True])
def test_q_and_ctrl_c_end_it_quietly(terminal):
    def interrupt(seconds: float) -> bool:
        raise KeyboardInterrupt

    for end in (interrupt, lambda seconds: True):
        out = io.StringIO()
        console = Console(file=out, width=200, height=30, force_terminal=terminal)
        watch(scene([running(0)]), console, seconds=2.0, clock=lambda: NOW, wait=end)
        assert "seed=0" in out.getvalue()
        assert "ended" not in out.getvalue()


def test_the_newest_sweep_is_watched_unless_another_runs(tmp_path):
    for name, day in (("old", 1), ("new", 2)):
        make_runs(tmp_path / name, 1, sweep=name)
        content = {"name": name, "jobs": [], "started": f"2026-03-0{day}T00:00:00+00:00"}
        (tmp_path / name / "sweep.json").write_text(json.dumps(content))
    jobs = [RunFacts(tmp_path / name / "0", "done", sweep=name) for name in ("new", "old")]
    assert pick_watched(jobs) == [tmp_path / "new"]
    jobs[1].state = "running"
    assert pick_watched(jobs) == [tmp_path / "old"]
    single = RunFacts(tmp_path / "single", "running")
    assert pick_watched([*jobs, single]) == [tmp_path / "old", tmp_path / "single"]
    assert pick_watched([]) == []
