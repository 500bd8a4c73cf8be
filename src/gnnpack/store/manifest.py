"""The manifest: what a store holds, where it came from, and how to know it is whole."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from gnnpack.store.columns import ColumnInfo

FORMAT_VERSION = 1
"""Raise it when the layout of a store changes; stores of another version are rebuilt."""
FILE_NAME = "manifest.json"


class StoredTarget(NamedTuple):
    """Unit of a target and its readout over atoms, 'sum' or 'mean'."""

    unit: str
    readout: str


class StoredSource(NamedTuple):
    """A raw file as it was when the store was built (or last compared)."""

    name: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All of manifest.json; ``reference_energies`` is target -> atomic number -> value."""

    dataset: str
    source_label: str
    reader_version: int
    sources: tuple[StoredSource, ...]
    targets: dict[str, StoredTarget]
    reference_energies: dict[str, dict[int, float]]
    num_molecules: int
    num_atoms: int
    columns: dict[str, ColumnInfo]
    created_by: str
    format_version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over the checksums of all columns."""
        lines = [f"{name} {info.sha256}\n" for name, info in sorted(self.columns.items())]
        return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]

    def save(self, folder: str) -> None:
        """Write manifest.json whole or not at all; OSError when the folder refuses."""
        content = asdict(self)
        # asdict leaves named tuples as lists in JSON; names make the file readable.
        content["sources"] = [source._asdict() for source in self.sources]
        content["targets"] = {name: info._asdict() for name, info in self.targets.items()}
        content["columns"] = {name: info._asdict() for name, info in self.columns.items()}
        path = os.path.join(folder, FILE_NAME)
        part = f"{path}.{os.getpid()}.part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)

    @classmethod
    def load(cls, folder: str) -> Manifest:
        """Read manifest.json; FileNotFoundError without one, ValueError when it is unusable."""
        path = os.path.join(folder, FILE_NAME)
        with open(path, encoding="utf-8") as file:
            try:
                content: dict[str, Any] = json.load(file)
                version = content["format_version"]
                if version == FORMAT_VERSION:
                    return cls._parse(content)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise ValueError(
                    f"{path} is damaged ({type(error).__name__}: {error}). "
                    "Delete its folder to rebuild."
                ) from error
        raise ValueError(
            f"{path} is of store format {version}, this gnnpack reads {FORMAT_VERSION}. "
            "Delete its folder to rebuild."
        )

    @classmethod
    def _parse(cls, content: dict[str, Any]) -> Manifest:
        content["sources"] = tuple(StoredSource(**source) for source in content["sources"])
        content["targets"] = {k: StoredTarget(**v) for k, v in content["targets"].items()}
        content["columns"] = {
            name: ColumnInfo(info["dtype"], tuple(info["shape"]), info["sha256"])
            for name, info in content["columns"].items()
        }
        content["reference_energies"] = {
            target: {int(number): float(value) for number, value in energies.items()}
            for target, energies in content["reference_energies"].items()
        }
        return cls(**content)
