"""``options.Training``: how the micro-batches of an update make one gradient."""

from __future__ import annotations

from gnnpack.accelerators.ipu_emulator.enums import MeanReductionStrategy, ReductionType
from gnnpack.accelerators.ipu_emulator.option_values import OptionValues
from gnnpack.accelerators.ipu_emulator.options_backend import PopartOptions


class TrainingOptions(OptionValues):
    """Read back: ``gradient_accumulation``, ``accumulation_and_replication_reduction_type``,
    ``meanAccumulationAndReplicationReductionStrategy`` (PopTorch keeps that one in camel case).
    """

    def __init__(self, popart: PopartOptions) -> None:
        super().__init__(
            gradient_accumulation=1,
            accumulation_and_replication_reduction_type=ReductionType.Mean,
            meanAccumulationAndReplicationReductionStrategy=MeanReductionStrategy.Post,
        )
        self._popart = popart

    def gradientAccumulation(self, gradient_accumulation: int) -> TrainingOptions:
        """Micro-batches of a replica in one update."""
        self.set(gradient_accumulation=gradient_accumulation)
        return self

    def accumulationAndReplicationReductionType(
        self, reduction_type: ReductionType
    ) -> TrainingOptions:
        """Mean or Sum over the micro-batches of all replicas.

        Raises:
            ValueError: anything else; ``NoReduction`` is no choice here.
        """
        if reduction_type not in (ReductionType.Mean, ReductionType.Sum) or not isinstance(
            reduction_type, ReductionType
        ):
            raise ValueError(
                f"accumulationAndReplicationReductionType is {reduction_type!r}; it must be set "
                "to poptorch.ReductionType.Mean or poptorch.ReductionType.Sum"
            )
        self.set(accumulation_and_replication_reduction_type=reduction_type)
        return self

    def setMeanAccumulationAndReplicationReductionStrategy(
        self, mean_reduction_strategy: MeanReductionStrategy
    ) -> TrainingOptions:
        """When a mean is divided; in float32 equal up to rounding."""
        self.set(meanAccumulationAndReplicationReductionStrategy=mean_reduction_strategy)
        return self

    def setAutomaticLossScaling(self, enabled: bool) -> TrainingOptions:
        """Let the IPU find the loss scale of float16; the emulator keeps the number."""
        self._popart.set("automaticLossScalingSettings.enabled", enabled)
        return self
