"""The batches of an asynchronous loader as lists of tensors, and back."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple, Sequence

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.async_ring import Batches

TensorList = Sequence[Tensor]


class Structure(NamedTuple):
    """How a batch is told from its tensors."""

    made: Any = None
    keys: Any = ()

    @classmethod
    def of(cls, batch: Any) -> Structure:
        """Of a first batch."""
        if isinstance(batch, dict):
            return cls(dict, tuple(batch))
        return cls(list if isinstance(batch, list) else tuple if isinstance(batch, tuple) else None)

    def tensors(self, batch: Any) -> list[Tensor]:
        """A batch's tensors, in the first one's order."""
        if self.made is dict:
            assert set(batch) == set(self.keys), (
                f"a batch has the keys {sorted(batch)}, the first one {sorted(self.keys)}"
            )
            found = [batch[key] for key in self.keys]
        else:
            found = [batch] if self.made is None else list(batch)
        for index, tensor in enumerate(found):
            assert isinstance(tensor, Tensor), (
                f"Tensor at index {index} is not a torch tensor ({type(tensor)}). "
                "AsynchronousDataAccessor expects data to be organised as a flat 1D container of "
                "tensors."
            )
        return found

    def build(self, tensors: TensorList) -> Any:
        """A batch of these tensors."""
        if self.made is dict:
            return dict(zip(self.keys, tensors))
        return tensors[0] if self.made is None else self.made(tensors)


class Epochs:
    """Each call begins an epoch of a data set.

    Attributes:
        structure: that of all batches, once the first is made.
    """

    def __init__(self, dataset: Any, rebatched_size: int | None) -> None:
        self._dataset, self._size = dataset, rebatched_size
        self._drop_last = getattr(dataset, "rebatched_drop_last", True)
        self.structure = Structure()
        self._known = False

    def __call__(self) -> Batches:
        if self._size is None:
            return ((tensors, -1) for tensors in self._tensors())
        return rebatched(self._tensors(), self._size, self._drop_last)

    def _tensors(self) -> Iterator[TensorList]:
        for batch in self._dataset:
            if not self._known:
                self.structure, self._known = Structure.of(batch), True
            yield self.structure.tensors(batch)


def rebatched(batches: Iterator[TensorList], size: int, drop_last: bool) -> Batches:
    """Batches of ``size`` rows from batches of any; the last may have fewer.

    >>> rows = ([torch.tensor([i, i])] for i in range(3))
    >>> [(tensors[0].tolist(), rows) for tensors, rows in rebatched(rows, 4, drop_last=False)]
    [([0, 0, 1, 1], 4), ([2, 2], 2)]
    """
    kept: TensorList = ()
    for batch in batches:
        kept = [torch.cat(pair) for pair in zip(kept, batch)] if kept else batch
        while len(kept[0]) >= size:
            yield [tensor[:size] for tensor in kept], size
            kept = [tensor[size:] for tensor in kept]
    if kept and len(kept[0]) and not drop_last:
        yield kept, len(kept[0])
