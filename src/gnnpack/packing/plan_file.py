"""One npz file a plan: three or four integer arrays and a JSON description."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gnnpack.packing.plan import PackPlan

FORMAT_VERSION = 2
_ARRAYS = ("molecules", "offsets", "num_atoms", "num_pairs")
# What zipfile, numpy and json raise for files cut short, overwritten or of another kind.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    ValueError,
    AttributeError,
    TypeError,
)
_TYPES = {
    **{"packer": str, "options": dict, "seed": int, "lower_bound": int},
    **{"bound_kind": str, "redraws": bool, "shape": dict},
}
_DESCRIBED = ("packer", "options", "seed", "lower_bound", "bound_kind", "redraws")


def write_plan_file(path: str | os.PathLike[str], plan: PackPlan) -> None:
    """Write `plan` beside its place, then rename: a killed run leaves no half file."""
    described = {name: getattr(plan, name) for name in _DESCRIBED}
    described["options"] = dict(plan.options)
    described["shape"] = asdict(plan.shape)
    described["format_version"] = FORMAT_VERSION
    arrays = {name: getattr(plan, name) for name in _ARRAYS if getattr(plan, name) is not None}
    folder = os.path.dirname(os.fspath(path)) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder} to save the plan in; make it first")
    unfinished = f"{os.fspath(path)}.{os.getpid()}.unfinished"
    try:
        with open(unfinished, "wb") as stream:
            np.savez(stream, description=np.array(json.dumps(described)), **arrays)
        os.replace(unfinished, path)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def read_plan_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The fields of a `PackPlan`, its shape still a dict; ValueError when they are not there."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            fields: dict[str, Any] = {key: content[key] for key in content.files}
        described = json.loads(str(fields.pop("description")))
        version = described.pop("format_version")
    except _DAMAGE as fault:
        raise ValueError(f"{name} is damaged or no plan ({fault}); make the plan anew") from fault
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{name} has plan format {version}, this gnnpack reads {FORMAT_VERSION}; "
            "make the plan anew"
        )
    missing = {*_ARRAYS[:3], *_DESCRIBED, "shape"} - {*fields, *described}
    if missing:
        raise ValueError(f"{name} lacks {sorted(missing)}; make the plan anew")
    unknown = sorted({*fields, *described} - {*_ARRAYS, *_DESCRIBED, "shape"})
    if unknown:
        raise ValueError(f"{name} holds {unknown}, which no plan has; make the plan anew")
    for key, kind in _TYPES.items():
        if not isinstance(described[key], kind) or isinstance(described[key], bool) is not (
            kind is bool
        ):
            raise ValueError(
                f"{name}: {key} is {described[key]!r}, which is no {kind.__name__}; "
                "make the plan anew"
            )
    for key in _ARRAYS:
        column = fields.get(key)
        if column is not None and not (column.ndim == 1 and column.dtype.kind in "iu"):
            raise ValueError(
                f"{name}: {key} is {column.dtype} of shape {column.shape}, not a 1-D integer "
                "array; make the plan anew"
            )
    return {**fields, **described}
