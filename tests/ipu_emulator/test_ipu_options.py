"""Options of the emulator: PopTorch's checks, freeze, environment and files.

The numbers in test names are those of the behaviours that the emulator promises.
"""

from __future__ import annotations

import pickle

import pytest
import torch

from gnnpack.accelerators.ipu_emulator.data_loader import DataLoader
from gnnpack.accelerators.ipu_emulator.enums import (
    ConnectionType,
    MeanReductionStrategy,
    OutputMode,
    ReductionType,
)
from gnnpack.accelerators.ipu_emulator.errors import Error, RecoverableError, UnrecoverableError
from gnnpack.accelerators.ipu_emulator.options import Options
from gnnpack.accelerators.ipu_emulator.options_backend import PipelinedExecution, ShardedExecution
from gnnpack.accelerators.ipu_emulator.options_locations import TensorLocationSettings
from gnnpack.accelerators.ipu_emulator.options_text import ConfigFileError

SETTERS = {
    "deviceIterations": lambda o: o.deviceIterations(2),
    "replicationFactor": lambda o: o.replicationFactor(2),
    "outputMode": lambda o: o.outputMode(OutputMode.All),
    "connectionType": lambda o: o.connectionType(ConnectionType.Never),
    "randomSeed": lambda o: o.randomSeed(1),
    "enableSyntheticData": lambda o: o.enableSyntheticData(True),
    "enableExecutableCaching": lambda o: o.enableExecutableCaching("cache"),
    "setExecutionStrategy": lambda o: o.setExecutionStrategy(ShardedExecution()),
    "setAvailableMemoryProportion": lambda o: o.setAvailableMemoryProportion({"IPU0": 0.2}),
    "broadcastBuffers": lambda o: o.broadcastBuffers(False),
    "modelName": lambda o: o.modelName("schnet"),
    "showCompilationProgressBar": lambda o: o.showCompilationProgressBar(False),
    "relaxOptimizerAttributesChecks": lambda o: o.relaxOptimizerAttributesChecks(),
    "Training": lambda o: o.Training.gradientAccumulation(2),
    "Training.reduction": lambda o: o.Training.accumulationAndReplicationReductionType(
        ReductionType.Sum
    ),
    "Precision": lambda o: o.Precision.setPartialsType(torch.half),
    "TensorLocations": lambda o: o.TensorLocations.numIOTiles(32),
    "Distributed": lambda o: o.Distributed.configureProcessId(0, 2),
    "_Popart": lambda o: o._Popart.set("key", 1),
    "attribute": lambda o: setattr(o, "device_iterations", 2),
}


@pytest.mark.parametrize("setter", SETTERS)
def test_behaviour_10_options_that_are_in_use_are_frozen_and_a_clone_is_not(setter):
    options = Options()
    DataLoader(options, torch.arange(3))
    before = repr(options)
    with pytest.raises(AttributeError, match="Can't modify frozen Options"):
        SETTERS[setter](options)
    assert repr(options) == before
    clone = options.clone()
    SETTERS[setter](clone)
    with pytest.raises(AttributeError, match="Can't modify frozen Options"):
        SETTERS[setter](options)


def test_a_clone_shares_nothing_with_its_origin():
    options = Options().deviceIterations(2)
    clone = options.clone()
    clone.deviceIterations(3).Training.gradientAccumulation(4)
    clone.Precision.enableStochasticRounding(True)
    clone.setAvailableMemoryProportion({"IPU0": 0.1})
    assert (options.device_iterations, options.Training.gradient_accumulation) == (2, 1)
    assert "enableStochasticRounding" not in options._Popart.options
    # Groups of one options object share PopART's; so must those of its clone.
    assert clone._Popart.options["enableStochasticRounding"] is True
    assert options.available_memory_proportion == {}


@pytest.mark.parametrize(
    "setter",
    [
        lambda o: o.deviceIterations(2.0),
        lambda o: o.replicationFactor("2"),
        lambda o: o.Training.gradientAccumulation(2.0),
        lambda o: o.broadcastBuffers(1),
        lambda o: setattr(o, "device_iterations", 2.0),
    ],
)
def test_behaviour_11_a_value_of_another_type_is_refused(setter):
    with pytest.raises(AssertionError, match="Unexpected type"):
        setter(Options())


def test_behaviour_13_no_reduction_is_refused():
    training = Options().Training
    assert training.accumulation_and_replication_reduction_type == ReductionType.Mean
    assert training.meanAccumulationAndReplicationReductionStrategy == MeanReductionStrategy.Post
    for refused in (ReductionType.NoReduction, "Mean", 1):
        with pytest.raises(ValueError, match=r"poptorch\.ReductionType\.Mean"):
            training.accumulationAndReplicationReductionType(refused)
    training.accumulationAndReplicationReductionType(ReductionType.Sum)
    assert training.accumulation_and_replication_reduction_type == ReductionType.Sum


@pytest.mark.parametrize("number", [10, 31, 33, 193, 194, 0, 32.0])
def test_behaviour_34_a_wrong_number_of_io_tiles_is_refused(number):
    locations = Options().TensorLocations
    with pytest.raises(AssertionError, match="numIOTiles"):
        locations.numIOTiles(number)
    assert not locations.exists("numIOTiles")


@pytest.mark.parametrize("number", [32, 192])
def test_behaviour_34_a_right_number_of_io_tiles_is_kept(number):
    assert Options().TensorLocations.numIOTiles(number).toDict()["numIOTiles"] == number


