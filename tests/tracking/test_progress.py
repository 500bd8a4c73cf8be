from __future__ import annotations

import logging
import sys

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
