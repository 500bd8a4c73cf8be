"""What a PopTorch optimizer keeps besides its hyper-parameters: where its moments are."""

from __future__ import annotations

import weakref
from typing import Any, ClassVar, Mapping, Sequence

import torch


class VariableAttributes:
    """Which hyper-parameters may change after compilation."""

    def __init__(self, variable_attributes: Sequence[str], allowed: Sequence[str]) -> None:
        self._variable = list(variable_attributes)
        self._allowed = list(allowed)

    def isConstant(self, attr: str) -> bool:
        """Whether the compiler may burn the value in."""
        return attr not in self._variable

    def markAsConstant(self, attr: str) -> None:
        """Let the compiler burn the value in."""
        self._check(attr)
        self._variable = [name for name in self._variable if name != attr]

    def markAsVariable(self, attr: str) -> None:
        """Let `setOptimizer` change the value."""
        self._check(attr)
        self._variable.append(attr)

    def _check(self, attr: str) -> None:
        assert attr in self._allowed, f"Unknown attribute {attr}, allowed values: {self._allowed}"


class IPUState:
    """State of an optimizer whose moments live on IPUs.

    ``state_dict()`` reads the moments back from the executor; ``load_state_dict()`` hands them to
    it, now or when it attaches. Mixed in before torch's optimizer class.
    """

    # The arguments that torch's class does not know.
    own: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self._state_dict: dict[str, Any] = {"ipu_state": None, "ipu_param": None}
        self._executor: Any = None
        # Whether `_state_dict` is newer than the IPU's.
        self.ipu_state_is_dirty = False

    def state_dict(self) -> dict[str, Any]:
        """``{"ipu_state", "ipu_param", "state", "param_groups"}``; "state" is always empty."""
        executor = self._attached()
        if executor is not None and not self.ipu_state_is_dirty:
            read = executor.device_optimizer_state()
            if read is not None:
                self._state_dict = {key: read[key] for key in ("ipu_state", "ipu_param")}
        # torch's half is what learning-rate schedulers look at.
        return {**self._state_dict, **torch.optim.Optimizer.state_dict(self)}  # type: ignore[arg-type]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that an IPU has made.

        Raises:
            RuntimeError: a state of a CPU, a GPU or a plain torch optimizer.
        """
        if not state:
            raise RuntimeError("Cannot load optimizer state dictionary because it is empty.")
        if not ("ipu_state" in state and "ipu_param" in state):
            raise RuntimeError(
                "Only IPU optimizer states can be loaded onto the IPU. This one was made on "
                "another device: load the weights alone, and let the optimizer begin anew."
            )
        torch.optim.Optimizer.load_state_dict(self, dict(state))  # type: ignore[arg-type]
        self._state_dict = {key: state[key] for key in ("ipu_state", "ipu_param")}
        self.ipu_state_is_dirty = self.has_state()
        self._upload()

    def has_state(self) -> bool:
        """Whether an IPU has made moments."""
        return self._state_dict["ipu_state"] is not None

    def _ipu_attach(self, executor: Any) -> None:
        """The executor calls this once its own optimizer stands; a loaded state goes up now."""
        self._executor = weakref.ref(executor)
        self._upload()

    def _attached(self) -> Any:
        return None if self._executor is None else self._executor()

    def _upload(self) -> None:
        executor = self._attached()
        if executor is not None and self.ipu_state_is_dirty:
            executor.load_device_optimizer_state(self._state_dict)
            self.ipu_state_is_dirty = False

    def __getstate__(self) -> dict[str, Any]:
        # torch's keeps the hyper-parameters; a copy has no executor, and takes the moments along.
        kept = dict(torch.optim.Optimizer.__getstate__(self))  # type: ignore[arg-type]
        read = self.state_dict()
        kept.update({name: getattr(self, name) for name in (*self.own, "variable_attrs")})
        kept["_state_dict"] = {key: read[key] for key in ("ipu_state", "ipu_param")}
        kept["_executor"] = None
        kept["ipu_state_is_dirty"] = self.has_state()
        return kept
