"""Blocks of a model: which are frozen, and which learn at another rate than the rest."""

from __future__ import annotations

from typing import Any, Callable, Iterable

from torch import nn
from torch.optim import Optimizer

HEAD = "head"
"""The block of the output layers, as `blocks_of` names it."""


def blocks_of(model: nn.Module) -> dict[str, nn.Module]:
    """The model's blocks by name, in the order of the data; `HEAD` are its output layers.

    As its method ``blocks`` says. A model without one has its children with parameters as blocks,
    those of a list by their numbers, and no head.
    """
    told = getattr(model, "blocks", None)
    if callable(told):
        return {str(name): block for name, block in told().items()}
    found: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        parts = child.named_children() if isinstance(child, nn.ModuleList) else [(name, child)]
        found.update((key, part) for key, part in parts if any(True for _ in part.parameters()))
    return found


def head_of(model: nn.Module) -> nn.Module:
    """The output layers; ValueError for a model that does not say which these are."""
    blocks = blocks_of(model)
    if HEAD not in blocks:
        raise ValueError(
            f"{type(model).__name__} does not say which of its blocks ({', '.join(blocks)}) is the "
            "head. Leave finetune.head=keep and finetune.body_lr=1, or give the model a method "
            "blocks() that names one 'head'."
        )
    return blocks[HEAD]


def freeze_blocks(model: nn.Module, names: Iterable[str]) -> None:
    """Let the parameters of some blocks stay as they are: no gradient, no decay, no update.

    Raises:
        ValueError: there is no such block, or nothing would be left to train.
    """
    blocks = blocks_of(model)
    for name in names:
        if name not in blocks:
            raise ValueError(
                f"finetune.freeze names the block {name!r}, which {type(model).__name__} does not "
                f"have. Its blocks are {', '.join(blocks)}."
            )
        blocks[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(
            f"finetune.freeze names all blocks ({', '.join(blocks)}), which leaves nothing to "
            "train. Leave out at least one."
        )


def optimizer_over(
    module: nn.Module, model: nn.Module, make: Callable[[Any], Optimizer], body_lr: float = 1.0
) -> Optimizer:
    """An optimizer over the parameters that are trained.

    Args:
        module: whose parameters they are.
        model: the part of it that has blocks.
        make: parameters, or groups of them -> optimizer.
        body_lr: rate of all but the head over the optimizer's. Not 1: two groups, the head's
            first, so that the rate that is logged is the optimizer's own.

    Raises:
        ValueError: a rate of the body's own, and no head that is trained beside it.
    """
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if body_lr == 1:
        return make(trained)
    head = {id(parameter) for parameter in head_of(model).parameters()}
    if not any(id(parameter) in head for parameter in trained):
        raise ValueError(
            f"finetune.body_lr is {body_lr:g}, but finetune.freeze keeps the head as it is: there "
            "is only the body to train. Leave finetune.body_lr=1 and give the body's rate as "
            "optimizer.lr, or let the head be trained."
        )
    parts = {
        1.0: [parameter for parameter in trained if id(parameter) in head],
        body_lr: [parameter for parameter in trained if id(parameter) not in head],
    }
    parts = {factor: parameters for factor, parameters in parts.items() if parameters}
    optimizer = make([{"params": parameters} for parameters in parts.values()])
    for group, factor in zip(optimizer.param_groups, parts):
        group["lr"] *= factor
    return optimizer
