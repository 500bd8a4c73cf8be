"""The table that a search ends with."""

from __future__ import annotations

import io

from rich.console import Console

from gnnpack.experiments.search_table import trial_table


def test_lists_and_paths_are_no_markup():
    params = {"finetune.freeze": "[embedding,0]", "files": "[/data/a.xyz]"}
    trial = {"number": 0, "state": "done", "value": 0.5, "seconds": 3.0, "params": params}
    record = {
        "name": "[bold]",
        "direction": "minimize",
        "metric": "val_mae",
        "space": params,
        "trials": [trial],
        "best": 0,
    }
    out = io.StringIO()
    Console(file=out, width=120).print(trial_table(record, 1000.0, "meV"))
    for text in ("[bold]", "[embedding,0]", "[/data/a.xyz]", "500"):
        assert text in out.getvalue()
