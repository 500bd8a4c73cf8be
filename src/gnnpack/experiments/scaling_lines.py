"""Molecules/s against devices as lines that begin at the smallest number there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from gnnpack.experiments.comparison import Answer, Comparison
from gnnpack.experiments.packs_on_ranks import PacksOnRanks, packs_on_ranks
from gnnpack.experiments.scaling_setting import ways_shown

if TYPE_CHECKING:
    from pathlib import Path


class Point(NamedTuple):
    """Devices, and how many times as fast as the smallest number of them."""

    devices: int
    times: float
    rate: float | None = None
    folders: Sequence[Path] = ()


class Line(NamedTuple):
    """Points from the smallest number of devices on."""

    name: str
    points: list[Point]

    def efficiency(self, point: Point) -> float:
        """Times as fast over times as many devices, both from the smallest measured."""
        return point.times * self.points[0].devices / point.devices


def scaling_line(name: str, rates: Mapping[int, float]) -> Line:
    """Devices -> molecules/s as a line from the smallest number of devices on.

    >>> line = scaling_line("a", {8: 10.0, 16: 15.0})
    >>> [line.efficiency(point) for point in line.points]
    [1.0, 0.75]
    """
    base = rates[min(rates)]
    return Line(name, [Point(n, rates[n] / base, rates[n]) for n in sorted(rates)])


def measured_lines(one: Comparison) -> list[Line]:
    """Strong lines by batch size, weak lines by batch size a device, of two points or more.

    Runs whose steps are made in another way are lines of their own.
    """
    strong: dict[str, list[Answer]] = {}
    weak: dict[str, list[Answer]] = {}
    ways = ways_shown([answer.value for answer in one.answers])
    for answer in one.answers:
        if answer.rate is None:
            continue
        devices, batch, way = answer.value
        kind = f"strong, {batch} molecules an update{ways[way]}"
        strong.setdefault(kind, []).append(answer)
        kind = f"weak, {batch / devices:g} molecules a device{ways[way]}"
        weak.setdefault(kind, []).append(answer)
    kinds = [*strong.items(), *weak.items()]
    lines = []
    for kind, answers in kinds:
        by_devices = {answer.value.devices: answer for answer in answers}
        if len(by_devices) < 2:
            continue
        rates = {devices: answer.rate.mean for devices, answer in by_devices.items() if answer.rate}
        line = scaling_line(f"{one.prefix}measured here: {kind}", rates)
        points = [p._replace(folders=by_devices[p.devices].folders) for p in line.points]
        lines.append(line._replace(points=points))
    return lines


def lines_on_paper(one: Comparison) -> list[tuple[Line, list[PacksOnRanks]]]:
    """For each batch size of the smallest number of devices, its packs on 1, 2, 4 ... devices."""
    smallest = min(answer.value.devices for answer in one.answers)
    found = []
    # Packs do not depend on how steps are made.
    by_batch = {a.value.batch: a for a in reversed(one.answers) if a.value.devices == smallest}
    for batch, answer in sorted(by_batch.items()):
        summary = answer.runs[0].summary
        packs, molecules = summary.get("num_packs"), summary.get("num_molecules")
        if not isinstance(packs, int) or not isinstance(molecules, int):
            continue
        # Beyond, a device would get a pack only if updates held more than was asked for.
        most = packs_on_ranks(packs, molecules, batch, 1).packs_per_update
        numbers = [smallest * 2**k for k in range(20)]
        shares = [
            packs_on_ranks(packs, molecules, batch, ranks) for ranks in numbers if ranks <= most
        ]
        if not shares:
            continue
        points = [Point(share.ranks, share.times_as_fast(shares[0])) for share in shares]
        line = Line(f"{one.prefix}on paper: strong, {batch} molecules an update", points)
        found.append((line, shares))
    return found
