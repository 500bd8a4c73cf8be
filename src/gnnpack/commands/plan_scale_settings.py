"""The arguments of `gnnpack plan` for many ranks, and what they mean."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Sequence

if TYPE_CHECKING:
    from gnnpack.commands.plan_sizes import MoleculeSizes
    from gnnpack.packing import Packer

# Written as in training, where the accelerator's options have this in front.
PREFIX = "accelerator."
RANKS = ("devices", "num_nodes")
SEED = 0


@dataclass
class Arguments:
    """An epoch on many devices, on paper: packs, updates, waste, bytes, input rates, seconds.

    dataset, sizes   the molecules, as for one device; all of them are trained on
    num_molecules    as many, in the same distribution of sizes
    packer, shapes   how they are packed; shapes is one pack size, else the recommended one
    batch_size       molecules an update, over all devices
    accelerator.devices, accelerator.num_nodes   devices of a host, hosts
    max_epochs       of the run
    num_parameters   of the model; else those of the SchNet of arXiv 2211.13853
    rate             molecules/s of one device, or a file with it: a run's summary.json, a
                     bench.json, lines of gnnpack bench gpu; else published rates
    assemble         true makes the plan for real, cuts it and counts what every rank gets
    out              folder for plan_at_scale.json
    """

    dataset: str = ""
    sizes: str = ""
    num_molecules: str = ""
    packer: str = "optimal"
    shapes: str = ""
    batch_size: str = "64"
    devices: str = field(default="1", metadata={"shown": "accelerator.devices"})
    num_nodes: str = field(default="1", metadata={"shown": "accelerator.num_nodes"})
    max_epochs: str = "1"
    num_parameters: str = ""
    rate: str = ""
    assemble: str = "false"
    out: str = ""
    data_dir: str = ""


class Settings(NamedTuple):
    """Arguments as values; packer, counted: as in `plan_settings.Settings`."""

    packer: Packer
    counted: Packer
    shape: int | None
    batch_size: int
    devices: int
    num_nodes: int
    max_epochs: int
    num_parameters: int | None
    rate: str
    assemble: bool
    out: str


def is_scale(arguments: Sequence[str]) -> bool:
    """Whether the command line asks about many ranks.

    >>> is_scale(["dataset=qm9", "accelerator.devices=8"]), is_scale(["dataset=qm9"])
    (True, False)
    """
    return any(argument.startswith(PREFIX) for argument in arguments)


def without_prefix(arguments: Sequence[str]) -> list[str]:
    """The command line with ``devices=`` for ``accelerator.devices=``, and so on."""
    known = tuple(f"{PREFIX}{name}=" for name in RANKS)
    return [text[len(PREFIX) :] if text.startswith(known) else text for text in arguments]


def parse_settings(arguments: Arguments) -> Settings:
    """Values from text; ValueError naming the argument that is none."""
    from gnnpack.commands import plan_settings

    shared = plan_settings.parse_settings(
        plan_settings.Arguments(
            packer=arguments.packer, shapes=arguments.shapes, batch_size=arguments.batch_size
        )
    )
    if len(shared.asked) > 1:
        raise ValueError(f"shapes={arguments.shapes}; an epoch has packs of one size, name one.")
    if arguments.assemble.lower() not in ("true", "false"):
        raise ValueError(f"assemble={arguments.assemble}; write assemble=true or assemble=false.")
    parameters = arguments.num_parameters
    return Settings(
        packer=shared.packer,
        counted=shared.counted,
        shape=shared.asked[0] if shared.asked else None,
        batch_size=_count("batch_size", arguments.batch_size),
        devices=_count(f"{PREFIX}devices", arguments.devices),
        num_nodes=_count(f"{PREFIX}num_nodes", arguments.num_nodes),
        max_epochs=_count("max_epochs", arguments.max_epochs),
        num_parameters=_count("num_parameters", parameters) if parameters else None,
        rate=arguments.rate,
        assemble=arguments.assemble.lower() == "true",
        out=arguments.out,
    )


def read_molecules(arguments: Arguments) -> MoleculeSizes:
    """The sizes that dataset= or sizes= names, scaled to num_molecules; QM9's without either."""
    from gnnpack.commands.plan_sizes import dataset_sizes, read_sizes
    from gnnpack.packing.scale_counts import scaled_counts

    number = _count("num_molecules", arguments.num_molecules) if arguments.num_molecules else None
    if arguments.sizes:
        if arguments.dataset:
            raise ValueError(
                f"dataset={arguments.dataset} and sizes={arguments.sizes} both say which "
                "molecules; leave one of them out."
            )
        found = read_sizes(arguments.sizes, each_molecule=False)
    else:
        found = dataset_sizes(
            arguments.dataset or "qm9",
            arguments.data_dir or os.environ.get("GNNPACK_DATA", "data"),
            num_molecules=None,
            each_molecule=False,
        )
    if number is None or number == int(found.counts.sum()):
        return found
    sizes, counts = scaled_counts(found.sizes, found.counts, number)
    source = f"{found.source}, scaled from {int(found.counts.sum()):,}"
    return found._replace(source=source, sizes=sizes, counts=counts, num_atoms=None)


def _count(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"{name}={text}; write a whole number of at least 1, such as {name}=8.")
    return number
