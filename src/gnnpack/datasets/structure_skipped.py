"""The list of frames that were left out."""

from __future__ import annotations

import logging
import os
from typing import IO

log = logging.getLogger(__name__)

SHOWN = 5


class Skipped:
    """Counts frames and writes them to ``path`` (None: nowhere), a line each, as they come.

    What an earlier reading left at ``path`` is replaced.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.count = 0
        self._first: list[str] = []
        self._file: IO[str] | None = None
        if path is not None and os.path.exists(path):
            os.remove(path)

    def add(self, where: str, reason: str) -> None:
        """Note a frame."""
        line = f"{where}: {reason}"
        self.count += 1
        if len(self._first) < SHOWN:
            self._first.append(line)
        if self.path is not None:
            if self._file is None:
                os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
                self._file = open(self.path, "w", encoding="utf-8")  # noqa: SIM115
            self._file.write(f"{line}\n")

    def close(self, num_frames: int | None) -> None:
        """Finish the list and say what it holds; None: the reading did not come to its end."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if not self.count or num_frames is None:
            return
        more = "" if self.path is None else f" All of them: {self.path}."
        log.warning(
            "%s of %s frames were skipped, the first of them:\n  %s%s",
            f"{self.count:,}",
            f"{num_frames:,}",
            "\n  ".join(self._first),
            more and f"\n{more.strip()}",
        )
