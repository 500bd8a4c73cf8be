"""Frozen parameters and rates by group mean the same however updates are made."""

from __future__ import annotations

from functools import partial

import pytest
import tiny_training
import torch
from ipu_training import cpu, emulated
from ipu_training import train as train_schnet
from recorded_graph import RecordedCapture
from tiny_training import ADAMW, TinyModel, assert_same_run, train

from gnnpack.accelerators import CUDAGraphStrategy, WholeStepStrategy
from gnnpack.models import SchNet
from gnnpack.training import MoleculeRegression, constant, cosine, ema, freeze_blocks
from gnnpack.training.fused import _torch_has_it


class Parts(TinyModel):
    """`TinyModel` with a head and a part that may be frozen."""

    def __init__(self, frozen: bool = False) -> None:
        super().__init__()
        self.shift = torch.nn.Parameter(torch.full((8,), 0.3), requires_grad=not frozen)

    def forward(self, batch):
        return super().forward(batch) + self.shift.square().sum()

    def blocks(self):
        head, body = torch.nn.Module(), torch.nn.Module()
        head.last, body.first, body.shift = self.last, self.first, self.shift
        return {"body": body, "head": head}


@pytest.fixture(params=[False, True], ids=["trained", "frozen"])
def slow_body(request, monkeypatch):
    """Runs of `tiny_training` have a body at a tenth of the rate, and maybe a frozen part of it."""
    monkeypatch.setattr(tiny_training, "TinyModel", partial(Parts, request.param))
    slow = partial(MoleculeRegression, body_lr=0.1)
    monkeypatch.setattr(tiny_training, "MoleculeRegression", slow)
    return request.param


@pytest.mark.parametrize("schedule", [cosine, tiny_training.one_cycle])
def test_whole_steps_equal_plain_lightning(tmp_path, slow_body, schedule):
    plain = train(tmp_path / "plain", schedule=schedule)
    run = train(tmp_path / "whole", WholeStepStrategy("cpu", 4), schedule=schedule)
    assert_same_run(run, plain)
    assert torch.equal(plain.weights["model.shift"], torch.full((8,), 0.3)) == slow_body
    assert len(plain.trainer.optimizers[0].param_groups) == 2


@pytest.mark.weight_average
@pytest.mark.skipif(
    not _torch_has_it(torch.optim.AdamW), reason="torch before 2.4 has no fused update on a CPU"
)
def test_graphs_equal_plain_lightning(tmp_path, slow_body):
    fused = partial(ADAMW, fused=True)
    plain = train(tmp_path / "plain", optimizer=fused, callbacks=(ema(0.7),))
    strategy = CUDAGraphStrategy("cpu", 3, capture=RecordedCapture())
    run = train(tmp_path / "graph", strategy, optimizer=fused, callbacks=(ema(0.7),))
    assert strategy._capture.replays > 0
    assert_same_run(run, plain)
    kept = run.checkpoint
    for state in (kept["state_dict"], kept["current_model_state"]):
        assert torch.equal(state["model.shift"], torch.full((8,), 0.3)) == slow_body


def test_the_head_learns_as_fast_and_the_body_at_its_own_rate(tmp_path, monkeypatch):
    """One update of plain descent: the body moves a tenth as far."""
    sgd = partial(torch.optim.SGD, lr=1e-2)
    begin = TinyModel()
    monkeypatch.setattr(tiny_training, "TinyModel", Parts)
    moved = {}
    for factor in (1.0, 0.1):
        slow = partial(MoleculeRegression, body_lr=factor)
        monkeypatch.setattr(tiny_training, "MoleculeRegression", slow)
        settings = {"optimizer": sgd, "schedule": constant, "max_steps": 1}
        run = train(tmp_path / str(factor), gradient_clip_val=None, **settings)
        moved[factor] = {
            n: run.weights[f"model.{n}"] - getattr(begin, n) for n in ("first", "last")
        }
    assert moved[1.0]["first"].abs().max() > 1e-4
    torch.testing.assert_close(moved[0.1]["last"], moved[1.0]["last"])
    torch.testing.assert_close(moved[0.1]["first"], 0.1 * moved[1.0]["first"], rtol=1e-3, atol=1e-7)


def test_an_ipu_keeps_frozen_blocks_and_rates_by_group(tmp_path, monkeypatch):
    """Emulated; as on a CPU."""
    import ipu_training

    slow = partial(MoleculeRegression, body_lr=0.1)
    monkeypatch.setattr(ipu_training, "MoleculeRegression", slow)
    found = []
    for name, strategy in (("cpu", cpu()), ("ipu", emulated(replicas=2, device_iterations=2))):
        torch.manual_seed(4)
        model = SchNet(8, 2, 6, 3.0, neighbours="dense")
        freeze_blocks(model, ["embedding", "0"])
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        (tmp_path / name).mkdir()
        run = train_schnet(tmp_path / name, strategy, model=model, max_epochs=2)
        weights = dict(model.named_parameters())
        for key, value in before.items():
            frozen = key.startswith(("embedding.", "interactions.0."))
            assert torch.equal(weights[key], value) == frozen, (name, key)
        found.append((run.losses, weights))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-6)
    for key, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][key], value, rtol=1e-3, atol=1e-5)
