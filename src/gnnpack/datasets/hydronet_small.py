"""The published members of the small subset, and which of them train and validate.

split_00_small.npz: train_idx (450,000,) and val_idx (50,000,), ids as of `first_ids`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

import numpy as np

from gnnpack.datasets.hydronet_archives import DAMAGE, RawFile, open_raw
from gnnpack.datasets.hydronet_clusters import first_ids
from gnnpack.datasets.splits import Split, find_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "split_00_small.npz"
ARCHIVE = "hydronet_splits.zip"


class SmallSplit(NamedTuple):
    """Ids that train and that validate, int64, in their published order."""

    train: NDArray[np.int64]
    val: NDArray[np.int64]

    @property
    def ids(self) -> NDArray[np.int64]:
        """All members, ascending."""
        return np.sort(np.concatenate(self))


def read_small(file: RawFile, small: Mapping[int, int], medium: Mapping[int, int]) -> SmallSplit:
    """Read the lists; ValueError unless their ids give the published counts of each size.

    ``small`` and ``medium``: number of waters -> number of clusters.
    """
    lists = {}
    for name in ("train_idx", "val_idx"):
        with open_raw(file.member(f"{name}.npy")) as stream:
            try:
                lists[name] = np.lib.format.read_array(stream, allow_pickle=False)
            except (ValueError, *DAMAGE) as error:
                raise ValueError(f"{file}: {name} is no list: {error}. Fetch it again.") from error
        if lists[name].ndim != 1 or lists[name].dtype.kind not in "iu":
            raise ValueError(f"{file}: {name} must be a list of whole numbers. Fetch it again.")
    split = SmallSplit(*(values.astype(np.int64) for values in lists.values()))
    _check(split.ids, small, medium, str(file))
    return split


def _check(
    ids: NDArray[np.int64], small: Mapping[int, int], medium: Mapping[int, int], place: str
) -> None:
    total = sum(medium.values())
    if not len(ids) or ids[0] < 0 or ids[-1] >= total or (np.diff(ids) == 0).any():
        raise ValueError(
            f"{place} must hold different numbers from 0 to {total - 1:,}, those of the clusters "
            "of 3 to 25 waters. It is damaged; fetch it again."
        )
    for num_waters, first in first_ids(medium).items():
        found = int(((ids >= first) & (ids < first + medium[num_waters])).sum())
        if found != small.get(num_waters, 0):
            raise ValueError(
                f"{place} chooses {found:,} clusters of {num_waters} waters where "
                f"{small.get(num_waters, 0):,} are published. It is of another release."
            )


def published_split(
    split: SmallSplit, ids: NDArray[np.int64], num_test: int | None, seed: int
) -> Split:
    """Rows of the published lists; ``num_test`` of the validation clusters become the test set.

    ids (M,) of the store. None = half of them, drawn by ``seed``: the published lists have no test
    set, and one that also chooses the best weights would flatter. ValueError for more than there
    are.
    """
    held_out = np.sort(split.val)
    wanted = len(held_out) // 2 if num_test is None else num_test
    if not 0 <= wanted < len(held_out):
        raise ValueError(
            f"dataset.split.test is {num_test}, but the published split has {len(held_out):,} "
            "clusters for validation and test together. Lower it, or set dataset.split.train and "
            "dataset.split.val for a split of your own."
        )
    # RandomState: numpy has frozen its stream, so a split is the same in every version.
    drawn = held_out[np.random.RandomState(seed).permutation(len(held_out))]
    parts = (split.train, drawn[wanted:], drawn[:wanted])
    rows = []
    for part in parts:
        found, unknown = find_rows(ids, part)
        assert not len(unknown), "the small store holds exactly the members of its lists"
        rows.append(np.sort(found))
    return Split(*rows)
