"""The steps of `gnnpack bench gpu`, the most wanted figures first."""

from __future__ import annotations

from functools import partial
from typing import Any

from gnnpack.bench.gpu_blocks import measure_block
from gnnpack.bench.gpu_checks import check_model
from gnnpack.bench.gpu_clusters import CLUSTERS, measure_clusters, measure_whole_epoch
from gnnpack.bench.gpu_epochs import measure_epochs, measure_pyg
from gnnpack.bench.gpu_kernels import measure_kernels
from gnnpack.bench.gpu_learning import epochs_name, measure_learning
from gnnpack.bench.gpu_lines import Step
from gnnpack.bench.gpu_roof import ROOF, measure_roof
from gnnpack.bench.gpu_settings import BlockCase, EpochCase, GPUSettings, KernelCase, Train

LEARNING = "learning"
WHOLE_EPOCH = f"{CLUSTERS} whole epoch"
PYG = "pyg"
WANTED_EPOCHS = 8  # of the cases, before kernels are timed one by one


def gpu_steps(settings: GPUSettings, train: Train) -> list[Step]:
    """All steps; seconds are what each is thought to take with its compilations on an H100.

    Args:
        train: runs `gnnpack train`.
    """
    sizes = settings.sizes
    epochs = [_epochs(settings, case, train) for case in sizes.epochs]
    return [
        Step(ROOF, 8, lambda earlier: measure_roof(settings)),
        *(_check(settings, case) for case in sizes.kernels[:1]),
        *epochs[:WANTED_EPOCHS],
        *(_block(settings, case) for case in sizes.blocks),
        *(
            Step(f"{CLUSTERS} part {name}", 12, _ignore(partial(measure_clusters, settings, name)))
            for name in ("tf32", "bf16")
        ),
        Step(LEARNING, sizes.learning_seconds + 30, partial(_learn, settings, train)),
        *(_check(settings, case) for case in sizes.kernels[1:]),
        *(_kernels(settings, case) for case in sizes.kernels),
        Step(PYG, 10, _ignore(partial(measure_pyg, settings))),
        Step(WHOLE_EPOCH, 50, partial(measure_whole_epoch, settings)),
        *epochs[WANTED_EPOCHS:],
    ]


def case_name(case: KernelCase) -> str:
    """A kernel case in a step's name."""
    F, slots, knots, order, storage = case
    return f"F {F} slots {slots} knots {knots} {order} {storage}"


def block_name(case: BlockCase) -> str:
    """A block's step, named as the published ones are: atoms, channels, directed edges."""
    atoms, channels, neighbours = case
    return f"block {atoms} {channels} {atoms * neighbours}"


def _check(settings: GPUSettings, case: KernelCase) -> Step:
    return Step(f"check {case_name(case)}", 8, _ignore(partial(check_model, settings, case)))


def _kernels(settings: GPUSettings, case: KernelCase) -> Step:
    return Step(f"kernels {case_name(case)}", 6, partial(measure_kernels, settings, case))


def _block(settings: GPUSettings, case: BlockCase) -> Step:
    return Step(block_name(case), 5, partial(measure_block, settings, case))


def _epochs(settings: GPUSettings, case: EpochCase, train: Train) -> Step:
    return Step(epochs_name(case), 7, _ignore(partial(measure_epochs, settings, case, train)))


def _learn(settings: GPUSettings, train: Train, earlier: Any) -> dict[str, Any]:
    return measure_learning(settings, earlier, train)


def _ignore(measure: Any) -> Any:
    """For steps that need no earlier ones."""
    return lambda earlier: measure()
