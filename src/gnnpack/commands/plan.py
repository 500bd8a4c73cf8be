"""`gnnpack plan dataset=qm9 [packer=optimal] [shapes=36,54] [figures=true] [save=PATH.npz]`.

With `accelerator.devices=` or `accelerator.num_nodes=` it plans an epoch of many ranks on paper.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Sequence

from gnnpack.commands import plan_scale, plan_scale_settings
from gnnpack.commands.arguments import parse_arguments
from gnnpack.commands.plan_settings import (
    Arguments,
    Settings,
    parse_settings,
    read_molecules,
    refuse_beside_load,
)

if TYPE_CHECKING:
    from rich.console import Console

    from gnnpack.commands.plan_sizes import MoleculeSizes
    from gnnpack.packing.advice import Advice, ShapeRow


def main() -> None:
    """Print the table and the sentences; write what was asked for."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    words = sys.argv[1:]
    try:
        if plan_scale_settings.is_scale(words):
            plan_scale.run(words)
        else:
            run(parse_arguments(Arguments, words, "gnnpack plan"))
    except (ValueError, OSError) as error:
        raise SystemExit(f"gnnpack plan: {error}") from error


def run(arguments: Arguments) -> None:
    """All of the command; ValueError or OSError with the cure."""
    # Imported here and below: `gnnpack plan --help` need not wait for them.
    from rich.console import Console

    from gnnpack.commands import plan_saved

    console = Console()
    if arguments.load:
        refuse_beside_load(arguments)
        plan_saved.load_plan(arguments.load, console)
        return
    settings = parse_settings(arguments)
    molecules = read_molecules(arguments)
    advice, said = advise_on(molecules, settings)
    print_advice(molecules, advice, said, settings, console)
    if settings.figures or settings.out:
        folder = write_folder(molecules, advice, said, settings)
        name = "plan.html" if settings.figures else "plan.json"
        console.print(f"written: {folder / name}", markup=False, highlight=False, soft_wrap=True)
    if arguments.save:
        size = settings.asked[0] if len(settings.asked) == 1 else advice.recommended.num_atoms
        plan_saved.save_plan(arguments.save, settings.packer, molecules, size, console)


def advise_on(molecules: MoleculeSizes, settings: Settings) -> tuple[Advice, list[str]]:
    """The advice over sensible sizes, those asked for and those published, and its sentences."""
    from gnnpack.packing import advise, packer_name
    from gnnpack.packing.advice_sizes import candidate_sizes
    from gnnpack.packing.advice_words import sentences

    sizes, counts = molecules.sizes, molecules.counts
    named = settings.asked or molecules.published
    largest = int(sizes[-1])
    if min(named, default=largest) < largest:
        raise ValueError(
            f"shapes={min(named)}: packs of {min(named)} atoms do not hold the largest molecule, "
            f"which has {largest}; give sizes of at least {largest}."
        )
    advice = advise(
        sizes,
        counts,
        packer=settings.counted,
        candidates=[*candidate_sizes(sizes, counts), *named],
        batch_size=settings.batch_size,
    )
    said = sentences(advice, sorted(set(named)))
    if settings.counted is not settings.packer:
        said.append(
            f"The table counts the packs of {advice.packer}, for {packer_name(settings.packer)} "
            "packs molecule by molecule and may need more; shape=auto takes this size for it."
        )
    return advice, said


def print_advice(
    molecules: MoleculeSizes,
    advice: Advice,
    said: Sequence[str],
    settings: Settings,
    console: Console,
) -> None:
    """The molecules, the table, the sentences."""
    from gnnpack.commands import plan_report

    rows: Sequence[ShapeRow] = advice.rows
    compared = f"{len(rows)} pack sizes of {rows[0].num_atoms} to {rows[-1].num_atoms} atoms"
    if settings.asked:
        shown = {*settings.asked, advice.recommended.num_atoms}
        rows = [row for row in rows if row.num_atoms in shown]
    elif not settings.show_all:
        rows = plan_report.interesting_rows(advice, molecules.published)
    for line in (
        molecules.line,
        f"{compared} compared for {advice.packer}, {len(rows)} shown; batch: {advice.batch_size} "
        "molecules",
    ):
        console.print(line, markup=False, highlight=False)
    plan_report.print_table(rows, advice, molecules.published, console)
    for sentence in said:
        console.print(sentence, markup=False, highlight=False)


def write_folder(
    molecules: MoleculeSizes, advice: Advice, said: Sequence[str], settings: Settings
) -> Path:
    """plan.json, and with figures=true PNG files and plan.html, in a folder of their own."""
    from gnnpack.bench import claim_report_folder
    from gnnpack.commands import plan_files

    folder = claim_report_folder(settings.out, molecules.name)
    plan_files.write_json_report(folder, molecules, advice, said, sys.argv)
    if settings.figures:
        asked = settings.asked or molecules.published
        plan_files.write_figures(folder, molecules, advice, said, asked)
    return folder
