"""Download one file over HTTP: resumed where it stopped, retried, never half in place.

Not pooch: it writes to a temporary file that is gone after a failure, so seventeen gigabytes would
begin anew with every stall. The standard library does what is needed.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import time
import urllib.error
import urllib.request
from typing import IO, Any, Callable, NamedTuple

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 18
# A server that is busy, or timed out itself, may answer the next time.
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)


class Patience(NamedTuple):
    """When to give up.

    ``attempts`` without a new byte; ``timeout`` in s for a server that is silent; ``pause`` in s
    before the second attempt, doubled before each further one.
    """

    attempts: int = 6
    timeout: float = 30.0
    pause: float = 1.0


class Lost(Exception):
    """The transfer broke off; what has come is kept."""


class _State(NamedTuple):
    """What a server said of the file: its size, if it did, and a mark that changes with it."""

    total: int | None
    mark: str


def download(
    url: str, part: str, patience: Patience, advance: Callable[[int, int | None], None]
) -> bool:
    """Fetch ``url`` into the file ``part``, going on where one lies; True when it went on.

    ``advance`` is told the bytes there are and the whole size, if known. ValueError for an address
    that is refused, OSError when attempts are used up or the disk is full; ``part`` then stays.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is no address to fetch from; it must begin with https://.")
    failures, most, resumed = 0, _size(part), False
    while True:
        went_on, lost = _attempt(url, part, patience.timeout, advance)
        resumed = resumed or went_on
        if lost is None:
            return resumed
        size = _size(part)
        failures = 1 if size > most else failures + 1
        most = max(most, size)
        if failures >= patience.attempts:
            raise OSError(
                f"{url} cannot be fetched: {lost}, {failures} times without progress. "
                f"{size:,} bytes are kept in {part}; the same command goes on from there."
            ) from lost
        wait = patience.pause * 2 ** (failures - 1)
        log.info("%s: %s; trying again in %g s.", url, lost, wait)
        time.sleep(wait)


def forget(part: str) -> None:
    """Remove a partial file and what is known of it."""
    for path in (part, _notes(part)):
        if os.path.exists(path):
            os.unlink(path)


def _attempt(
    url: str, part: str, timeout: float, advance: Callable[[int, int | None], None]
) -> tuple[bool, Lost | None]:
    """One transfer: whether it went on from bytes that were there, and why it broke off, if so."""
    try:
        return _transfer(url, part, timeout, advance), None
    except Lost as lost:
        return False, lost


def _transfer(
    url: str, part: str, timeout: float, advance: Callable[[int, int | None], None]
) -> bool:
    known = _read_notes(part)
    there = 0 if known is None else _size(part)
    if known is not None and known.total == there:
        return True
    request = urllib.request.Request(url, headers={"User-Agent": "gnnpack"})
    if there:
        request.add_header("Range", f"bytes={there}-")
    with _open(request, timeout, part) as response:
        start, state = _understand(response)
        if start and (start != there or state != known):
            forget(part)
            raise Lost("the file on the server is another than the one begun")
        if there and not start:
            log.info("%s cannot be resumed there; it begins anew.", url)
        with open(part, "r+b" if start else "wb") as file:
            _write_notes(part, state)
            file.seek(start)
            _copy(response, file, start, state.total, advance)
    return start > 0


def _copy(
    response: Any,
    file: IO[bytes],
    done: int,
    total: int | None,
    advance: Callable[[int, int | None], None],
) -> None:
    while True:
        try:
            # What has come: read() would wait for the whole block, and lose it to a stall.
            block = response.read1(BLOCK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise Lost(f"the connection broke ({type(error).__name__} {error})") from error
        if not block:
            break
        file.write(block)
        done += len(block)
        advance(done, total)
    file.flush()
    os.fsync(file.fileno())
    if total is not None and done != total:
        raise Lost(f"only {done:,} of {total:,} bytes came")


def _open(request: urllib.request.Request, timeout: float, part: str) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            forget(part)
            raise Lost("the file on the server is shorter than what had come") from error
        if error.code in RETRIED_STATUS:
            raise Lost(f"the server answers {error.code} {error.reason}") from error
        raise ValueError(
            f"{request.full_url} is refused: {error.code} {error.reason}. Fetch it with a browser, "
            "or from a copy with mirror=URL."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise Lost(f"no connection ({getattr(error, 'reason', error)})") from error


def _understand(response: Any) -> tuple[int, _State]:
    """The place of the first byte to come, and what the server says of the whole file."""
    mark = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    if response.status == 206:
        said = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", said)
        if match is None:
            raise Lost(f"the server sends a part that it calls {said!r}")
        return int(match.group(1)), _State(int(match.group(2)), mark)
    length = response.headers.get("Content-Length")
    return 0, _State(None if length is None else int(length), mark)


def _size(part: str) -> int:
    return os.path.getsize(part) if os.path.exists(part) else 0


def _notes(part: str) -> str:
    return f"{part}.json"


def _write_notes(part: str, state: _State) -> None:
    with open(_notes(part), "w", encoding="utf-8") as file:
        json.dump(state._asdict(), file)


def _read_notes(part: str) -> _State | None:
    """What was known when ``part`` was begun; None when that is lost, so it must begin anew."""
    try:
        with open(_notes(part), encoding="utf-8") as file:
            return _State(**json.load(file)) if os.path.exists(part) else None
    except (OSError, ValueError, TypeError):
        return None
