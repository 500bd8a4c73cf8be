"""What `gnnpack plan` writes of many ranks: plan_at_scale.json."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from gnnpack.commands.plan_scale_paper import Paper
from gnnpack.commands.plan_scale_settings import SEED, Settings
from gnnpack.packing import packer_name

if TYPE_CHECKING:
    from gnnpack.commands.plan_scale_real import Assembled
    from gnnpack.commands.plan_scale_report import Paces
    from gnnpack.commands.plan_sizes import MoleculeSizes

FORMAT_VERSION = 1
FILE = "plan_at_scale.json"


def as_dict(
    molecules: MoleculeSizes,
    settings: Settings,
    paper: Paper,
    paces: Paces,
    made: Assembled | None,
) -> dict[str, Any]:
    """For JSON: everything printed, as numbers, under keys that say what is on paper."""
    ranks = paper.ranks
    return {
        "format_version": FORMAT_VERSION,
        "data": molecules.name,
        "source": molecules.source,
        "packer": packer_name(settings.packer),
        "batch_size": settings.batch_size,
        "max_epochs": settings.max_epochs,
        "on_paper": {
            **{name: value for name, value in paper._asdict().items() if name != "ranks"},
            **ranks._asdict(),
            **_properties(ranks, type(ranks)),
            **_properties(paper, type(paper)),
        },
        "on_paper_at_rates": [{**rate._asdict(), **found._asdict()} for rate, found in paces],
        "for_real": None
        if made is None
        else {
            "num_packs": made.plan.num_packs,
            "seed": SEED,
            "rank_molecules": made.molecules,
            "seconds": made.seconds,
            "resident_bytes": made.resident_bytes,
        },
    }


def write(folder: Path, report: Mapping[str, Any]) -> Path:
    """Write the report into `folder`, made where it is not; OSError with the cure."""
    import gnnpack
    from gnnpack.tracking import explain_write_error, write_json

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_write_error(error, folder) from error
    write_json(folder / FILE, {"gnnpack": gnnpack.__version__, **report})
    return folder / FILE


def _properties(values: object, kind: type) -> dict[str, Any]:
    names = [name for name, found in vars(kind).items() if isinstance(found, property)]
    return {name: getattr(values, name) for name in names}
