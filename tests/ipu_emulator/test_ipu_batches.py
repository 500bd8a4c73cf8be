"""How the emulator cuts a call into micro-batches, and joins their outputs."""

from __future__ import annotations

import itertools

import pytest
import torch
from tiny_models import Identity, Regression, data, options, regression

from gnnpack.accelerators import ipu_emulator as poptorch
from gnnpack.accelerators.ipu_emulator.micro_batches import Steps, join

Mode = poptorch.OutputMode


def test_behaviour_05_invalid_batch_dimension():
    executor = poptorch.inferenceModel(Identity(), options(iterations=2, replicas=3))
    with pytest.raises(AssertionError, match=r"Invalid batch dimension.*\(9\).*= 6"):
        executor(torch.zeros(9, 2))
    with pytest.raises(AssertionError, match="Invalid batch dimension"):
        executor(torch.tensor(1.0))
    assert not executor.isCompiled()
    assert executor(torch.zeros(12, 2)).shape == (12, 2)


def test_behaviour_05_a_scalar_is_one_row():
    assert poptorch.inferenceModel(Identity())(torch.tensor(2.0)) == 2.0


def test_behaviour_06_forward_is_traced_once_on_one_micro_batch():
    model = regression()
    executor = poptorch.trainingModel(model, options(iterations=2, accumulation=3))
    for _ in range(3):
        executor(*data(24))
    assert executor._model.traced_shapes == [(4, 3)]
    executor.destroy()
    executor(*data(12))
    assert executor._model.traced_shapes == [(4, 3), (2, 3)]


def test_behaviour_06_python_is_frozen_but_random_operations_are_not():
    class Draws(torch.nn.Module):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return x * 0 + self.calls, x * 0 + torch.rand(1)

    executor = poptorch.inferenceModel(Draws(), options(iterations=4))
    first, drawn = executor(torch.zeros(4))
    second, more = executor(torch.zeros(4))
    assert first.tolist() == second.tolist() == [1.0] * 4
    assert len({*drawn.tolist(), *more.tolist()}) == 8


def test_a_run_leaves_the_hosts_random_numbers_alone_and_repeats_by_its_seed():
    class Noise(torch.nn.Module):
        def forward(self, x):
            return x + torch.randn_like(x)

    def drawn():
        executor = poptorch.inferenceModel(Noise(), poptorch.Options().randomSeed(5))
        before = torch.get_rng_state()
        values = torch.cat([executor(torch.zeros(3)) for _ in range(2)])
        assert torch.equal(torch.get_rng_state(), before)
        return values

    assert torch.equal(drawn(), drawn())
    executor = poptorch.inferenceModel(Noise(), poptorch.Options().randomSeed(5))
    executor.compile(torch.zeros(3))
    state = executor.rng_state
    first = executor(torch.zeros(3))
    assert not torch.equal(executor(torch.zeros(3)), first)
    executor.rng_state = state
    assert torch.equal(executor(torch.zeros(3)), first)


def test_behaviour_07_shape_change():
    executor = poptorch.inferenceModel(Identity())
    executor(torch.zeros(8, 3))
    with pytest.raises(poptorch.Error) as caught:
        executor(torch.zeros(6, 3))
    text = str(caught.value)
    assert "Shape mismatch for x: expected torch.Size([8, 3]) but got torch.Size([6, 3])" in text
    assert "destroy()" in text
    executor.destroy()
    assert executor(torch.zeros(6, 3)).shape == (6, 3)


class TwoInputs(torch.nn.Module):
    def forward(self, x, y=None, scale=1.0):
        return x if y is None else x + y * scale


def test_behaviour_08_dtype_change():
    executor = poptorch.inferenceModel(TwoInputs())
    executor(torch.zeros(2), torch.zeros(2))
    with pytest.raises(
        poptorch.Error,
        match=r"Data type mismatch for y: expected torch\.float32 but got torch\.int64",
    ):
        executor(torch.zeros(2), torch.zeros(2, dtype=torch.int64))


