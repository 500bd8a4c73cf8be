"""Downloads from a server on this machine that stalls, truncates, forgets and lies."""

from __future__ import annotations

import hashlib
import http.server
import io
import logging
import os
import sys
import threading
import zipfile

import pytest

from gnnpack.datasets import fetch_files, fetch_http
from gnnpack.datasets.fetch import RECORD, fetch
from gnnpack.datasets.fetch_files import REMOTE_FILES, RemoteFile, choose_files
from gnnpack.datasets.fetch_http import Patience

PATIENCE = Patience(attempts=3, timeout=0.3, pause=0.001)


def a_zip(text: str = "water") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(20):
            file.writestr(f"{text}{number}", os.urandom(5000))
    return buffer.getvalue()


CONTENT = a_zip()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Answers every request with the next of ``moods``, then with the last of them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.moods = ["well"]
        self.content = CONTENT
        self.mark = '"1"'
        self.ranges = []
        self.over = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        mood = server.moods.pop(0) if len(server.moods) > 1 else server.moods[0]
        server.ranges.append(self.headers.get("Range"))
        content, start = server.content, 0
        if mood.isdigit():
            self.send_error(int(mood))
            return
        if self.headers.get("Range") and mood != "forgets ranges":
            start = int(self.headers["Range"].split("=")[1].rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            start -= 10 if mood == "begins early" else 0
            self.send_response(206)
            said = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", "nonsense" if mood == "mumbles" else said)
        else:
            self.send_response(200)
        if mood == "lies":
            content = bytes(len(content))
        if mood != "says no length":
            self.send_header("Content-Length", str(len(content) - start))
        if server.mark:
            self.send_header("ETag", server.mark)
        self.end_headers()
        rest = content[start:]
        if mood in ("truncates", "stalls"):
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            if mood == "stalls":
                server.over.wait(20)
            return
        self.wfile.write(rest)

    def log_message(self, *_arguments) -> None:
        pass


@pytest.fixture
def server():
    one = Server()
    thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield one
    one.over.set()
    one.shutdown()
    thread.join()
    one.server_close()


@pytest.fixture
def file(server):
    return RemoteFile("water.zip", f"{server.address}/files/1", "water", MD5)


def left(folder) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.endswith(".lock"))


def test_a_whole_file(server, file, tmp_path):
    told = []
    found = fetch(file, str(tmp_path), patience=PATIENCE, advance=lambda *a: told.append(a))
    assert (tmp_path / "water.zip").read_bytes() == CONTENT
    assert (found.checksum, found.was_here) == (MD5, False)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert left(tmp_path) == ["water.zip"]
    assert fetch(file, str(tmp_path), patience=PATIENCE).was_here
    assert len(server.ranges) == 1


@pytest.mark.parametrize("mood", ["truncates", "stalls"])
def test_goes_on_where_it_stopped(server, file, tmp_path, mood):
    server.moods = [mood, mood, mood, "well"]
    fetch(file, str(tmp_path), patience=PATIENCE)
    assert (tmp_path / "water.zip").read_bytes() == CONTENT
    starts = [int(said[6:-1]) for said in server.ranges[1:]]
    # Each transfer brings half of what is missing, so three without an end are no failure.
    expected, there = [], 0
    for _ in range(3):
        there += (len(CONTENT) - there) // 2
        expected.append(there)
    assert starts == expected


def test_goes_on_after_the_program_was_stopped(server, file, tmp_path):
    server.moods = ["truncates", "500"]
    with pytest.raises(OSError, match=r"the server answers 500.*bytes are kept in"):
        fetch(file, str(tmp_path), patience=PATIENCE)
    half = len(CONTENT) // 2
    assert (tmp_path / "water.zip.part").stat().st_size == half
    assert not (tmp_path / "water.zip").exists()
    server.moods, server.ranges = ["well"], []
    fetch(file, str(tmp_path), patience=PATIENCE)
    assert server.ranges == [f"bytes={half}-"]
    assert left(tmp_path) == ["water.zip"]


