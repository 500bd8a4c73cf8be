"""A plan of many ranks as lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from gnnpack.commands.plan_report import byte_size
from gnnpack.commands.plan_scale_paper import RING, Pace, Paper
from gnnpack.commands.plan_scale_rates import DeviceRate
from gnnpack.commands.plan_scale_settings import Settings
from gnnpack.packing import packer_name
from gnnpack.packing.advice_words import percent
from gnnpack.tracking.summary import duration

if TYPE_CHECKING:
    from gnnpack.commands.plan_scale_real import Assembled
    from gnnpack.commands.plan_sizes import MoleculeSizes

Paces = Sequence["tuple[DeviceRate, Pace]"]


def lines(
    molecules: MoleculeSizes,
    settings: Settings,
    paper: Paper,
    paces: Paces,
    made: Assembled | None,
) -> list[str]:
    """What is printed: packs and bytes, a block for each rate, what was made for real."""
    said = [
        f"ON PAPER: {_hosts(paper)}. Arithmetic; nothing was trained or sent.",
        molecules.line,
        *_packs(settings, paper, made is not None),
        *_bytes(paper),
    ]
    for rate, found in paces:
        said += ["", *_pace(rate, found, paper, settings)]
    if made is not None:
        said += ["", *_made(made, paper)]
    return said


def _hosts(paper: Paper) -> str:
    hosts, devices = _times(paper.num_nodes, "host"), _times(paper.devices, "device")
    return f"{hosts} of {devices}, {_times(paper.ranks.world_size, 'rank')}"


def _times(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _packs(settings: Settings, paper: Paper, made: bool) -> list[str]:
    ranks = paper.ranks
    filled = paper.total_atoms / (ranks.num_packs * paper.num_atoms)
    asked = packer_name(settings.packer)
    packer = asked if made else packer_name(settings.counted)
    said = [
        f"packs      {ranks.num_packs:,} of {paper.num_atoms:,} atoms by {packer}, "
        f"{percent(filled)} filled; proven lower bound {paper.lower_bound:,}"
    ]
    if packer != asked:
        said.append(
            f"           {asked} packs molecule by molecule and may need more; assemble=true "
            "counts its own packs"
        )
    said.append(
        f"update     {ranks.packs_per_update:,} packs, {paper.molecules_per_update:,.1f} molecules "
        "on average"
    )
    if paper.molecules_per_update > 1.5 * settings.batch_size:
        said.append(
            f"           more than batch_size={settings.batch_size:,}: every rank needs a pack in "
            "every update"
        )
    return [
        *said,
        f"epoch      {ranks.updates:,} updates; {_times(settings.max_epochs, 'epoch')}: "
        f"{settings.max_epochs * ranks.updates:,}",
        f"each rank  {_times(ranks.packs_per_rank_update, 'pack')} an update, "
        f"{ranks.packs_per_rank:,} an epoch, the same for every rank",
        f"waste      {ranks.empty_packs:,} empty packs complete the last update "
        f"({100 * paper.empty_share:.4f} % of all packs); filler is "
        f"{100 * paper.filler_share:.4f} % of all atom slots",
    ]


def _bytes(paper: Paper) -> list[str]:
    return [
        f"batch      {byte_size(paper.rank_batch_bytes)} a rank and update, "
        f"{byte_size(paper.host_batch_bytes)} a host and update, made from "
        f"{byte_size(paper.host_store_bytes)} of its store",
        f"gradients  {byte_size(paper.gradient_bytes)} in float32, {paper.num_parameters:,} "
        f"parameters; {byte_size(paper.link_bytes)} over each link an update, in "
        f"{paper.sum_steps:,} steps",
        f"           {RING}",
    ]


def _pace(rate: DeviceRate, found: Pace, paper: Paper, settings: Settings) -> list[str]:
    run = settings.max_epochs * found.epoch_seconds
    return [
        f"ON PAPER: {rate.device} at {rate.molecules_per_second:,.0f} molecules/s each, if no "
        "device waits",
        f"           {rate.source}",
        f"time       {duration(found.epoch_seconds)} an epoch, {duration(run)} the run; "
        f"{1000 * found.seconds_per_update:.3f} ms an update, {found.molecules_per_second:,.0f} "
        "molecules/s in all",
        f"each host  must bring {found.host_molecules_per_second:,.0f} molecules/s: read "
        f"{byte_size(found.host_store_bytes_per_second)}/s of its store, hand "
        f"{byte_size(found.host_batch_bytes_per_second)}/s of batches to its devices",
        f"each link  {byte_size(found.link_bytes_per_second)}/s of gradients; their time is not in "
        "the above",
    ]


def _made(made: Assembled, paper: Paper) -> list[str]:
    fewest, most = int(made.molecules.min()), int(made.molecules.max())
    said = [
        f"FOR REAL, on this machine: a plan of {made.plan.num_molecules:,} molecules in "
        f"{made.plan.num_packs:,} packs",
        f"ranks      {paper.ranks.packs_per_rank:,} packs each; {fewest:,} to {most:,} molecules, "
        f"{int(made.molecules.sum()):,} together",
        *(f"{1000 * seconds:10,.0f} ms  {what}" for what, seconds in made.seconds.items()),
    ]
    if made.resident_bytes is not None:
        before, highest = made.resident_bytes
        said.append(
            f"memory     {byte_size(highest)} at its highest, {byte_size(before)} of it before "
            "the first size was made"
        )
    return said
