"""A finite number of emulated IPUs: who holds them, and when."""

from __future__ import annotations

import pytest
import torch
from tiny_models import Identity, data, options, regression, same_weights

from gnnpack.accelerators import ipu_emulator as poptorch


@pytest.fixture(autouse=True)
def machine_of_four(monkeypatch):
    poptorch.set_num_ipus(4)
    yield
    poptorch.set_num_ipus(None)


def inference(replicas=1, **changes):
    chosen = options(replicas=replicas)
    for name, value in changes.items():
        getattr(chosen, name)(value)
    return poptorch.inferenceModel(Identity(), chosen)


def test_behaviour_25_attach_and_detach():
    executor = inference()
    for act in (executor.detachFromDevice, executor.attachToDevice):
        with pytest.raises(poptorch.Error, match="not been compiled or has been destroyed"):
            act()
    assert not executor.isAttachedToDevice()
    executor(torch.zeros(2))
    assert executor.isAttachedToDevice()
    with pytest.raises(poptorch.Error, match="Device is already attached"):
        executor.attachToDevice()
    executor.detachFromDevice()
    assert executor.isCompiled()
    assert not executor.isAttachedToDevice()
    with pytest.raises(poptorch.Error, match="Device is not attached"):
        executor.detachFromDevice()
    executor(torch.zeros(2))
    assert executor.isAttachedToDevice()


def test_behaviour_25_a_call_compiles_once_whatever_is_attached():
    model = regression()
    executor = poptorch.trainingModel(model, options())
    executor.compile(*data(4))
    executor.detachFromDevice()
    executor(*data(4))
    assert executor._model.traced_shapes == [(4, 3)]


def test_behaviour_25_ipus_are_finite():
    first, second = inference(replicas=3), inference(replicas=2)
    first(torch.zeros(3))
    with pytest.raises(poptorch.Error, match=r"Failed to acquire 2 IPU\(s\): 3 of the 4"):
        second(torch.zeros(2))
    first.detachFromDevice()
    assert second(torch.zeros(2)).tolist() == [0, 0]
    with pytest.raises(poptorch.Error, match="Failed to acquire 3"):
        first(torch.zeros(3))
    second.destroy()
    first(torch.zeros(3))
    del first
    inference(replicas=4)(torch.zeros(4))
    with pytest.raises(poptorch.Error, match="Failed to acquire 5"):
        inference(replicas=5)(torch.zeros(5))


def test_behaviour_25_a_detached_model_has_its_weights_on_the_host():
    model, straight = regression(), regression()
    executor = poptorch.trainingModel(model, options(), torch.optim.Adam(model.parameters()))
    other = poptorch.trainingModel(straight, options(), torch.optim.Adam(straight.parameters()))
    for _ in range(3):
        executor(*data(4))
        other(*data(4))
        executor.detachFromDevice()
        assert executor.host_weights_version > 0
    # Training goes on as if nothing had been: moments stay too.
    same_weights(model, straight, rtol=0, atol=0)
    executor.attachToDevice()
    executor.detachFromDevice()
    with torch.no_grad():
        model.linear.weight.zero_()
    executor.attachToDevice()
    assert executor._program.weights.parameters["linear.weight"].eq(0).all()


@pytest.mark.parametrize("kind", ["Always", "OnDemand"])
def test_connection_types(kind):
    executor = inference(connectionType=poptorch.ConnectionType[kind])
    executor.compile(torch.zeros(2))
    assert executor.isAttachedToDevice() == (kind == "Always")
    executor(torch.zeros(2))
    assert executor.isAttachedToDevice()


def test_behaviour_26_offline():
    executor = inference(connectionType=poptorch.ConnectionType.Never)
    executor.compile(torch.zeros(2))
    assert executor.isCompiled()
    with pytest.raises(AssertionError, match="offline device"):
        executor(torch.zeros(2))
    with pytest.raises(AssertionError, match="offline device"):
        executor.attachToDevice()


def test_behaviour_37_no_hardware():
    """hardware: there PopTorch says True."""
    assert not poptorch.ipuHardwareIsAvailable()
    assert not poptorch.ipuHardwareIsAvailable(4)
    assert poptorch.ipuHardwareVersion() == 0


def test_behaviour_37_running_on_an_ipu_only_while_traced():
    seen = []

    class Asks(torch.nn.Module):
        def forward(self, x):
            seen.append(poptorch.isRunningOnIpu())
            return x

    executor = poptorch.inferenceModel(Asks())
    executor(torch.zeros(2))
    Asks()(torch.zeros(2))
    assert seen == [True, False]

    class Fails(torch.nn.Module):
        def forward(self, x):
            raise KeyError("a mistake in forward")

    with pytest.raises(KeyError, match="a mistake in forward"):
        poptorch.inferenceModel(Fails())(torch.zeros(2))
    assert not poptorch.isRunningOnIpu()


def test_the_number_of_ipus_comes_from_the_environment(monkeypatch):
    poptorch.set_num_ipus(None)
    assert poptorch.num_ipus() == 16
    monkeypatch.setenv("GNNPACK_EMULATED_IPUS", "64")
    assert poptorch.num_ipus() == 64
    poptorch.set_num_ipus(2)
    assert poptorch.num_ipus() == 2
    poptorch.set_num_ipus(None)
    monkeypatch.setenv("GNNPACK_EMULATED_IPUS", "many")
    with pytest.raises(ValueError, match="GNNPACK_EMULATED_IPUS is 'many'"):
        poptorch.num_ipus()
    with pytest.raises(ValueError, match="num_ipus is 0"):
        poptorch.set_num_ipus(0)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("cycleCount", ()),
        ("getLatency", ()),
        ("getPerfCounters", ()),
        ("compileAndExport", ("file",)),
        ("loadExecutable", ("file",)),
    ],
)
def test_what_only_hardware_has_is_refused_by_name(name, arguments):
    with pytest.raises(poptorch.Error, match=f"{name} needs PopTorch"):
        getattr(inference(), name)(*arguments)
    with pytest.raises(poptorch.Error, match="needs PopTorch"):
        poptorch.load("file")


def test_options_and_modules_of_other_kinds_are_refused():
    with pytest.raises(poptorch.Error, match=r"expected poptorch\.Options"):
        poptorch.inferenceModel(Identity(), {"deviceIterations": 2})
    with pytest.raises(poptorch.Error, match="The model is a function"):
        poptorch.inferenceModel(lambda x: x)


def test_behaviour_10_a_model_freezes_its_options():
    chosen = options(2)
    executor = poptorch.inferenceModel(Identity(), chosen)
    for used in (chosen, executor.options):
        with pytest.raises(AttributeError, match="Can't modify frozen Options"):
            used.deviceIterations(3)
    assert chosen.clone().deviceIterations(3).device_iterations == 3
