"""What a stream refuses, and that a refusal leaves it as it was."""

from __future__ import annotations

import numpy as np
import pytest

from gnnpack.packing import PackShape, StreamingPacker, streaming

BAD_CHUNKS = [
    ([3, 40], None, "molecule 2 has 40 atoms and does not fit PackShape.*shape.num_atoms to at"),
    ([3, 0], None, "molecule 2 has 0 atoms; it must have at least 1"),
    ([3.0], None, "num_atoms has dtype float64; pass integers"),
    ([True], None, "num_atoms has dtype bool"),
    ([[3]], None, r"num_atoms has shape \(1, 1\); it must be 1-D"),
    ([3, 4], [9, 51], "molecule 2 has 51 pairs and does not fit .*raise shape.num_pairs to at"),
    ([3, 4], [9, -1], "molecule 2 has -1 pairs; it must have at least 0"),
    ([3, 4], [9], "num_pairs has 1 entries but num_atoms has 2"),
    ([3, 4], [9.0, 9.0], "num_pairs has dtype float64"),
    ([3, 4], None, "shape.num_pairs=50 needs the pairs of every molecule"),
    ([2**70], None, "num_atoms has dtype object"),
    (np.array([2**64 - 1], dtype=np.uint64), [3], "molecule 1 has 18446744073709551615 atoms"),
]


@pytest.mark.parametrize("num_atoms, num_pairs, words", BAD_CHUNKS)
def test_what_cannot_be_packed_is_refused_whole(num_atoms, num_pairs, words):
    packer = StreamingPacker(PackShape(36, 50), buffer=4)
    packer.feed([5], [10])
    before = packer.state()
    with pytest.raises(ValueError, match=words):
        packer.feed(num_atoms, num_pairs)
    after = packer.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_refusal_names_the_number_given():
    with pytest.raises(ValueError, match="molecule 77 has 40 atoms"):
        StreamingPacker(PackShape(36)).add(40, number=77)
    with pytest.raises(ValueError, match="numbers has 1 entries but num_atoms has 2"):
        StreamingPacker(PackShape(36)).feed([4, 4], numbers=[77])
    with pytest.raises(ValueError, match=r"numbers holds 9223372036854775808; .* give smaller"):
        StreamingPacker(PackShape(36)).feed([4], numbers=np.array([2**63], dtype=np.uint64))


def test_nothing_is_fed_after_the_end():
    packer = StreamingPacker(PackShape(36))
    packer.feed([5, 6])
    packer.finish()
    with pytest.raises(ValueError, match=r"finished after 2 molecules .* make a new"):
        packer.add(5)
    with pytest.raises(ValueError, match="finished after 2 molecules"):
        StreamingPacker.from_state(packer.state()).add(5)


@pytest.mark.parametrize("buffer", [0, -1, 2.5, "9", True, None])
def test_bad_buffer(buffer):
    words = "buffer=.* is not an integer of at least 1; give how many"
    with pytest.raises(ValueError, match=words):
        StreamingPacker(PackShape(36), buffer=buffer)
    with pytest.raises(ValueError, match=words):
        streaming([3, 4], PackShape(36), buffer=buffer)


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match=r"seed=.* is not an integer of at least 0"):
        StreamingPacker(PackShape(36), seed=seed)


def test_a_stream_has_no_best_shape():
    with pytest.raises(ValueError, match=r"shape\.num_atoms is null, .* give a number"):
        StreamingPacker(PackShape(None))


def test_a_foreign_state_is_refused():
    state = StreamingPacker(PackShape(36), buffer=8).state()
    with pytest.raises(ValueError, match=r"state misses \['format', .*pass what"):
        StreamingPacker.from_state({})
    with pytest.raises(ValueError, match="state has format 0; pass what"):
        StreamingPacker.from_state({**state, "format": 0})
    with pytest.raises(ValueError, match=r"state misses \['ways'\]"):
        StreamingPacker.from_state({key: state[key] for key in state if key != "ways"})
    with pytest.raises(ValueError, match=r"state\['slots'\] has shape \(5, 8\) where .* \(5, 9\)"):
        StreamingPacker.from_state({**state, "buffer": 9})
