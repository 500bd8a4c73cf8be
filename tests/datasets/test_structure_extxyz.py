"""The reader of .xyz files: ASE is the oracle of what is whole, a list by hand of what is not."""

from __future__ import annotations

import bz2
import gzip
import itertools
import re
import tempfile

import numpy as np
import pytest
from ase import Atoms
from ase.io import iread, write
from ase.io.extxyz import key_val_str_to_dict
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_files import make_atoms

from gnnpack.datasets.structure_comment import pairs, parse_comment
from gnnpack.datasets.structure_extxyz import read_extxyz, split_frames
from gnnpack.datasets.structure_frames import BadFrame, Frame, FrameFault

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
TEXTS = st.text(
    st.characters(codec="ascii", exclude_categories=["C"], exclude_characters="\\\"'{}[]="),
    min_size=1,
    max_size=12,
).map(str.strip)


def frames_of(text: str) -> list[Frame | BadFrame]:
    with tempfile.NamedTemporaryFile("w", suffix=".xyz") as file:
        file.write(text)
        file.flush()
        return list(read_extxyz(file.name))


@given(st.dictionaries(KEYS, st.one_of(st.floats(allow_nan=False), st.integers(), TEXTS)))
@settings(max_examples=300, deadline=None)
def test_values_are_those_ase_reads(values):
    quoted = {
        key: f'"{value}"' if isinstance(value, str) else str(value)
        for key, value in values.items()
        if value != "" and key.lower() not in ("uid", "lattice", "virial", "stress")
    }
    line = " ".join(f"{key}={value}" for key, value in quoted.items())
    found, oracle = pairs(line), key_val_str_to_dict(line)
    oracle.pop("", None)  # ASE's word for an empty line
    assert found.keys() == oracle.keys()
    for key, value in oracle.items():
        if isinstance(value, (bool, str, list)):
            # ASE makes words of T and F; a target takes neither.
            assert isinstance(value, (bool, list)) or found[key] == value
        else:
            # ASE takes commas for spaces, too.
            numbers = [float(word) for word in re.findall(r"[^\s,]+", found[key])]
            np.testing.assert_array_equal(numbers, np.ravel(value).astype(float))


@pytest.mark.parametrize(
    "line, value",
    [
        ("energy=-1.5", "-1.5"),
        ("energy = -1.5 a=2", "-1.5"),
        ('a="x=1 energy=7" energy=-1.5', "-1.5"),
        (r'a="say \"energy=3\"" energy=-1.5', "-1.5"),
        ("a={1 2 3} b=[4 5] c='6 7' energy=-1.5", "-1.5"),
        ("my_energy=3 energy=-1.5", "-1.5"),
        ("energy=", None),
    ],
)
def test_quotes_and_brackets(line, value):
    assert pairs(line).get("energy") == value


@pytest.mark.parametrize(
    "line, periodic",
    [
        ("", False),
        ('Lattice="5 0 0 0 5 0 0 0 5"', True),
        ('Lattice="5 0 0 0 5 0 0 0 5" pbc="F F F"', False),
        ('pbc="F F T"', True),
        ("pbc=[T, F, F]", True),
    ],
)
def test_periodic_as_ase_says(line, periodic, tmp_path):
    (tmp_path / "one.xyz").write_text(f"1\n{line}\nH 0 0 0\n")
    oracle = next(iread(str(tmp_path / "one.xyz"), format="extxyz"))
    assert parse_comment(line).periodic == periodic == bool(oracle.pbc.any())


def test_a_comment_that_is_a_number_is_a_value():
    assert parse_comment("  -27.3 \n").values == {"comment": "-27.3"}


@pytest.mark.parametrize(
    "described", ["species:S:1", "species:S:1:pos:R:2", "species:S:1:pos:Q:3", "pos:R:3:x"]
)
def test_columns_that_cannot_be(described):
    with pytest.raises(FrameFault, match="Properties="):
        parse_comment(f"Properties={described}")


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["H", "C", "Cl", "Og"]),
                *[st.floats(-99, 99, allow_nan=False).map(lambda x: round(x, 7))] * 6,
            ),
            min_size=1,
            max_size=5,
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=50, deadline=None)
def test_what_ase_writes_is_read_as_ase_reads_it(tmp_path_factory, molecules):
    path = str(tmp_path_factory.mktemp("extxyz") / "some.extxyz")
    made = []
    for rows in molecules:
        atoms = Atoms([row[0] for row in rows], [row[1:4] for row in rows])
        atoms.arrays["forces"] = np.array([row[4:] for row in rows])
        atoms.info["energy"] = rows[0][1]
        made.append(atoms)
    write(path, made, format="extxyz")
    for frame, oracle in itertools.zip_longest(read_extxyz(path), iread(path)):
        assert isinstance(frame, Frame)
        np.testing.assert_array_equal(frame.numbers, oracle.numbers)
        np.testing.assert_array_equal(frame.positions, oracle.positions)
        np.testing.assert_array_equal(frame.arrays["forces"], oracle.calc.results["forces"])
        assert float(frame.values["energy"]) == oracle.calc.results["energy"]


