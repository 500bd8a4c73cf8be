"""What a call shows of itself costs the device nothing."""

from __future__ import annotations

from functools import partial

import torch

from gnnpack.objective import MAE
from gnnpack.training import MoleculeRegression


def test_the_shown_loss_stays_on_the_host(monkeypatch):
    module = MoleculeRegression(torch.nn.Linear(2, 1), MAE(), partial(torch.optim.SGD, lr=1.0))
    shown = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: shown.update({name: value}))
    # Lightning makes a tensor on the module's device of anything that is none.
    module.to("meta").log_step(0.5)
    assert shown["train/loss"].device.type == "cpu"
    assert shown["train/loss"].item() == 0.5
    assert module.latest_loss is shown["train/loss"]
