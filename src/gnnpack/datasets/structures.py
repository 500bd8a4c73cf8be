"""Molecules without targets from any structure file that ASE reads."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gnnpack.datasets.molecules import Molecules
from gnnpack.datasets.structure_frames import Frame, FrameFault, check_frame, vectors


def read_structures(path: str) -> Molecules:
    """All frames of a file; ids are the frame numbers from 0, there are no targets.

    ValueError, naming the file and the frame, when it cannot be read, is empty, or a frame has
    no atoms, is periodic, or holds positions that are not finite.
    """
    frames = _frames(path)
    for number, frame in enumerate(frames):
        _check(frame, f"{path}, frame {number}")
    sizes = [len(frame) for frame in frames]
    return Molecules(
        z=np.concatenate([frame.numbers for frame in frames]).astype(np.uint8),
        pos=np.concatenate([frame.positions for frame in frames]).astype(np.float32),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        ids=np.arange(len(frames), dtype=np.int64),
    )


def _frames(path: str) -> list[Any]:
    # Imported here because only prediction needs it, and it takes half a second.
    from ase.io import read

    if not os.path.isfile(path):
        raise ValueError(f"{path} is not a file; give a structure file that ASE reads.")
    try:
        frames = read(path, index=":")
    except Exception as error:
        # ASE's readers raise whatever their parsing raises.
        raise ValueError(
            f"{path} cannot be read as structures ({type(error).__name__}: {error}). "
            "Give any format ASE knows, such as .xyz, with its usual file ending."
        ) from error
    if not frames:
        raise ValueError(f"{path} holds no structures.")
    return list(frames)


def _check(frame: Any, place: str) -> None:
    numbers, positions = frame.numbers, frame.positions
    try:
        check_frame(Frame(0, None, numbers, positions, bool(frame.pbc.any()), {}, {}))
        vectors("positions", positions, 1.0, len(numbers))
    except FrameFault as fault:
        raise ValueError(f"{place}: {fault} Correct or remove it.") from None
