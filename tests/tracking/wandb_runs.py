"""Offline runs of the real client, and what their logs hold."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Sequence

from gnnpack.tracking import csv_and_wandb, finish_wandb
from gnnpack.tracking.wandb_parts import has_ended

JOB = {
    "sweep": "packers",
    "key": "0123456789ab",
    "variant": "packing",
    "swept": {"packer": "lpfhp", "seed": "0"},
}


def log_part(folder: Path, rows, *, resume_step=None, exit_code=0, **config) -> None:
    """One start of a run: ``rows`` are (updates, loss)."""
    folder.mkdir(parents=True, exist_ok=True)
    loggers = csv_and_wandb(
        folder, name=folder.name, project="p", config=config, resume_step=resume_step
    )
    for step, loss in rows:
        loggers[1].log_metrics({"train/loss": loss}, step=step)
    finish_wandb(exit_code)


def wait_for_end(part) -> None:
    # wandb.finish returns some milliseconds before wandb's own process has written the file.
    for _ in range(500):
        if has_ended(part):
            return
        time.sleep(0.01)


def records(contents):
    from wandb.proto import wandb_internal_pb2

    for content in contents:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        yield record.WhichOneof("record_type"), record


def rows_of(contents) -> list[dict]:
    return [
        {
            one.key or "/".join(one.nested_key): json.loads(one.value_json)
            for one in record.history.item
        }
        for kind, record in records(contents)
        if kind == "history"
    ]


def not_running(folder: Path) -> bool:
    return False


class Sent(list):
    """An uploader that keeps the folders it is given."""

    def __call__(self, folder: Path, keep_open: Sequence[int]) -> None:
        self.append(folder)
