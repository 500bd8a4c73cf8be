"""The files W&B writes of a run, read and written as they are: a log of records in 32 KiB blocks.

The form is LevelDB's log: a head of 7 bytes, then blocks in which each piece of a record has its
checksum (4 bytes), length (2) and kind (1: whole, first, middle or last piece).
"""

from __future__ import annotations

import importlib
import struct
import zlib
from pathlib import Path
from typing import Any, Iterable, Iterator

HEAD = struct.Struct("<4sHB")
PIECE = struct.Struct("<IHB")
MAGIC = (b":W&B", 0xBEE1, 0)
BLOCK = 1 << 15
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_records(path: Path) -> Iterator[bytes]:
    """Every whole record, up to where a killed run's file is cut off; none of an empty one.

    Raises:
        ValueError: it is no such file.
    """
    content = path.read_bytes()
    if HEAD.pack(*MAGIC).startswith(content):
        # It was killed before the first block was full.
        return
    if len(content) < HEAD.size or HEAD.unpack_from(content) != MAGIC:
        raise ValueError(
            f"{path} is not a W&B run file of the known form. If a newer wandb wrote it, upload it "
            "with `wandb sync` itself."
        )
    place, record = HEAD.size, b""
    while place + PIECE.size <= len(content):
        left = BLOCK - place % BLOCK
        if left < PIECE.size:
            place += left
            continue
        checksum, length, kind = PIECE.unpack_from(content, place)
        piece = content[place + PIECE.size : place + PIECE.size + length]
        if len(piece) < length or not WHOLE <= kind <= LAST or checksum != _checksum(piece, kind):
            return
        place += PIECE.size + length
        record = piece if kind in (WHOLE, FIRST) else record + piece
        if kind in (WHOLE, LAST):
            yield record


def read_messages(path: Path) -> Iterator[Any]:
    """Every whole record as W&B's own protobuf message, a ``Record``."""
    messages = importlib.import_module("wandb.proto.wandb_internal_pb2")
    for content in read_records(path):
        record = messages.Record()
        record.ParseFromString(content)
        yield record


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write a file that `read_records`, and W&B, read back."""
    with path.open("wb") as file:
        file.write(HEAD.pack(*MAGIC))
        place = HEAD.size
        for record in records:
            begun = False
            while True:
                left = BLOCK - place % BLOCK
                if left < PIECE.size:
                    file.write(b"\0" * left)
                    place += left
                    continue
                piece, record = record[: left - PIECE.size], record[left - PIECE.size :]
                kind = (MIDDLE if record else LAST) if begun else (FIRST if record else WHOLE)
                file.write(PIECE.pack(_checksum(piece, kind), len(piece), kind) + piece)
                place += PIECE.size + len(piece)
                begun = True
                if not record:
                    break


def _checksum(piece: bytes, kind: int) -> int:
    return zlib.crc32(piece, zlib.crc32(bytes([kind])))
