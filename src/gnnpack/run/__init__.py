"""From a config to a finished run; the only room beside the commands that knows Hydra."""

from gnnpack.run.checkpoint import load_checkpoint, load_weights
from gnnpack.run.training import run

__all__ = ["load_checkpoint", "load_weights", "run"]