def test_behaviour_09_other_arguments():
    executor = poptorch.inferenceModel(TwoInputs())
    two = torch.zeros(2)
    executor(two, two, 2.0)
    with pytest.raises(poptorch.Error, match=r"Value mismatch for scale: expected 2.0 but got 3.0"):
        executor(two, two, 3.0)
    with pytest.raises(poptorch.Error, match="Type mismatch for y"):
        executor(two, None, 2.0)
    with pytest.raises(AssertionError, match="Too many arguments"):
        executor(two, two, 2.0, two)
    with pytest.raises(AssertionError, match="speed is not a valid parameter"):
        executor(two, speed=1)
    with pytest.raises(poptorch.Error, match="Mandatory parameter x missing"):
        executor(y=two)


def test_behaviour_09_number_of_positional_arguments():
    class Any(torch.nn.Module):
        def forward(self, *tensors):
            return sum(tensors)

    executor = poptorch.inferenceModel(Any())
    executor(torch.zeros(2), torch.zeros(2))
    with pytest.raises(poptorch.Error, match="Number of positional arguments mismatch"):
        executor(torch.zeros(2))


def test_behaviour_09_structures():
    class Nested(torch.nn.Module):
        def forward(self, pair, table):
            return {"sum": pair[0] + table["a"], "kept": (pair[1], "name")}

    one, two = torch.ones(2), torch.full((2,), 2.0)
    executor = poptorch.inferenceModel(Nested())
    given = executor((one, two), {"a": two})
    assert given["sum"].tolist() == [3.0, 3.0]
    assert given["kept"][0].tolist() == [2.0, 2.0]
    assert given["kept"][1] == "name"
    with pytest.raises(poptorch.Error, match=r"Length mismatch for pair: expected 2 elements"):
        executor((one, two, two), {"a": two})
    with pytest.raises(poptorch.Error, match="Keys mismatch for table: Unexpected arguments: b"):
        executor((one, two), {"a": two, "b": one})
    with pytest.raises(poptorch.Error, match=r"Shape mismatch for pair\[1\]"):
        executor((one, torch.ones(3)), {"a": two})


@pytest.mark.parametrize("replicas, iterations, accumulation", [(1, 3, 2), (2, 2, 2), (3, 1, 1)])
def test_behaviour_15_order_of_micro_batches(replicas, iterations, accumulation):
    steps = Steps(iterations, accumulation, replicas)
    rows = torch.arange(steps.per_call * 2)
    places = itertools.product(range(iterations), range(accumulation), range(replicas))
    by_hand = rows.reshape(iterations, accumulation, replicas, 2)
    for part, place in zip(steps.split(rows), places):
        assert torch.equal(part, by_hand[place])


def test_behaviour_15_all_returns_the_input_and_final_the_last_of_each_replica():
    rows = torch.arange(4.0)
    everything = poptorch.inferenceModel(Identity(), options(2, replicas=2, mode=Mode.All))
    assert torch.equal(everything(rows), rows)
    last = poptorch.inferenceModel(Identity(), options(2, replicas=2, mode=Mode.Final))
    assert last(rows).tolist() == [2.0, 3.0]


@pytest.mark.parametrize("replicas, shape", [(1, ()), (2, (2,))])
def test_behaviour_16_training_returns_the_last_micro_batch(replicas, shape):
    model = regression()
    executor = poptorch.trainingModel(model, options(2, 2, replicas))
    rows = 4 * replicas * 5
    x, y = data(rows)
    loss, prediction = executor(x, y)
    assert loss.shape == shape
    assert prediction.shape == (5 * replicas, 1)


def test_behaviour_16_final_is_that_of_the_last_update():
    model = regression()
    x, y = data(12)
    everything = poptorch.trainingModel(regression(), options(2, 2, mode=Mode.All))(x, y)
    last = poptorch.trainingModel(model, options(2, 2))(x, y)
    assert last[0] == everything[0][-1]
    assert torch.equal(last[1], everything[1][-3:])


def test_an_output_is_what_it_was_when_it_was_made():
    class Shows(Regression):
        def forward(self, x, y):
            return super().forward(x, y)[0], self.linear.bias

    executor = poptorch.trainingModel(Shows(), options(3, mode=Mode.All))
    _, bias = executor(*data(6))
    assert len(set(bias.tolist())) == 3
    kept = bias.clone()
    executor(*data(6))
    assert torch.equal(bias, kept)


