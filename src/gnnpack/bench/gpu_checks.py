"""Whether the CUDA kernels are right on this device: values, equal bits, no waiting."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Mapping

import torch
from torch import Tensor

from gnnpack.batching import PackBatch
from gnnpack.bench.gpu_clock import matmul_precision
from gnnpack.bench.gpu_molecules import droplets, packed_batch
from gnnpack.bench.gpu_settings import GPUSettings, KernelCase
from gnnpack.datasets.size_counts import shuffled_sizes
from gnnpack.models import Readout, SchNet, Tabulated

# Float32 sums of a few hundred terms; positions collect slopes, which rounding changes more.
# TF32 keeps 10 bits of a factor.
TOLERANCES = {"float32": 2e-5, "tf32": 5e-3}
POSITIONS = 10
PARTS = 64


def check_model(settings: GPUSettings, case: KernelCase) -> dict[str, Any]:
    """Energies and all gradients of SchNet on the kernels against plain torch in float64.

    In float32 and with TF32 products. ``passed`` also asks for the same bits twice, and that no
    call waits for the device, which sync_debug_mode=error would refuse.
    """
    batch = kernel_batch(settings, case, min(PARTS, settings.sizes.kernel_molecules))
    wanted = _float64(settings, case, batch)
    found: dict[str, Any] = {}
    for precision, tolerance in TOLERANCES.items():
        with _checked(precision):
            model = kernel_model(settings, case)
            values = energies_and_gradients(model, batch, cuda_kernels=True)
            with _no_waiting(settings.device):
                again = energies_and_gradients(model, batch, cuda_kernels=True)
        errors = {name: _error(values[name], value) for name, value in wanted.items()}
        positions = errors.pop("positions")
        worst = max(errors, key=lambda name: errors[name])
        same = all(torch.equal(values[name], again[name]) for name in values)
        found[precision] = {
            "energies": errors["energies"],
            "worst": {worst: errors[worst]},
            "positions": positions,
            "same_bits": same,
            "passed": bool(
                same and errors[worst] < tolerance and positions < POSITIONS * tolerance
            ),
        }
    return {"passed": all(one["passed"] for one in found.values()), **found}


def kernel_batch(settings: GPUSettings, case: KernelCase, molecules: int) -> PackBatch:
    """QM9-sized droplets in packs of the case's slots."""
    atoms = shuffled_sizes("qm9", settings.seed)
    atoms = atoms[atoms <= settings.sizes.kernel_largest][:molecules]
    source = droplets(atoms, seed=settings.seed)
    return packed_batch(source, case.slots, settings.device)


def kernel_model(settings: GPUSettings, case: KernelCase, **options: Any) -> SchNet:
    """SchNet of the case's width and table, the same weights in every call."""
    sizes = settings.sizes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = SchNet(
            case.channels,
            sizes.num_interactions,
            sizes.num_gaussians,
            sizes.cutoff,
            filter=Tabulated(order=case.order, num_knots=case.knots),
            readout=Readout("sum", 0.1, 1.3),
            largest_molecule=sizes.kernel_largest,
            **options,
        )
    return model.to(settings.device)


def energies_and_gradients(
    model: SchNet, batch: PackBatch, *, cuda_kernels: bool
) -> dict[str, Tensor]:
    """Energies, and gradients of their sum in positions and parameters."""
    pos = batch.pos.detach().to(model.embedding.weight.dtype).requires_grad_()
    model.zero_grad(set_to_none=True)
    energies = model._predict(batch._replace(pos=pos), cuda_kernels=cuda_kernels)
    energies.sum().backward()  # type: ignore[no-untyped-call]
    found = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {
        "energies": energies.detach(),
        "positions": _there(pos.grad),
        **{name: _there(gradient) for name, gradient in found.items()},
    }


def _there(gradient: Tensor | None) -> Tensor:
    assert gradient is not None, "every parameter takes part"
    return gradient


def _float64(settings: GPUSettings, case: KernelCase, batch: PackBatch) -> Mapping[str, Tensor]:
    model = kernel_model(settings, case, compiled=False).double()
    return energies_and_gradients(model, batch, cuda_kernels=False)


def _error(found: Tensor, wanted: Tensor) -> float:
    """Largest difference over the largest value; infinite where one is not a number."""
    error = float((found.double() - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))
    return error if error == error else float("inf")


@contextmanager
def _checked(precision: str) -> Iterator[None]:
    """Fresh memory is NaN, and an operation without a fixed order raises."""
    deterministic: Any = torch.utils.deterministic
    filled = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = True
    try:
        with matmul_precision(precision):
            yield
    finally:
        torch.use_deterministic_algorithms(False)
        deterministic.fill_uninitialized_memory = filled


@contextmanager
def _no_waiting(device: str) -> Iterator[None]:
    """Raise where the host would wait for the device."""
    if device != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
