"""`gnnpack evaluate checkpoint=PATH split=test`."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from gnnpack.commands.arguments import parse_arguments
from gnnpack.commands.errors import errors_for_people
from gnnpack.commands.train import quieten


@dataclass
class Arguments:
    """Errors of a checkpoint on a part of the data set it was trained on."""

    checkpoint: str
    split: str = "test"
    data_dir: str = ""
    accelerator: str = "auto"


def main() -> None:
    """Print the errors as a table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    quieten()
    arguments = parse_arguments(Arguments, sys.argv[1:], "gnnpack evaluate")
    from gnnpack.run.evaluate import evaluate_checkpoint, print_errors

    with errors_for_people("gnnpack evaluate"):
        errors = evaluate_checkpoint(
            Path(arguments.checkpoint),
            arguments.split,
            data_dir=arguments.data_dir or None,
            accelerator=arguments.accelerator,
        )
    print_errors(errors)
