"""Hydra takes sweepers from packages of this namespace alone; the sweeper is gnnpack's."""

from __future__ import annotations

from gnnpack.commands.sweeper import SweepOfProcesses


class ResumableSweeper(SweepOfProcesses):
    """`hydra/sweeper=gnnpack`."""
