"""What a launcher runs for each job of a sweep: a process of its own."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gnnpack.commands.sweep_jobs import quoted
from gnnpack.experiments.devices import Request, core_numbers
from gnnpack.experiments.gpus import gpu_numbers
from gnnpack.experiments.job import Job
from gnnpack.experiments.run_job import Command, run_job
from gnnpack.experiments.start import Start


def command(job: Job, folder: Path, goes_on: bool) -> list[str]:
    """The command line of a job's process."""
    program = [sys.executable, "-m", "gnnpack.commands.train", "hydra.mode=RUN"]
    if goes_on:
        # Data may have moved: they are no part of the key.
        moved = [word for word in job.overrides if word.lstrip("+").startswith("data_dir=")]
        return [*program, f"resume={quoted(str(folder))}", *moved]
    return [*program, *job.overrides, f"hydra.run.dir={quoted(str(folder))}"]


@dataclass(frozen=True)
class SweepTask:
    """A Hydra task function that workers of any launcher can import.

    Attributes:
        start: what is the same for all jobs.
        shares: jobs at once among which the cores are shared; None = each has all of them.
        scheduled: a cluster's scheduler gives devices.
        program: makes the command line of a job's process, as `command` does.
    """

    start: Start
    shares: int | None = None
    scheduled: bool = False
    program: Command = command

    def __call__(self, cfg: DictConfig) -> None:
        """Run the job whose folder Hydra has made; what goes wrong is told there."""
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            run_job(
                folder,
                self.start,
                self.program,
                device=self.device(cfg),
                writes_summary=OmegaConf.select(cfg, "accelerator.connection") != "never",
            )
        except Exception as error:
            with contextlib.suppress(OSError):
                print(f"{folder.name}: {error}", file=sys.stderr, flush=True)

    def device(self, cfg: DictConfig) -> Request:
        """What a job wants to itself."""
        if self.scheduled:
            return Request()
        settings = OmegaConf.to_container(cfg.accelerator, resolve=True)
        assert isinstance(settings, dict), "check_config has seen it"
        kind = str(settings.get("_target_", "")).rpartition(".")[2]
        devices = settings.get("devices", 1)
        if kind == "gpu" or (kind == "auto" and gpu_numbers()):
            if isinstance(devices, (list, tuple)):
                return Request("gpu", numbers=[int(number) for number in devices])
            # -1 and auto are Lightning's words for all of them.
            count = int(devices) if str(devices).isdigit() else len(gpu_numbers())
            return Request("gpu", max(1, count))
        if self.shares is None:
            return Request()
        processes = max(1, int(devices)) if str(devices).isdigit() else 1
        each = max(1, len(core_numbers()) // self.shares)
        return Request("cores", each * processes, processes=processes)
