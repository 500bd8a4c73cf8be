"""The emulator's loader: combined batches, and the ring of an asynchronous one."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from gnnpack.accelerators.ipu_emulator.async_accessor import AsynchronousDataAccessor
from gnnpack.accelerators.ipu_emulator.async_batches import rebatched
from gnnpack.accelerators.ipu_emulator.data_loader import DataLoader
from gnnpack.accelerators.ipu_emulator.enums import DataLoaderMode, SharingStrategy
from gnnpack.accelerators.ipu_emulator.errors import Error
from gnnpack.accelerators.ipu_emulator.options import Options

ASYNC = DataLoaderMode.Async


def two_by_four_by_three() -> Options:
    options = Options().deviceIterations(2).replicationFactor(3)
    options.Training.gradientAccumulation(4)
    return options


class Items(Dataset):
    """``length`` items; ``fails_at`` raises; ``made`` counts, in memory that processes share."""

    def __init__(self, length, structure="tensor", fails_at=None):
        self.length, self.structure, self.fails_at = length, structure, fails_at
        self.offset = 0
        self.made = torch.zeros(1, dtype=torch.int64)

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index == self.fails_at:
            raise FileNotFoundError(f"item {index} is lost")
        self.made += 1
        value = torch.full((2, 3), float(index + self.offset))
        flag = torch.tensor([index % 2 == 0, True])
        return {
            "tensor": value,
            "tuple": (value, flag),
            "list": [value, flag],
            "dict": {"pos": value, "real": flag},
            "nested": {"pos": (value, flag)},
            "number": (value, index),
            "growing": torch.zeros(index + 1),
        }[self.structure]


class Counts(IterableDataset):
    def __init__(self, length):
        self.length = length

    def __iter__(self):
        return iter(torch.arange(self.length))


def whole_batches(dataset, options=None, **async_options):
    """A loader as the strategy makes it: one item is one combined batch."""
    return DataLoader(
        options or Options(),
        dataset,
        batch_size=None,
        drop_last=False,
        mode=ASYNC,
        async_options=async_options,
    )


def collected(loader):
    return [batch.clone() for batch in loader]


# --- combined batches ---


def test_behaviour_01_combined_batch_size():
    loader = DataLoader(two_by_four_by_three(), torch.arange(100), batch_size=2)
    assert loader.combinedBatchSize == 48
    assert loader.drop_last is True
    assert len(loader) == 2
    assert [len(batch) for batch in loader] == [48, 48]
    assert loader.options.device_iterations == 2


def test_behaviour_02_drop_last_false_keeps_a_short_batch_and_warns(caplog):
    loader = DataLoader(two_by_four_by_three(), torch.arange(100), batch_size=2, drop_last=False)
    assert [len(batch) for batch in loader] == [48, 48, 4]
    assert "batch size of 4" in caplog.text


def test_behaviour_03_collate_sees_the_whole_combined_batch():
    seen = []

    def collate(items):
        seen.append(len(items))
        return torch.stack(items)

    loader = DataLoader(two_by_four_by_three(), torch.arange(100), batch_size=2, collate_fn=collate)
    batches = list(loader)
    assert seen == [48, 48]
    assert torch.equal(torch.cat(batches), torch.arange(96))


@pytest.mark.parametrize("wrong", [{"batch_size": 2}, {"shuffle": True}])
def test_behaviour_04_a_batch_sampler_excludes_batch_size_and_shuffle(wrong):
    with pytest.raises(Error, match="mutually exclusive"):
        DataLoader(Options(), torch.arange(4), batch_sampler=[[0], [1]], **wrong)


@pytest.mark.parametrize("drop_last, sizes", [(True, [6, 6]), (False, [6, 6, 2])])
def test_behaviour_04_micro_batches_of_a_batch_sampler_are_concatenated(drop_last, sizes):
    options = Options().deviceIterations(3)
    rows = torch.arange(14)
    loader = DataLoader(
        options,
        TensorDataset(rows, -rows),
        batch_sampler=[[2 * i, 2 * i + 1] for i in range(7)],
        drop_last=drop_last,
    )
    batches = list(loader)
    assert [len(first) for first, _ in batches] == sizes
    assert torch.equal(torch.cat([first for first, _ in batches]), rows[: sum(sizes)])
    assert torch.equal(torch.cat([second for _, second in batches]), -rows[: sum(sizes)])
    # PopTorch's flaw, kept: the length counts micro-batches.
    assert len(loader) == 7


def test_behaviour_10_a_loader_freezes_its_options():
    options = Options()
    DataLoader(options, torch.arange(4))
    with pytest.raises(AttributeError, match="Can't modify frozen Options"):
        options.deviceIterations(2)


def test_no_batch_size_needs_drop_last_false():
    with pytest.raises(ValueError, match="batch_size=None"):
        DataLoader(Options(), Items(3), batch_size=None)
    loader = DataLoader(Options(), Items(3), batch_size=None, drop_last=False)
    assert loader.combinedBatchSize is None
    assert [batch.shape for batch in loader] == [(2, 3)] * 3


def test_several_processes_are_refused():
    options = Options()
    options.Distributed.configureProcessId(0, 2)
    with pytest.raises(Error, match="disable"):
        DataLoader(options, Items(3))


# --- the asynchronous loader ---


def test_behaviour_35_a_kept_batch_changes_once_its_place_is_filled_again():
    size = 3
    loader = whole_batches(Items(10), buffer_size=size)
    batches = iter(loader)
    kept = next(batches)
    assert kept.eq(0).all()
    second = next(batches)
    assert kept.data_ptr() != second.data_ptr()
    for _ in range(size - 1):
        last = next(batches)
    # Batch `size` took the place of batch 0.
    assert kept.data_ptr() == last.data_ptr()
    assert kept.eq(size).all()
    loader.terminate()


def test_behaviour_35_the_batch_in_hand_stays_as_it_is():
    loader = whole_batches(Items(10), buffer_size=2)
    batches = iter(loader)
    for index in range(10):
        batch = next(batches)
        time.sleep(0.002)  # room for a worker that would overwrite it
        assert batch.eq(index).all()
    loader.terminate()


@pytest.mark.parametrize("structure", ["tensor", "tuple", "list", "dict"])
def test_behaviour_35_structures_are_kept(structure):
    items = [Items(4, structure)[index] for index in range(4)]
    # Not through the loader: torch's turns a tuple into a list (`default_convert`).
    loader = AsynchronousDataAccessor(items)
    for expected, batch in zip(items, loader):
        assert type(batch) is type(expected)
        if structure == "dict":
            assert list(batch) == list(expected)
            batch, expected = list(batch.values()), list(expected.values())
        pairs = [(batch, expected)] if structure == "tensor" else list(zip(batch, expected))
        for found, wanted in pairs:
            assert found.dtype == wanted.dtype
            assert torch.equal(found, wanted)
    loader.terminate()


@pytest.mark.parametrize("indefinitely", [True, False])
@pytest.mark.parametrize("early", [True, False])
def test_behaviour_35_every_epoch_has_all_batches_in_order(indefinitely, early):
    loader = whole_batches(
        Items(5), buffer_size=2, load_indefinitely=indefinitely, early_preload=early
    )
    assert len(loader) == 5
    for _ in range(3):
        assert [int(batch[0, 0]) for batch in loader] == [0, 1, 2, 3, 4]
    loader.terminate()


@pytest.mark.parametrize("indefinitely", [True, False])
def test_behaviour_35_an_epoch_left_half_way_begins_anew(indefinitely):
    loader = whole_batches(Items(5), load_indefinitely=indefinitely)
    batches = iter(loader)
    next(batches), next(batches)
    assert [int(batch[0, 0]) for batch in loader] == [0, 1, 2, 3, 4]
    assert [int(batch[0, 0]) for batch in loader] == [0, 1, 2, 3, 4]
    loader.terminate()


@pytest.mark.parametrize("structure, cause", [("nested", "flat 1D"), ("number", "flat 1D")])
def test_behaviour_35_only_flat_batches_of_tensors_start(structure, cause):
    with pytest.raises(Error, match=f"worker thread failed to start.*{cause}"):
        whole_batches(Items(3, structure))


def test_behaviour_35_an_error_in_the_first_item_is_an_error_at_the_start():
    with pytest.raises(Error, match=r"worker thread failed to start.*item 0 is lost") as raised:
        whole_batches(Items(3, fails_at=0))
    assert isinstance(raised.value.__cause__, FileNotFoundError)


def test_behaviour_35_an_empty_data_set_does_not_start():
    with pytest.raises(Error, match="The Dataset is empty"):
        AsynchronousDataAccessor([])


def test_an_error_in_a_later_item_reaches_the_reader_behind_the_good_ones():
    loader = whole_batches(Items(5, fails_at=2))
    seen = []
    with pytest.raises(AssertionError, match=r"error occurred in the data fetcher.*item 2"):
        seen.extend(int(batch[0, 0]) for batch in loader)
    assert seen == [0, 1]
    # And again, instead of waiting for ever.
    with pytest.raises(AssertionError, match="error occurred in the data fetcher"):
        list(loader)
    loader.terminate()


def test_a_batch_of_another_shape_is_refused():
    # PopTorch broadcasts it into the ring where it can: this one, of 1 row, it would.
    loader = whole_batches([torch.zeros(2, 3), torch.ones(1, 3)])
    with pytest.raises(AssertionError, match="must be alike"):
        list(loader)
    with pytest.raises(AssertionError, match="must be alike"):
        list(whole_batches(Items(3, "growing")))


def test_the_worker_has_its_own_copy_but_tensors_are_shared():
    items = Items(4)
    loader = whole_batches(items, buffer_size=1)
    items.offset = 100
    assert [int(batch[0, 0]) for batch in loader] == [0, 1, 2, 3]
    assert int(items.made) >= 4
    copied = Items(4)
    loader = whole_batches(copied, sharing_strategy=SharingStrategy.FileSystem)
    assert [int(batch[0, 0]) for batch in loader] == [0, 1, 2, 3]
    assert int(copied.made) == 0


def test_a_data_set_that_no_process_could_be_given_does_not_start():
    items = Items(4)
    items.transform = lambda value: value
    with pytest.raises(Error, match="worker thread failed to start"):
        whole_batches(items)


def test_a_loader_ahead_draws_nothing_from_the_callers_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    loader = DataLoader(Options(), torch.arange(8), shuffle=True, mode=ASYNC)
    epochs = [torch.cat(collected(loader)) for _ in range(3)]
    loader.terminate()
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(epoch.sort().values, torch.arange(8)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_batches_are_made_ahead_up_to_the_ring_and_no_further():
    items = Items(50)
    loader = whole_batches(items, buffer_size=3)
    next(iter(loader))
    # 3 in the ring and 1 in the worker's hand.
    deadline = time.monotonic() + 30.0
    while int(items.made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert int(items.made) == 4
    loader.terminate()


def test_a_forgotten_loader_ends_its_thread():
    loader = whole_batches(Items(50))
    next(iter(loader))
    gone = weakref.ref(loader)
    del loader
    gc.collect()
    assert gone() is None
    assert not [t for t in threading.enumerate() if t.name == "poptorch-loader"]


def test_a_terminated_loader_says_so():
    loader = whole_batches(Items(3))
    loader.terminate()
    with pytest.raises(AssertionError, match="terminated"):
        iter(loader)


def test_a_loader_terminated_in_an_epoch_does_not_wait_for_ever():
    loader = whole_batches(Items(9), buffer_size=1)
    batches = iter(loader)
    next(batches)
    loader.terminate()
    with pytest.raises(AssertionError, match="terminated in the middle"):
        next(batches)


def test_one_loader_takes_one_accessor():
    loader = whole_batches(Items(3))
    with pytest.raises(Error, match="already uses an AsynchronousDataAccessor"):
        AsynchronousDataAccessor(loader)
    loader.terminate()


# --- rebatching ---


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("mode", [DataLoaderMode.AsyncRebatched, DataLoaderMode.Async])
def test_rebatched_batches_are_those_of_a_plain_loader(mode, drop_last):
    options = Options().deviceIterations(4)
    arguments = {"batch_size": 2, "drop_last": drop_last}
    plain = DataLoader(options, torch.arange(30), **arguments)
    ahead = DataLoader(options, torch.arange(30), mode=mode, **arguments)
    for _ in range(2):
        found, expected = collected(ahead), list(plain)
        assert len(ahead) == len(plain) == len(expected)
        assert [batch.tolist() for batch in found] == [batch.tolist() for batch in expected]
    ahead.terminate()


def test_rebatching_takes_workers_of_any_batch_size():
    options = Options().deviceIterations(5)
    loader = DataLoader(
        options,
        Counts(23),
        batch_size=2,
        mode=DataLoaderMode.AsyncRebatched,
        rebatched_worker_size=3,
    )
    assert [batch.tolist() for batch in collected(loader)] == [
        list(range(10)),
        list(range(10, 20)),
    ]
    loader.terminate()
    with pytest.raises(AssertionError, match="rebatched_worker_size"):
        DataLoader(
            options,
            Counts(23),
            mode=DataLoaderMode.AsyncRebatched,
            rebatched_worker_size=6,
        )


@pytest.mark.parametrize("rows", [[1, 1, 1], [5, 2], [3, 0, 4], [2]])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("drop_last", [True, False])
def test_rebatching_is_cutting_the_whole(rows, size, drop_last):
    whole = torch.arange(sum(rows))
    made = list(rebatched(((part,) for part in whole.split(rows)), size, drop_last))
    expected = [part for part in whole.split(size) if len(part) == size or not drop_last]
    assert [tensors[0].tolist() for tensors, _ in made] == [part.tolist() for part in expected]
    assert [num_rows for _, num_rows in made] == [len(part) for part in expected]
