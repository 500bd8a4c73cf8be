"""The rate of one device, from a file that a run or a benchmark of ours has written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Mapping

WANTED = "give a run's summary.json, a bench.json with training, lines of gnnpack bench gpu"


def measured_rate(path: str, data: str) -> tuple[float, str]:
    """Molecules/s of one device in a file or in a folder with one, and a sentence on their source.

    A run's summary.json; a report of `gnnpack bench` with training; lines of `gnnpack bench gpu`.
    data: name of the molecules that are planned. ValueError with the cure: no such file, or one
    without a rate, of several devices, or of an emulator.
    """
    file = _file(path)
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            rate, measured_on = _of_lines(path, text, data)
        else:
            found = json.loads(text)
            if not isinstance(found, dict) or not {"train_molecules_per_second", "sections"} & set(
                found
            ):
                raise ValueError(f"rate={path} holds no rate; {WANTED}, or a number.")
            if "sections" in found:
                rate, measured_on = _of_report(path, found)
            else:
                rate, measured_on = _of_summary(path, file, found)
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"rate={path}: {file} cannot be read ({error}); {WANTED}.") from error
    source = f"measured on {measured_on}: {path}"
    if not data.startswith(measured_on.partition(",")[0]):
        source += "; these are other molecules, which train at another rate"
    return rate, source


def _file(path: str) -> Path:
    for file in (Path(path), Path(path, "summary.json"), Path(path, "bench.json")):
        if file.is_file():
            return file
    raise ValueError(
        f"rate={path} is neither a number nor a file. Give the molecules/s of one device, or "
        f"{WANTED}."
    )


def _of_summary(path: str, file: Path, summary: Mapping[str, Any]) -> tuple[float, str]:
    rate = summary["train_molecules_per_second"]
    if summary.get("emulated"):
        raise ValueError(
            f"rate={path} is of a run on an emulator, whose speed is no device's; give a run on "
            "the hardware itself."
        )
    if not rate:
        raise ValueError(f"rate={path}: the run was too short to measure a rate; give another.")
    ranks = _ranks(file.parent / "config.yaml")
    if ranks != 1:
        raise ValueError(
            f"rate={path} is of a run on {ranks} devices, whose waiting for each other is in it; "
            "give a run of one device."
        )
    record = file.parent / "run.json"
    if not record.is_file():
        return float(rate), "its own data"
    data = json.loads(record.read_text(encoding="utf-8")).get("data", {})
    return float(rate), str(data.get("dataset", "its own data"))


def _ranks(config: Path) -> int:
    """Processes of a run; 1 where no config.yaml lies beside its summary."""
    if not config.is_file():
        return 1
    from omegaconf import OmegaConf

    found = OmegaConf.load(config)
    devices = OmegaConf.select(found, "accelerator.devices", default=1)
    count = devices if isinstance(devices, int) else len(devices)
    return count * int(OmegaConf.select(found, "accelerator.num_nodes", default=1))


def _of_report(path: str, report: Mapping[str, Any]) -> tuple[float, str]:
    """The fastest packed training of the overview: of whole runs, else of single steps."""
    for kind in ("train_run", "train_step"):
        rates = [
            (row["molecules_per_second"]["median"], section["title"])
            for section in report["sections"]
            if section["name"].startswith(kind)
            for row in section["rows"]
            if row["name"] == "packed"
        ]
        if rates:
            rate, title = max(rates)
            return rate, f"{report['data'].get('dataset', 'its own data')}, {title.lower()}"
    raise ValueError(
        f"rate={path} is a report of gnnpack bench {report.get('bench', '?')} without training; "
        "give one with sections=train_run."
    )


def _of_lines(path: str, text: str, data: str) -> tuple[float, str]:
    """The fastest epochs: of made clusters for water, of the benchmark's molecules otherwise."""
    water = data.startswith(("hydronet", "water"))
    wanted, measured_on = ("clusters", "hydronet, made clusters") if water else ("epochs", "")
    rates = []
    for line in text.splitlines():
        try:
            step = json.loads(line)
        except ValueError:
            # A line cut off by a kill; `gnnpack bench gpu` passes over it too.
            continue
        result = step.get("result", {})
        if step["name"] == "run":
            measured_on = measured_on or str(result.get("dataset", "its own data"))
        elif step["name"].split()[0] == wanted and result.get("train_molecules_per_second"):
            rates.append(float(result["train_molecules_per_second"]))
    if not rates:
        raise ValueError(
            f"rate={path} has no line of {wanted} with a rate; let gnnpack bench gpu measure "
            "some, or give a number."
        )
    return max(rates), measured_on
