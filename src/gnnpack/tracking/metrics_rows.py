"""Reading metrics.csv, also while it is written or after a kill; without Lightning."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np


def whole_lines(path: Path) -> list[str]:
    """The file's lines; a last one cut off by a kill is left out. Empty if there is no file."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return []
    # A machine that lost its power can leave zeros where a row should be; csv refuses them.
    lines = list(io.StringIO(text.replace("\0", ""), newline=""))
    return lines[:-1] if lines and not lines[-1].endswith("\n") else lines


def read_columns(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Column -> float64 array (num_rows,), NaN where a row holds no number; {} without rows."""
    heading, *rows = list(csv.reader(whole_lines(path))) or [[]]
    whole = [row for row in rows if row]
    return {
        name: np.array([_number(row[i]) if i < len(row) else np.nan for row in whole])
        for i, name in enumerate(heading)
        if whole
    }


def _number(text: str) -> float:
    try:
        return float(text) if text else np.nan
    except ValueError:
        return np.nan
