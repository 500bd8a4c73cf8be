"""What PopTorch raises."""

from __future__ import annotations


class Error(Exception):
    """PopTorch's own error; like PopTorch's, no RuntimeError.

    Attributes:
        type: who raised it; PopTorch's Python side says "poptorch_py_error".
        message: what went wrong.
        location: where in PopTorch; empty here.
    """

    def __init__(self, message: str, type: str = "poptorch_py_error", location: str = "") -> None:
        super().__init__(f"'{type}': {message}")
        self.type, self.message, self.location = type, message, location

    def __reduce__(self) -> tuple[object, ...]:
        return self.__class__, (self.message, self.type, self.location)


class RecoverableError(Error):
    """The system can go on after ``recovery_action``. Hardware alone raises it."""

    recovery_action = ""


class UnrecoverableError(Error):
    """The system needs its administrator. Hardware alone raises it."""
