"""What a run tells: its record at the start, its lines, its summary and figures."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any, Mapping, Sequence

from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from gnnpack import tracking
from gnnpack.datasets import Split, save_split
from gnnpack.packing import PackPlan
from gnnpack.run.data import Data
from gnnpack.training import MoleculeRegression

log = logging.getLogger(__name__)


@rank_zero_only
def write_record(
    cfg: DictConfig,
    run_dir: Path,
    data: Data,
    overrides: Sequence[str],
    *,
    resumed: bool,
    begun: Mapping[str, Any] | None = None,
) -> None:
    """config.yaml, overrides.yaml, split.npz and run.json; a resumed run keeps its own.

    The summary.json of a resumed run is removed: it tells of a shorter training.

    Args:
        begun: what run.json tells of the weights it began with; None or empty: random ones.
    """
    fingerprint = {"dataset": data.store.manifest.dataset, "checksum": data.store.fingerprint}
    seeds = {"run": cfg.seed, "split": OmegaConf.select(cfg, "dataset.split.seed")}
    record = tracking.run_record(seeds=seeds, data=fingerprint, argv=list(overrides))
    record.update(begun or {})
    run_dir.mkdir(parents=True, exist_ok=True)
    tracking.write_json(_record_file(run_dir, resumed=resumed), record)
    OmegaConf.save(cfg, run_dir / "config.yaml", resolve=True)
    if resumed:
        (run_dir / "summary.json").unlink(missing_ok=True)
        return
    OmegaConf.save(OmegaConf.create(list(overrides)), run_dir / "overrides.yaml")
    save_split(data.split, data.store.ids, str(run_dir / "split.npz"))


def _record_file(run_dir: Path, *, resumed: bool) -> Path:
    """run.json, and run_resumed.json, run_resumed_2.json ... for the parts after it."""
    if not resumed:
        return run_dir / "run.json"
    number, file = 1, run_dir / "run_resumed.json"
    while file.exists():
        number += 1
        file = run_dir / f"run_resumed_{number}.json"
    return file


@rank_zero_only
def announce(
    cfg: DictConfig, data: Data, plans: Mapping[str, PackPlan], module: MoleculeRegression
) -> None:
    """The data set, plan and model lines."""
    store, plan = data.store, plans["train"]
    log.info(
        tracking.data_line(
            store.manifest.dataset,
            num_molecules=store.num_molecules,
            num_atoms=store.total_atoms,
            source=data.source_label,
            checksum=store.fingerprint,
        )
    )
    parts = ", ".join(f"{part} {len(rows):,}" for part, rows in zip(Split._fields, data.split))
    log.info("split  %s; target %s in %s", parts, data.target, data.unit)
    log.info(
        tracking.plan_line(
            plan.packer,
            num_packs=plan.num_packs,
            atoms_per_pack=plan.atom_capacity,
            lower_bound=plan.lower_bound,
            atom_efficiency=plan.atom_efficiency,
            num_molecules=plan.num_molecules,
        )
    )
    parameters = sum(parameter.numel() for parameter in module.model.parameters())
    log.info(tracking.model_line(type(module.model).__name__, num_parameters=parameters))


@rank_zero_only
def finish_run(
    summary: Mapping[str, Any],
    run_dir: Path,
    module: MoleculeRegression,
    plans: Mapping[str, PackPlan],
    data: Data,
) -> None:
    """summary.json, the figures and the table."""
    tracking.write_json(run_dir / "summary.json", summary)
    tracking.summarize_wandb(summary)
    figures = run_dir / "figures"
    tracking.loss_curves(run_dir / "metrics.csv", figures / "loss.png", unit=data.unit)
    assert module.test_values is not None, "the test has run"
    predicted, true = (values.numpy() for values in module.test_values)
    title = f"{data.target} less its reference energies" if data.references.any() else data.target
    tracking.predicted_against_true(
        predicted, true, data.unit, figures / "predicted_against_true.png", title=title
    )
    plan = plans["train"]
    tracking.pack_fill(
        plan.atoms_per_pack,
        plan.atom_capacity,
        plan.molecules_per_pack,
        figures / "pack_fill.png",
    )
    # Through the log, so that train.log has it too.
    table = io.StringIO()
    tracking.print_summary(dict(summary), _shown(run_dir), Console(file=table, width=100))
    log.info("%s", table.getvalue().rstrip())


def _shown(folder: Path) -> Path:
    """The folder as a user would type it: from here, where it lies below."""
    try:
        return folder.resolve().relative_to(Path.cwd())
    except ValueError:
        return folder
