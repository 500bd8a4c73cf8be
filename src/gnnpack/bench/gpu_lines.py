"""Steps of a benchmark that may end at any time: one JSON line each, kept; a line is not redone."""

from __future__ import annotations

import json
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

RUN = "run"
"""Name of a file's first line: what was run, of which code, where."""


class Step(NamedTuple):
    """One measurement.

    Args:
        seconds: it takes about so long.
        measure: results of earlier steps by name -> its own, plain values.
    """

    name: str
    seconds: float
    measure: Callable[[Mapping[str, Any]], dict[str, Any]]


class Lines:
    """A file of JSON lines, one a step: ``result``, or ``error`` and ``traceback``.

    Args:
        record: what tells this benchmark from others; the first line of a new file.

    Raises:
        ValueError: the file was begun with another record.
    """

    def __init__(self, path: Path, record: Mapping[str, Any]) -> None:
        self.path = path
        self._lines = _read(path)
        if RUN not in self._lines:
            self.add(RUN, 0.0, {"result": dict(record)})
        kept = self._lines[RUN]["result"]
        for key, value in json.loads(json.dumps(record)).items():
            if kept.get(key) != value:
                raise ValueError(
                    f"{path} was begun with {key} {kept.get(key)}, and this is {value}: figures of "
                    "both would mix. Give another name=..., or move the file away."
                )

    @property
    def results(self) -> dict[str, Any]:
        """By step, of those that worked."""
        return {name: line["result"] for name, line in self._lines.items() if "result" in line}

    @property
    def errors(self) -> dict[str, str]:
        """By step, of those that did not."""
        return {name: line["error"] for name, line in self._lines.items() if "error" in line}

    def add(self, name: str, seconds: float, outcome: Mapping[str, Any]) -> str:
        """Write a step's line at once; returns it."""
        line = {"name": name, "seconds": round(seconds, 3), **outcome}
        text = json.dumps(line, default=float)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A line that a kill has cut off ends here, and is not read.
        before = self.path.read_bytes() if self.path.exists() else b""
        broken = bool(before) and not before.endswith(b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if broken else "") + text + "\n")
        self._lines[name] = json.loads(text)
        return text


def run_steps(
    steps: Sequence[Step],
    lines: Lines,
    *,
    seconds: float,
    retry: bool = True,
    clock: Callable[[], float] = time.perf_counter,
    say: Callable[[str], object] = print,
    after: Callable[[bool], object] = lambda failed: None,
) -> list[str]:
    """Run the steps that have no line yet; an error is a line too, and the rest goes on.

    Args:
        seconds: a step that would end later is left out.
        retry: run steps again whose line is an error.
        after: called after each step, with whether it failed.

    Returns:
        Names of the steps left out.
    """
    assert len({step.name for step in steps}) == len(steps), "a line is found by its name"
    begun, left = clock(), []
    for step in steps:
        if step.name in lines.results or (not retry and step.name in lines.errors):
            continue
        start = clock()
        if start - begun + step.seconds > seconds:
            left.append(step.name)
            continue
        outcome: dict[str, Any]
        try:
            outcome = {"result": step.measure(lines.results)}
        except Exception as error:  # whatever it is, the other steps can still be measured
            first = (str(error).splitlines() or [""])[0]
            outcome = {
                "error": f"{type(error).__name__}: {first}",
                "traceback": traceback.format_exc()[-4000:],
            }
        say(lines.add(step.name, clock() - start, outcome))
        after("error" in outcome)
    return left


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if not path.exists():
        return found
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        line = _parse(text)
        if line is not None:
            found[line["name"]] = line
    return found


def _parse(text: str) -> dict[str, Any] | None:
    """None for a line cut off by a kill: its step is run again."""
    try:
        line: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return line
