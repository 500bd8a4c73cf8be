"""The emulator's optimizers: what they refuse, what reaches the device, what a checkpoint holds."""

from __future__ import annotations

import copy
import gc
import math

import pytest
import torch

from gnnpack.accelerators.ipu_emulator import optim
from gnnpack.accelerators.ipu_emulator.errors import Error

MADE = {
    "SGD": (optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "Adam": (optim.Adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-6}),
    "AdamW": (optim.AdamW, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.05}),
    "RMSprop": (
        optim.RMSprop,
        torch.optim.RMSprop,
        {"lr": 0.1, "alpha": 0.9, "momentum": 0.5, "centered": True},
    ),
}


def weights(*names):
    torch.manual_seed(0)
    return {name: torch.nn.Parameter(torch.randn(3, 2)) for name in names or ("a", "b")}


def on_device(host):
    return {name: tensor.detach().clone().requires_grad_() for name, tensor in host.items()}


def step(optimizer, named, seed):
    torch.manual_seed(seed)
    for tensor in named.values():
        tensor.grad = torch.randn_like(tensor)
    optimizer.step()


class Device:
    """What an executor offers an optimizer."""

    def __init__(self, optimizer, host):
        self.weights = on_device(host)
        self.optimizer = optim.device_optimizer(optimizer, self.weights, host)
        self.steps = 0
        optimizer._ipu_attach(self)

    def run(self, seed):
        step(self.optimizer, self.weights, seed)
        self.steps += 1

    def device_optimizer_state(self):
        if not self.steps:
            return None
        return optim.device_state(self.optimizer, self.weights)

    def load_device_optimizer_state(self, state):
        optim.load_device_state(self.optimizer, self.weights, state)
        self.steps = 1


# --- what is refused ---


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("module", [optim, torch.optim])
def test_behaviour_30_amsgrad_is_refused(name, module):
    optimizer = getattr(module, name)(weights().values(), lr=0.1, amsgrad=True)
    with pytest.raises(ValueError, match="amsgrad"):
        optim.attributes(optimizer)


def test_behaviour_30_other_optimizers_are_refused():
    with pytest.raises(AssertionError, match="Unsupported optimizer type Adagrad"):
        optim.attributes(torch.optim.Adagrad(weights().values()))
    with pytest.raises(AttributeError, match="LAMB is not emulated"):
        optim.LAMB  # noqa: B018


@pytest.mark.parametrize("betas", [[0.9, 0.999], (0.9, 0.99, 0.999)])
def test_behaviour_30_betas_are_a_pair_in_a_tuple(betas):
    optimizer = torch.optim.Adam(weights().values())
    optimizer.param_groups[0]["betas"] = betas
    with pytest.raises(AssertionError, match="Expected a pair for betas"):
        optim.attributes(optimizer)


def test_behaviour_30_only_ipu_states_are_loaded():
    host = weights()
    trained = torch.optim.Adam(host.values())
    step(trained, host, 1)
    optimizer = optim.Adam(host.values(), lr=0.1)
    before = copy.deepcopy(optimizer.param_groups)
    with pytest.raises(RuntimeError, match="Only IPU optimizer states can be loaded onto the IPU"):
        optimizer.load_state_dict(trained.state_dict())
    with pytest.raises(RuntimeError, match="it is empty"):
        optimizer.load_state_dict({})
    assert [group["lr"] for group in optimizer.param_groups] == [group["lr"] for group in before]


@pytest.mark.parametrize("arguments", [{"nesterov": True, "momentum": 0.9}, {"maximize": True}])
def test_updates_that_no_ipu_has_are_refused(arguments):
    for module in (optim, torch.optim):
        optimizer = module.SGD(weights().values(), lr=0.1, **arguments)
        with pytest.raises(ValueError, match=next(iter(arguments))):
            optim.attributes(optimizer)


def test_a_rate_that_is_no_number_is_refused():
    optimizer = optim.SGD(weights().values(), lr=0.1)
    optimizer.param_groups[0]["lr"] = torch.tensor(0.1)
    with pytest.raises(AssertionError, match="Expected a number for lr"):
        optim.attributes(optimizer)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: optim.AdamW(p, bias_correction=False),
        lambda p: optim.RMSprop(p, use_tf_variant=True),
    ],
)
def test_other_mathematics_is_refused(optimizer):
    host = weights()
    with pytest.raises(Error, match="not emulated"):
        optim.device_optimizer(optimizer(host.values()), on_device(host), host)


