"""Molecules/s against devices as lines that begin at the smallest number there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from gnnpack.experiments.comparison import Answer, Comparison
from gnnpack.experiments.packs_on_ranks import PacksOnRanks, packs_on_ranks

if TYPE_CHECKING:
    from pathlib import Path

    from gnnpack.experiments.run_folder import RunFacts


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


def devices_and_batch(run: RunFacts) -> tuple[int, int] | None:
    """Devices of a run and molecules of an update; None where updates are counted in packs."""
    node, batch = run.config.get("accelerator"), run.config.get("batch_size")
    if not isinstance(node, Mapping) or not isinstance(batch, int):
        return None
    devices = node.get("devices", 1)
    counted = len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else 0
    number = counted or (devices if isinstance(devices, int) else 1)
    for key in ("num_nodes", "replicas"):
        more = node.get(key, 1)
        number *= more if isinstance(more, int) else 1
    return number, batch


def measured_lines(one: Comparison) -> list[Line]:
    """Strong lines by batch size, weak lines by batch size a device, of two points or more."""
    strong: dict[int, list[Answer]] = {}
    weak: dict[float, list[Answer]] = {}
    for answer in one.answers:
        if answer.rate is None:
            continue
        devices, batch = answer.value
        strong.setdefault(batch, []).append(answer)
        weak.setdefault(batch / devices, []).append(answer)
    kinds = [
        *((f"strong, {batch} molecules an update", answers) for batch, answers in strong.items()),
        *((f"weak, {each:g} molecules a device", answers) for each, answers in weak.items()),
    ]
    lines = []
    for kind, answers in kinds:
        by_devices = {answer.value[0]: answer for answer in answers}
        if len(by_devices) < 2:
            continue
        rates = {devices: answer.rate.mean for devices, answer in by_devices.items() if answer.rate}
        line = scaling_line(f"{one.prefix}measured here: {kind}", rates)
        points = [p._replace(folders=by_devices[p.devices].folders) for p in line.points]
        lines.append(line._replace(points=points))
    return lines


def lines_on_paper(one: Comparison) -> list[tuple[Line, list[PacksOnRanks]]]:
    """For each batch size of the smallest number of devices, its packs on 1, 2, 4 ... devices."""
    smallest = min(answer.value[0] for answer in one.answers)
    found = []
    for answer in one.answers:
        devices, batch = answer.value
        summary = answer.runs[0].summary
        packs, molecules = summary.get("num_packs"), summary.get("num_molecules")
        if devices != smallest or not isinstance(packs, int) or not isinstance(molecules, int):
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
