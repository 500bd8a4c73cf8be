"""What an accelerator option hands to the Trainer."""

from __future__ import annotations

import pytest
import torch

from gnnpack.accelerators import CUDAGraphStrategy, WholeStepStrategy, auto, cpu, gpu


@pytest.fixture
def with_gpu(monkeypatch):
    """Pretend that torch sees a GPU; nothing runs on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def test_one_process_needs_no_strategy():
    assert cpu()["strategy"] == "auto"
    assert cpu()["devices"] == 1


@pytest.mark.parametrize("options", [{"devices": 2}, {"num_nodes": 2}])
def test_many_processes_share_updates_by_ddp_with_our_shards(options):
    arguments = cpu(**options)
    assert arguments["strategy"] == "ddp"
    assert arguments["use_distributed_sampler"] is False


def test_a_named_strategy_is_kept():
    assert cpu(devices=2, strategy="ddp_spawn")["strategy"] == "ddp_spawn"


def test_threads_are_set():
    before = torch.get_num_threads()
    cpu(num_threads=1)
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)
    with pytest.raises(ValueError, match=r"num_threads is 0"):
        cpu(num_threads=0)


def test_without_a_gpu_the_message_has_the_cures(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"sees no CUDA GPU.*accelerator=cpu"):
        gpu()
    assert auto()["accelerator"] == "cpu"


def test_tf32_is_off_until_asked_for(with_gpu):
    assert gpu()["accelerator"] == "gpu"
    assert torch.get_float32_matmul_precision() == "highest"
    gpu(tf32=True)
    assert torch.get_float32_matmul_precision() == "high"


def test_auto_takes_one_gpu(with_gpu):
    arguments = auto(precision="bf16-mixed")
    assert (arguments["accelerator"], arguments["devices"]) == ("gpu", 1)
    assert arguments["precision"] == "bf16-mixed"


def test_a_list_of_gpus_is_ddp(with_gpu):
    assert gpu(devices=[0, 3])["strategy"] == "ddp"


def test_one_gpu_replays_graphs_of_sixteen_updates(with_gpu):
    strategy = gpu()["strategy"]
    assert isinstance(strategy, CUDAGraphStrategy)
    assert strategy.device_iterations == 16
    third = gpu(devices=[3], device_iterations=4)["strategy"]
    assert (str(third.root_device), third.device_iterations) == ("cuda:3", 4)
    from_python = gpu(strategy="whole_step")["strategy"]
    assert type(from_python) is WholeStepStrategy


def test_plain_lightning_is_a_name_away(with_gpu):
    for arguments in (gpu(strategy="single_device"), gpu(precision="16-mixed"), cpu()):
        assert arguments["strategy"] == "auto"


def test_a_cpu_makes_several_updates_a_call_when_asked():
    strategy = cpu(device_iterations=4)["strategy"]
    assert type(strategy) is WholeStepStrategy
    assert strategy.device_iterations == 4
    assert cpu(strategy="whole_step")["strategy"].device_iterations == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"devices": 2, "strategy": "whole_step"}, r"whole_step is of one device.*strategy=ddp"),
        (
            {"devices": 2, "device_iterations": 4},
            r"device_iterations is 4.*strategy=auto makes one",
        ),
        ({"strategy": "ddp", "device_iterations": 4}, r"device_iterations is 4.*strategy=ddp"),
        ({"device_iterations": 0}, r"device_iterations is 0"),
    ],
)
def test_iterations_without_a_strategy_for_them_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        cpu(**options)
