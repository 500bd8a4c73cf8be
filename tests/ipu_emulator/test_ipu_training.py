"""The emulator's updates against torch's own loop."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from tiny_models import (
    Identity,
    data,
    options,
    regression,
    same_weights,
    torch_updates,
    train_once,
)

from gnnpack.accelerators import ipu_emulator as poptorch

All = poptorch.OutputMode.All
OPTIMIZERS = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.05),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.05),
}
BY_NAME = {
    "sgd": lambda parameters: poptorch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: poptorch.optim.Adam(parameters, lr=0.05),
    "adamw": lambda parameters: poptorch.optim.AdamW(parameters, lr=0.05),
    "rmsprop": lambda parameters: poptorch.optim.RMSprop(parameters, lr=0.05),
}


def batches_of(x, y, num):
    return list(zip(x.chunk(num), y.chunk(num)))


def test_behaviour_12_default_reduction_is_the_mean():
    model = regression()
    x, y = data(16)
    sgd = OPTIMIZERS["sgd"]
    losses, trained = torch_updates(model, sgd, batches_of(x, y, 8), per_update=8)
    executor = poptorch.trainingModel(
        model, options(1, accumulation=4, replicas=2, mode=All), sgd(model.parameters())
    )
    made, _ = executor(x, y)
    torch.testing.assert_close(made, torch.tensor(losses))
    same_weights(model, trained)


def test_behaviour_13_reduction_sum():
    def trained(reduction, accumulation, lr):
        model = regression()
        chosen = options(1, accumulation)
        if reduction is not None:
            chosen.Training.accumulationAndReplicationReductionType(reduction)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        train_once(model, chosen, optimizer, *data(8))
        return model

    Sum, Mean = poptorch.ReductionType.Sum, poptorch.ReductionType.Mean
    # Halves of a batch have gradients whose sum is twice the whole batch's mean.
    same_weights(trained(Sum, 2, 0.05), trained(Sum, 1, 0.1))
    same_weights(trained(Mean, 2, 0.1), trained(None, 2, 0.1))
    same_weights(trained(Mean, 2, 0.1), trained(Mean, 1, 0.1))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("own", [False, True], ids=["torch", "poptorch"])
def test_behaviour_14_device_iterations_are_updates(name, own):
    model = regression()
    x, y = data(36)
    losses, trained = torch_updates(model, OPTIMIZERS[name], batches_of(x, y, 12), per_update=2)
    make = BY_NAME[name] if own else OPTIMIZERS[name]
    optimizer = make(model.parameters())
    executor = poptorch.trainingModel(model, options(3, replicas=2, mode=All), optimizer)
    made = torch.cat([executor(*part)[0] for part in batches_of(x, y, 2)])
    torch.testing.assert_close(made, torch.tensor(losses))
    same_weights(model, trained)


def test_parameter_groups_keep_their_rates_and_frozen_weights_their_values():
    model = torch.nn.ModuleDict({"a": regression(0), "b": regression(1), "c": regression(2)})

    class Three(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = model
            self.parts["c"].requires_grad_(False)

        def forward(self, x, y):
            loss = sum(part(x, y)[0] for part in self.parts.values())
            return poptorch.identity_loss(loss, "none"), x

    def optimizer(module):
        groups = [
            {"params": list(module.parts["b"].parameters()), "lr": 0.3},
            {"params": list(module.parts["a"].parameters())},
        ]
        return torch.optim.SGD(groups, lr=0.1)

    module = Three()
    x, y = data(4)
    trained = copy.deepcopy(module)
    step = optimizer(trained)
    trained(x, y)[0].backward()
    step.step()
    train_once(module, options(), optimizer(module), x, y)
    same_weights(module, trained)
    same_weights(module.parts["c"], regression(2), rtol=0, atol=0)


def test_behaviour_20_inference_without_accumulation():
    with pytest.raises(poptorch.Error, match="gradientAccumulation to 1"):
        poptorch.inferenceModel(Identity(), options(accumulation=2))


class Losses(torch.nn.Module):
    def __init__(self, make):
        super().__init__()
        self.linear = torch.nn.Linear(3, 1)
        self.make = make

    def forward(self, x, y):
        return self.make(self.linear(x), y)


def trains(make):
    return poptorch.trainingModel(Losses(make), options())(*data(4))


def test_behaviour_21_no_loss():
    with pytest.raises(poptorch.Error, match="Couldn't find a loss in graph"):
        trains(lambda p, y: (p - y).square().mean())


def test_behaviour_21_independent_losses():
    with pytest.raises(poptorch.Error, match="Multiple independent losses found"):
        trains(lambda p, y: (F.mse_loss(p, y), F.l1_loss(p, y)))
    trains(lambda p, y: poptorch.identity_loss(F.mse_loss(p, y) + F.l1_loss(p, y), "none"))


def test_behaviour_21_reductions():
    def gradient(reduction):
        model = Losses(lambda p, y: poptorch.identity_loss((p - y).square(), reduction))
        start = copy.deepcopy(model.linear.weight.detach())
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        loss = train_once(model, options(), optimizer, *data(4))
        return loss.shape, start - model.linear.weight.detach()

    torch.manual_seed(0)
    shape_sum, of_sum = gradient("sum")
    torch.manual_seed(0)
    shape_mean, of_mean = gradient("mean")
    torch.manual_seed(0)
    shape_none, of_none = gradient("none")
    assert (shape_sum, shape_mean, shape_none) == ((), (), (4, 1))
    torch.testing.assert_close(of_sum, 4 * of_mean)
    torch.testing.assert_close(of_sum, of_none)
    with pytest.raises(AssertionError, match="Unsupported reduction type 'avg'"):
        trains(lambda p, y: poptorch.identity_loss(p, "avg"))


@pytest.mark.parametrize(
    "loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.binary_cross_entropy_with_logits]
)
def test_behaviour_21_torchs_losses_are_found(loss):
    model = Losses(loss)
    x, y = data(4)
    y = (y > 0).float()
    expected = loss(model.linear(x), y).detach()
    torch.testing.assert_close(poptorch.trainingModel(model, options())(x, y), expected)


def test_behaviour_24_set_optimizer():
    model = regression()
    optimizer = poptorch.optim.SGD(model.parameters(), lr=0.0)
    executor = poptorch.trainingModel(model, options(), optimizer)
    start = copy.deepcopy(model.state_dict())

    def moved():
        executor(*data(4))
        return not torch.equal(model.linear.weight, start["linear.weight"])

    assert not moved()
    optimizer.param_groups[0]["lr"] = 0.1
    assert not moved()
    executor.setOptimizer(optimizer)
    assert moved()


def test_behaviour_24_moments_survive_a_new_rate():
    model = regression()
    x, y = data(8)
    batches = batches_of(x, y, 2)
    trained = copy.deepcopy(model)
    reference = torch.optim.Adam(trained.parameters(), lr=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    executor = poptorch.trainingModel(model, options(), optimizer)
    for batch, lr in zip(batches, (0.1, 0.01)):
        for each in (reference, optimizer):
            each.param_groups[0]["lr"] = lr
        executor.setOptimizer(optimizer)
        executor(*batch)
        reference.zero_grad()
        trained(*batch)[0].backward()
        reference.step()
    same_weights(model, trained)


def test_a_constant_of_the_optimizer_cannot_change():
    model = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    executor = poptorch.trainingModel(model, options(), optimizer)
    executor(*data(4))
    optimizer.param_groups[0]["momentum"] = 0.5
    executor.setOptimizer(optimizer)
    with pytest.raises(poptorch.Error, match="momentum was compiled in as 0"):
        executor(*data(4))


def test_behaviour_27_one_training_model_a_module():
    model = regression()
    own = type(model)
    executor = poptorch.trainingModel(model, options())
    with pytest.raises(RuntimeError, match="already been wrapped"):
        poptorch.trainingModel(model, options())
    executor.compile(*data(2))
    executor.destroy()
    assert type(model) is own
    assert type(model.linear.weight) is torch.nn.Parameter
    poptorch.trainingModel(model, options())
    model.destroy()
    assert type(model) is own


def test_behaviour_28_backward_on_an_output():
    loss, prediction = poptorch.trainingModel(regression(), options())(*data(2))
    for output in (loss, prediction):
        with pytest.raises(poptorch.Error, match=r"backward\(\) cannot be called explicitly"):
            output.backward()


def test_behaviour_30_default_optimizer():
    model = regression()
    losses, trained = torch_updates(
        model, lambda parameters: torch.optim.SGD(parameters, lr=0.01), [data(4)], per_update=1
    )
    made, _ = train_once(model, None, None, *data(4))
    torch.testing.assert_close(made, torch.tensor(losses[0]))
    same_weights(model, trained)


# A norm that is reached, and one so large that nothing may change.
@pytest.mark.parametrize("norm", [0.05, 1e6])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_behaviour_31_the_reduced_gradient_is_clipped(name, norm):
    model = regression()
    x, y = data(24)
    _, trained = torch_updates(
        model, OPTIMIZERS[name], batches_of(x, y, 12), per_update=4, clip=norm
    )
    makers = {
        "sgd": lambda p: poptorch.optim.SGD(p, lr=0.1, momentum=0.9, max_grad_norm=norm),
        "adam": lambda p: poptorch.optim.Adam(p, lr=0.05, max_grad_norm=norm),
        "adamw": lambda p: poptorch.optim.AdamW(p, lr=0.05, max_grad_norm=norm),
    }
    optimizer = makers[name](model.parameters())
    train_once(model, options(3, 2, 2), optimizer, x, y)
    same_weights(model, trained, rtol=1e-4, atol=1e-5)


def test_loss_scaling_changes_no_float32_result():
    def weights(scale):
        model = regression()
        optimizer = poptorch.optim.SGD(model.parameters(), lr=0.1, loss_scaling=scale)
        train_once(model, options(2, 2), optimizer, *data(8))
        return model

    same_weights(weights(1.0), weights(1024.0))


def test_training_goes_on_from_a_checkpoint_bit_for_bit():
    x, y = data(16)
    parts = batches_of(x, y, 4)

    def start(model):
        optimizer = poptorch.optim.Adam(model.parameters(), lr=0.05)
        return optimizer, poptorch.trainingModel(model, options(), optimizer)

    model = regression()
    optimizer, executor = start(model)
    for part in parts[:2]:
        executor(*part)
    kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    straight = [executor(*part)[0].item() for part in parts[2:]]

    again = regression(seed=7)
    again.load_state_dict(kept[0])
    optimizer, resumed = start(again)
    optimizer.load_state_dict(kept[1])
    assert [resumed(*part)[0].item() for part in parts[2:]] == straight
    same_weights(again, model, rtol=0, atol=0)


def test_moments_survive_destroying_and_compiling_again():
    x, y = data(12)
    model = regression()
    _, trained = torch_updates(
        model, OPTIMIZERS["adam"], [(x[:4], y[:4]), (x[4:], y[4:])], per_update=1
    )
    optimizer = BY_NAME["adam"](model.parameters())
    executor = poptorch.trainingModel(model, options(), optimizer)
    executor(x[:4], y[:4])
    executor.destroy()
    executor(x[4:], y[4:])
    same_weights(model, trained)
