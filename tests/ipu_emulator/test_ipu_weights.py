"""Weights on the emulated device: when they come back, and in what form."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from tiny_models import data, options, regression, same_weights

from gnnpack.accelerators import ipu_emulator as poptorch

TOUCHES = {
    "attribute": lambda model, weight: model.linear.weight + 0,
    "state_dict": lambda model, weight: model.state_dict(),
    "sub-module": lambda model, weight: model.linear.state_dict(),
    "kept parameter": lambda model, weight: weight.sum(),
    "torch function": lambda model, weight: torch.equal(weight, weight),
    "parameters": lambda model, weight: [p.numel() for p in model.parameters()],
    "deepcopy": lambda model, weight: copy.deepcopy(model),
    "pickle": lambda model, weight: pickle.dumps(model.linear),
    "forward": lambda model, weight: model(*data(2)),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_behaviour_22_a_touch_brings_the_weights_once(touch):
    model = regression()
    executor = poptorch.trainingModel(model, options())
    weight = model.linear.weight
    executor(*data(4))
    assert executor.host_weights_version == 0
    TOUCHES[touch](model, weight)
    assert executor.host_weights_version == 1
    TOUCHES[touch](model, weight)
    assert executor.host_weights_version == 1
    assert torch.equal(weight, executor._program.weights.parameters["linear.weight"])
    executor(*data(4))
    TOUCHES[touch](model, weight)
    assert executor.host_weights_version == 2


def test_behaviour_22_host_weights_are_stale_until_read():
    model = regression()
    start = copy.deepcopy(model.linear.weight.detach())
    memory = model.linear.weight.detach().numpy()
    executor = poptorch.trainingModel(model, options())
    executor(*data(4))
    assert (memory == start.numpy()).all()
    assert not torch.equal(model.linear.weight, start)
    assert not (memory == start.numpy()).all()


def test_behaviour_22_what_leaves_is_plain():
    model = regression()
    own, names = type(model), list(model.state_dict())
    executor = poptorch.trainingModel(model, options())
    executor(*data(4))
    state = model.state_dict()
    assert list(state) == names
    assert {type(value) for value in state.values()} == {torch.Tensor}
    stored = io.BytesIO()
    torch.save(model.state_dict(), stored)
    assert b"Poptorch" not in stored.getvalue()
    assert b"Poptorch" not in pickle.dumps(model.linear)
    twin = copy.deepcopy(model)
    assert type(twin) is own
    assert type(twin.linear.weight) is torch.nn.Parameter
    assert isinstance(model, own)
    assert isinstance(model.linear.weight, torch.nn.Parameter)
    # A copy is on its own.
    executor(*data(4))
    assert not torch.equal(twin.linear.weight, model.linear.weight)


def test_the_weights_outlive_their_executor():
    model = regression()
    executor = poptorch.trainingModel(model, options())
    executor(*data(4))
    trained = copy.deepcopy(model.state_dict())
    del executor
    assert torch.equal(model.linear.weight, trained["linear.weight"])
    model.destroy()
    assert type(model).__name__ == "Regression"


def test_behaviour_23_inference_follows_training():
    model = regression()
    training = poptorch.trainingModel(model, options())
    inference = poptorch.inferenceModel(model)
    batch = data(4)
    before = inference(*batch)[0]
    for _ in range(2):
        training(*batch)
        after = inference(*batch)[0]
        assert after < before
        torch.testing.assert_close(after, copy.deepcopy(model)(*batch)[0].detach())
        before = after


def test_behaviour_23_host_edits_need_a_copy():
    model = regression()
    inference = poptorch.inferenceModel(model)
    batch = data(4)
    before = inference(*batch)[1]
    with torch.no_grad():
        model.linear.weight.add_(1.0)
    assert torch.equal(inference(*batch)[1], before)
    inference.copyWeightsToDevice()
    torch.testing.assert_close(inference(*batch)[1], model(*batch)[1].detach())
    inference.load_state_dict(regression().state_dict())
    assert torch.equal(inference(*batch)[1], before)


def test_behaviour_23_host_edits_need_a_copy_beside_training_too():
    model = regression()
    training, inference = poptorch.trainingModel(model, options()), poptorch.inferenceModel(model)
    batch = data(4)
    training(*batch)
    before = inference(*batch)[1]
    with torch.no_grad():
        model.linear.weight.add_(1.0)
    assert torch.equal(inference(*batch)[1], before)


def test_copying_to_the_device_takes_the_hosts_weights_as_they_are():
    model = regression()
    start = copy.deepcopy(model.linear.weight.detach())
    executor = poptorch.trainingModel(model, options())
    executor(*data(4))
    executor.copyWeightsToDevice()
    assert torch.equal(model.linear.weight, start)
    assert torch.equal(executor._program.weights.parameters["linear.weight"], start)


def test_weights_cannot_be_copied_before_compilation():
    executor = poptorch.trainingModel(regression(), options())
    for copy_weights in (executor.copyWeightsToHost, executor.copyWeightsToDevice):
        with pytest.raises(poptorch.Error, match="has not been compiled"):
            copy_weights()


def test_training_goes_on_from_weights_loaded_in_between():
    model, other = regression(), regression(seed=3)
    executor = poptorch.trainingModel(model, options())
    executor(*data(4))
    executor.load_state_dict(other.state_dict())
    executor(*data(4))
    follows = poptorch.trainingModel(other, options())
    follows(*data(4))
    same_weights(model, other, rtol=0, atol=0)


def test_training_and_evaluation_in_inference_mode():
    # Lightning evaluates so; what it makes must not stick.
    model = regression()
    inference = poptorch.inferenceModel(model)
    with torch.inference_mode():
        inference(*data(4))
    training = poptorch.trainingModel(model, options())
    training(*data(4))
    with torch.inference_mode():
        inference(*data(4))
        model.state_dict()
    training(*data(4))
    assert inference(*data(4))[0] < 10


class Counter(torch.nn.Module):
    """Counts its calls in a buffer, and has one that never changes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("scale", torch.full((1,), 2.0))

    def forward(self, x):
        self.count.add_(x.sum())
        return x * self.scale


