"""One table of a report: contenders in, rows out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Mapping, Sequence

from gnnpack.bench.timing import LEAST_SECONDS, Spread, Timing, spread, time_in_turns

PYG = "pyg"
"""Name of PyG's rows, which the others of their tables are ratios to."""


@dataclass(frozen=True)
class Contender:
    """One way to do a section's job.

    Args:
        molecules: real molecules one call deals with; None where a rate says nothing.
        facts: further results, asked for when the timing is over.
    """

    name: str
    label: str
    call: Callable[[], object]
    molecules: int | None = None
    facts: Callable[[], dict[str, Any]] = dict


@dataclass(frozen=True)
class Row:
    """What one contender reached; a rate is real molecules over seconds."""

    name: str
    label: str
    repeats: int
    calls_per_repeat: int
    seconds: Spread
    molecules_per_second: Spread | None
    times_baseline: Spread | None
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; every spread is a dict of median, p10 and p90."""
        plain = asdict(self)
        for name in ("seconds", "molecules_per_second", "times_baseline"):
            value: Spread | None = getattr(self, name)
            plain[name] = None if value is None else value._asdict()
        return plain


@dataclass(frozen=True)
class Section:
    """Rows measured in turns.

    Args:
        note: what the rows share.
        columns: facts that tables show; JSON has all.
        baseline: name of the row that the others are ratios to; None = no ratios.
        wide: columns for which the console is too narrow; Markdown shows them.
    """

    name: str
    title: str
    note: str
    rows: Sequence[Row]
    columns: Sequence[str] = ()
    wide: Sequence[str] = ()
    baseline: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "note": self.note,
            "columns": list(self.columns),
            "wide": list(self.wide),
            "baseline": self.baseline,
            "rows": [row.as_dict() for row in self.rows],
        }


def measure(
    name: str,
    title: str,
    note: str,
    contenders: Sequence[Contender],
    repeats: int,
    *,
    columns: Sequence[str] = (),
    wide: Sequence[str] = (),
    baseline: str | None = None,
    least_seconds: float = LEAST_SECONDS,
) -> Section:
    """Time the contenders in turns; with the contender ``baseline``, each row has its ratio to it.

    A ratio is taken inside each round, then its median: drift of the machine cancels.
    """
    assert len({one.name for one in contenders}) == len(contenders), "row names must differ"
    calls = {one.name: one.call for one in contenders}
    timings = time_in_turns(calls, repeats, least_seconds=least_seconds)
    found = None if baseline is None else timings.get(baseline)
    rows = [_row(one, timings[one.name], found) for one in contenders]
    return Section(
        name, title, note, rows, columns, wide, baseline=None if found is None else baseline
    )


def add_facts(section: Section, facts: Mapping[str, Mapping[str, Any]]) -> Section:
    """The section with further facts of some rows, by name: such as need the times of others."""
    rows = [replace(row, facts={**row.facts, **facts.get(row.name, {})}) for row in section.rows]
    return replace(section, rows=rows)


def _row(one: Contender, timing: Timing, baseline: Timing | None) -> Row:
    seconds = timing.seconds
    return Row(
        name=one.name,
        label=one.label,
        repeats=len(seconds),
        calls_per_repeat=timing.calls_per_repeat,
        seconds=spread(seconds),
        molecules_per_second=None if one.molecules is None else spread(one.molecules / seconds),
        times_baseline=None if baseline is None else spread(baseline.seconds / seconds),
        facts=one.facts(),
    )
