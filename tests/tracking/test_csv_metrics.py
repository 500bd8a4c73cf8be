from __future__ import annotations

import csv
import os

import pytest
from tiny_run import Clock, fit

from gnnpack.tracking import MetricsCSV
from gnnpack.tracking.csv_metrics import MetricsFile


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def train(folder, logger, **more):
    return fit(folder, real=[4] * 3, callbacks=[], clock=Clock(), logger=logger, **more)


def test_lightning_writes_one_file_and_no_version_folder(tmp_path):
    train(tmp_path, MetricsCSV(tmp_path))
    assert os.listdir(tmp_path) == ["metrics.csv"]
    written = rows(tmp_path)
    assert [row["step"] for row in written if row["train/loss"]] == ["0", "1", "2"]
    assert sum(bool(row["val/mae"]) for row in written) == 1


def test_resume_keeps_earlier_rows_and_equals_an_uninterrupted_run(tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(whole, MetricsCSV(whole), max_epochs=3)
    trainer = train(halves, MetricsCSV(halves), max_epochs=2)
    trainer.save_checkpoint(halves / "half.ckpt")
    # Steps the killed run did after its last checkpoint.
    MetricsFile(halves / "metrics.csv", resume_step=6).add({"train/loss": 99.0}, step=6)
    logger = MetricsCSV(halves, resume_step=trainer.global_step)
    train(halves, logger, max_epochs=3, ckpt_path=halves / "half.ckpt")
    assert rows(halves) == rows(whole)


def test_new_columns_join_the_file(tmp_path):
    MetricsFile(tmp_path / "metrics.csv").add({"a": 1.5}, step=0)
    continued = MetricsFile(tmp_path / "metrics.csv", resume_step=1)
    continued.add({"b": 2.0}, step=1)
    assert rows(tmp_path) == [
        {"step": "0", "a": "1.5", "b": ""},
        {"step": "1", "a": "", "b": "2.0"},
    ]


def test_a_row_cut_off_by_a_kill_is_dropped(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("step,a\n0,1.25\n1,1.2")
    MetricsFile(file, resume_step=5).add({"a": 1.5}, step=5)
    assert rows(tmp_path) == [{"step": "0", "a": "1.25"}, {"step": "5", "a": "1.5"}]


def test_no_row_is_dropped_before_there_is_a_new_one(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("step,a\n0,1.0\n1,1.5\n2,2.0")
    before = file.read_bytes()
    continued = MetricsFile(file, resume_step=1)
    assert file.read_bytes() == before
    continued.add({"a": 3.0}, step=1)
    continued.add({"a": 4.0}, step=2)
    assert [row["a"] for row in rows(tmp_path)] == ["1.0", "3.0", "4.0"]


def test_an_existing_file_is_never_deleted(tmp_path):
    MetricsFile(tmp_path / "metrics.csv").add({"a": 1.0}, step=0)
    with pytest.raises(ValueError, match=r"exists already.*resume=FOLDER"):
        MetricsCSV(tmp_path).log_metrics({"a": 2.0}, step=0)
    assert len(rows(tmp_path)) == 1


def test_a_file_without_steps_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="no column 'step'"):
        MetricsFile(tmp_path / "metrics.csv", resume_step=1)
