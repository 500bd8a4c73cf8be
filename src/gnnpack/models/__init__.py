"""`PackBatch` -> prediction per molecule slot; plain `nn.Module`s, no loss, no Lightning."""

from gnnpack.models.filters import Tabulated, filter_error
from gnnpack.models.pyg_weights import schnet_from_pyg, schnet_to_pyg
from gnnpack.models.readout import Readout
from gnnpack.models.schnet import SchNet

__all__ = ["Readout", "SchNet", "Tabulated", "filter_error", "schnet_from_pyg", "schnet_to_pyg"]
