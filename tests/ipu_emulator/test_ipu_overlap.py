"""Overlapped I/O: what the emulator checks of it."""

from __future__ import annotations

import pytest
import torch
from tiny_models import options

from gnnpack.accelerators import ipu_emulator as poptorch

LOOP = poptorch.OverlapMode.OverlapDeviceIterationLoop
Mode = poptorch.OutputMode


class Overlapped(torch.nn.Module):
    """``steps`` is what forward does with its input."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def forward(self, x):
        return self.steps(x)


def fetch(x):
    return poptorch.set_overlap_for_input(x, LOOP)


def send(x):
    return poptorch.set_overlap_for_output(x, LOOP)


def run(steps, tiles=32, strategy=None, mode=Mode.All):
    chosen = options(mode=mode).setExecutionStrategy(strategy or poptorch.ShardedExecution())
    if tiles:
        chosen.TensorLocations.numIOTiles(tiles)
    return poptorch.inferenceModel(Overlapped(steps), chosen)(torch.ones(2))


def test_behaviour_34_overlap_changes_no_number():
    assert run(lambda x: send(fetch(x) * 2)).tolist() == [2.0, 2.0]
    none = poptorch.OverlapMode.NoOverlap
    plain = options()
    model = Overlapped(lambda x: poptorch.set_overlap_for_input(x, none) * 2)
    assert poptorch.inferenceModel(model, plain)(torch.ones(2)).tolist() == [2.0, 2.0]
    assert Overlapped(lambda x: send(fetch(x)))(torch.ones(2)).tolist() == [1.0, 1.0]


def test_behaviour_34_overlap_needs_sharded_execution():
    with pytest.raises(poptorch.Error, match=r"switch to poptorch\.ShardedExecution"):
        run(lambda x: fetch(x) * 2, strategy=poptorch.PipelinedExecution())


def test_behaviour_34_overlap_needs_io_tiles():
    with pytest.raises(poptorch.Error, match=r"No IO tiles allocated\. You must allocate at least"):
        run(lambda x: fetch(x) * 2, tiles=0)


@pytest.mark.parametrize("mode", [Mode.Final, Mode.All, Mode.Sum])
def test_behaviour_34_overlap_needs_output_mode_all_or_sum(mode):
    if mode == Mode.Final:
        with pytest.raises(poptorch.Error, match="output mode Final"):
            run(lambda x: fetch(x) * 2, mode=mode)
    else:
        run(lambda x: fetch(x) * 2, mode=mode)


@pytest.mark.parametrize(
    "steps, message",
    [
        (lambda x: (x + 1, fetch(x)), "must be the only op applied to an input"),
        (lambda x: fetch(x + 1), "set_overlap_for_input applied on a node which is not a tensor"),
        (lambda x: send(x) + 1, "set_overlap_for_output applied on a node which is not a tensor"),
        (lambda x: (lambda y: (y, send(y)))(x + 1), "a tensor that is returned twice"),
        (lambda x: (send(x + 1),) * 2, "a tensor that is returned twice"),
    ],
)
def test_behaviour_34_overlap_is_for_inputs_and_outputs(steps, message):
    with pytest.raises(poptorch.Error, match=message):
        run(steps)


def test_structures_can_be_marked():
    class Two(torch.nn.Module):
        def forward(self, pair):
            one, two = fetch(pair)
            return send({"sum": one + two})

    chosen = options().setExecutionStrategy(poptorch.ShardedExecution())
    chosen.TensorLocations.numIOTiles(64)
    given = poptorch.inferenceModel(Two(), chosen)((torch.ones(2), torch.ones(2)))
    assert given["sum"].tolist() == [2.0, 2.0]
