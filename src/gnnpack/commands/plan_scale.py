"""`gnnpack plan dataset=hydronet_4.5m accelerator.devices=8 accelerator.num_nodes=64`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Sequence

from gnnpack.commands.arguments import parse_arguments
from gnnpack.commands.plan_scale_settings import (
    SEED,
    Arguments,
    Settings,
    parse_settings,
    read_molecules,
    without_prefix,
)

if TYPE_CHECKING:
    from gnnpack.commands.plan_scale_paper import Paper
    from gnnpack.commands.plan_scale_real import Assembled
    from gnnpack.commands.plan_sizes import MoleculeSizes
    from gnnpack.packing import PackShape


class Packed(NamedTuple):
    """Packs of all molecules: how many, the proven bound, and molecule slots of a pack."""

    num_packs: int
    lower_bound: int
    molecule_slots: int


def run(words: Sequence[str]) -> None:
    """All of the command; ValueError or OSError with the cure."""
    arguments = parse_arguments(Arguments, without_prefix(words), "gnnpack plan")
    settings = parse_settings(arguments)
    molecules = read_molecules(arguments)
    # Imported here and below: `gnnpack plan --help` need not wait for them.
    from rich.console import Console

    from gnnpack.commands import plan_scale_files, plan_scale_rates, plan_scale_report
    from gnnpack.commands.plan_scale_paper import pace

    mean_atoms = int(molecules.sizes @ molecules.counts) / int(molecules.counts.sum())
    rates = plan_scale_rates.device_rates(settings.rate, molecules.name, mean_atoms)
    shape = choose_shape(molecules, settings)
    paper, made = on_paper(molecules, settings, shape)
    paces = [(rate, pace(paper, rate.molecules_per_second)) for rate in rates]
    console = Console()
    for line in plan_scale_report.lines(molecules, settings, paper, paces, made):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if settings.out:
        folder = Path(settings.out)
        report = plan_scale_files.as_dict(molecules, settings, paper, paces, made)
        file = plan_scale_files.write(folder, {"argv": [sys.argv[0], *words], **report})
        console.print(f"written: {file}", markup=False, highlight=False, soft_wrap=True)


def choose_shape(molecules: MoleculeSizes, settings: Settings) -> PackShape:
    """The pack size asked for, or the one that `gnnpack plan` recommends for these molecules."""
    from gnnpack.packing import PackShape, advise

    largest = int(molecules.sizes[-1])
    if settings.shape is None:
        advice = advise(
            molecules.sizes,
            molecules.counts,
            packer=settings.counted,
            batch_size=settings.batch_size,
        )
        return PackShape(advice.recommended.num_atoms)
    if settings.shape < largest:
        raise ValueError(
            f"shapes={settings.shape}: packs of {settings.shape} atoms do not hold the largest "
            f"molecule, which has {largest}; give a size of at least {largest}."
        )
    return PackShape(settings.shape)


def on_paper(
    molecules: MoleculeSizes, settings: Settings, shape: PackShape
) -> tuple[Paper, Assembled | None]:
    """The arithmetic of an epoch; with assemble=true on the packs of a plan made for real."""
    from gnnpack.batching.loader import packs_per_update
    from gnnpack.commands import plan_scale_real
    from gnnpack.commands.plan_scale_paper import Paper
    from gnnpack.packing.scale_ranks import rank_packs

    assert shape.num_atoms is not None, "choose_shape names the atoms of a pack"
    number = int(molecules.counts.sum())
    world_size = settings.devices * settings.num_nodes
    start, packed = None, count_packs(molecules, settings, shape)
    if settings.assemble:
        start = plan_scale_real.make_plan(molecules, settings.packer, shape, SEED)
        # The counted bound stands: packers but optimal prove less of the same molecules.
        packed = packed._replace(
            num_packs=start.plan.num_packs, molecule_slots=start.plan.molecule_capacity + 1
        )
    update = packs_per_update(
        settings.batch_size,
        num_packs=packed.num_packs,
        num_molecules=number,
        multiple_of=world_size,
    )
    ranks = rank_packs(packed.num_packs, update, world_size)
    paper = Paper(
        num_molecules=number,
        total_atoms=int(molecules.sizes @ molecules.counts),
        num_atoms=shape.num_atoms,
        molecule_slots=packed.molecule_slots,
        lower_bound=packed.lower_bound,
        ranks=ranks,
        devices=settings.devices,
        num_nodes=settings.num_nodes,
        num_parameters=settings.num_parameters or reference_parameters(),
    )
    made = None if start is None else plan_scale_real.assemble(start, update, world_size, SEED)
    return paper, made


def count_packs(molecules: MoleculeSizes, settings: Settings, shape: PackShape) -> Packed:
    """Packs of the histogram: no molecule is assigned, so their number costs nothing."""
    from gnnpack.packing.advice import HISTOGRAM_PACKERS
    from gnnpack.packing.best_fill import unwrapped
    from gnnpack.packing.optimal import fewest_packs
    from gnnpack.packing.patterns import num_packs

    sizes, counts = molecules.sizes, molecules.counts
    _, (bound, _) = fewest_packs(sizes, counts, shape)
    patterns = HISTOGRAM_PACKERS[unwrapped(settings.counted)](sizes, counts, shape)
    most = max(len(pattern.sizes) for pattern in patterns)
    return Packed(num_packs(patterns), bound, most + 1)


def reference_parameters() -> int:
    """Parameters of the SchNet of arXiv 2211.13853, which the default config trains."""
    from gnnpack.models import SchNet

    return sum(parameter.numel() for parameter in SchNet().parameters())
