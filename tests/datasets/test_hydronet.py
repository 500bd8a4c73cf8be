from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
from hydronet_raw import (
    LARGE,
    MEDIUM,
    SMALL,
    TinyHydroNet,
    make_clusters,
    write_hdf5,
    write_npz,
    write_split,
    write_xyz,
    zip_up,
)

from gnnpack.datasets import HydroNet, MissingSource, Molecules, hydronet_hdf5, hydronet_xyz
from gnnpack.store import open_store
from gnnpack.units import KCAL_PER_MOL_TO_EV

WRITERS = {"xyz": write_xyz, "hdf5": write_hdf5, "npz": write_npz}


@pytest.fixture(params=["xyz", "hdf5", "npz", "xyz archive", "npz archive"])
def raw(request, tmp_path):
    """A folder with all clusters in one of the forms they are published in; and its kind."""
    kind, _, archive = request.param.partition(" ")
    if kind == "hdf5":
        pytest.importorskip("h5py")
    WRITERS[kind](tmp_path, LARGE)
    if archive:
        zip_up(tmp_path, kind)
    write_split(tmp_path)
    return tmp_path, kind


def joined(chunks) -> Molecules:
    chunks = list(chunks)
    ends = np.cumsum([0, *(len(chunk.z) for chunk in chunks)])
    starts = [chunk.offsets[1:] + end for chunk, end in zip(chunks, ends)]
    return Molecules(
        z=np.concatenate([chunk.z for chunk in chunks]),
        pos=np.concatenate([chunk.pos for chunk in chunks]),
        offsets=np.concatenate([[0], *starts]),
        ids=np.concatenate([chunk.ids for chunk in chunks]),
        targets={"energy": np.concatenate([chunk.targets["energy"] for chunk in chunks])},
    )


@pytest.mark.parametrize("subset, counts", [("medium", MEDIUM), ("large", LARGE)])
def test_every_published_form_gives_the_clusters(raw, subset, counts):
    folder, kind = raw
    found = joined(TinyHydroNet(str(folder), subset).read())
    made = [make_clusters(size, count) for size, count in counts.items()]
    rounded = np.float16 if kind == "npz" else np.float32
    expected = np.concatenate([one.pos.reshape(-1, 3) for one in made]).astype(rounded)
    assert found.pos.tobytes() == expected.astype(np.float32).tobytes()
    assert found.z.tolist() == np.concatenate([one.z.reshape(-1) for one in made]).tolist()
    assert found.ids.tolist() == list(range(sum(counts.values())))
    assert (
        found.num_atoms.tolist() == np.repeat([3 * n for n in counts], [*counts.values()]).tolist()
    )
    kcal = np.concatenate([one.kcal for one in made])
    # Only the text has more than float32's digits.
    kcal = kcal if kind == "xyz" else kcal.astype(np.float32).astype(np.float64)
    assert found.targets["energy"].tolist() == (kcal * KCAL_PER_MOL_TO_EV).tolist()


def test_small_is_the_published_members_of_medium(raw):
    folder, _ = raw
    small = joined(TinyHydroNet(str(folder), "small").read())
    medium = joined(TinyHydroNet(str(folder), "medium").read())
    assert small.ids.tolist() == [2, 3, 5, 8, 12, 17, 18, 20]
    for row, number in enumerate(small.ids):
        a, b = (slice(*m.offsets[i : i + 2]) for m, i in ((small, row), (medium, number)))
        assert small.pos[a].tolist() == medium.pos[b].tolist()
        assert small.targets["energy"][row] == medium.targets["energy"][number]


