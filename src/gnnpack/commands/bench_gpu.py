"""`gnnpack bench gpu [dataset=qm9] [name=bench] [seconds=530] [out=outputs/bench/gpu]`."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import time
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

from gnnpack.commands.arguments import parse_arguments

if TYPE_CHECKING:
    from gnnpack.bench.gpu_settings import GPUSettings

NO_GPU = 2
# What may differ between two calls that fill one file.
HOW_FAR = ("seconds", "retry", "repeats", "name", "out", "data_dir")


@dataclass
class Arguments:
    """Time the kernels and whole runs on a CUDA GPU; steps that have a line are not run again.

    The time left out is for another call. retry=false leaves errors as they are.
    """

    dataset: str = ""
    name: str = ""
    seconds: str = ""
    retry: str = ""
    repeats: str = ""
    data_dir: str = ""
    out: str = ""
    device: str = ""


def main() -> None:
    """Run what has no line yet, print a line each, and the tables last."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    arguments = parse_arguments(Arguments, sys.argv[1:], "gnnpack bench gpu")
    # Read when CUDA starts: without it products may be split differently from call to call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        settings = parse_settings(arguments)
        refuse_without_gpu(settings)
        measure(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gnnpack bench gpu: {error}") from error


def parse_settings(arguments: Arguments) -> GPUSettings:
    """Numbers from text; ValueError naming the argument that is none."""
    from gnnpack.bench.gpu_settings import GPUSettings

    given = {field.name: getattr(arguments, field.name) for field in fields(arguments)}
    values: dict[str, Any] = {name: text for name, text in given.items() if text}
    for name, kind in (("seconds", float), ("repeats", int)):
        if name in values:
            try:
                values[name] = kind(values[name])
            except ValueError:
                raise ValueError(f"{name}={values[name]} is not a number.") from None
    if "retry" in values:
        if values["retry"] not in ("true", "false"):
            raise ValueError(f"retry={values['retry']}; write retry=true or retry=false.")
        values["retry"] = values["retry"] == "true"
    return GPUSettings(**values)


def refuse_without_gpu(settings: GPUSettings) -> None:
    """End with one sentence and status 2 where the kernels cannot run."""
    from gnnpack.kernels.cuda import unavailable

    reason = None if settings.device == "cpu" else unavailable()
    if reason is not None:
        print(f"gnnpack bench gpu: {reason} Nothing was measured.", file=sys.stderr)
        raise SystemExit(NO_GPU)


def measure(settings: GPUSettings) -> None:
    """All steps, then report and tables."""
    from gnnpack.bench.gpu_lines import Lines, run_steps
    from gnnpack.bench.gpu_report import print_tables, write_gpu_report
    from gnnpack.bench.gpu_steps import gpu_steps
    from gnnpack.commands.train import quieten

    quieten()
    begun = time.perf_counter()
    path = Path(settings.out) / f"{settings.name}.jsonl"
    lines = Lines(path, record(settings))
    left = run_steps(
        gpu_steps(settings, train),
        lines,
        seconds=settings.seconds,
        retry=settings.retry,
        say=lambda line: print(line, flush=True),
        after=lambda failed: tidy(settings, failed, begun),
    )
    written = write_gpu_report(lines)
    print_tables(lines)
    print(f"\nlines: {path}; report: {', '.join(map(str, written))}")
    if left:
        print(f"left for the next call of the same command: {', '.join(left)}")


def record(settings: GPUSettings) -> dict[str, Any]:
    """What tells these figures from others."""
    import torch

    from gnnpack.tracking import run_record

    run = run_record(seeds={}, data={}, argv=[])
    given = {key: value for key, value in asdict(settings).items() if key not in HOW_FAR}
    gpu = torch.cuda.get_device_name() if settings.device == "cuda" else None
    return {**given, "gpu": gpu, "git": run["git"], "versions": run["versions"]}


def train(overrides: Sequence[str], run_dir: str) -> dict[str, Any]:
    """`gnnpack train` in this process; what it says goes to a file in the run's folder."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from gnnpack.commands.folders import conf_dir, register_resolvers
    from gnnpack.run import run

    register_resolvers()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("config", list(overrides))
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "output.log", "w", encoding="utf-8") as log, warnings.catch_warnings():
        # Runs of a few epochs have fewer calls than the logging interval, and more such advice.
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            return run(cfg, folder, overrides=list(overrides))


def tidy(settings: GPUSettings, failed: bool, begun: float) -> None:
    """Give memory back; after a failure that has broken the device, begin a new process.

    An illegal access makes every later call fail, so the other steps need another process. It
    leaves errors as they are, and has the seconds that are left.
    """
    import torch

    gc.collect()
    if settings.device != "cuda":
        return
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except RuntimeError:
        if not failed:
            raise
        left = max(1.0, settings.seconds - (time.perf_counter() - begun))
        kept = [one for one in sys.argv[1:] if not one.startswith(("retry=", "seconds="))]
        sys.stdout.flush()
        program = [sys.executable, "-m", "gnnpack.commands.bench_gpu"]
        os.execv(sys.executable, [*program, *kept, "retry=false", f"seconds={left:.0f}"])


if __name__ == "__main__":
    main()