@pytest.mark.parametrize("num, shape", [(1, ()), (6, (6,))])
def test_behaviour_17_all(num, shape):
    model = regression()
    loss, prediction = poptorch.trainingModel(model, options(num, mode=Mode.All))(*data(2 * num))
    assert loss.shape == shape
    assert prediction.shape == (2 * num, 1)
    # Inference: All unless said otherwise.
    assert poptorch.inferenceModel(Identity(), options(3))(torch.zeros(3)).shape == (3,)


def test_behaviour_18_sum_of_each_replica():
    rows = torch.arange(12.0)
    summed = poptorch.inferenceModel(Identity(), options(3, replicas=2, mode=Mode.Sum))(rows)
    # Replica 0 has rows 0-1, 4-5, 8-9, replica 1 the others.
    assert summed.tolist() == [12.0, 15.0, 18.0, 21.0]
    whole = poptorch.inferenceModel(Identity(), options(3, mode=Mode.Sum))
    assert whole(torch.arange(3)).dtype == torch.int32


def test_behaviour_19_every_nth():
    executor = poptorch.inferenceModel(Identity(), options(10, mode=Mode.EveryN, period=5))
    assert executor(torch.arange(10.0)).tolist() == [4.0, 9.0]
    with pytest.raises(AssertionError, match="output_return_period"):
        options(mode=Mode.EveryN)


@pytest.mark.parametrize("mode", [Mode.All, Mode.Final, Mode.Sum, Mode.EveryN])
def test_joined_outputs_are_those_picked_by_hand(mode):
    steps = Steps(2, 3, 2)
    outputs = [[torch.full((2,), float(number))] for number in range(steps.per_call)]
    (joined,) = join(outputs, steps, mode, period=2)
    values = torch.arange(12.0).reshape(6, 2)
    kept = {
        Mode.All: values,
        Mode.Final: values[-1:],
        Mode.EveryN: values[1::2],
        Mode.Sum: values.sum(0, keepdim=True),
    }[mode]
    assert torch.equal(joined, kept.reshape(-1).repeat_interleave(2))


def test_behaviour_29_types_at_the_border():
    class Types(torch.nn.Module):
        def forward(self, table, index, wide):
            assert index.dtype == torch.int64
            return table[index], index, wide * 2, index > 0

    index = torch.tensor([1, 0, 2**32 + 1])
    wide = torch.tensor([1.0, 2.0, 1.0 + 2**-30], dtype=torch.float64)
    executor = poptorch.inferenceModel(Types())
    values, same, doubled, flags = executor(torch.tensor([5.0, 6.0, 7.0]), index, wide)
    assert values.tolist() == [6.0, 5.0, 6.0]
    assert same.dtype == torch.int32
    assert same.tolist() == [1, 0, 1]
    assert doubled.dtype == torch.float32
    assert doubled.tolist() == [2.0, 4.0, 2.0]
    assert flags.dtype == torch.bool


def test_behaviour_29_weights_of_another_type():
    model = regression().double()
    x, y = data(4)
    loss, _ = poptorch.trainingModel(model, options())(x.double(), y.double())
    assert loss.dtype == torch.float32
    assert model.linear.weight.dtype == torch.float64


def test_an_input_is_not_written_into():
    class Writes(torch.nn.Module):
        def forward(self, x):
            return x.add_(1)

    rows = torch.zeros(2)
    executor = poptorch.inferenceModel(Writes(), options(2))
    assert executor(rows).tolist() == executor(rows).tolist() == [1.0, 1.0]
    assert rows.tolist() == [0.0, 0.0]


def test_behaviour_36_synthetic_data():
    model = regression()
    chosen = options(2, mode=Mode.All).enableSyntheticData(True)
    executor = poptorch.trainingModel(model, chosen)
    x, y = data(4)
    loss, prediction = executor(x.fill_(float("nan")), y)
    assert loss.tolist() == [-1.0, -1.0]
    assert prediction.shape == (4, 1)
    # Inputs were ignored, and the model trained on something.
    assert torch.isfinite(model.linear.weight).all()
    assert not torch.equal(model.linear.weight, regression().linear.weight)


def test_weights_and_inputs_are_no_constants_of_the_graph():
    executor = poptorch.trainingModel(Regression(), options())
    executor(*data(2))
    constants = [
        node for node in executor.captured.graph_module.graph.nodes if node.op == "get_attr"
    ]
    assert constants == []
