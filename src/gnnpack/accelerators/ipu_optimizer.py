"""torch's optimizers as PopTorch's of the same name."""

from __future__ import annotations

from typing import Any, Mapping

from torch.optim import Optimizer

# Arguments of PopTorch's class of the same name that mean what torch's mean.
ARGUMENTS = {
    "SGD": ("lr", "momentum", "dampening", "weight_decay"),
    "Adam": ("lr", "betas", "eps", "weight_decay"),
    "AdamW": ("lr", "betas", "eps", "weight_decay"),
    "RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum", "centered"),
}
# What PopTorch has no place for; harmless while off.
MUST_BE_OFF = ("amsgrad", "maximize", "nesterov")

KEPT_UNDER = "ipu_optimizer"
"""Key of a checkpoint's optimizer state under which PopTorch's own form lies."""


def ipu_optimizer(
    poptorch: Any,
    optimizer: Optimizer,
    *,
    max_grad_norm: float | None = None,
    loss_scaling: float = 1.0,
) -> Any:
    """`poptorch.optim`'s class of the same name, over the same parameters in the same groups.

    Only the rate may change later: the rest is compiled in.

    Raises:
        ValueError: an optimizer, or an option of it, that PopTorch does not have.
    """
    name = type(optimizer).__name__
    if name not in ARGUMENTS:
        raise ValueError(
            f"optimizer {name} has no counterpart on an IPU; choose one of {', '.join(ARGUMENTS)} "
            "(optimizer=adam, adamw, sgd)."
        )
    groups = [_arguments(name, group) for group in optimizer.param_groups]
    more: dict[str, Any] = {"loss_scaling": float(loss_scaling)}
    if max_grad_norm is not None and name == "RMSprop":
        raise ValueError(
            f"accelerator.max_grad_norm is {max_grad_norm:g}, but PopTorch's RMSprop does not "
            "clip. Leave it out, or use optimizer=adam, adamw or sgd."
        )
    if max_grad_norm is not None:
        more["max_grad_norm"] = float(max_grad_norm)
    made = getattr(poptorch.optim, name)(
        [{"params": old["params"], **new} for old, new in zip(optimizer.param_groups, groups)],
        **groups[0],
        **more,
    )
    for argument in (*ARGUMENTS[name][1:], "loss_scaling"):
        made.variable_attrs.markAsConstant(argument)
    return made


def _arguments(name: str, group: Mapping[str, Any]) -> dict[str, Any]:
    for option in MUST_BE_OFF:
        if group.get(option):
            raise ValueError(
                f"optimizer.{option} is {group[option]!r}, which no IPU has. Leave it out."
            )
    given = {argument: group[argument] for argument in ARGUMENTS[name]}
    # PopTorch takes numbers and tuples, where configs and schedulers leave lists and tensors.
    given["lr"] = float(given["lr"])
    if "betas" in given:
        given["betas"] = tuple(float(beta) for beta in given["betas"])
    return given


def refuse_other_state(state: Mapping[str, Any]) -> None:
    """ValueError for an optimizer state that was not made on an IPU."""
    if KEPT_UNDER not in state:
        raise ValueError(
            "The optimizer state of this checkpoint was made on a CPU or GPU, and an IPU cannot "
            "go on with it: PopTorch loads its own alone. Resume with accelerator=cpu or gpu, or "
            "start a new run on the IPU."
        )
