"""Weights on the device, in its types, and their copies to and from the host."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Mapping

import torch
from torch import Tensor

from gnnpack.accelerators.ipu_emulator.micro_batches import enter


class DeviceWeights:
    """The weights on the device: one copy of each, shared by all replicas.

    They live in an IPU's types, whatever the host's are. A buffer that forward changes is a
    replica's own; what is read back is that of replica 0.

    Attributes:
        parameters: trained ones by name.
    """

    def __init__(self, module: torch.nn.Module, num_replicas: int) -> None:
        self._module = module
        self._num_replicas = num_replicas
        self._values: list[dict[str, Tensor]] = []
        self.upload()

    @property
    def parameters(self) -> dict[str, Tensor]:
        values = self._values[0]
        return {name: value for name, value in values.items() if value.requires_grad}

    def upload(self) -> None:
        """Copy the host's weights; optimizers go on with the same tensors."""
        host = host_weights(self._module)
        if not self._values:
            shared = {name: _on_device(weight) for name, weight in host.items()}
            self._values = [dict(shared) for _ in range(self._num_replicas)]
        with torch.no_grad():
            for values in self._values:
                for name, weight in host.items():
                    values[name].copy_(weight)

    def download(self) -> None:
        """Copy the device's weights to the host."""
        with torch.no_grad():
            for name, weight in host_weights(self._module).items():
                weight.data.copy_(self._values[0][name].detach())

    def give_replicas_their_own(self, buffers: list[str]) -> None:
        """Let each replica change these buffers by itself."""
        for values in self._values[1:]:
            for name in buffers:
                values[name] = values[name].clone()

    def of_replica(self, replica: int) -> list[Tensor]:
        """All weights in the module's order."""
        return list(self._values[replica].values())

    @contextmanager
    def in_module(self) -> Iterator[list[str]]:
        """Trace on copies: forward sees device types, and writes into nothing that stays.

        Gives a list that holds, afterwards, the names of the weights forward wrote into.
        """
        host = host_weights(self._module)
        kept = {name: weight.data for name, weight in host.items()}
        changed: list[str] = []
        for name, weight in host.items():
            weight.data = self._values[0][name].detach().clone()
        try:
            yield changed
            changed += [name for name, weight in host.items() if not self._same(name, weight)]
        finally:
            for name, weight in host.items():
                weight.data = kept[name]

    def _same(self, name: str, weight: Tensor) -> bool:
        # By value: some of torch's layers write their statistics without counting a version.
        before, after = self._values[0][name].detach(), weight.detach()
        return bool(((before == after) | ((before != before) & (after != after))).all())


def host_weights(module: torch.nn.Module) -> Mapping[str, Tensor]:
    """Parameters, then buffers, by name; the host's own tensors."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _on_device(weight: Tensor) -> Tensor:
    return enter(weight.detach()).clone().requires_grad_(weight.requires_grad)
