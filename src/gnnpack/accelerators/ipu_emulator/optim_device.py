"""From the user's optimizer to the one that updates the weights on the device."""

from __future__ import annotations

import copy
import math
import numbers
from typing import Any, Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from gnnpack.accelerators.ipu_emulator.errors import Error

# Hyper-parameters of one group, by torch class; the more derived class first (torch 2.7 made
# AdamW an Adam). The value is the default that an optimizer of torch's own may burn in.
GROUP_VALUES: dict[type, dict[str, Any]] = {
    torch.optim.SGD: {"lr": None, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0},
    torch.optim.AdamW: {"lr": None, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    torch.optim.Adam: {"lr": None, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    torch.optim.RMSprop: {
        "lr": None,
        "alpha": None,
        "eps": 1e-8,
        "weight_decay": 0.0,
        "momentum": 0.0,
        "centered": None,
    },
}


def torch_class(optimizer: Optimizer) -> type:
    """torch's class that ``optimizer`` is one of.

    Raises:
        AssertionError: an optimizer that no IPU has.
    """
    found = [made for made in GROUP_VALUES if isinstance(optimizer, made)]
    names = [made.__name__ for made in GROUP_VALUES]
    assert found, f"Unsupported optimizer type {type(optimizer).__name__}. Types supported {names}"
    return found[0]


def attributes(optimizer: Optimizer) -> dict[str, Any]:
    """What `setOptimizer` uploads: ``{"type", "groups", "loss_scaling", "max_grad_norm"}``.

    A group is ``{name: (value, is constant)}``; so is ``loss_scaling``. ``max_grad_norm`` is a
    number, infinite where nothing is clipped.

    Raises:
        AssertionError: another class of optimizer, betas that are no tuple, a rate that is no
            number.
        ValueError: AMSGrad, Nesterov's momentum, ``maximize``.
    """
    known = GROUP_VALUES[torch_class(optimizer)]
    for group in optimizer.param_groups:
        _refuse(group)
    variable = getattr(optimizer, "variable_attrs", None)

    def constant(name: str, value: Any, default: Any) -> bool:
        if variable is not None:
            return bool(variable.isConstant(name))
        return name != "lr" and (default is None or value == default)

    loss_scaling = getattr(optimizer, "loss_scaling", 1.0)
    return {
        "type": torch_class(optimizer).__name__,
        "groups": [
            {
                name: (_number(name, group[name]), constant(name, group[name], default))
                for name, default in known.items()
            }
            for group in optimizer.param_groups
        ],
        "loss_scaling": (loss_scaling, constant("loss_scaling", loss_scaling, 1.0)),
        "max_grad_norm": getattr(optimizer, "max_grad_norm", math.inf),
    }


def _refuse(group: Mapping[str, Any]) -> None:
    """What an IPU's update has not."""
    if group.get("amsgrad"):
        raise ValueError(
            "amsgrad is True: Only non-amsgrad Adam/AdamW optimizers are supported. Set it False."
        )
    if group.get("nesterov"):
        raise ValueError(
            "nesterov is True: Nesterov momentum is currently not supported. Set it False."
        )
    if group.get("maximize"):
        # PopTorch has no such attribute and would minimise without a word.
        raise ValueError(
            "maximize is True, which PopTorch passes over: an IPU minimises. Negate the loss."
        )


def _number(name: str, value: Any) -> Any:
    if name == "betas":
        assert isinstance(value, tuple), f"Expected a pair for betas but got {value!r} instead"
        assert len(value) == 2, f"Expected a pair for betas but got {value!r} instead"
        return tuple(_number(f"betas[{at}]", beta) for at, beta in enumerate(value))
    assert isinstance(value, numbers.Number), f"Expected a number for {name} but got {value!r}"
    return value


def check_replacement(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise where `setOptimizer` would change what was compiled in.

    Both are `attributes`; of another class or number of groups, or with another value of a
    constant, an optimizer needs a new executor. PopART says it in its own words.
    """
    if (before["type"], len(before["groups"])) != (after["type"], len(after["groups"])):
        raise Error(
            f"The model was compiled with {before['type']} of {len(before['groups'])} parameter "
            f"groups and cannot go on with {after['type']} of {len(after['groups'])}. Call "
            "destroy() and make a new training model."
        )
    pairs = [
        (f"group {at} {name}", group[name], after["groups"][at][name])
        for at, group in enumerate(before["groups"])
        for name in group
    ]
    pairs.append(("loss_scaling", before["loss_scaling"], after["loss_scaling"]))
    fixed = ("max_grad_norm", (before["max_grad_norm"], True), (after["max_grad_norm"], True))
    for name, (old, constant), (new, _) in [*pairs, fixed]:
        if constant and old != new:
            raise Error(
                f"Optimizer attribute {name} was compiled in as {old} and cannot become {new}. "
                "Pass it explicitly when the optimizer is made, or call "
                "optimizer.variable_attrs.markAsVariable."
            )


def device_optimizer(
    optimizer: Optimizer,
    named_parameters: Mapping[str, Tensor],
    host_parameters: Mapping[str, Tensor] | None = None,
) -> Optimizer:
    """A plain torch optimizer over the device's parameters, with the same hyper-parameters.

    Args:
        named_parameters: the device's, by name; only these are updated.
        host_parameters: the user's, by the same names; they tell which group a parameter is of.
            Without them there must be one group, which then holds all of ``named_parameters``.

    Raises:
        Error: options that only hardware has: half-precision moments are computed in float32, but
            ``bias_correction=False`` and ``use_tf_variant`` would be other mathematics.
    """
    made = torch_class(optimizer)
    attributes(optimizer)
    if not getattr(optimizer, "bias_correction", True) or getattr(
        optimizer, "use_tf_variant", False
    ):
        raise Error(
            "bias_correction=False and use_tf_variant=True are not emulated; leave them out, or "
            "use an IPU."
        )
    groups = []
    for parameters, group in zip(
        _by_group(optimizer, named_parameters, host_parameters), optimizer.param_groups
    ):
        values = {name: copy.copy(group[name]) for name in GROUP_VALUES[made]}
        groups.append({"params": parameters, **values})
    # One tensor at a time: the arithmetic of a step is then the same however it is replayed.
    return made(groups, lr=groups[0]["lr"], foreach=False)  # type: ignore[no-any-return]


def _by_group(
    optimizer: Optimizer,
    named_parameters: Mapping[str, Tensor],
    host_parameters: Mapping[str, Tensor] | None,
) -> list[list[Tensor]]:
    if host_parameters is None:
        assert len(optimizer.param_groups) == 1, "several groups need the host's parameters"
        return [list(named_parameters.values())]
    device = {id(host): named_parameters.get(name) for name, host in host_parameters.items()}
    found = [[device.get(id(p)) for p in group["params"]] for group in optimizer.param_groups]
    return [[p for p in group if p is not None] for group in found]


def load_attributes(device: Optimizer, uploaded: Mapping[str, Any]) -> None:
    """Give `device_optimizer`'s result the hyper-parameters of `attributes`."""
    assert len(device.param_groups) == len(uploaded["groups"]), "check_replacement was not asked"
    for group, values in zip(device.param_groups, uploaded["groups"]):
        group.update({name: value for name, (value, _) in values.items()})


def device_state(device: Optimizer, named_parameters: Mapping[str, Tensor]) -> dict[str, Any]:
    """The moments as ``{"ipu_state": {name: {moment: tensor}}, "ipu_param": [groups]}``, copied."""
    names = {id(parameter): name for name, parameter in named_parameters.items()}
    moments = {names[id(parameter)]: state for parameter, state in device.state.items()}
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        for group in device.param_groups
    ]
    return {"ipu_state": copy.deepcopy(moments), "ipu_param": copy.deepcopy(groups)}


def load_device_state(
    device: Optimizer, named_parameters: Mapping[str, Tensor], state: Mapping[str, Any]
) -> None:
    """Go on from the moments of `device_state`, bit for bit.

    Raises:
        RuntimeError: moments of other parameters.
    """
    moments = state["ipu_state"]
    unknown = sorted(set(moments) - set(named_parameters))
    wrong = [
        name
        for name in moments
        if name in named_parameters
        and any(
            moment.shape not in ((), named_parameters[name].shape)
            for moment in moments[name].values()
            if isinstance(moment, Tensor)
        )
    ]
    if unknown or wrong:
        raise RuntimeError(
            f"The optimizer state is of another model: it has {unknown + wrong}, which the model "
            "has not, or has in another shape. Resume with the settings of that run."
        )
    device.state.clear()
    for name, values in moments.items():
        device.state[named_parameters[name]] = copy.deepcopy(values)
