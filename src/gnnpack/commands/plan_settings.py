"""The arguments of `gnnpack plan`, and what they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gnnpack.commands.plan_sizes import MoleculeSizes
    from gnnpack.packing import Packer

DEFAULT_OUT = "outputs/plan"


@dataclass
class Arguments:
    """Which pack size to take: packs, fill and proven bound of many sizes, a recommendation.

    dataset     qm9, hydronet_500k, hydronet_2.7m, hydronet_4.5m, synthetic; or
    sizes       a .npy array of each molecule's atoms, a .csv of num_atoms,count, a store's folder
    packer      as in training; what works molecule by molecule gets the table of optimal
    shapes      pack sizes to look at, such as 36,54
    batch_size  molecules an update
    all         true prints every size compared
    figures     true draws PNG files and one HTML page, into out
    out         folder for plan.json and figures
    save, load  write the plan of all molecules; say what a saved plan holds

    accelerator.devices=8 accelerator.num_nodes=64 plan an epoch of many devices on paper, with
    arguments of their own: gnnpack plan accelerator.devices=8 --help.
    """

    dataset: str = ""
    sizes: str = ""
    packer: str = "optimal"
    shapes: str = ""
    batch_size: str = "64"
    num_molecules: str = ""
    all: str = "false"
    figures: str = "false"
    out: str = ""
    save: str = ""
    load: str = ""
    data_dir: str = ""


class Settings(NamedTuple):
    """Arguments as values.

    packer: what a saved plan is made with; counted: what the table counts packs of. asked: the
    pack sizes of shapes=.
    """

    packer: Packer
    counted: Packer
    asked: tuple[int, ...]
    batch_size: int
    show_all: bool
    figures: bool
    out: str


def parse_settings(arguments: Arguments) -> Settings:
    """Values from text; ValueError naming the argument that is none."""
    from gnnpack.packing import (
        next_fit,
        optimal,
        packer_name,
        random_exact,
        streaming,
        tuple_packing,
    )
    from gnnpack.packing.advice import HISTOGRAM_PACKERS, can_advise

    known: list[Packer] = [*HISTOGRAM_PACKERS, next_fit, random_exact, streaming, tuple_packing]
    packers = {packer_name(packer): packer for packer in known}
    if arguments.packer not in packers:
        raise ValueError(f"packer={arguments.packer}; choose one of {', '.join(packers)}.")
    shapes = arguments.shapes.split(",") if arguments.shapes else []
    figures = _truth("figures", arguments.figures)
    packer = packers[arguments.packer]
    return Settings(
        packer=packer,
        counted=packer if can_advise(packer) else optimal,
        asked=tuple(_whole_number("shapes", text) for text in shapes),
        batch_size=_whole_number("batch_size", arguments.batch_size),
        show_all=_truth("all", arguments.all),
        figures=figures,
        out=arguments.out or (DEFAULT_OUT if figures else ""),
    )


def read_molecules(arguments: Arguments) -> MoleculeSizes:
    """The sizes that dataset= or sizes= names; QM9's without either."""
    from gnnpack.commands.plan_sizes import dataset_sizes, read_sizes

    each_molecule = bool(arguments.save)
    if arguments.sizes:
        for name in ("dataset", "num_molecules"):
            if getattr(arguments, name):
                raise ValueError(
                    f"{name}={getattr(arguments, name)} and sizes={arguments.sizes} both say which "
                    f"molecules; leave {name} out, or sizes."
                )
        return read_sizes(arguments.sizes, each_molecule=each_molecule)
    number = arguments.num_molecules
    return dataset_sizes(
        arguments.dataset or "qm9",
        arguments.data_dir or os.environ.get("GNNPACK_DATA", "data"),
        num_molecules=_whole_number("num_molecules", number) if number else None,
        each_molecule=each_molecule,
    )


def refuse_beside_load(arguments: Arguments) -> None:
    """ValueError when load= is not alone: a saved plan answers no other question."""
    for field in fields(arguments):
        value = getattr(arguments, field.name)
        if field.name != "load" and value != field.default:
            raise ValueError(
                f"{field.name}={value} does nothing beside load={arguments.load}, which only says "
                "what that file holds; leave one of the two out."
            )


def _whole_number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        example = "36,54" if name == "shapes" else "64"
        raise ValueError(f"{name}={text} is not a whole number; write {name}={example}.") from None


def _truth(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{name}={text}; write {name}=true or {name}=false.")
    return text.lower() == "true"