@pytest.mark.parametrize("ending, opener", [("", open), (".gz", gzip.open), (".bz2", bz2.open)])
def test_packed_files(ending, opener, tmp_path):
    path = tmp_path / f"w.xyz{ending}"
    with opener(path, "wt") as file:
        write(file, make_atoms(3), format="extxyz")
    assert [len(frame.numbers) for frame in read_extxyz(str(path))] == [
        len(atoms) for atoms in make_atoms(3)
    ]


def test_a_packed_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "w.xyz.gz"
    with gzip.open(path, "wt") as file:
        write(file, make_atoms(50), format="extxyz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"w\.xyz\.gz cannot be read to its end"):
        list(read_extxyz(str(path)))


GOOD = "2\nenergy=1\nH 0 0 0\nH 0 0 1\n"


@pytest.mark.parametrize(
    "damaged, line, reason",
    [
        ("3\nenergy=1\nH 0 0 0\nH 0 0 1\n", 8, "only 2 of its 3 atoms"),
        ("1\nenergy=1\nH 0 0 0\nH 0 0 1\n", 8, "'H 0 0 1' follows its 1 atoms"),
        ("2\nenergy=1\nH 0 0 0\nH 0 0 \n", 8, "3 fields where 4 are expected"),
        ("2\nenergy=1\nH 0 0 0\nH 0 0 1.2.3\n", 8, r"'1\.2\.3' is no number"),
        ("2\nenergy=1\nQq 0 0 0\nH 0 0 1\n", 7, "'Qq' is no element"),
        ("2\nProperties=species:S:1:pos:R:2\nH 0 0\nH 0 1\n", 6, "lacks species"),
        ("2\nProperties=species:S:1:pos:R:3\nH 0 0 0 1\nH 0 0 1 2\n", 7, "5 fields where 4"),
        ("2\nH 0 0 0\nH 0 0 1\n", 7, "only 1 of its 2 atoms"),
        ("2\nenergy=1\nH 0 0 0\n\n", 8, "0 fields where 4"),
    ],
)
@pytest.mark.parametrize("after", ["", GOOD])
def test_a_damaged_frame_is_found_and_the_next_is_read(damaged, line, reason, after):
    found = frames_of(GOOD + damaged + after)
    bad = [frame for frame in found if isinstance(frame, BadFrame)]
    assert [(frame.number, frame.line) for frame in bad] == [(1, line)]
    assert re.search(reason, bad[0].reason)
    assert len(found) == 2 + bool(after)


def test_a_count_that_is_none_spoils_the_frame_before():
    # Nobody can tell whether the line belongs to it.
    damaged = GOOD.replace("2\n", "two\n", 1)
    first, second = frames_of(GOOD + damaged + GOOD)
    assert first == BadFrame(0, 5, "'two' follows its 2 atoms.")
    assert isinstance(second, Frame)
    assert frames_of(damaged)[0] == BadFrame(0, 1, "'two' stands where the number of atoms should.")


def test_a_file_that_ends_too_soon():
    assert frames_of(GOOD + "2\n")[1] == BadFrame(1, 5, "only 0 of its 2 atoms are there.")
    assert frames_of("") == frames_of("\n\n") == []


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_line_lost_anywhere_spoils_at_most_its_neighbours(data):
    text = GOOD * 6
    lines = text.splitlines(keepends=True)
    lost = data.draw(st.integers(0, len(lines) - 1))
    frames = frames_of("".join(lines[:lost] + lines[lost + 1 :]))
    good = [frame for frame in frames if isinstance(frame, Frame)]
    # Nothing wrong is ever taken for whole.
    assert all(frame.positions.tolist() == [[0, 0, 0], [0, 0, 1]] for frame in good)
    assert 4 <= len(good) <= 5
    assert len(good) < len(frames)


def test_frames_are_read_one_at_a_time():
    def endless():
        while True:
            yield from GOOD.splitlines(keepends=True)

    frames = list(itertools.islice(split_frames(endless()), 1000))
    assert len(frames) == 1000
    assert frames[-1].first == 1 + 999 * 4


def test_blank_lines_between_frames_and_windows_endings(tmp_path):
    (tmp_path / "w.xyz").write_bytes(
        ("\n" + GOOD + "\n\n" + GOOD + "\n").replace("\n", "\r\n").encode()
    )
    frames = list(read_extxyz(str(tmp_path / "w.xyz")))
    assert [frame.line for frame in frames] == [2, 8]
    assert all(isinstance(frame, Frame) for frame in frames)