def test_published_split(raw):
    folder, _ = raw
    ids = np.array([20, 18, 17, 12, 8, 5, 3, 2])
    halves = TinyHydroNet(str(folder), "small").make_split(ids, seed=1)
    assert ids[halves.train].tolist() == [20, 17, 12, 3]
    assert sorted(ids[np.concatenate([halves.val, halves.test])]) == [2, 5, 8, 18]
    assert len(halves.val) == len(halves.test) == 2
    again = TinyHydroNet(str(folder), "small", split={"seed": 1}).make_split(ids, seed=7)
    assert [part.tolist() for part in again] == [part.tolist() for part in halves]
    drawn = {tuple(TinyHydroNet(str(folder), "small").make_split(ids, s).test) for s in range(9)}
    assert len(drawn) > 1
    # As published: all of them validate.
    published = TinyHydroNet(str(folder), "small", split={"test": 0}).make_split(ids)
    assert (sorted(ids[published.val]), len(published.test)) == ([2, 5, 8, 18], 0)
    with pytest.raises(ValueError, match=r"split\.test is 4, but the published split has 4"):
        TinyHydroNet(str(folder), "small", split={"test": 4}).make_split(ids)
    own = TinyHydroNet(str(folder), "small", split={"train": 5, "val": 1}).make_split(ids)
    assert [len(part) for part in own] == [5, 1, 2]


def test_other_subsets_split_by_fractions(tmp_path):
    split = TinyHydroNet(str(tmp_path), "medium").make_split(np.arange(20))
    assert [len(part) for part in split] == [16, 2, 2]


@pytest.mark.parametrize("kept, kind", [(("xyz", "hdf5", "npz"), "xyz"), (("hdf5", "npz"), "hdf5")])
def test_float32_positions_come_first(tmp_path, kept, kind):
    pytest.importorskip("h5py")
    for name in kept:
        WRITERS[name](tmp_path, MEDIUM)
    assert TinyHydroNet(str(tmp_path))._find().kind == kind
    assert TinyHydroNet(str(tmp_path), source="npz")._find().kind == "npz"


def test_float16_is_said(tmp_path, caplog):
    write_npz(tmp_path, MEDIUM)
    dataset = TinyHydroNet(str(tmp_path))
    assert dataset.source_label == "W3-W25 npz (float16 positions)"
    with caplog.at_level(logging.WARNING):
        store = open_store(dataset, tmp_path / "store")
    assert "0.0022 Å" in caplog.text
    assert store.manifest.source_label == dataset.source_label
    assert "hydronet-medium" in store.path


def test_small_from_hdf5_says_what_it_trusts(tmp_path, caplog):
    pytest.importorskip("h5py")
    write_hdf5(tmp_path, MEDIUM)
    write_split(tmp_path)
    TinyHydroNet(str(tmp_path), "small").parts()
    assert "likely but not published" in caplog.text


def test_hdf5_without_h5py(tmp_path, monkeypatch):
    (tmp_path / hydronet_hdf5.FILE).write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match="pip install h5py"):
        TinyHydroNet(str(tmp_path)).parts()


def not_hdf5(path):
    path.write_bytes(b"nothing")


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-2000])


def without_sizes(path):
    import h5py

    with h5py.File(path, "a") as file:
        del file["size"]


@pytest.mark.parametrize(
    "spoil, message",
    [
        (not_hdf5, "is no whole HDF5 file"),
        (cut_off, "is no whole HDF5 file"),
        (without_sizes, "has no column size, only pos, x, y, z"),
    ],
)
def test_damaged_hdf5(tmp_path, spoil, message):
    pytest.importorskip("h5py")
    write_hdf5(tmp_path, MEDIUM)
    spoil(tmp_path / hydronet_hdf5.FILE)
    with pytest.raises(ValueError, match=message):
        list(TinyHydroNet(str(tmp_path)).read())


def test_half_a_source_is_none(raw, tmp_path):
    folder, kind = raw
    for path in folder.glob("W3[-_]*"):
        path.unlink()
    if kind == "hdf5":
        (folder / hydronet_hdf5.FILE).unlink()
    with pytest.raises(MissingSource) as caught:
        TinyHydroNet(str(folder), "small").sources()
    said = str(caught.value)
    for words in (
        "gnnpack data fetch hydronet",
        "dataset=water_clusters dataset.subset=small",
        "figshare.com/ndownloader/files/38063847",
        "min_data.hdf5 (6.2 GB",
        "hydronet_splits.zip",
        str(folder),
    ):
        assert words in said
    if list(folder.glob("W4_*")):
        assert f"Of its {kind} files W3 are not there" in said