@pytest.mark.parametrize("moods", [["truncates", "forgets ranges"], ["says no length"]])
def test_servers_that_know_less(server, file, tmp_path, moods):
    server.moods = moods
    fetch(file, str(tmp_path), patience=PATIENCE)
    assert (tmp_path / "water.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("mood", ["mumbles", "begins early"])
def test_parts_that_do_not_fit_are_not_glued(server, file, tmp_path, mood):
    server.moods = ["truncates", mood, "well"]
    fetch(file, str(tmp_path), patience=PATIENCE)
    assert (tmp_path / "water.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("mark", ['"2"', None])
def test_a_file_that_changed_meanwhile_begins_anew(server, tmp_path, mark, caplog):
    caplog.set_level(logging.INFO)
    unknown = RemoteFile("water.zip", f"{server.address}/1", "water")
    server.moods = ["truncates", "500"]
    with pytest.raises(OSError, match="500"):
        fetch(unknown, str(tmp_path), patience=PATIENCE)
    server.moods, server.content, server.mark = ["well"], a_zip("ice"), mark
    fetch(unknown, str(tmp_path), patience=PATIENCE)
    assert (tmp_path / "water.zip").read_bytes() == server.content
    assert "another than the one begun" in caplog.text


def test_a_shorter_file_from_a_server_without_ranges_leaves_no_tail(server, tmp_path):
    unknown = RemoteFile("water.zip", f"{server.address}/1", "water")
    server.moods = ["truncates", "500"]
    with pytest.raises(OSError, match="500"):
        fetch(unknown, str(tmp_path), patience=PATIENCE)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as short:
        short.writestr("ice", "cold")
    server.moods, server.content = ["forgets ranges"], buffer.getvalue()
    fetch(unknown, str(tmp_path), patience=PATIENCE)
    assert (tmp_path / "water.zip").read_bytes() == server.content


def test_a_file_that_became_shorter(server, file, tmp_path):
    server.moods = ["truncates", "503", "503", "503"]
    with pytest.raises(OSError, match="503"):
        fetch(file, str(tmp_path), patience=PATIENCE)
    server.moods, server.content = ["well"], CONTENT[: len(CONTENT) // 4]
    with pytest.raises(ValueError, match="has the md5"):
        fetch(file, str(tmp_path), patience=PATIENCE)


def test_gives_up_without_progress(server, file, tmp_path):
    server.moods = ["truncates", "stalls", "503"]
    short = Patience(attempts=4, timeout=0.1, pause=0.001)
    with pytest.raises(OSError, match=r"answers 503 .*, 4 times without progress"):
        fetch(file, str(tmp_path), patience=short)
    assert len(server.ranges) == 5


def test_nobody_listens(tmp_path):
    nobody = Server()
    address = nobody.address
    nobody.server_close()
    with pytest.raises(OSError, match="no connection"):
        fetch(RemoteFile("a", address, ""), str(tmp_path), patience=PATIENCE)


@pytest.mark.parametrize("status", ["403", "404"])
def test_refusals_are_not_repeated(server, file, tmp_path, status):
    server.moods = [status]
    with pytest.raises(ValueError, match=rf"is refused: {status}.*mirror=URL"):
        fetch(file, str(tmp_path), patience=PATIENCE)
    assert len(server.ranges) == 1


def test_lies_are_refused_and_leave_nothing(server, file, tmp_path):
    server.moods = ["lies"]
    with pytest.raises(ValueError, match=r"does not give water.zip: it has the md5 \w+ where"):
        fetch(file, str(tmp_path), patience=PATIENCE)
    assert left(tmp_path) == []
    assert len(server.ranges) == 1


def test_a_lie_in_one_transfer_of_several_is_mended(server, file, tmp_path):
    server.moods = ["truncates", "lies", "well"]
    fetch(file, str(tmp_path), patience=PATIENCE)
    assert (tmp_path / "water.zip").read_bytes() == CONTENT
    assert server.ranges[2] is None


def test_unknown_checksums_are_recorded_and_then_hold(server, tmp_path, caplog):
    unknown = RemoteFile("water.zip", f"{server.address}/1", "water")
    with caplog.at_level(logging.INFO):
        found = fetch(unknown, str(tmp_path), patience=PATIENCE)
    assert found.checksum == "sha256:" + hashlib.sha256(CONTENT).hexdigest()
    assert "is recorded" in caplog.text
    assert found.checksum in (tmp_path / RECORD).read_text()
    (tmp_path / "water.zip").unlink()
    server.content = a_zip("ice")
    with pytest.raises(ValueError, match=f"is recorded in {RECORD}"):
        fetch(unknown, str(tmp_path), patience=PATIENCE)


def cut_in_the_last_zip() -> bytes:
    """A zip of zips, cut off after the last of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("W3_geoms_all.zip", CONTENT)
        file.writestr("W4_geoms_all.zip", CONTENT)
    return buffer.getvalue()[:-20]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<html>Sign in</html>", "is no whole zip"),
        (CONTENT[:-5000], "is no whole zip"),
        (CONTENT[:2000] + b"\0" + CONTENT[2001:], "has the damaged member water0"),
        (cut_in_the_last_zip(), "it is cut off or empty"),
    ],
)
def test_zips_of_unknown_checksum_must_be_whole(server, tmp_path, content, message):
    server.content = content
    with pytest.raises(ValueError, match=message):
        fetch(RemoteFile("water.zip", f"{server.address}/1", ""), str(tmp_path), patience=PATIENCE)
    assert left(tmp_path) == []


def test_a_file_that_is_there_is_checked(server, file, tmp_path):
    (tmp_path / "water.zip").write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=r"is there, but has the md5 .* Remove it"):
        fetch(file, str(tmp_path), patience=PATIENCE)
    assert server.ranges == []


def test_only_the_web_is_fetched_from(tmp_path):
    with pytest.raises(ValueError, match="is no address"):
        fetch(RemoteFile("a", "file:///etc/hostname", ""), str(tmp_path))


def test_the_disk_s_refusal_is_not_retried(server, file, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_http.os, "fsync", lambda _number: full())

    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetch(file, str(tmp_path), patience=PATIENCE)
    assert len(server.ranges) == 1


def test_what_there_is_to_fetch():
    assert [file.name for file in choose_files("hydronet", [])] == [
        "W3-W30_all_geoms_TTM2.1-F.zip",
        "hydronet_splits.zip",
    ]
    assert [file.name for file in choose_files("hydronet", ["npz"])] == ["W3-W30_pyg_processed.zip"]
    assert all(file.checksum for file in REMOTE_FILES["qm9"].values())
    numbers = [
        file.url.rsplit("/", 1)[1] for files in REMOTE_FILES.values() for file in files.values()
    ]
    assert numbers == ["38063847", "38075904", "38075781", "3195389", "3195404"]
    with pytest.raises(ValueError, match=r"no file xzy. Choose among xyz \(all clusters"):
        choose_files("hydronet", ["xzy"])
    with pytest.raises(ValueError, match="choose hydronet or qm9"):
        choose_files("qm7", [])


@pytest.fixture
def command(monkeypatch, server, file):
    """Run `gnnpack data ...` with one file to fetch."""
    from gnnpack.commands import main

    monkeypatch.setattr(fetch_files, "REMOTE_FILES", {"qm9": {"archive": file}})

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gnnpack", "data", *words])
        main.main()

    return run


def test_command(command, server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GNNPACK_DATA", str(tmp_path))
    server.moods = ["truncates", "well"]
    command("fetch", "qm9")
    assert (tmp_path / "raw" / "qm9" / "water.zip").read_bytes() == CONTENT
    assert f"water.zip: fetched ({MD5})" in capsys.readouterr().out
    command("fetch", "qm9", "archive", f"mirror={server.address}/copies/", f"to={tmp_path}/other")
    assert (tmp_path / "other" / "water.zip").read_bytes() == CONTENT
    command("fetch", "qm9", f"to={tmp_path}/other")
    assert "was there, unchanged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (["fetch"], "name the data set"),
        (["fetch", "qm8"], "No files of 'qm8'"),
        (["fetch", "qm9", "attempts=0"], "attempts=0 must be a number"),
        (["fetch", "qm9", "timeout=soon"], "timeout=soon must be a number"),
        (["fetch", "qm9", "into=here"], "'into=here' is not an argument"),
        (["fly"], "no 'fly'"),
    ],
)
def test_command_refuses(command, words, message):
    with pytest.raises(SystemExit, match=message):
        command(*words)


def test_command_lists_its_words(command, capsys):
    command("--help")
    assert "gnnpack data fetch" in capsys.readouterr().out
