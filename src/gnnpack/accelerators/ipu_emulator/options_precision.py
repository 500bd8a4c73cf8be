"""``options.Precision``: types the IPU computes in."""

from __future__ import annotations

import torch

from gnnpack.accelerators.ipu_emulator.enums import HalfFloatCastingBehavior
from gnnpack.accelerators.ipu_emulator.option_values import OptionValues
from gnnpack.accelerators.ipu_emulator.options_backend import PopartOptions

PARTIALS = {torch.float32: "float", torch.float16: "half"}


class PrecisionOptions(OptionValues):
    """Kept and passed on; none of them changes what the emulator computes."""

    def __init__(self, popart: PopartOptions) -> None:
        super().__init__(
            half_float_casting=HalfFloatCastingBehavior.Default,
            running_statistics_always_float=True,
        )
        self._popart = popart

    def halfFloatCasting(self, half_float_casting: HalfFloatCastingBehavior) -> PrecisionOptions:
        """What becomes of an operation on mixed float16 and float32."""
        self.set(half_float_casting=half_float_casting)
        return self

    def runningStatisticsAlwaysFloat(self, value: bool) -> PrecisionOptions:
        """Keep the running statistics of normalisation layers in float32."""
        self.set(running_statistics_always_float=value)
        return self

    def enableFloatingPointExceptions(self, enabled: bool) -> PrecisionOptions:
        """Stop at a division by zero, an overflow or a NaN; on hardware."""
        assert isinstance(enabled, bool), f"enabled is {enabled!r}; use True or False"
        self._popart.set("enableFloatingPointChecks", enabled)
        return self

    def enableStochasticRounding(self, enabled: bool) -> PrecisionOptions:
        """Round to float16 at random, right on average; on hardware."""
        self._popart.set("enableStochasticRounding", enabled)
        return self

    def setPartialsType(self, dtype: torch.dtype) -> PrecisionOptions:
        """Type of the partial sums of matrix products: float32 or float16."""
        if dtype not in PARTIALS:
            raise ValueError(f"setPartialsType got {dtype}; use torch.float or torch.half.")
        self._popart.set("partialsTypeMatMuls", PARTIALS[dtype])
        self._popart.set("convolutionOptions", {"partialsType": PARTIALS[dtype]})
        return self