def test_accumulators_are_half_or_float():
    with pytest.raises(AssertionError, match="Accumulation types"):
        optim.Adam(weights().values(), accum_type=torch.bfloat16)


# --- what reaches the device ---


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("own", [True, False])
def test_the_device_steps_as_torch_does(name, own):
    ours, torchs, arguments = MADE[name]
    host = weights()
    user = (ours if own else torchs)(host.values(), **arguments)
    device, reference = on_device(host), on_device(host)
    made = optim.device_optimizer(user, device, host)
    expected = torchs(reference.values(), foreach=False, **arguments)
    for seed in range(3):
        step(made, device, seed)
        step(expected, reference, seed)
    assert all(torch.equal(device[key], reference[key]) for key in host)
    # The host's are untouched.
    assert all(torch.equal(host[key], weights()[key]) for key in host)


def test_groups_keep_their_parameters_and_rates():
    host = weights("a", "b", "c")
    user = optim.SGD([{"params": [host["c"]], "lr": 0.5}, {"params": [host["a"]]}], lr=0.1)
    device = on_device(host)
    before = {name: tensor.detach().clone() for name, tensor in device.items()}
    made = optim.device_optimizer(user, {k: v for k, v in device.items() if k != "b"}, host)
    for tensor in device.values():
        tensor.grad = torch.ones_like(tensor)
    made.step()
    for name, rate in {"a": 0.1, "b": 0.0, "c": 0.5}.items():
        assert torch.equal(device[name], before[name] - rate)


def test_new_rates_reach_the_device_with_its_moments_kept():
    host = weights()
    user = optim.Adam(host.values(), lr=0.1)
    device, reference = on_device(host), on_device(host)
    made = optim.device_optimizer(user, device, host)
    expected = torch.optim.Adam(reference.values(), lr=0.1, foreach=False)
    step(made, device, 1), step(expected, reference, 1)
    user.param_groups[0]["lr"] = expected.param_groups[0]["lr"] = 0.01
    before, after = optim.attributes(optim.Adam(host.values(), lr=0.1)), optim.attributes(user)
    assert before != after
    optim.check_replacement(before, after)
    optim.load_attributes(made, after)
    step(made, device, 2), step(expected, reference, 2)
    assert all(torch.equal(device[key], reference[key]) for key in host)


# --- variable and constant ---


def test_what_is_passed_is_variable_and_the_rest_constant():
    optimizer = optim.Adam(weights().values(), lr=0.1, weight_decay=0.0, max_grad_norm=2.0)
    values = optim.attributes(optimizer)["groups"][0]
    assert values["lr"] == (0.1, False)
    assert values["weight_decay"] == (0.0, False)
    assert values["eps"] == (1e-8, True)
    assert optim.attributes(optimizer)["max_grad_norm"] == 2.0
    optimizer.variable_attrs.markAsConstant("lr")
    optimizer.variable_attrs.markAsVariable("eps")
    values = optim.attributes(optimizer)["groups"][0]
    assert (values["lr"][1], values["eps"][1]) == (True, False)
    with pytest.raises(AssertionError, match="Unknown attribute rate"):
        optimizer.variable_attrs.markAsVariable("rate")


def test_torchs_own_optimizer_may_change_its_rate_and_what_is_not_default():
    values = optim.attributes(torch.optim.Adam(weights().values(), weight_decay=0.1))
    group = values["groups"][0]
    assert (group["lr"][1], group["weight_decay"][1], group["eps"][1]) == (False, False, True)
    assert (values["loss_scaling"], values["max_grad_norm"]) == ((1.0, True), math.inf)


@pytest.mark.parametrize(
    "change",
    [
        lambda o: o.param_groups[0].update(eps=1e-3),
        lambda o: setattr(o, "loss_scaling", 2.0),
        lambda o: setattr(o, "max_grad_norm", 2.0),
        lambda o: o.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]}),
    ],
)
def test_constants_need_a_new_executor(change):
    optimizer = optim.Adam(weights().values(), lr=0.1)
    before = optim.attributes(optimizer)
    change(optimizer)
    with pytest.raises(Error, match="compiled"):
        optim.check_replacement(before, optim.attributes(optimizer))


