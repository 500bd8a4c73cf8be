"""Plans that `gnnpack plan` saves, and what a saved plan says."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from gnnpack.commands.plan_sizes import MoleculeSizes
from gnnpack.packing import Packer, PackPlan, PackShape
from gnnpack.packing.advice_words import percent


def save_plan(
    path: str, packer: Packer, molecules: MoleculeSizes, num_atoms: int, console: Console
) -> None:
    """Plan all molecules at this pack size and write the plan; OSError with the cure."""
    assert molecules.num_atoms is not None, "the sizes were read molecule by molecule"
    plan = packer(molecules.num_atoms, PackShape(num_atoms))
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        plan.save(path)
    except OSError as error:
        from gnnpack.tracking import explain_write_error

        raise explain_write_error(error, path) from error
    describe_plan(path, plan, console)


def load_plan(path: str, console: Console) -> None:
    """Say what a saved plan holds; ValueError for a file that is none."""
    if not os.path.isfile(path):
        raise ValueError(f"load={path}: there is no such file; save=PATH writes one.")
    describe_plan(path, PackPlan.load(path), console)


def describe_plan(path: str, plan: PackPlan, console: Console) -> None:
    """Packs, bound, fill and molecules a pack, a line each."""
    held = plan.molecules_per_pack
    own = {"seed": plan.seed, **plan.options}
    lines = [
        f"plan {path}: {plan.packer}, {', '.join(f'{key}={value}' for key, value in own.items())}",
        f"  shape      {plan.atom_capacity} atoms, {plan.molecule_capacity} molecules"
        + ("" if plan.shape.num_pairs is None else f", {plan.shape.num_pairs:,} pairs"),
        f"  molecules  {plan.num_molecules:,}, {held.min()} to {held.max()} a pack, "
        f"{held.mean():.2f} on average",
        f"  packs      {plan.num_packs:,}; proven lower bound {plan.lower_bound:,} "
        f"({plan.bound_kind})",
        f"  filled     {percent(plan.atom_efficiency)} of atom slots",
    ]
    alike = plan.size_correlation
    if alike is not None:
        lines.append(
            f"  sizes      correlation inside packs {alike:+.3f}: 0 as by chance, 1 when equal"
        )
    if plan.pair_efficiency is not None:
        lines.append(f"  pairs      {percent(plan.pair_efficiency)} of pair slots filled")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
