"""Where the molecules lie in training: in the host's memory map, or whole on the device."""

from __future__ import annotations

PLACES = ("auto", "host", "resident")


def choose_place(
    place: str, *, num_bytes: int, device_bytes: int | None, memory_share: float
) -> str:
    """``host`` or ``resident``.

    Args:
        place: as the user asks; ``auto`` chooses by size.
        num_bytes: of the columns.
        device_bytes: memory of the device; None = nothing is won by being resident there.
        memory_share: part of the device's memory that ``auto`` lets the columns take.

    Raises:
        ValueError: an unknown place, a share outside (0, 1], or columns larger than the device.

    >>> choose_place("auto", num_bytes=31_000_000, device_bytes=80 * 10**9, memory_share=0.25)
    'resident'
    """
    if place not in PLACES:
        raise ValueError(f"loader.place is {place!r}; choose one of {', '.join(PLACES)}.")
    if not 0 < memory_share <= 1:
        raise ValueError(f"loader.memory_share is {memory_share}; it must lie in (0, 1].")
    if place == "auto":
        fits = device_bytes is not None and num_bytes <= memory_share * device_bytes
        return "resident" if fits else "host"
    if place == "resident" and device_bytes is not None and num_bytes > device_bytes:
        raise ValueError(
            f"loader=resident, but the molecules take {num_bytes / 1e9:.1f} GB and the device has "
            f"{device_bytes / 1e9:.1f} GB. Use loader=host."
        )
    return place
