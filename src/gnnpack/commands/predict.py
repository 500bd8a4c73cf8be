"""`gnnpack predict checkpoint=PATH input=FILE output=FILE.csv`."""

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
    """Predict the molecules of a structure file (any format ASE reads) with a checkpoint."""

    checkpoint: str
    input: str
    output: str


def main() -> None:
    """Write one row a molecule."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    quieten()
    arguments = parse_arguments(Arguments, sys.argv[1:], "gnnpack predict")
    from gnnpack.run.predict import predict_file

    with errors_for_people("gnnpack predict"):
        count = predict_file(
            Path(arguments.checkpoint), Path(arguments.input), Path(arguments.output)
        )
    print(f"{count:,} molecules predicted, in {arguments.output}")
