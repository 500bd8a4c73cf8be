"""`Structures`: anybody's molecules, from the files that programs of the field write."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Iterator, Mapping

from gnnpack.datasets.dataset import Dataset, MissingSource, Source
from gnnpack.datasets.structure_formats import find_files, find_format
from gnnpack.datasets.structure_reading import Reading
from gnnpack.datasets.structure_rows import Recipe
from gnnpack.datasets.structure_skipped import Skipped
from gnnpack.datasets.structure_targets import parse_forces, parse_references, parse_targets
from gnnpack.datasets.structure_units import length_unit

if TYPE_CHECKING:
    from gnnpack.datasets.molecules import Molecules
    from gnnpack.datasets.splits import SplitSpec
    from gnnpack.datasets.structure_formats import Format

ON_ERROR = ("error", "skip")
ON_DUPLICATE = ("keep", "drop", "refuse")


class Structures(Dataset):
    """Molecules from the file or the files that ``path`` names, a pattern such as 'runs/*.xyz'.

    Formats: see `structure_formats`. ``targets``: name -> key in the file, unit, readout; None is
    the energy. ``forces``: their key, 'auto' (if the first frame has them) or None. Ids number the
    frames of all files from 0. ``references`` None: published where ``reference_energies`` (with
    their ``unit``) are given, else fitted for sums. ``on_error``: 'error', or 'skip' frames that
    cannot be used; ``on_duplicate``: 'keep', 'drop' or 'refuse' molecules that came before. What
    was left out is listed in ``report_dir``. ValueError for settings that say too little.
    """

    name = "structures"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        format: str = "auto",
        target: str = "energy",
        targets: Mapping[str, Mapping[str, object] | None] | None = None,
        forces: str | None = "auto",
        forces_unit: str | None = None,
        length_unit: str = "Ang",
        references: str | None = None,
        reference_energies: Mapping[str, object] | None = None,
        on_error: str = "error",
        on_duplicate: str = "keep",
        split: Mapping[str, object] | SplitSpec | None = None,
        report_dir: str | None = None,
    ) -> None:
        for setting, value, known in (
            ("on_error", on_error, ON_ERROR),
            ("on_duplicate", on_duplicate, ON_DUPLICATE),
        ):
            if value not in known:
                raise ValueError(f"dataset.{setting} is {value!r}; choose {' or '.join(known)}.")
        self.path = path
        self.label = name
        self.report_dir = report_dir
        self.recipe = _recipe(
            find_format(format, path or ""),
            path or "",
            targets,
            (forces, forces_unit),
            length_unit,
            on_error == "skip",
            on_duplicate,
        )
        self.target_infos = {key: target.info for key, target in self.recipe.targets.items()}
        if reference_energies:
            energies = parse_references(reference_energies)
            self.reference_energies = {target: energies}
            self.recipe = self.recipe._replace(elements=frozenset(energies))
        super().__init__(
            target=target,
            split=split or {"train": 0.8, "val": 0.1, "test": None},
            references=self._references(references, target),
        )

    @property
    def store_name(self) -> str:
        """``name`` (or the path's own) and a hash of the settings that shape the molecules."""
        recipe = self.recipe
        shaping = [
            os.path.abspath(self.path or ""),
            recipe.format.name,
            [(name, *wanted) for name, wanted in recipe.targets.items()],
            recipe.forces,
            recipe.length,
            recipe.skip_bad,
            recipe.copies,
        ]
        digest = hashlib.sha256(json.dumps(shaping).encode()).hexdigest()[:12]
        return f"{self.label or self._own_name()}-{digest}"

    @property
    def skipped_path(self) -> str | None:
        """The list of frames left out, beside the store; None where no folder is known."""
        if self.report_dir is None:
            return None
        return os.path.join(self.report_dir, f"{self.store_name}.skipped.txt")

    def sources(self) -> list[Source]:
        """The files, by name; MissingSource where there are none."""
        paths = self._files()
        # Files of one name in several folders are told apart by as much of their path as it takes.
        folder = os.path.dirname(paths[0]) if len(paths) == 1 else os.path.commonpath(paths)
        return [Source.of(p)._replace(name=os.path.relpath(p, folder or ".")) for p in paths]

    def chunks(self) -> Iterator[Molecules]:
        """Molecules in the order of the files, up to 4,096 at a time."""
        return Reading(self._files(), self.recipe, Skipped(self.skipped_path)).chunks()

    def _files(self) -> list[str]:
        if self.path is None:
            raise MissingSource(
                "dataset=structures needs a file: dataset.path=FILE, or a pattern such as "
                "dataset.path='runs/*.xyz'."
            )
        paths = find_files(self.path)
        if not paths:
            raise MissingSource(
                f"dataset.path={self.path} names no file, seen from {os.getcwd()}. Give a file, or "
                "a pattern such as dataset.path='runs/*.xyz'."
            )
        return paths

    def _own_name(self) -> str:
        stem = os.path.basename(self.path or "").split(".")[0]
        return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or self.name

    def _references(self, asked: str | None, target: str) -> str:
        wanted = self.recipe.targets.get(target)
        sums = wanted is None or wanted.readout == "sum"
        if self.reference_energies and not (sums and asked in (None, "published")):
            raise ValueError(
                f"dataset.reference_energies are given, but {target} with dataset.references="
                f"{asked} takes none; leave one of the two out."
            )
        if asked is None:
            published = "published" if self.reference_energies else "fitted"
            return published if sums else "none"
        if asked == "published" and not self.reference_energies:
            raise ValueError(
                "dataset.references=published needs dataset.reference_energies, such as "
                "'{unit: Ha, H: -0.5, O: -75.1}'; or choose fitted or none."
            )
        if asked == "fitted" and not sums:
            raise ValueError(
                f"{target} is a mean over atoms, and lone atoms have no part in it. Choose "
                "dataset.references=none, or leave it out."
            )
        return asked


def _recipe(
    kind: Format,
    path: str,
    targets: Mapping[str, Mapping[str, object] | None] | None,
    forces: tuple[str | None, str | None],
    length: str,
    skip_bad: bool,
    copies: str,
) -> Recipe:
    # The first file speaks for all; where there is none, opening says so.
    first = (find_files(path) or [path])[0]
    wanted = parse_targets(targets, kind, first)
    factor = length_unit(length, "dataset.length_unit")
    return Recipe(
        format=kind,
        targets=wanted,
        forces=parse_forces(*forces, wanted, factor, kind, first),
        length=factor,
        elements=None,
        skip_bad=skip_bad,
        copies=copies,
    )
