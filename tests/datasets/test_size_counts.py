"""The published size counts, and orders drawn from them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gnnpack.datasets.size_counts import DISTRIBUTIONS, TITLES, shuffled_sizes, size_counts

# molecules, atoms, largest, sha256 of sizes and counts as little-endian int64
PUBLISHED = {
    "qm9": (130_831, 2_359_210, 29, "7220e27efbdeb089"),
    "hydronet_500k": (500_000, 31_460_952, 75, "de4fe53f80b9b138"),
    "hydronet_2.7m": (2_726_710, 171_617_985, 75, "f2568a610e5b75a1"),
    "hydronet_4.5m": (4_464_740, 315_601_629, 90, "306ec2acf6a2c70b"),
}


def test_every_distribution_is_here_and_has_a_title():
    assert tuple(PUBLISHED) == DISTRIBUTIONS == tuple(TITLES)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_sums_and_checksum(name):
    sizes, counts = size_counts(name)
    assert sizes.dtype == counts.dtype == np.int64
    assert (np.diff(sizes) > 0).all()
    assert (counts > 0).all()
    digest = hashlib.sha256(np.stack([sizes, counts]).astype("<i8").tobytes()).hexdigest()
    found = (int(counts.sum()), int(sizes @ counts), int(sizes.max()), digest[:16])
    assert found == PUBLISHED[name]


def test_an_unknown_distribution_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"'qm8'.*qm9, hydronet_500k"):
        size_counts("qm8")


def test_shuffled_sizes_are_all_molecules_in_an_order_of_the_seed():
    sizes, counts = size_counts("qm9")
    found = shuffled_sizes("qm9", seed=1)
    assert np.array_equal(np.unique(found, return_counts=True), [sizes, counts])
    assert np.array_equal(found, shuffled_sizes("qm9", seed=1))
    assert not np.array_equal(found, shuffled_sizes("qm9", seed=2))
    assert not (np.diff(found[:100]) >= 0).all()
