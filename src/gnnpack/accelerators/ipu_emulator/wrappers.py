"""`trainingModel` and `inferenceModel`: from a user's module to an executor."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_emulator.enums import OutputMode
from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.executor import PoplarExecutor
from gnnpack.accelerators.ipu_emulator.memory import Estimate, estimate
from gnnpack.accelerators.ipu_emulator.options import Options
from gnnpack.accelerators.ipu_emulator.wrapped import is_wrapped


def trainingModel(
    model: Any, options: Options | None = None, optimizer: Optimizer | None = None
) -> PoplarExecutor:
    """An executor whose calls train ``model``: forward must make a loss.

    Args:
        model: a module, or an executor of one.
        options: frozen from here on; a clone is used. Outputs default to `OutputMode.Final`.
        optimizer: one of torch's or ours; None is SGD with a learning rate of 0.01.

    Raises:
        RuntimeError: another trainingModel holds the module.
        Error: the options are no `Options`.
    """
    module = _module(model)
    if is_wrapped(module):
        raise RuntimeError(
            "Model has already been wrapped in 'poptorch.trainingModel'. Call model.destroy() on "
            "the model to unwrap before wrapping again."
        )
    chosen = optimizer or torch.optim.SGD(module.parameters(), lr=0.01)
    return PoplarExecutor(module, _frozen(options, OutputMode.Final), chosen)


def inferenceModel(model: Any, options: Options | None = None) -> PoplarExecutor:
    """An executor whose calls run ``model`` forward; it follows a trainingModel of the same module.

    Args:
        model, options: as for `trainingModel`. Outputs default to `OutputMode.All`.

    Raises:
        Error: gradient accumulation, which inference has not; the options are no `Options`.
    """
    chosen = _frozen(options, OutputMode.All)
    accumulation = chosen.Training.gradient_accumulation
    if accumulation != 1:
        raise Error(
            f"You must set poptorch.Options().Training.gradientAccumulation to 1 or leave it as "
            f"its default value (1) when running poptorch.inferenceModel(); it is {accumulation}. "
            "Use options of their own for evaluation."
        )
    return PoplarExecutor(_module(model), chosen, None)


def _module(model: Any) -> torch.nn.Module:
    module = model.model if isinstance(model, PoplarExecutor) else model
    if not isinstance(module, torch.nn.Module):
        raise Error(f"The model is a {type(module).__name__}; it must be a torch.nn.Module.")
    return module


def _frozen(options: Options | None, mode: OutputMode) -> Options:
    if options is None:
        options = Options()
    if not isinstance(options, Options):
        raise Error(
            f"Invalid type: expected poptorch.Options for argument 'options', got "
            f"{type(options).__name__}."
        )
    options._freeze()
    kept = options.clone()
    if kept.defaultOutputMode():
        kept.outputMode(mode)
    kept._freeze()
    return kept


def memory_estimate(executor: PoplarExecutor) -> Estimate:
    """Whether a compiled model is likely to fit on an IPU; the emulator's own, PopTorch has none.

    Raises:
        Error: it is not compiled yet.
    """
    captured = executor.captured
    parameters = dict(executor.model.named_parameters())
    return estimate(captured, parameters, executor.optimizer, executor.options)


def load(filename: str, edit_opts_fn: Any = None) -> NoReturn:
    """Refused: the emulator makes no executables that could be loaded."""
    raise Error(
        f"poptorch.load({filename!r}) needs PopTorch: the emulator makes and reads no executables. "
        "Make the model anew and load its weights."
    )


def ipuHardwareIsAvailable(num_ipus: int = 1) -> bool:
    """False: these IPUs are emulated."""
    return False


def ipuHardwareVersion() -> int:
    """0: these IPUs are emulated."""
    return 0
