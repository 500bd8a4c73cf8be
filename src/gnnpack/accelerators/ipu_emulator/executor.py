"""`PoplarExecutor`: a model that runs on emulated IPUs.

The methods, their order and their words are those of PopTorch 3.4's ``_poplar_executor.py``.
"""

from __future__ import annotations

import copy
import logging
from typing import Any, Mapping, NoReturn

import torch
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_emulator import optim
from gnnpack.accelerators.ipu_emulator.arguments import ArgumentParser, Arguments, check_same
from gnnpack.accelerators.ipu_emulator.capture import Captured
from gnnpack.accelerators.ipu_emulator.device import Device
from gnnpack.accelerators.ipu_emulator.enums import ConnectionType
from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.optim_state import IPUState
from gnnpack.accelerators.ipu_emulator.options import Options
from gnnpack.accelerators.ipu_emulator.program import Program
from gnnpack.accelerators.ipu_emulator.structures import tensors_of
from gnnpack.accelerators.ipu_emulator.wrapped import is_wrapped, unwrap, wrap

log = logging.getLogger(__name__)

NO_EXECUTABLE = "Model has not been compiled or has been destroyed."


class PoplarExecutor:
    """Made by `trainingModel` and `inferenceModel`; called like the model.

    The first call traces forward on one micro-batch and compiles; later calls must look the same.
    Attributes it has not are those of the user's module.

    Args:
        module: the user's; training changes its class in place.
        options: frozen, with an output mode.
        optimizer: None in inference.

    Attributes:
        host_weights_version: how often the host's weights were copied from the device.
    """

    def __init__(
        self, module: torch.nn.Module, options: Options, optimizer: Optimizer | None
    ) -> None:
        self._user_model = module
        # PopTorch traces a shallow copy: weights and sub-modules are shared, numbers are not.
        self._model = copy.copy(module)
        self._options = options
        self._optimizer = optimizer
        self._attributes: dict[str, Any] = {}
        self._parser = ArgumentParser(self._model)
        self._program: Program | None = None
        self._device = Device(options.replication_factor)
        self._weights_are_dirty = False
        self._seen_version = 0
        # An inference model follows the training of a module that was wrapped before it was made.
        self._follows = is_wrapped(module)
        self.host_weights_version = 0
        if optimizer is not None:
            self.setOptimizer(optimizer)
            wrap(module, self)

    # --- calls ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns, for all micro-batches that the output mode keeps.

        Raises:
            AssertionError: an offline device; a batch that cannot be cut; unknown arguments.
            Error: forward cannot be traced; the inputs differ from those of compilation.
        """
        assert self._options.connection_type != ConnectionType.Never, (
            "Trying to run a model on an offline device (ConnectionType.Never): use "
            "model.compile(inputs) instead of model(inputs)"
        )
        # Lightning evaluates in inference mode, whose tensors cannot be updated later.
        with torch.inference_mode(False):
            return self._call(self._parser(args, kwargs))

    def _call(self, arguments: Arguments) -> Any:
        if self._program is None:
            self._compile(arguments)
        program = self._compiled()
        check_same(program.arguments, arguments)
        if not self._device.attached:
            self.attachToDevice()
        if program.updates is None:
            self._follow_training()
        else:
            program.updates.set_attributes(self._attributes)
        output = program.run(arguments)
        self._weights_are_dirty = program.updates is not None
        for tensor in tensors_of(output):
            tensor.backward = _refuse_backward  # type: ignore[method-assign]
        return output

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Trace and compile without running; takes the arguments of a call."""
        if self._program is not None:
            log.warning("Call to compile() ignored: the executable is already compiled")
            return
        with torch.inference_mode(False):
            self._compile(self._parser(args, kwargs))

    def _compile(self, arguments: Arguments) -> None:
        if self._optimizer is not None and not is_wrapped(self._user_model):
            wrap(self._user_model, self)
        self._program = Program(self._model, self._optimizer, self._options, arguments)
        self._attach_optimizer()
        if self._options.connection_type == ConnectionType.Always:
            self._device.attach()

    def destroy(self) -> None:
        """Release the IPUs and the program; the user's module gets its own class back."""
        if self._program is None:
            return
        if self._optimizer is not None:
            self.copyWeightsToHostIfNeeded()
            _keep_moments(self._optimizer)
            unwrap(self._user_model)
        self._device.detach()
        self._program = None

    def isCompiled(self) -> bool:
        """Whether there is a program."""
        return self._program is not None

    # --- devices ---

    def isAttachedToDevice(self) -> bool:
        """Whether the IPUs are held."""
        return self.isCompiled() and self._device.attached

    def attachToDevice(self) -> None:
        """Take the IPUs and copy the weights to them."""
        self._compiled()
        assert self._options.connection_type != ConnectionType.Never, (
            "Trying to attach to an offline device (ConnectionType.Never)"
        )
        if self._device.attached:
            raise Error("Device is already attached")
        self._device.attach()
        self.copyWeightsToDevice()

    def detachFromDevice(self) -> None:
        """Read everything back, and give the IPUs to others."""
        self._compiled()
        if not self._device.attached:
            raise Error("Device is not attached")
        self.copyWeightsToHostIfNeeded()
        self._device.detach()

    # --- weights ---

    def copyWeightsToHost(self) -> None:
        """Copy the device's weights into the user's module."""
        program = self._compiled()
        self._weights_are_dirty = False
        with torch.inference_mode(False):
            program.weights.download()
        self.host_weights_version += 1

    def copyWeightsToHostIfNeeded(self) -> bool:
        """Whether the host's weights were stale; they no longer are."""
        if not self._weights_are_dirty:
            return False
        self.copyWeightsToHost()
        return True

    def copyWeightsToDevice(self) -> None:
        """Copy the weights of the user's module to the device."""
        program = self._compiled()
        # Reading the host's must not bring back the device's.
        self._weights_are_dirty = False
        with torch.inference_mode(False):
            program.weights.upload()

    def load_state_dict(self, state_dict: Mapping[str, Tensor], strict: bool = True) -> Any:
        """Load the user's module, and the device if it is attached."""
        loaded = self._user_model.load_state_dict(state_dict, strict)
        if self.isAttachedToDevice():
            self.copyWeightsToDevice()
        return loaded

    def _follow_training(self) -> None:
        """Take the weights of the trainingModel of the same module, if there are newer ones."""
        module: Any = self._user_model
        if not (self._follows and is_wrapped(module)):
            return
        module.copyWeightsToHostIfNeeded()
        version = module.host_weights_version()
        if version != self._seen_version:
            self.copyWeightsToDevice()
            self._seen_version = version

    # --- the optimizer ---

    def setOptimizer(self, optimizer: Optimizer) -> None:
        """Use the hyper-parameters ``optimizer`` has now from the next call on."""
        attributes = optim.attributes(optimizer)
        if self._program is not None and optimizer is not self._optimizer:
            assert self._optimizer is not None, "an inference model has no optimizer"
            _keep_moments(self._optimizer)
        self._attributes = attributes
        replaced = optimizer is not self._optimizer
        self._optimizer = optimizer
        if replaced:
            self._attach_optimizer()

    def _attach_optimizer(self) -> None:
        attach = getattr(self._optimizer, "_ipu_attach", None)
        if attach is not None and self._program is not None:
            attach(self)

    def device_optimizer_state(self) -> dict[str, Any] | None:
        """Moments on the device (`optim.device_state`); None before compilation."""
        if self._program is None or self._program.updates is None:
            return None
        return self._program.updates.state()

    def load_device_optimizer_state(self, state: Mapping[str, Any]) -> None:
        """Go on from such moments."""
        updates = self._compiled().updates
        assert updates is not None, "an inference model has no optimizer"
        updates.load_state(state)

    # --- what a user may look at ---

    @property
    def model(self) -> torch.nn.Module:
        """The user's module."""
        return self._user_model

    @property
    def options(self) -> Options:
        """The options, frozen."""
        return self._options

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer set last; None in inference."""
        return self._optimizer

    @property
    def captured(self) -> Captured:
        """The traced forward. The emulator's own: PopTorch has no such attribute."""
        return self._compiled().captured

    @property
    def rng_state(self) -> Tensor:
        """State of the device's random numbers."""
        return self._compiled().rng_state

    @rng_state.setter
    def rng_state(self, state: Tensor) -> None:
        self._compiled().rng_state = state

    def _compiled(self) -> Program:
        if self._program is None:
            raise Error(NO_EXECUTABLE)
        return self._program

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._user_model, name)

    # --- what only hardware has ---

    def cycleCount(self) -> NoReturn:
        """Refused: an emulated IPU has no clock."""
        _refuse_hardware("cycleCount")

    def getLatency(self) -> NoReturn:
        """Refused: an emulated IPU has no clock."""
        _refuse_hardware("getLatency")

    def getPerfCounters(self) -> NoReturn:
        """Refused: an emulated IPU has no clock."""
        _refuse_hardware("getPerfCounters")

    def compileAndExport(self, filename: str, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: the emulator makes no executable for an IPU."""
        _refuse_hardware("compileAndExport")

    def loadExecutable(self, filename: str) -> NoReturn:
        """Refused: the emulator makes no executable for an IPU."""
        _refuse_hardware("loadExecutable")


def _keep_moments(optimizer: Optimizer) -> None:
    """Read the moments into a PopTorch optimizer; the next program it is given goes on from them.

    Those of torch's own optimizers are never read back, as in PopTorch.
    """
    if isinstance(optimizer, IPUState):
        optimizer.state_dict()
        optimizer.ipu_state_is_dirty = optimizer.has_state()


def _refuse_hardware(name: str) -> NoReturn:
    raise Error(
        f"{name} needs PopTorch and an IPU: the emulator computes what an IPU would, but has "
        "neither its clock nor its executables."
    )


def _refuse_backward(*args: Any, **kwargs: Any) -> NoReturn:
    raise Error(
        "backward() cannot be called explicitly on outputs of a PopTorch model. If you're using a "
        "trainingModel, the backwards pass is performed automatically when invoking the model. If "
        "you're using an inferenceModel, you should use a trainingModel instead."
    )
