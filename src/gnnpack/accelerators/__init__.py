"""What a run executes on, as arguments of Lightning's Trainer."""

from gnnpack.accelerators.cuda_graph import CUDAGraphStrategy
from gnnpack.accelerators.plain import auto, cpu, gpu
from gnnpack.accelerators.whole_step import WholeStepStrategy

__all__ = ["CUDAGraphStrategy", "WholeStepStrategy", "auto", "cpu", "gpu"]