def test_another_class_needs_a_new_executor():
    host = weights()
    with pytest.raises(Error, match="cannot go on with AdamW"):
        optim.check_replacement(
            optim.attributes(optim.Adam(host.values(), lr=0.1)),
            optim.attributes(optim.AdamW(host.values(), lr=0.1)),
        )


# --- state ---


@pytest.mark.parametrize("name", MADE)
def test_a_resumed_optimizer_goes_on_bit_for_bit(name):
    ours, _, arguments = MADE[name]
    host = weights()
    user = ours(host.values(), **arguments)
    device = Device(user, host)
    for seed in range(3):
        device.run(seed)
    state = copy.deepcopy(user.state_dict())
    assert set(state) == {"ipu_state", "ipu_param", "state", "param_groups"}
    assert set(state["ipu_state"]) == set(host)
    kept = {
        key: torch.nn.Parameter(value.detach().clone()) for key, value in device.weights.items()
    }

    # Loaded before the executor attaches, and after.
    resumed = []
    for attach_first in (False, True):
        again = ours(kept.values(), **arguments)
        later = Device(again, kept) if attach_first else None
        again.load_state_dict(state)
        resumed.append(later or Device(again, kept))
    for seed in (7, 8):
        for each in (device, *resumed):
            each.run(seed)
    for each in resumed:
        assert all(torch.equal(device.weights[key], each.weights[key]) for key in host)


def test_the_state_follows_the_device():
    host = weights()
    user = optim.Adam(host.values(), lr=0.1)
    assert user.state_dict()["ipu_state"] is None
    device = Device(user, host)
    assert user.state_dict()["ipu_state"] is None
    device.run(1)
    first = user.state_dict()["ipu_state"]["a"]["exp_avg"].clone()
    device.run(2)
    assert not torch.equal(first, user.state_dict()["ipu_state"]["a"]["exp_avg"])
    # The last state read stays when the executor is gone.
    last = user.state_dict()["ipu_state"]["a"]["exp_avg"]
    del device
    gc.collect()
    assert torch.equal(last, user.state_dict()["ipu_state"]["a"]["exp_avg"])


def test_a_loaded_state_brings_its_rates():
    host = weights()
    user = optim.SGD(host.values(), lr=0.1)
    Device(user, host).run(1)
    user.param_groups[0]["lr"] = 0.05
    again = optim.SGD(host.values(), lr=0.1)
    again.load_state_dict(user.state_dict())
    assert again.param_groups[0]["lr"] == 0.05


def test_a_state_of_another_model_is_refused():
    host = weights()
    user = optim.Adam(host.values(), lr=0.1)
    device = Device(user, host)
    device.run(1)
    state = user.state_dict()
    renamed = {**state, "ipu_state": {"c": state["ipu_state"]["a"]}}
    with pytest.raises(RuntimeError, match="another model"):
        device.load_device_optimizer_state(renamed)
    state["ipu_state"]["a"]["exp_avg"] = torch.zeros(4)
    with pytest.raises(RuntimeError, match="another model"):
        device.load_device_optimizer_state(state)


def test_a_copy_takes_the_moments_along_and_no_executor():
    host = weights()
    user = optim.AdamW(host.values(), lr=0.1, max_grad_norm=3.0)
    device = Device(user, host)
    device.run(1)
    made = copy.deepcopy(user)
    assert (made.max_grad_norm, made.loss_scaling) == (3.0, 1.0)
    assert torch.equal(
        made.state_dict()["ipu_state"]["a"]["exp_avg"],
        user.state_dict()["ipu_state"]["a"]["exp_avg"],
    )
    assert made._attached() is None
    assert optim.attributes(made) == optim.attributes(user)


def test_schedulers_work_on_the_host():
    user = optim.Adam(weights().values(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(user, lambda step: 0.5**step)
    user.step()
    scheduler.step()
    assert optim.attributes(user)["groups"][0]["lr"] == (0.05, False)
    copy.deepcopy(user)
