"""What a run executes on, as arguments of Lightning's Trainer."""

from gnnpack.accelerators.plain import auto, cpu, gpu

__all__ = ["auto", "cpu", "gpu"]
