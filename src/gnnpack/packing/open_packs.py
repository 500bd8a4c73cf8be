"""Packs with room left, for packers that choose one by its room."""

from __future__ import annotations

from bisect import bisect_left, insort

from gnnpack.packing.patterns import Pattern


class OpenPacks:
    """Patterns by how many atoms still fit; of equal room the latest made is taken first."""

    def __init__(self, max_molecules: int) -> None:
        self._max_molecules = max_molecules
        self._by_room: dict[int, list[Pattern]] = {}
        self._rooms: list[int] = []
        self._closed: list[Pattern] = []

    def least_room(self, size: int) -> int | None:
        """Room of the fullest packs that a molecule of this size fits."""
        place = bisect_left(self._rooms, size)
        return self._rooms[place] if place < len(self._rooms) else None

    def most_room(self, size: int) -> int | None:
        """Room of the emptiest packs, if a molecule of this size fits."""
        return self._rooms[-1] if self._rooms and self._rooms[-1] >= size else None

    def take(self, room: int) -> Pattern:
        """A pattern with exactly this room, which is open no more."""
        pattern = self._by_room[room].pop()
        if not self._by_room[room]:
            del self._by_room[room]
            self._rooms.remove(room)
        return pattern

    def put(self, room: int, pattern: Pattern) -> None:
        """Open a pattern with this room, or close it when nothing more may come in."""
        if room == 0 or len(pattern.sizes) == self._max_molecules:
            self._closed.append(pattern)
            return
        if room not in self._by_room:
            self._by_room[room] = []
            insort(self._rooms, room)
        self._by_room[room].append(pattern)

    def all_patterns(self) -> list[Pattern]:
        """Closed patterns, then open ones."""
        return self._closed + [pattern for room in self._rooms for pattern in self._by_room[room]]
