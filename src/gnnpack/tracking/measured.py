"""What metering keeps of a training: in windows, by step and in sum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gnnpack.tracking.pieces import Piece
from gnnpack.tracking.step_counts import Counts
from gnnpack.tracking.step_times import StepTimes
from gnnpack.tracking.windows import Window, Windows

# A GPU's counter is renewed some ten times a second, so of less its steps are what one reads; and
# a processor's tells of a moment, with whatever else it did just then.
LEAST_JOULE_SECONDS = 2.0


@dataclass
class Measured:
    """Figures of a part of the training.

    Attributes:
        joules: while ``joule_molecules`` were trained in ``joule_seconds``; None when nobody told.
        epoch, epoch_seconds: of the present epoch.
    """

    windows: Windows = field(default_factory=Windows)
    steps: StepTimes = field(default_factory=StepTimes)
    joules: float | None = None
    joule_molecules: int = 0
    joule_seconds: float = 0.0
    epoch: Counts = field(default_factory=Counts)
    epoch_seconds: float = 0.0

    def add(self, piece: Piece, *, tells_joules: bool) -> None:
        """Count a piece in."""
        counts = piece.counts
        self.windows.add(Window(counts.molecules, counts.atoms, piece.seconds))
        for seconds in piece.step_seconds:
            self.steps.add(seconds)
        if tells_joules:
            self.joule_molecules += counts.molecules
            self.joule_seconds += piece.seconds
        self.epoch = self.epoch.plus(counts)
        self.epoch_seconds += piece.seconds

    def begin_epoch(self) -> None:
        """Forget the last one's sums."""
        self.epoch, self.epoch_seconds = Counts(), 0.0

    @property
    def is_empty(self) -> bool:
        """Nothing was measured."""
        return not self.windows.all

    @property
    def joules_per_molecule(self) -> float | None:
        """None where nobody told, the counter did not move, or in less than two seconds."""
        if not self.joules or not self.joule_molecules:
            return None
        if self.joule_seconds < LEAST_JOULE_SECONDS:
            return None
        return self.joules / self.joule_molecules

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "windows": self.windows.state_dict(),
            "steps": self.steps.state_dict(),
            "joules": self.joules,
            "joule_molecules": self.joule_molecules,
            "joule_seconds": self.joule_seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with them."""
        self.windows.load_state_dict(state_dict["windows"])
        self.steps.load_state_dict(state_dict["steps"])
        self.joules = state_dict["joules"]
        self.joule_molecules = int(state_dict["joule_molecules"])
        # Older checkpoints do not hold it; their counters told all the time or never.
        self.joule_seconds = float(state_dict.get("joule_seconds", self.windows.seconds))
