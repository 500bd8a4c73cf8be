"""LPFHP's packs as published, which ours must reproduce to the pack."""

from __future__ import annotations

from typing import NamedTuple

from gnnpack.bench.published import HELAL

SOURCE = f"hydronet_packing.ipynb of {HELAL}"


class PublishedPoint(NamedTuple):
    """Packs that LPFHP needs of this many atoms; note: what the point is known for."""

    num_atoms: int
    packs: int
    note: str


# {distribution: points, smallest packs first}
LPFHP_POINTS = {
    "qm9": (
        PublishedPoint(36, 66_433, "used by the paper"),
        PublishedPoint(252, 9_398, "best of the paper"),
    ),
    "hydronet_500k": (
        PublishedPoint(192, 167_046, "used by the paper"),
        PublishedPoint(195, 163_228, "best of the paper"),
    ),
    "hydronet_2.7m": (
        PublishedPoint(192, 911_401, "used by the paper"),
        PublishedPoint(195, 890_470, "best of the paper"),
    ),
    "hydronet_4.5m": (
        PublishedPoint(153, 2_089_809, "best of the paper"),
        PublishedPoint(154, 2_089_809, "used by the paper"),
    ),
}


def used_size(distribution: str) -> int:
    """The pack size, in atoms, that the paper's configs use.

    >>> used_size("qm9")
    36
    """
    (size,) = (
        point.num_atoms for point in LPFHP_POINTS[distribution] if point.note.startswith("used")
    )
    return size
