"""What a training graph differentiates: torch's loss functions and `identity_loss`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from gnnpack.accelerators.ipu_emulator.errors import Error

# The guide's loss functions; used anywhere in forward, PopTorch differentiates them.
LOSS_FUNCTIONS = {
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.cosine_embedding_loss,
    F.cross_entropy,
    F.ctc_loss,
    F.hinge_embedding_loss,
    F.kl_div,
    F.l1_loss,
    F.margin_ranking_loss,
    F.mse_loss,
    F.nll_loss,
    F.poisson_nll_loss,
    F.smooth_l1_loss,
    F.soft_margin_loss,
    F.triplet_margin_loss,
}

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": torch.clone,
}
_found: list[list[Tensor]] = []


def identity_loss(x: Tensor, reduction: str) -> Tensor:
    """Mark ``x``, reduced, as what training differentiates; outside a trace it only reduces.

    Args:
        x: any shape, floating.
        reduction: "mean", "sum" or "none"; with "none" the gradient is that of the sum.

    Raises:
        AssertionError: another reduction.
    """
    assert reduction in _REDUCTIONS, (
        f"Unsupported reduction type {reduction!r}: use one of {sorted(_REDUCTIONS)}"
    )
    loss = _REDUCTIONS[reduction](x)
    if _found:
        _found[-1].append(loss)
    return loss


class _LossWatch(TorchFunctionMode):  # type: ignore[misc, unused-ignore]
    """Notes what torch's loss functions return."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        value = function(*args, **(kwargs or {}))
        if function in LOSS_FUNCTIONS:
            _found[-1].append(value)
        return value


@contextmanager
def watch_losses() -> Iterator[list[Tensor]]:
    """The losses that are made inside, in order."""
    _found.append([])
    try:
        with _LossWatch():
            yield _found[-1]
    finally:
        _found.pop()


def final_loss(losses: Sequence[torch.fx.Node]) -> torch.fx.Node:
    """The one loss that lies downstream of all others.

    Raises:
        Error: there is none at all, or several that do not build on each other.
    """
    if not losses:
        raise Error(
            "Couldn't find a loss in graph! Use one of torch's loss functions in forward, or wrap "
            "your own in poptorch.identity_loss."
        )
    upstream: set[torch.fx.Node] = set()
    for loss in losses:
        upstream |= _ancestors(loss)
    independent = [loss for loss in dict.fromkeys(losses) if loss not in upstream]
    if len(independent) != 1:
        raise Error(
            "Multiple independent losses found in graph. Graph must have one final loss. Wrap "
            "final graph loss in poptorch.identity_loss."
        )
    return independent[0]


def _ancestors(node: torch.fx.Node) -> set[torch.fx.Node]:
    seen: set[torch.fx.Node] = set()
    open_nodes = list(node.all_input_nodes)
    while open_nodes:
        current = open_nodes.pop()
        if current not in seen:
            seen.add(current)
            open_nodes += current.all_input_nodes
    return seen
