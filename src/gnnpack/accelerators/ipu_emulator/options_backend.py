"""Options that PopTorch hands on to PopART, and how a model is laid over IPUs."""

from __future__ import annotations

import copy
from typing import Any, Mapping

from gnnpack.accelerators.ipu_emulator.enums import AutoStage
from gnnpack.accelerators.ipu_emulator.option_values import Freezable


class PopartOptions(Freezable):
    """``options._Popart``: PopART's session options by their names, unchecked until compilation.

    They steer speed and memory and never change a number.

    Attributes:
        options: what was set.
    """

    def __init__(self) -> None:
        self.options: dict[str, Any] = {
            "instrumentWithHardwareCycleCounter": False,
            "rearrangeAnchorsOnHost": False,
        }

    def set(self, key: str, value: Any) -> PopartOptions:
        """Set one; whole numbers and booleans are different types to PopART."""
        self.checkIsFrozen()
        self.options[key] = value
        return self

    def setEngineOptions(self, engine_options: Mapping[str, str]) -> PopartOptions:
        """Options of Poplar's engine."""
        return self.set("engineOptions", dict(engine_options))

    def setPatterns(self, patterns: Mapping[str, bool], level: int = 2) -> PopartOptions:
        """PopART's rewriting rules, switched by name."""
        assert isinstance(level, int), f"level is {level!r}; it is a whole number"
        assert isinstance(patterns, dict), f"patterns is {patterns!r}; it is a dict of name: bool"
        return self.set("patterns_level", level).set("patterns", patterns)

    def __deepcopy__(self, memory: dict[int, Any]) -> PopartOptions:
        made = PopartOptions()
        memory[id(self)] = made
        made.options = copy.deepcopy(self.options, memory)
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.options.items())})"


class PipelinedExecution:
    """Stages work on different micro-batches at a time; PopTorch's default.

    The emulator runs models of one IPU, which have one stage: the strategies compute the same.
    """

    execution_mode = 0

    def __init__(self, *stages: AutoStage) -> None:
        assert all(isinstance(stage, AutoStage) for stage in stages), (
            f"stages are {stages!r}; the emulator runs models of one IPU: name no blocks"
        )

    def backendOptions(self) -> dict[str, Any]:
        """What goes to the compiler."""
        return {"execution_mode": self.execution_mode}


class ShardedExecution(PipelinedExecution):
    """Stages work one after another; overlapped host I/O needs it."""

    execution_mode = 1