def test_behaviour_32_changed_buffers_and_replicas():
    with pytest.raises(poptorch.Error, match="PopTorch does not support broadcasting buffers"):
        poptorch.inferenceModel(Counter(), options(replicas=2))(torch.ones(2))


def test_behaviour_32_each_replica_its_own_buffer():
    model = Counter()
    executor = poptorch.inferenceModel(model, options(2, replicas=2).broadcastBuffers(False))
    executor(torch.tensor([1.0, 10.0, 2.0, 20.0]))
    assert [v[0].item() for v in map(executor._program.weights.of_replica, range(2))] == [3.0, 30.0]
    executor.copyWeightsToHost()
    assert model.count.item() == 3.0


def test_behaviour_32_one_replica_changes_its_buffer_and_constants_are_fine():
    model = Counter()
    executor = poptorch.inferenceModel(model, options(3))
    assert executor(torch.ones(3)).tolist() == [2.0] * 3
    assert model.count.item() == 0.0
    executor.copyWeightsToHost()
    # The trace itself counts nothing.
    assert model.count.item() == 3.0

    class Scaled(Counter):
        def forward(self, x):
            return x * self.scale

    assert poptorch.inferenceModel(Scaled(), options(replicas=2))(torch.ones(2)).tolist() == [2, 2]


def test_batch_normalisation_counts_as_a_changed_buffer():
    class Normed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(3)

        def forward(self, x):
            return poptorch.identity_loss(self.norm(x).square(), "mean")

    model, reference = Normed(), torch.nn.BatchNorm1d(3)
    x, _ = data(8)
    with pytest.raises(poptorch.Error, match=r"norm\.running_mean, norm\.running_var"):
        poptorch.trainingModel(Normed(), options(replicas=2))(x)
    executor = poptorch.trainingModel(model, options())
    executor(x)
    reference(x)
    torch.testing.assert_close(model.norm.running_mean, reference.running_mean)
    torch.testing.assert_close(model.norm.running_var, reference.running_var)


def test_forward_may_not_replace_a_buffer():
    class Replaces(Counter):
        def forward(self, x):
            self.count = self.count + 1
            return x

    with pytest.raises(poptorch.Error, match="Buffer count is reassigned within the model"):
        poptorch.inferenceModel(Replaces())(torch.ones(2))


def test_behaviour_23_an_inference_model_made_before_the_training_does_not_follow():
    model = regression()
    inference = poptorch.inferenceModel(model)
    batch = data(4)
    before = inference(*batch)[0]
    training = poptorch.trainingModel(model, options())
    training(*batch)
    training.detachFromDevice()
    assert torch.equal(inference(*batch)[0], before)
    inference.detachFromDevice()
    # Weights go up whenever it attaches.
    assert inference(*batch)[0] < before
