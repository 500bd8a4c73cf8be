"""Named values of known types, frozen at their first use: what every group of options is.

Read in PopTorch 3.4's ``_options_impl``: setters check the type and nothing else, a value is read
back as an attribute, and the freeze reaches one level down.
"""

from __future__ import annotations

import copy
from typing import Any


class Freezable:
    """Refuses each change once an executor or a loader has used it."""

    _is_frozen = False

    def checkIsFrozen(self) -> None:
        """Raise AttributeError where a change comes too late."""
        if self._is_frozen:
            raise AttributeError(
                "Can't modify frozen Options: a DataLoader or a model already uses them. Change "
                "them before that, or change options.clone()."
            )

    def _freeze(self) -> None:
        self._set_frozen(True)

    def _unfreeze(self) -> None:
        self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> None:
        for member in (self, *vars(self).values()):
            if isinstance(member, Freezable):
                vars(member)["_is_frozen"] = frozen

    def __setattr__(self, name: str, value: Any) -> None:
        self.checkIsFrozen()
        super().__setattr__(name, value)


class OptionValues(Freezable):
    """Options of one group: ``group.name`` reads a value, ``group.set(name=value)`` changes it.

    Raises:
        AssertionError: an unknown name, or a value of another type than the default's.
        AttributeError: an unknown name is read; the options are frozen.
    """

    def __init__(self, **defaults: Any) -> None:
        vars(self)["_values"] = defaults

    def set(self, **changes: Any) -> None:
        """Change known values."""
        self.checkIsFrozen()
        for name, value in changes.items():
            known = list(self._values)
            assert name in self._values, f"Invalid option {name}, valid options are {known}"
            expected = type(self._values[name])
            # Like PopTorch's: True passes as an int, and 0 or -1 as a count.
            assert isinstance(value, expected), (
                f"Unexpected type {type(value)} for option {name}. Expected {expected}"
            )
            self._values[name] = value

    def createOrSet(self, **changes: Any) -> None:
        """Change values, or add those that have no default."""
        self.checkIsFrozen()
        for name, value in changes.items():
            if name in self._values:
                self.set(**{name: value})
            else:
                self._values[name] = value

    def exists(self, name: str) -> bool:
        """Whether an option has a value."""
        return name in self._values

    def deleteIfExists(self, name: str) -> None:
        """Take back a value that has no default."""
        self.checkIsFrozen()
        self._values.pop(name, None)

    def toDict(self) -> dict[str, Any]:
        """The values by name."""
        return dict(self._values)

    def __getattr__(self, name: str) -> Any:
        # Only for names that are no attributes; private ones must not look into themselves.
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"Invalid attribute {name}.")
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self.set(**{name: value})

    def __deepcopy__(self, memory: dict[int, Any]) -> Any:
        made = self.__class__.__new__(self.__class__)
        memory[id(self)] = made
        vars(made).update(copy.deepcopy(vars(self), memory))
        vars(made)["_is_frozen"] = False
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"
