"""Reports: what was measured, of which code, where; and the files that keep them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Mapping, Sequence

from gnnpack.bench.section import Section
from gnnpack.bench.table import markdown
from gnnpack.tracking import run_record, write_json
from gnnpack.tracking.json_file import explain_write_error, replace_file

# 2: a ratio is to the baseline that its section names, no longer always to PyG.
FORMAT_VERSION = 2


def make_report(
    bench: str,
    sections: Sequence[Section],
    *,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    seed: int,
    notes: Sequence[str],
    argv: Sequence[str],
) -> dict[str, Any]:
    """The sections with their birth certificate: date, commit, machine, versions, settings."""
    return {
        "bench": bench,
        "format_version": FORMAT_VERSION,
        **run_record(seeds={"seed": seed}, data=data, argv=argv),
        "settings": dict(settings),
        "notes": list(notes),
        "sections": [section.as_dict() for section in sections],
    }


def claim_report_folder(out: str, dataset: str, now: datetime | None = None) -> Path:
    """Make ``out/<date>_<time>_<dataset>`` for this process alone; a taken name gets a number.

    OSError with the cure when it cannot be made.
    """
    now = now or datetime.now()
    name = f"{now:%Y-%m-%d_%H-%M-%S}_{dataset}"
    number = 1
    while True:
        folder = Path(out) / (name if number == 1 else f"{name}_{number}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError as error:
            if not folder.exists():
                raise explain_write_error(error, folder.parent) from error
            number += 1
        except OSError as error:
            raise explain_write_error(error, folder) from error
        else:
            return folder


def write_report(
    report: Mapping[str, Any], folder: Path, name: str = "bench", figure: str | None = None
) -> None:
    """Write ``name``.json and ``name``.md; ``figure`` is a file beside them.

    OSError with the cure when the disk refuses.
    """
    write_json(folder / f"{name}.json", dict(report))
    with replace_file(folder / f"{name}.md") as file:
        file.write(markdown(report, figure))
