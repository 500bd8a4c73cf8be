"""A data set on its way to a worker process."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.enums import SharingStrategy


def handed_over(dataset: Any, strategy: SharingStrategy) -> Any:
    """``dataset`` as a worker process would have it.

    Started by a fork server or spawned, it has a pickled copy, and torch's tensors are shared;
    through a file, all is copied; forked, all is copied that is not shared memory. A data set that
    a process could not be given raises here what it would raise there.
    """
    if strategy == SharingStrategy.Fork:
        made = copy.deepcopy(dataset)
    elif strategy == SharingStrategy.FileSystem:
        made = pickle.loads(pickle.dumps(dataset, protocol=4))
    else:
        file = io.BytesIO()
        pickler = _SharedTensors(file)
        pickler.dump(dataset)
        file.seek(0)
        made = _GivenTensors(file, pickler.tensors).load()
    _own_randomness(made)
    return made


def _own_randomness(loader: Any) -> None:
    """Draw a loader's seeds from its own numbers, as a new process does, not from the caller's."""
    for part in (loader, getattr(loader, "sampler", None)):
        if part is not None and getattr(part, "generator", False) is None:
            part.generator = torch.Generator()


class _SharedTensors(pickle.Pickler):
    """Copies all but torch's tensors, which processes share."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.tensors: list[Tensor] = []

    def persistent_id(self, value: Any) -> int | None:
        """A tensor's number."""
        if not isinstance(value, Tensor):
            return None
        self.tensors.append(value)
        return len(self.tensors) - 1


class _GivenTensors(pickle.Unpickler):
    """Takes the tensors as they are."""

    def __init__(self, file: Any, tensors: list[Tensor]) -> None:
        super().__init__(file)
        self.tensors = tensors

    def persistent_load(self, number: Any) -> Tensor:
        """The tensor of a number."""
        return self.tensors[int(number)]
