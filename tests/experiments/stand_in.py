"""A program in the place of training: it counts updates, keeps checkpoints and goes on from them.

python stand_in.py FOLDER fresh|resume [updates=10] [every=3] [seconds=0.01] [fail_at=N] [kill_at=N]
    [interrupt_at=N] [orphan=1] [error=1.0] [ending=summary|nothing] [shared=FOLDER]
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import sys
import time
import zipfile
from pathlib import Path

UPDATES = "updates.txt"
CLASH = "clash"


def main(folder: Path, begins: str, options: dict[str, str]) -> None:
    if "orphan" not in options:
        from gnnpack.experiments.process import die_with_parent

        die_with_parent()
    alive = (folder / "alive").open("w")
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (folder / CLASH).touch()
    (folder / "config.yaml").write_text("seed: 0\n")
    update, value = 0, "0"
    if begins == "resume":
        with zipfile.ZipFile(folder / "checkpoints" / "last.ckpt") as archive:
            update, value = json.loads(archive.read("state"))
    print(f"{begins} at {update}", flush=True)
    take_device(options)
    last = int(options.get("updates", 10))
    while update < last:
        update += 1
        value = hashlib.sha256(f"{value} {update}".encode()).hexdigest()
        with (folder / UPDATES).open("a") as file:
            file.write(f"{update}\n")
        time.sleep(float(options.get("seconds", 0.01)))
        if update == int(options.get("fail_at", -1)):
            raise RuntimeError(f"update {update} went wrong")
        if update == int(options.get("kill_at", -1)) and begins == "fresh":
            os.kill(os.getpid(), signal.SIGKILL)
        if update == int(options.get("interrupt_at", -1)):
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(60)
        if update % int(options.get("every", 3)) == 0:
            keep(folder, update, value)
    give_device(options)
    if options.get("ending") != "nothing":
        error = float(options.get("error", int(value[:6], 16) / 16**6))
        summary = {"test_mae": error, "baseline_mae": 1.0, "unit": "eV", "wall_seconds": 1.0}
        beside = folder / ".summary"
        beside.write_text(json.dumps(summary))
        beside.replace(folder / "summary.json")


def keep(folder: Path, update: int, value: str) -> None:
    (folder / "checkpoints").mkdir(exist_ok=True)
    beside = folder / "checkpoints" / ".part"
    with zipfile.ZipFile(beside, "w") as archive:
        archive.writestr("state", json.dumps([update, value]))
    beside.replace(folder / "checkpoints" / "last.ckpt")


def take_device(options: dict[str, str]) -> None:
    """Note that a device is in use; a second user of it leaves a clash."""
    for place in places(options):
        if place.exists():
            place.with_name(CLASH).touch()
        place.mkdir(exist_ok=True)


def give_device(options: dict[str, str]) -> None:
    for place in places(options):
        place.rmdir()


def places(options: dict[str, str]) -> list[Path]:
    if "shared" not in options:
        return []
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = gpus.split(",") if gpus else [f"core{one}" for one in os.sched_getaffinity(0)]
    return [Path(options["shared"]) / name for name in names]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], dict(one.split("=", 1) for one in sys.argv[3:]))
