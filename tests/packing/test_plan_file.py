"""A saved plan comes back as it was, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
from every_packer import PACKERS, make_plan, packs

from gnnpack.packing import PackPlan, PackShape, lpfhp, next_fit, packer_name

NUM_ATOMS = np.random.default_rng(0).integers(1, 30, 500)
NUM_PAIRS = NUM_ATOMS.astype(np.int32) * 3


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "plan.npz"
    lpfhp(NUM_ATOMS, PackShape(36)).save(path)
    return path


@pytest.mark.parametrize("packer", PACKERS, ids=packer_name)
def test_round_trip(packer, tmp_path):
    plan = make_plan(packer, (NUM_ATOMS, NUM_PAIRS, PackShape(36, 200, 4)), seed=5)
    plan.save(tmp_path / "plan.npz")
    loaded = PackPlan.load(str(tmp_path / "plan.npz"))
    assert packs(loaded) == packs(plan)
    assert loaded.num_pairs.dtype == np.int32
    np.testing.assert_array_equal(loaded.num_atoms, NUM_ATOMS)
    np.testing.assert_array_equal(loaded.num_pairs, NUM_PAIRS)
    for name in ("shape", "packer", "options", "seed", "lower_bound", "bound_kind"):
        assert getattr(loaded, name) == getattr(plan, name)
    assert packs(loaded.epoch(1, 2)) == packs(plan.epoch(1, 2))
    assert [file.name for file in tmp_path.iterdir()] == ["plan.npz"]


def test_plan_without_pairs_and_shard_come_back(tmp_path):
    shard = next_fit(NUM_ATOMS, PackShape(36)).shard(1, 2, 4)
    shard.save(tmp_path / "plan.npz")
    loaded = PackPlan.load(tmp_path / "plan.npz")
    assert loaded.num_pairs is None
    assert packs(loaded) == packs(shard)


def test_truncated(saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"plan\.npz is damaged or no plan .* make the plan anew"):
        PackPlan.load(saved)


def test_flipped_byte(saved):
    content = bytearray(saved.read_bytes())
    content[2000] ^= 0xFF
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        PackPlan.load(saved)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_no_plan_at_all(saved, content):
    saved.write_bytes(content)
    with pytest.raises(ValueError, match="damaged or no plan"):
        PackPlan.load(saved)


def test_other_npz(saved):
    np.savez(saved, z=np.arange(3))
    with pytest.raises(ValueError, match="damaged or no plan"):
        PackPlan.load(saved)


def test_single_array(saved):
    with open(saved, "wb") as stream:
        np.save(stream, np.arange(3))
    with pytest.raises(ValueError, match="damaged or no plan"):
        PackPlan.load(saved)


def rewrite(path, **changes):
    """Change entries of the file, whole and well formed; description as a dict of changes."""
    with np.load(path) as content:
        entries = {name: content[name] for name in content.files}
    described = json.loads(str(entries["description"]))
    described.update(changes.pop("description", {}))
    entries.update(changes, description=np.array(json.dumps(described)))
    np.savez(path, **{name: entry for name, entry in entries.items() if entry is not None})


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"description": {"format_version": 3}}, "has plan format 3, this gnnpack reads 2"),
        ({"offsets": None}, r"lacks \['offsets'\]"),
        ({"offsets": np.array([0.0, 500.0])}, "offsets is float64"),
        ({"molecules": np.zeros((2, 2), dtype=np.int64)}, r"of shape \(2, 2\)"),
        ({"molecules": np.zeros(500, dtype=np.int64)}, "not a sound plan: molecule 0 is in 500"),
        ({"num_atoms": NUM_ATOMS + 9}, "not a sound plan: pack .* over PackShape"),
        ({"num_atoms": NUM_ATOMS * 0}, r"not a sound plan: num_atoms\[0\] is 0"),
        ({"description": {"lower_bound": "x"}}, "lower_bound is 'x', which is no int"),
        ({"description": {"lower_bound": True}}, "lower_bound is True, which is no int"),
        ({"description": {"redraws": "no"}}, "redraws is 'no', which is no bool"),
        ({"description": {"options": 5}}, "options is 5, which is no dict"),
        ({"description": {"shape": [1]}}, r"shape is \[1\], which is no dict"),
        ({"description": {"shape": {"num_atoms": None}}}, "names no number of atoms"),
        ({"description": {"shape": {"atoms": 3}}}, "not a sound plan: .*atoms"),
        ({"description": {"colour": 3}}, r"holds \['colour'\], which no plan has"),
    ],
)
def test_wrong_content(saved, changes, words):
    rewrite(saved, **changes)
    with pytest.raises(ValueError, match=words):
        PackPlan.load(saved)


def test_missing_file_stays_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        PackPlan.load(tmp_path / "none.npz")


def test_failed_save_leaves_the_old_plan(saved, monkeypatch):
    before = saved.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space left"):
        lpfhp([1, 2], PackShape(3)).save(saved)
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == ["plan.npz"]