def test_small_needs_its_lists(raw):
    folder, kind = raw
    (folder / "split_00_small.npz").unlink()
    with pytest.raises(MissingSource, match=f"The {kind} files are there, but not split_00_small"):
        TinyHydroNet(str(folder), "small").sources()


@pytest.mark.parametrize(
    "train, val, message",
    [
        ((3, 12, 17, 20), (18, 2, 5, 3), "must hold different numbers from 0 to 21"),
        ((3, 12, 17, 20), (18, 2, 5, 22), "must hold different numbers from 0 to 21"),
        ((3, 12, 17, 20), (18, 2, 5, 1), "chooses 1 clusters of 3 waters where 0"),
        ((3.0, 12), (18, 2), "train_idx must be a list of whole numbers"),
    ],
)
def test_lists_of_another_set_are_refused(tmp_path, train, val, message):
    write_xyz(tmp_path, MEDIUM)
    write_split(tmp_path, train, val)
    with pytest.raises(ValueError, match=message):
        TinyHydroNet(str(tmp_path), "small").parts()


def test_files_of_another_count_are_refused(raw, monkeypatch):
    folder, _ = raw
    monkeypatch.setattr(
        TinyHydroNet, "published_counts", {"small": SMALL, "medium": {**MEDIUM, 4: 11}}
    )
    with pytest.raises(ValueError, match=r"holds 10 clusters of 4 waters where 11 are published"):
        list(TinyHydroNet(str(folder)).read())


def test_rows_of_hdf5_in_another_order_are_the_same_clusters(tmp_path):
    pytest.importorskip("h5py")
    write_hdf5(tmp_path, LARGE)
    sorted_ones = joined(TinyHydroNet(str(tmp_path)).read())
    total = sum(LARGE.values())
    # Sizes change places, and the clusters of one size keep their order.
    order = np.argsort(np.arange(total) % 3, kind="stable")
    sizes = np.repeat(list(LARGE), list(LARGE.values()))[order]
    order = np.concatenate([np.sort(order[sizes == size]) for size in (11, 26, 3, 30, 4, 25)])
    write_hdf5(tmp_path, LARGE, order)
    mixed = joined(TinyHydroNet(str(tmp_path)).read())
    assert mixed.ids.tolist() != sorted_ones.ids.tolist()
    rows = np.argsort(mixed.ids)
    assert mixed.ids[rows].tolist() == sorted_ones.ids.tolist()
    assert (mixed.targets["energy"][rows] == sorted_ones.targets["energy"]).all()


def test_store_from_parts_has_the_bytes_of_one_reading(raw, tmp_path_factory, monkeypatch):
    folder, _ = raw
    monkeypatch.setattr(hydronet_hdf5, "PART_CLUSTERS", 9)
    monkeypatch.setattr(hydronet_xyz, "BLOCK_BYTES", 1000)
    dataset = TinyHydroNet(str(folder), "large")
    assert len(dataset.parts()) > 3
    in_parts = open_store(dataset, tmp_path_factory.mktemp("parts"))
    in_parts.verify()
    monkeypatch.setattr(TinyHydroNet, "parts", None)
    dataset.chunks = lambda: (c for part in HydroNet.parts(dataset) for c in part.chunks())
    at_once = open_store(dataset, tmp_path_factory.mktemp("whole"))
    assert in_parts.manifest.columns == at_once.manifest.columns


def test_published_counts():
    sums = {name: sum(counts.values()) for name, counts in HydroNet.published_counts.items()}
    assert sums == {"small": 500_000, "medium": 2_726_710, "large": 4_464_740}
    # Mean sizes of 62.92, 62.94 and 70.69 atoms, and of three atoms a water.
    atoms = {name: HydroNet("", name).expected_atoms for name in sums}
    assert atoms == {"small": 31_460_952, "medium": 171_617_985, "large": 315_601_629}


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"subset": "huge"}, r"dataset\.subset is 'huge'"),
        ({"source": "zip"}, r"dataset\.source is"),
    ],
)
def test_unknown_choices(wrong, message):
    with pytest.raises(ValueError, match=message):
        HydroNet("", **wrong)
