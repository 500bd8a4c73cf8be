from __future__ import annotations

import logging
import sys

import pytest
from tiny_run import Clock, fit

from gnnpack.tracking import PlainProgress, ProgressBar, ThroughputMeter, progress_callback


def test_plain_output_is_one_line_an_epoch(tmp_path, caplog):
    clock = Clock()
    bars = [PlainProgress(), ThroughputMeter(1, clock=clock)]
    with caplog.at_level(logging.INFO, logger="gnnpack"):
        fit(
            tmp_path,
            real=[3] * 4,
            callbacks=bars,
            clock=clock,
            max_epochs=2,
            enable_progress_bar=True,
        )
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("gnnpack")]
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: 3 molecules/s, loss ")
    assert "val MAE " in lines[1]


@pytest.mark.parametrize(
    "settings, shown",
    [
        ({"check_val_every_n_epoch": 2}, [False, True, False, True]),
        ({"check_val_every_n_epoch": 3}, [False, False, True, False]),
        # Also inside an epoch: of four batches, after the second and the fourth.
        ({"val_check_interval": 0.5}, [True] * 4),
        # Over epochs: after the sixth, the twelfth batch, and not again.
        ({"val_check_interval": 6, "check_val_every_n_epoch": None}, [False, True, True, False]),
    ],
)
def test_an_epoch_shows_its_own_validation_or_none(tmp_path, caplog, settings, shown):
    clock = Clock()
    with caplog.at_level(logging.INFO, logger="gnnpack"):
        fit(
            tmp_path,
            real=[3] * 4,
            callbacks=[PlainProgress()],
            clock=clock,
            max_epochs=4,
            enable_progress_bar=True,
            **settings,
        )
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("gnnpack")]
    assert ["val MAE " in line for line in lines] == shown
    assert all("loss " in line for line in lines)


def test_bar_shows_rate_and_loss_and_nothing_else(tmp_path, capsys):
    clock = Clock()
    bar = ProgressBar()
    trainer = fit(
        tmp_path,
        real=[3] * 4,
        callbacks=[ThroughputMeter(1, clock=clock), bar],
        clock=clock,
        enable_progress_bar=True,
    )
    bar._read_at = float("-inf")
    texts = bar.get_metrics(trainer, trainer.lightning_module)
    assert list(texts) == ["molecules/s", "loss"]
    assert texts["molecules/s"] == "3"
    assert float(texts["loss"]) > 0


def test_the_terminal_decides(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(progress_callback(), ProgressBar)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert isinstance(progress_callback(), PlainProgress)
