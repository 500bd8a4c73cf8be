"""What a run executes on, as arguments of Lightning's Trainer."""

from gnnpack.accelerators.cuda_graph import CUDAGraphStrategy
from gnnpack.accelerators.ipu import CompiledOffline, IPUStrategy
from gnnpack.accelerators.ipu_options import train_on_ipu, train_on_ipu_emulator
from gnnpack.accelerators.ipu_settings import IPU_PRECISIONS, IPUSettings
from gnnpack.accelerators.plain import auto, cpu, gpu
from gnnpack.accelerators.whole_step import WholeStepStrategy

__all__ = [
    "IPU_PRECISIONS",
    "CUDAGraphStrategy",
    "CompiledOffline",
    "IPUSettings",
    "IPUStrategy",
    "WholeStepStrategy",
    "auto",
    "cpu",
    "gpu",
    "train_on_ipu",
    "train_on_ipu_emulator",
]
