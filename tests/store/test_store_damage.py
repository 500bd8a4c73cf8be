from __future__ import annotations

import json
import logging
import os

import numpy as np
import pytest
from made_molecules import make_dataset

from gnnpack.store import Store, columns, open_store, opening


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def folder(dataset, root):
    """The folder of a whole store."""
    return root / open_store(dataset, root).path


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def truncate(folder):
    path = folder / "pos.npy"
    path.write_bytes(path.read_bytes()[:-4])


BREAK = {
    "column pos.npy has": truncate,
    "column ids.npy is missing": lambda folder: (folder / "ids.npy").unlink(),
    "is of store format 0": lambda folder: edit_manifest(folder, format_version=0),
    "made by reader made 7": lambda folder: edit_manifest(folder, reader_version=7),
    "made by reader qm9 1": lambda folder: edit_manifest(folder, dataset="qm9"),
    "reference energies are not": lambda folder: edit_manifest(folder, reference_energies={}),
    "targets, units or readouts": lambda folder: edit_manifest(folder, targets={}),
    "is damaged": lambda folder: (folder / "manifest.json").write_text("{"),
    "has no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "its sources were": lambda folder: edit_manifest(folder, sources=[]),
}


@pytest.mark.parametrize("reason", BREAK)
def test_rebuilt_with_the_reason(dataset, root, folder, caplog, reason):
    before = Store(folder).fingerprint
    BREAK[reason](folder)
    with caplog.at_level(logging.WARNING):
        store = open_store(dataset, root)
    assert reason in caplog.text
    assert dataset.times_read == 2
    assert store.fingerprint == before
    store.verify()


@pytest.mark.parametrize("reason", BREAK)
def test_error_where_the_raw_files_are_gone(dataset, root, folder, reason):
    os.unlink(dataset.raw)
    if reason == "its sources were":
        return
    BREAK[reason](folder)
    with pytest.raises(ValueError, match=reason) as caught:
        open_store(dataset, root)
    assert "Cure it" in str(caught.value)


def test_whole_store_opens_without_raw_files(dataset, root, folder, caplog):
    os.unlink(dataset.raw)
    with caplog.at_level(logging.INFO):
        assert open_store(dataset, root).num_molecules == 60
    assert "raw files of made are not here" in caplog.text
    assert dataset.times_read == 1


def test_neither_store_nor_raw_files(dataset, root):
    os.unlink(dataset.raw)
    with pytest.raises(ValueError, match="Cure it"):
        open_store(dataset, root)


def test_changed_source_is_read_again(dataset, root, folder, caplog):
    with open(dataset.raw, "a", encoding="utf-8") as file:
        file.write("more")
    open_store(dataset, root)
    assert "its source made.raw has changed" in caplog.text
    assert dataset.times_read == 2


def test_touched_source_is_compared_once(dataset, root, folder, monkeypatch):
    os.utime(dataset.raw, (1, 1))
    open_store(dataset, root)
    monkeypatch.setattr(dataset, "checksums", lambda: pytest.fail("compared again"))
    open_store(dataset, root)
    assert dataset.times_read == 1


def test_touched_source_of_a_read_only_store(dataset, root, folder, monkeypatch):
    os.utime(dataset.raw, (1, 1))
    monkeypatch.setattr(opening.Manifest, "save", refuse)
    assert open_store(dataset, root).num_molecules == 60
    assert dataset.times_read == 1


def refuse(*_arguments, **_options):
    raise PermissionError(13, "Permission denied")


def test_flipped_byte_is_found_by_verify(folder):
    path = folder / "target_gap.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"column target_gap.npy does not have the checksum"):
        Store(folder).verify()


def test_wrong_header(folder):
    np.save(folder / "pos.npy", np.zeros((Store(folder).total_atoms, 3), dtype="<i4"))
    with pytest.raises(ValueError, match=r"holds <i4"):
        Store(folder)


def test_store_alone_names_the_column(folder):
    truncate(folder)
    with pytest.raises(ValueError, match=r"column pos.npy has .* Delete the folder"):
        Store(folder)
    with pytest.raises(FileNotFoundError):
        Store(folder / "nothing")


def test_read_only_folder(dataset, root, monkeypatch):
    monkeypatch.setattr(opening.os, "makedirs", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied.*data_dir=.*GNNPACK_DATA") as e:
        open_store(dataset, root)
    assert str(root) in str(e.value)


def test_whole_store_needs_no_lock(dataset, root, folder, monkeypatch):
    monkeypatch.setattr(opening, "FileLock", lambda *_: pytest.fail("took the lock"))
    open_store(dataset, root)


def test_full_disk_while_writing(dataset, root, monkeypatch):
    def full(self, values):
        raise OSError(28, "No space left on device")

    dataset.expected_molecules, dataset.expected_atoms = 60, len(dataset.molecules.z)
    monkeypatch.setattr(columns.ColumnWriter, "append", full)
    with pytest.raises(OSError, match=r"No space left.*needs about 0 MB.*data_dir=") as caught:
        open_store(dataset, root)
    assert caught.value.errno == 28
    assert [path.name for path in root.iterdir() if path.is_dir()] == []


def test_full_disk_is_seen_before_reading(dataset, root):
    dataset.expected_molecules, dataset.expected_atoms = 10**15, 10**16
    with pytest.raises(OSError, match=r"only .* MB are free.*It needs about .* MB"):
        open_store(dataset, root)
    assert dataset.times_read == 0


def test_wrong_count_builds_nothing(dataset, root):
    dataset.expected_molecules = 61
    with pytest.raises(ValueError, match="read 60 molecules where 61"):
        open_store(dataset, root)
    assert not (root / "made").exists()


def test_failed_rebuild_keeps_the_old_store(dataset, root, folder, monkeypatch):
    dataset.reader_version = 2
    monkeypatch.setattr(dataset, "chunks", refuse)
    with pytest.raises(PermissionError):
        open_store(dataset, root)
    assert Store(folder).num_molecules == 60
