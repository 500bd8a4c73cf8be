"""Frames of xyz text: compiled against the slow way, PyTorch Geometric as the oracle, damage."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import pytest
from hydronet_raw import MEDIUM, TinyHydroNet, make_clusters, npy, write_npz, write_xyz, zip_up
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.datasets import hydronet_frames, hydronet_kernel, hydronet_xyz
from gnnpack.datasets.hydronet_archives import RawFile
from gnnpack.datasets.hydronet_clusters import Wanted
from gnnpack.datasets.hydronet_frames import read_frame, read_frames


def slowly(text: bytes, num_atoms: int):
    """Frame by frame, by the rule."""
    frames, at = [], 0
    while True:
        frame, used = read_frame(text, at, num_atoms, True, "file, line", 0)
        if frame is None:
            return frames
        frames.append(frame)
        at += used


@pytest.mark.parametrize("num_waters", MEDIUM)
@pytest.mark.parametrize("compiled", [True, False])
def test_all_ways_read_the_same(num_waters, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(hydronet_frames, "compiled_kernel", lambda: None)
    made = make_clusters(num_waters, 6)
    text = made.text.encode()
    found, used = read_frames(text, 3 * num_waters, True, "file")
    assert used == len(text)
    slow = slowly(text, 3 * num_waters)
    for column, expected in zip(found, zip(*slow)):
        assert column.tobytes() == np.concatenate(expected).tobytes()
    assert found.energies.tolist() == made.kcal.tolist()
    assert found.pos.tobytes() == made.pos.astype(np.float32).tobytes()


@given(
    st.lists(
        st.one_of(
            st.floats(-1e30, 1e30).map(repr),
            st.floats(-99, 99).map("{:.9E}".format),
            st.decimals(-100, 100, places=7).map(str),
            st.sampled_from(
                ["+1.5e+3", ".5", "5.", "-0.", "1e-30", "123456789012345678", "00.25e2"]
            ),
        ),
        min_size=10,
        max_size=10,
    )
)
def test_every_number_is_the_float_of_its_text(words):
    atoms = "\n".join(f"{'OHH'[k]} {' '.join(words[3 * k : 3 * k + 3])}" for k in range(3))
    text = f"3\nOrd_Energy {words[9]}\n{atoms}\n".encode()
    found, _ = read_frames(text, 3, True, "file")
    assert found.energies.tolist() == [float(words[9])]
    expected = np.array([float(word) for word in words[:9]], dtype=np.float64)
    assert found.pos.reshape(-1).tolist() == expected.astype(np.float32).tolist()


@pytest.mark.parametrize("form", [repr, "{:.14E}".format, "{:.12G}".format])
def test_numbers_at_the_edge_of_what_is_read_exactly(form):
    # Long mantissas and large powers, where rounding twice would show in one number of forty.
    random = np.random.RandomState(0)
    powers = 10.0 ** random.randint(-30, 30, 2000)
    words = [form(float(number)) for number in random.uniform(-1, 1, 2000) * powers]
    water = "O 1 2 3\nH 1 2 3\nH 1 2 3\n"
    text = "".join(f"3\nOrd_Energy {word}\n{water}" for word in words)
    found, _ = read_frames(text.encode(), 3, True, "file")
    assert found.energies.tolist() == [float(word) for word in words]


@given(st.text("0123456789.eE+-OHx ", min_size=1, max_size=9).filter(str.strip))
def test_a_word_is_a_number_to_both_or_left_to_the_slow_way(text):
    word = text.split()[0]
    characters = np.frombuffer(word.encode(), dtype=np.uint8).astype(np.int64)
    value, end = hydronet_kernel.read_word(characters, 0)
    assert end == len(word)
    if np.isfinite(value):
        assert value == float(word)


@pytest.mark.parametrize("block", [40, 333, 10**6])
def test_blocks_may_end_anywhere(tmp_path, block):
    write_xyz(tmp_path, {11: 7})
    file = RawFile(str(tmp_path / "W11_geoms_all.zip"), ("W11_geoms_all.xyz",))
    chunks = list(hydronet_xyz.read_xyz(file, Wanted(11, 50, 7), block))
    made = make_clusters(11, 7)
    assert np.concatenate([chunk.pos for chunk in chunks]).tobytes() == (
        made.pos.astype(np.float32).tobytes()
    )
    assert [number for chunk in chunks for number in chunk.ids] == list(range(50, 57))


def test_the_last_line_may_lack_its_newline_and_blank_lines_may_follow():
    text = make_clusters(3, 2).text
    for end in (text.rstrip(), text + "\n \n"):
        assert len(read_frames(end.encode(), 9, True, "file")[0].energies) == 2


@pytest.mark.parametrize("num_waters", [4, 11])
def test_pytorch_geometric_reads_the_same(tmp_path, num_waters):
    pytest.importorskip("pandas")
    hydro_net = pytest.importorskip("torch_geometric.datasets.hydro_net")
    write_xyz(tmp_path, {num_waters: 8})
    path = tmp_path / f"W{num_waters}_geoms_all.zip"
    z, pos = hydro_net.read_atoms(str(path), 3 * num_waters + 2)
    kcal = hydro_net.read_energy(str(path), 3 * num_waters + 2)
    file = RawFile(str(path), (f"W{num_waters}_geoms_all.xyz",))
    ours = hydronet_frames.read_frames(
        make_clusters(num_waters, 8).text.encode(), 3 * num_waters, True, str(file)
    )[0]
    assert z.tolist() == ours.z.tolist()
    assert kcal.tolist() == ours.energies.astype(np.float32).tolist()
    # Its positions are float16, rounded from float64 at once.
    assert pos.dtype == np.float16
    spacing = np.spacing(np.abs(pos)).astype(np.float64)
    assert (np.abs(pos.astype(np.float64) - ours.pos) <= 0.51 * spacing).all()


@pytest.mark.parametrize("count", [1, 6])
def test_pytorch_geometric_s_own_archive_is_read(tmp_path, count):
    pytest.importorskip("pandas")
    hydro_net = pytest.importorskip("torch_geometric.datasets.hydro_net")
    write_xyz(tmp_path, {4: count})
    z, pos = hydro_net.read_atoms(str(tmp_path / "W4_geoms_all.zip"), 14)
    kcal = hydro_net.read_energy(str(tmp_path / "W4_geoms_all.zip"), 14)
    np.savez(tmp_path / "W4_geoms_all.npz", z=z, pos=pos, y=np.atleast_1d(kcal), num_graphs=count)
    Tiny = type("Tiny", (TinyHydroNet,), {"published_counts": {"medium": {4: count}}})
    (chunk,) = Tiny(str(tmp_path), source="npz").read()
    assert chunk.pos.tolist() == pos.reshape(-1, 3).astype(np.float32).tolist()


def test_without_numba(monkeypatch):
    hydronet_kernel.compiled_kernel.cache_clear()
    monkeypatch.setitem(sys.modules, "numba", None)
    try:
        assert hydronet_kernel.compiled_kernel() is None
    finally:
        hydronet_kernel.compiled_kernel.cache_clear()


def damaged(old: str, new: str) -> str:
    """The text of two clusters of three waters with something replaced once, in the second."""
    text = make_clusters(3, 2).text
    half = len(text) // 2
    place = text.index(old, half - 1)
    return text[:place] + new + text[place + len(old) :]


@pytest.mark.parametrize(
    "text, message",
    [
        (damaged("           9\n", "          10\n"), "line 12: no count of 9 atoms"),
        (damaged("Ord_Energy", "Ord_Energy nothing\n"), "line 13: no energy at the end"),
        (damaged("\n O ", "\n N "), "line 14: no O or H with three coordinates"),
        (damaged("\n O ", "\n O 1.0 "), "line 14: no O or H with three coordinates"),
        (damaged("\n H", "\n H nan"), "line 15: no O or H"),
        (make_clusters(3, 2).text[:-70], "ends within a cluster"),
        (damaged("\n H", "\n O"), "cluster 1 has 4 O and 5 H where 3 waters"),
        (make_clusters(3, 1).text, "holds 1 clusters of 3 waters where 2"),
    ],
)
@pytest.mark.parametrize("compiled", [True, False])
def test_damaged_text(tmp_path, text, message, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(hydronet_frames, "compiled_kernel", lambda: None)
    write_xyz(tmp_path, MEDIUM)
    with zipfile.ZipFile(tmp_path / "W3_geoms_all.zip", "w") as file:
        file.writestr("W3_geoms_all.xyz", text)
    with pytest.raises(ValueError, match=message) as caught:
        list(TinyHydroNet(str(tmp_path)).read())
    assert "W3_geoms_all.zip" in str(caught.value)


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def flip(path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("spoil", [cut, flip])
@pytest.mark.parametrize("write", [write_xyz, write_npz])
def test_damaged_zips(tmp_path, write, spoil, archived):
    write(tmp_path, MEDIUM)
    kind = "xyz" if write is write_xyz else "npz"
    if archived:
        zip_up(tmp_path, kind)
    spoil(max(tmp_path.iterdir(), key=lambda path: path.stat().st_size))
    with pytest.raises(ValueError, match=r"[Ff]etch it again"):
        list(TinyHydroNet(str(tmp_path), source=kind).read())


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("z", npy(np.ones((10, 9), dtype=np.int8)), r"z.npy holds int8 \(10, 9\)"),
        ("pos", b"nothing", "pos.npy is no array"),
        ("y", npy(np.ones(9, dtype=np.float32)), r"columns of \[9, 10\] clusters"),
        ("pos", npy(np.ones((10, 12, 3), dtype=np.float16))[:-2], "pos.npy is cut off"),
        ("y", npy(np.full(10, np.nan, dtype=np.float32)), "Molecule 2 has energy = nan"),
    ],
)
def test_damaged_arrays(tmp_path, name, content, message):
    write_npz(tmp_path, MEDIUM)
    path = tmp_path / "W4_geoms_all.npz"
    with zipfile.ZipFile(path) as file:
        columns = {member: file.read(member) for member in file.namelist()}
    columns[f"{name}.npy"] = content
    with zipfile.ZipFile(path, "w") as file:
        for member, raw in columns.items():
            file.writestr(member, raw)
    with pytest.raises(ValueError, match=message):
        list(TinyHydroNet(str(tmp_path)).read())
