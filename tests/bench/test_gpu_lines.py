"""Steps of the GPU benchmark: one line each, kept, resumed, and errors that stop nothing."""

from __future__ import annotations

import json

import pytest

from gnnpack.bench.gpu_lines import RUN, Lines, Step, run_steps

RECORD = {"device": "cuda", "dataset": "qm9"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "bench.jsonl"


def counted(name: str, seconds: float = 1.0, fails: bool = False):
    """A step, and the list it adds its calls to."""
    calls: list[dict] = []

    def measure(earlier):
        calls.append(dict(earlier))
        if fails:
            raise RuntimeError("no luck\nand more")
        return {"value": len(calls)}

    return Step(name, seconds, measure), calls


def run(steps, lines, seconds=100.0, **options):
    said: list[str] = []
    left = run_steps(steps, lines, seconds=seconds, clock=lambda: 0.0, say=said.append, **options)
    return left, [json.loads(line) for line in said]


def test_each_step_is_a_line_at_once_and_sees_those_before(path):
    (one, one_calls), (two, two_calls) = counted("one"), counted("two")
    lines = Lines(path, RECORD)
    left, said = run([one, two], lines)
    assert left == []
    assert [line["name"] for line in said] == ["one", "two"]
    on_disk = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert on_disk == [{"name": RUN, "seconds": 0.0, "result": RECORD}, *said]
    assert one_calls == [{RUN: RECORD}]
    assert two_calls == [{RUN: RECORD, "one": {"value": 1}}]


def test_a_step_that_has_a_line_is_not_run_again(path):
    (one, calls), (two, _) = counted("one"), counted("two")
    run([one], Lines(path, RECORD))
    left, said = run([one, two], Lines(path, RECORD))
    assert (len(calls), left, [line["name"] for line in said]) == (1, [], ["two"])


def test_an_error_is_a_line_and_the_rest_goes_on(path):
    (bad, calls), (good, _) = counted("bad", fails=True), counted("good")
    lines = Lines(path, RECORD)
    told = []
    _, said = run([bad, good], lines, after=told.append)
    assert said[0]["error"] == "RuntimeError: no luck"
    assert "measure" in said[0]["traceback"]
    assert said[1]["result"] == {"value": 1}
    assert told == [True, False]
    assert set(lines.errors) == {"bad"}
    run([bad, good], Lines(path, RECORD), retry=False)
    assert len(calls) == 1
    run([bad, good], Lines(path, RECORD))
    assert len(calls) == 2


def test_an_error_that_was_mended_is_forgotten(path):
    run([counted("one", fails=True)[0]], Lines(path, RECORD))
    run([counted("one")[0]], Lines(path, RECORD))
    lines = Lines(path, RECORD)
    assert lines.errors == {}
    assert lines.results["one"] == {"value": 1}


def test_what_would_end_too_late_is_left_and_shorter_steps_are_not(path):
    (long, calls), (short, _) = counted("long", seconds=50), counted("short", seconds=5)
    left, said = run([long, short], Lines(path, RECORD), seconds=20)
    assert (left, [line["name"] for line in said]) == (["long"], ["short"])
    assert not calls


def test_a_line_that_a_kill_cut_off_is_measured_again(path):
    (one, _), (two, calls) = counted("one"), counted("two")
    run([one, two], Lines(path, RECORD))
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-10], encoding="utf-8")
    _, said = run([one, two], Lines(path, RECORD))
    assert (len(calls), [line["name"] for line in said]) == (2, ["two"])
    assert set(Lines(path, RECORD).results) == {RUN, "one", "two"}


def test_figures_of_other_code_are_not_mixed_in(path):
    Lines(path, RECORD)
    with pytest.raises(ValueError, match=r"begun with dataset qm9.*synthetic.*name="):
        Lines(path, {**RECORD, "dataset": "synthetic"})


def test_two_steps_of_one_name_cannot_be(path):
    with pytest.raises(AssertionError, match="by its name"):
        run([counted("one")[0], counted("one")[0]], Lines(path, RECORD))
