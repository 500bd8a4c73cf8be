"""Frames of many files to checked molecules in our units, a few thousand at a time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Iterator, Sequence

import numpy as np

from gnnpack.datasets.structure_copies import TOLERANCE, Copies
from gnnpack.datasets.structure_frames import BadFrame, FrameFault, place
from gnnpack.datasets.structure_rows import Recipe, Row, RowMaker, to_molecules

if TYPE_CHECKING:
    from gnnpack.datasets.molecules import Molecules
    from gnnpack.datasets.structure_skipped import Skipped

log = logging.getLogger(__name__)

CHUNK_MOLECULES = 4096
CHUNK_ATOMS = 1 << 18


class Reading:
    """One pass over ``paths``; ids number the frames of all files from 0, skipped ones too."""

    def __init__(self, paths: Sequence[str], recipe: Recipe, skipped: Skipped) -> None:
        self._paths = paths
        self._recipe = recipe
        self._skipped = skipped
        self._maker = RowMaker(recipe)
        self._copies = Copies()
        self._num_frames = self._num_absent = self._num_copies = 0

    def chunks(self) -> Iterator[Molecules]:
        """Molecules in the order of the files; ValueError naming file, frame and line."""
        finished = False
        try:
            for rows in self._row_chunks():
                kept = self._without_copies(rows)
                if kept:
                    yield to_molecules(kept, list(self._recipe.targets))
            finished = True
        finally:
            self._skipped.close(self._num_frames if finished else None)
        self._tell()

    def _row_chunks(self) -> Iterator[list[Row]]:
        rows: list[Row] = []
        num_atoms = 0
        for row in self._rows():
            rows.append(row)
            num_atoms += len(row.z)
            if len(rows) == CHUNK_MOLECULES or num_atoms >= CHUNK_ATOMS:
                yield rows
                rows, num_atoms = [], 0
        yield rows

    def _rows(self) -> Iterator[Row]:
        keys = [target.key for target in self._recipe.targets.values()]
        forces = [] if self._recipe.forces is None else [self._recipe.forces.key]
        for path in self._paths:
            before = self._num_frames
            for frame in self._recipe.format.read(path, keys, forces):
                self._num_frames = before + frame.number + 1
                where = place(path, frame.number, frame.line)
                if isinstance(frame, BadFrame):
                    self._leave_out(where, frame.reason)
                    continue
                try:
                    row = self._maker.row(frame, before + frame.number, where)
                except FrameFault as fault:
                    self._leave_out(where, str(fault))
                    continue
                if row is None:
                    self._num_absent += 1
                else:
                    yield row

    def _leave_out(self, where: str, reason: str) -> None:
        if not self._recipe.skip_bad:
            raise ValueError(
                f"{where}: {reason} Correct it, or leave such frames out with "
                "dataset.on_error=skip, which lists them."
            )
        self._skipped.add(where, reason)

    def _without_copies(self, rows: list[Row]) -> list[Row]:
        prints = np.array([row.print for row in rows], dtype=np.uint64)
        owners = self._copies.first_owners(prints, np.array([row.id for row in rows], np.int64))
        self._num_copies += int((owners >= 0).sum())
        if self._recipe.copies == "keep":
            return rows
        kept = []
        for row, owner in zip(rows, owners.tolist()):
            if owner < 0:
                kept.append(row)
                continue
            said = f"it repeats molecule {owner}, atom for atom within {TOLERANCE} Å."
            if self._recipe.copies == "refuse":
                raise ValueError(
                    f"{row.where}: {said} Remove it, or choose dataset.on_duplicate=keep or drop."
                )
            self._skipped.add(row.where, said)
        return kept

    def _tell(self) -> None:
        if self._num_absent:
            log.info(
                "%s of %s frames have no value computed and were left out.",
                f"{self._num_absent:,}",
                f"{self._num_frames:,}",
            )
        if self._num_copies and self._recipe.copies == "keep":
            log.warning(
                "%s of %s frames repeat an earlier one, atom for atom within %s Å. They stay, and "
                "may fall into different parts of the split; dataset.on_duplicate=drop leaves "
                "them out.",
                f"{self._num_copies:,}",
                f"{self._num_frames:,}",
                TOLERANCE,
            )