def test_setters_chain_and_are_read_back():
    options = Options().deviceIterations(3).replicationFactor(2).outputMode(OutputMode.EveryN, 5)
    assert options.Training.gradientAccumulation(4) is options.Training
    assert (options.device_iterations, options.replication_factor) == (3, 2)
    assert (options.output_mode, options.output_return_period) == (OutputMode.EveryN, 5)
    assert options.Training.gradient_accumulation == 4
    # Like PopTorch: counts are not checked where they are set.
    assert options.deviceIterations(0).device_iterations == 0


def test_names_that_do_not_exist():
    options = Options()
    with pytest.raises(AttributeError, match="Invalid attribute device_iteration"):
        options.device_iteration  # noqa: B018
    with pytest.raises(AssertionError, match="Invalid option device_iteration"):
        options.device_iteration = 3
    with pytest.raises(AttributeError, match="no use for it"):
        options.anchorTensor("short", "long")


def test_every_n_needs_its_period():
    with pytest.raises(AssertionError, match="EveryN"):
        Options().outputMode(OutputMode.EveryN)
    with pytest.raises(AssertionError, match="EveryN"):
        Options().outputMode(OutputMode.EveryN, -1)


def test_what_goes_to_the_compiler():
    options = Options()
    with pytest.raises(AssertionError, match="output mode must be picked"):
        options.toDict()
    options.outputMode(OutputMode.Sum).enableSyntheticData(True)
    options.setExecutionStrategy(ShardedExecution()).TensorLocations.numIOTiles(64)
    options.TensorLocations.setOptimizerLocation(TensorLocationSettings().useOnChipStorage(False))
    told = options.toDict()
    assert (told["output_mode"], told["syntheticDataMode"], told["execution_mode"]) == (3, 2, 1)
    assert (told["numIOTiles"], told["location_optimizer"]) == (64, {"onChip": 0})
    assert told["gradient_accumulation"] == 1


def test_the_memory_proportion_counts_the_ipus_of_a_replica():
    options = Options().setAvailableMemoryProportion({"IPU0": 0.2, "IPU15": 0.3})
    assert options.available_memory_proportion == {0: 0.2, 15: 0.3}
    with pytest.raises(AssertionError, match="Invalid key: 0"):
        options.setAvailableMemoryProportion({"0": 0.2})


def test_an_offline_target_never_connects():
    options = Options().useOfflineIpuTarget(21)
    assert (options.connection_type, options.ipu_version) == (ConnectionType.Never, 21)


def test_a_seed_seeds_torch():
    Options().randomSeed(7)
    first = torch.rand(1)
    Options().randomSeed(7)
    assert torch.equal(first, torch.rand(1))


def test_caching_follows_its_environment_variable(monkeypatch):
    monkeypatch.setenv("POPTORCH_CACHE_DIR", "kept")
    options = Options()
    assert options._Popart.options["cachePath"] == "kept"
    assert options._Popart.options["enableEngineCaching"] is True
    assert options.enableExecutableCaching(None)._Popart.options["enableEngineCaching"] is False


def test_default_options_of_the_environment(monkeypatch):
    monkeypatch.setenv(
        "POPTORCH_DEFAULT_OPTIONS",
        '{"deviceIterations": 4, "_Popart.set": ["key", 1], "Training.gradientAccumulation": 2,'
        ' "connectionType": "ConnectionType.OnDemand", "logDir": "logs.d"}',
    )
    options = Options()
    assert (options.device_iterations, options.log_dir) == (4, "logs.d")
    assert options.Training.gradient_accumulation == 2
    assert options._Popart.options["key"] == 1
    assert options.connection_type == ConnectionType.OnDemand


@pytest.mark.parametrize("text", ["{", "[1]", '{"deviceIteration": 4}', '{"Training.x.y": 4}'])
def test_wrong_default_options_name_the_variable(monkeypatch, text):
    monkeypatch.setenv("POPTORCH_DEFAULT_OPTIONS", text)
    with pytest.raises(ValueError, match="POPTORCH_DEFAULT_OPTIONS"):
        Options()


def test_options_from_a_file(tmp_path):
    file = tmp_path / "ipu.conf"
    lines = [
        "deviceIterations(2)",
        "  outputMode(poptorch.OutputMode.All)  # after a setter",
        "",
        "# alone",
        "setExecutionStrategy(poptorch.ShardedExecution())",
        "Training.gradientAccumulation(3)",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    options = Options().deviceIterations(5).loadFromFile(str(file))
    assert (options.device_iterations, options.output_mode) == (2, OutputMode.All)
    assert isinstance(options._execution_strategy, ShardedExecution)
    assert options.Training.gradient_accumulation == 3
    file.write_text("deviceIterations(2)\noutputMode(poptorch.OutputMode.All", encoding="utf-8")
    with pytest.raises(ConfigFileError, match=r"line 2 of ipu\.conf"):
        options.loadFromFile(str(file))


def test_options_survive_pickling():
    options = Options().deviceIterations(3)
    options.Training.gradientAccumulation(2)
    again = pickle.loads(pickle.dumps(options))
    assert repr(again) == repr(options)


def test_execution_strategies_name_no_blocks():
    with pytest.raises(AssertionError, match="name no blocks"):
        PipelinedExecution("block")


@pytest.mark.parametrize("error", [Error, RecoverableError, UnrecoverableError])
def test_errors_are_poptorchs_own(error):
    raised = error("Something failed")
    assert isinstance(raised, Error)
    assert not isinstance(raised, RuntimeError)
    assert str(raised) == "'poptorch_py_error': Something failed"
    assert (raised.message, raised.type) == ("Something failed", "poptorch_py_error")
    assert str(pickle.loads(pickle.dumps(raised))) == str(raised)
