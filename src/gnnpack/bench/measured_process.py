"""Run a program in a process of its own and learn how high its memory rose."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from gnnpack.bench.peak_memory import status_bytes

MEMORY = "memory.json"
LOG = "output.log"


class Program(NamedTuple):
    """What a process runs.

    Args:
        main: ``module:function`` without arguments; it reads ``sys.argv``.
        arguments: of the command line.
        modules: imported before, so that their memory is not the program's; those that are
            missing are left out.
    """

    main: str
    arguments: Sequence[str]
    modules: Sequence[str] = ()


class Memory(NamedTuple):
    """Bytes of resident memory; None where the system does not tell."""

    after_imports: int
    peak: int


def run_program(program: Program, folder: Path) -> Memory | None:
    """Run it; what it prints goes to a file in ``folder``.

    Returns:
        Its memory; None where the system does not tell.

    Raises:
        ValueError: it failed, with the end of what it printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / MEMORY
    with open(folder / LOG, "w", encoding="utf-8") as log:
        done = subprocess.run(
            [sys.executable, "-c", "from gnnpack.bench.measured_process import serve; serve()"],
            input=json.dumps({**program._asdict(), "report": str(report)}),
            text=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "WANDB_SILENT": "true"},
            check=False,
        )
    if done.returncode:
        end = (folder / LOG).read_text(encoding="utf-8", errors="replace")[-2000:]
        raise ValueError(
            f"A run of {program.main} {' '.join(program.arguments)} failed (exit "
            f"{done.returncode}), so nothing can be compared. The end of what it said:\n{end}"
        )
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return None if found["peak"] is None else Memory(**found)


def serve() -> None:
    """The process of its own: a program as JSON on stdin, its memory as JSON into a file."""
    job = json.load(sys.stdin)
    module, function = job["main"].split(":")
    for name in (*job["modules"], module):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    sys.argv = [module, *job["arguments"]]
    after_imports = status_bytes("VmRSS")
    getattr(sys.modules[module], function)()
    memory = {"after_imports": after_imports, "peak": status_bytes("VmHWM")}
    Path(job["report"]).write_text(json.dumps(memory), encoding="utf-8")
