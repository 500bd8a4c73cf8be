"""A training run of PyG's SchNet in a process of its own: a loader, a loop, AdamW.

No Lightning, no logging, no validation, and neighbours found beforehand: all in PyG's favour.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from gnnpack.batching import PackSource
from gnnpack.bench.beside_pyg import Edges, PyG, import_pyg, pyg_schnet
from gnnpack.models import Readout, SchNet
from gnnpack.store import Store


class Job(NamedTuple):
    """What to train on, in a folder of its own; see `write_job`."""

    store: str
    model: Sequence[float]  # the first four arguments of `SchNet`
    readout: Sequence[Any]  # those of `Readout`
    lr: float
    seed: int
    threads: int
    skipped: int  # updates that do not count


def write_job(
    job: Job, updates: Sequence[NDArray[np.int64]], values: NDArray[np.float64], folder: Path
) -> None:
    """Leave a job for `main`.

    Args:
        updates: rows of the store of each update, those to skip first.
        values: (M,) targets of all rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(json.dumps(job._asdict()), encoding="utf-8")
    sizes = np.array([len(rows) for rows in updates])
    rows = np.concatenate(updates)
    np.savez(folder / "job.npz", rows=rows, sizes=sizes, values=values[rows])


def main() -> None:
    """Train the job of the folder ``sys.argv[1]``; summary.json there says how fast it went."""
    folder = Path(sys.argv[1])
    job = Job(**json.loads((folder / "job.json").read_text(encoding="utf-8")))
    pyg = import_pyg()
    assert pyg is not None, "only asked for where PyG is"
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    with np.load(folder / "job.npz") as arrays:
        rate, losses = train(job, pyg, arrays["rows"], arrays["sizes"], arrays["values"])
    found = {"train_molecules_per_second": rate, "losses": losses}
    (folder / "summary.json").write_text(json.dumps(found), encoding="utf-8")


def train(
    job: Job,
    pyg: PyG,
    rows: NDArray[np.int64],
    sizes: NDArray[np.int64],
    values: NDArray[np.float64],
) -> tuple[float, list[float]]:
    """Real molecules a second, waiting for the loader included, and the loss of every update."""
    channels, blocks, gaussians, cutoff = job.model
    ours = SchNet(int(channels), int(blocks), int(gaussians), cutoff, readout=Readout(*job.readout))
    theirs = pyg_schnet(ours)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=job.lr)
    loader = pyg.loader(
        _molecules(job, pyg, rows, values, cutoff),
        batch_sampler=[one.tolist() for one in np.split(np.arange(len(rows)), np.cumsum(sizes))][
            : len(sizes)
        ],
    )
    losses: list[float] = []
    start = time.perf_counter()
    for update, batch in enumerate(loader):
        theirs.interaction_graph.edges = Edges(batch.edge_index, batch.distance)
        optimizer.zero_grad()
        loss = (theirs(batch.z, batch.pos, batch.batch)[:, 0] - batch.y).abs().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if update + 1 == job.skipped:
            start = time.perf_counter()
    return int(sizes[job.skipped :].sum()) / (time.perf_counter() - start), losses


def _molecules(
    job: Job, pyg: PyG, rows: NDArray[np.int64], values: NDArray[np.float64], cutoff: float
) -> list[Any]:
    store = Store(job.store)
    target = np.zeros(store.num_molecules)
    target[rows] = values
    return pyg.data_list(PackSource(store.z, store.pos, store.offsets, target, rows), cutoff)
