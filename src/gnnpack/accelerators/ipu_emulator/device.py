"""A finite number of emulated IPUs, and who holds them."""

from __future__ import annotations

import os
import weakref

from gnnpack.accelerators.ipu_emulator.errors import Error

# A Pod16, the smallest machine that IPUs are rented in.
DEFAULT_NUM_IPUS = 16
VARIABLE = "GNNPACK_EMULATED_IPUS"

_chosen: int | None = None
_held: dict[int, int] = {}


def set_num_ipus(num_ipus: int | None) -> None:
    """Emulate a machine with this many IPUs; None: those of the environment, or 16.

    Raises:
        ValueError: fewer than one.
    """
    global _chosen
    if num_ipus is not None and num_ipus < 1:
        raise ValueError(f"num_ipus is {num_ipus}; an emulated machine has 1 IPU or more.")
    _chosen = num_ipus


def num_ipus() -> int:
    """How many IPUs the emulated machine has."""
    if _chosen is not None:
        return _chosen
    said = os.environ.get(VARIABLE, str(DEFAULT_NUM_IPUS))
    if not said.isdigit() or int(said) < 1:
        raise ValueError(f"{VARIABLE} is {said!r}; it is how many IPUs to emulate: 1 or more.")
    return int(said)


class Device:
    """The IPUs of one executor, one for each replica."""

    def __init__(self, num_replicas: int) -> None:
        self._num_replicas = num_replicas
        self._free = weakref.finalize(self, _held.pop, id(self), None)

    @property
    def attached(self) -> bool:
        """Whether they are held."""
        return id(self) in _held

    def attach(self) -> None:
        """Take them.

        Raises:
            Error: other executors hold too many, or the machine has too few.
        """
        taken = sum(_held.values())
        if taken + self._num_replicas > num_ipus():
            raise Error(
                f"Failed to acquire {self._num_replicas} IPU(s): {taken} of the {num_ipus()} "
                "emulated ones are attached to other models. Call detachFromDevice() on those, "
                f"replicate less, or emulate more: {VARIABLE}."
            )
        _held[id(self)] = self._num_replicas

    def detach(self) -> None:
        """Give them back."""
        _held.pop(id(self), None)
