"""Which molecules share a pack."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.composition import Composition, composition_of, take_packs
from gnnpack.packing.plan_file import read_plan_file, write_plan_file
from gnnpack.packing.recompose import recompose
from gnnpack.packing.shape import PackShape
from gnnpack.packing.size_correlation import size_correlation

if TYPE_CHECKING:
    from gnnpack.packing.redraw import Redraw


@dataclass(frozen=True, eq=False)
class PackPlan:
    """Packs of molecules, with the proven lower bound on how many packs are needed.

    molecules: (M,) int64, positions in the arrays the packer saw.
    offsets: (num_packs+1,) int64; pack i holds molecules[offsets[i]:offsets[i+1]], maybe none.
    num_atoms, num_pairs: (M,) the arrays the packer saw, not copied; num_pairs may be None.
    shape: resolved: num_atoms and num_molecules are numbers; num_pairs is None without a limit.
    lower_bound, bound_kind: of the whole set of molecules, also in a shard of the plan.
    redraws: every epoch draws anew which sizes meet; otherwise molecules of equal sizes change
    places and each pack keeps its sizes.
    """

    molecules: NDArray[np.int64]
    offsets: NDArray[np.int64]
    num_atoms: NDArray[Any]
    shape: PackShape
    packer: str
    seed: int
    lower_bound: int
    bound_kind: str
    num_pairs: NDArray[Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    redraws: bool = False

    @property
    def num_packs(self) -> int:
        """Packs, empty ones included."""
        return int(self.offsets.size - 1)

    @property
    def num_molecules(self) -> int:
        """Molecules in these packs."""
        return int(self.molecules.size)

    @property
    def atom_capacity(self) -> int:
        """Atom slots of one pack: shape.num_atoms, which a plan has always resolved."""
        assert self.shape.num_atoms is not None, "a plan's shape names its number of atoms"
        return self.shape.num_atoms

    @property
    def molecule_capacity(self) -> int:
        """Molecule slots of one pack: shape.num_molecules, which a plan has always resolved."""
        assert self.shape.num_molecules is not None, "a plan's shape names its molecules"
        return self.shape.num_molecules

    @property
    def atom_efficiency(self) -> float:
        """Real atoms over atom slots, in [0, 1]."""
        total = int(self.num_atoms[self.molecules].sum(dtype=np.int64))
        return total / max(1, self.num_packs * self.atom_capacity)

    @property
    def pair_efficiency(self) -> float | None:
        """Real pairs over pair slots; None without pair counts or without a pair limit."""
        if self.num_pairs is None or self.shape.num_pairs is None:
            return None
        total = int(self.num_pairs[self.molecules].sum(dtype=np.int64))
        return total / max(1, self.num_packs * self.shape.num_pairs)

    @property
    def size_correlation(self) -> float | None:
        """How alike in atoms the molecules of a pack are: 0 as by chance, about 1 when equal.

        None where no pack holds two molecules. See `size_correlation.size_correlation`.
        """
        return size_correlation(self.num_atoms[self.molecules], self.offsets)

    @property
    def molecules_per_pack(self) -> NDArray[np.int64]:
        """Molecules of each pack, (num_packs,) int64."""
        return np.diff(self.offsets)

    @property
    def atoms_per_pack(self) -> NDArray[np.int64]:
        """Real atoms of each pack, (num_packs,) int64."""
        return self._sum_per_pack(self.num_atoms)

    @property
    def pairs_per_pack(self) -> NDArray[np.int64] | None:
        """Real pairs of each pack, (num_packs,) int64; None without pair counts."""
        return None if self.num_pairs is None else self._sum_per_pack(self.num_pairs)

    def _sum_per_pack(self, column: NDArray[Any]) -> NDArray[np.int64]:
        # Differences of a running sum: np.add.reduceat gives nonsense for empty packs.
        running = np.zeros(self.molecules.size + 1, dtype=np.int64)
        np.cumsum(column[self.molecules], out=running[1:])
        return running[self.offsets[1:]] - running[self.offsets[:-1]]

    def validate(self, *, complete: bool = True) -> None:
        """ValueError unless no pack is over its shape and every molecule is in exactly one pack.

        complete=False, for a shard: every molecule at most once.
        """
        self._validate_layout()
        times = np.bincount(self.molecules, minlength=self.num_atoms.size)
        wrong = np.flatnonzero(times != 1 if complete else times > 1)
        if wrong.size:
            raise ValueError(
                f"molecule {wrong[0]} is in {times[wrong[0]]} packs of this plan by "
                f"{self.packer}; every molecule belongs to exactly one (for a shard, which holds "
                "some of them, validate(complete=False))"
            )
        limits = (
            ("atoms", self.atoms_per_pack, self.atom_capacity),
            ("pairs", self.pairs_per_pack, self.shape.num_pairs),
            ("molecules", self.molecules_per_pack, self.molecule_capacity),
        )
        for noun, held, limit in limits:
            if held is not None and limit is not None and (held > limit).any():
                pack = int(np.argmax(held > limit))
                raise ValueError(
                    f"pack {pack} holds {held[pack]} {noun}, over {self.shape}; "
                    f"the plan by {self.packer} is wrong, make it anew"
                )
        if complete and self.num_packs < self.lower_bound:
            raise ValueError(
                f"{self.num_packs} packs are fewer than the bound {self.lower_bound} "
                f"({self.bound_kind}) says are needed; make the plan anew"
            )

    def _validate_layout(self) -> None:
        if self.offsets.size == 0:
            raise ValueError("offsets is empty; it must hold num_packs + 1 numbers")
        if self.num_pairs is not None and self.num_pairs.size != self.num_atoms.size:
            raise ValueError(
                f"num_pairs has {self.num_pairs.size} entries, num_atoms {self.num_atoms.size}; "
                "both need one per molecule"
            )
        for name, column, least in (
            ("num_atoms", self.num_atoms, 1),
            ("num_pairs", self.num_pairs, 0),
        ):
            if column is not None and column.size and int(column.min()) < least:
                raise ValueError(
                    f"{name}[{int(column.argmin())}] is {column.min()}; it must be at least {least}"
                )
        if self.shape.num_atoms is None or self.shape.num_molecules is None:
            raise ValueError(f"{self.shape} names no number of atoms or molecules; a plan's does")
        start, stop = int(self.offsets[0]), int(self.offsets[-1])
        if start != 0 or stop != self.molecules.size or (np.diff(self.offsets) < 0).any():
            raise ValueError(
                f"offsets run from {start} to {stop}; they must rise from 0 to the number of "
                f"molecules, {self.molecules.size}"
            )
        outside = (self.molecules < 0) | (self.molecules >= self.num_atoms.size)
        if outside.any():
            place = int(np.argmax(outside))
            raise ValueError(
                f"molecules[{place}] = {self.molecules[place]} names none of the "
                f"{self.num_atoms.size} molecules"
            )

    def epoch(self, seed: int, epoch: int) -> PackPlan:
        """The plan of one epoch: num_packs packs again, other partners, other order.

        Molecules of equal num_atoms (and num_pairs, under a pair limit) change places at random
        and the packs are shuffled. A plan that redraws also draws anew which sizes meet; a
        composition of fewer packs ends with empty ones, and where only longer ones are found, the
        plan's own is used. A pure function of (plan, seed, epoch). ValueError: negative seed or
        epoch.
        """
        fresh = (
            self._redraw.composition(seed, epoch, self.num_packs)
            if self.redraws and self.num_molecules
            else None
        )
        shard = self.options.get("shard")
        molecules, offsets = recompose(fresh or self.composition, seed, epoch, shard=shard)
        return replace(self, molecules=molecules, offsets=offsets).pad_to(self.num_packs)

    @cached_property
    def _redraw(self) -> Redraw:
        # Imported here: what draws packs also packs, and packers import plans.
        from gnnpack.packing.redraw import Redraw

        aim = min(self.num_packs, self.lower_bound)
        return Redraw(self.composition, self.num_atoms, self.num_pairs, self.shape, aim)

    @cached_property
    def composition(self) -> Composition:
        """The plan as kinds of packs and classes of molecules, worked out once."""
        columns = [self.num_atoms[self.molecules]]
        if self.num_pairs is not None and self.shape.num_pairs is not None:
            columns.append(self.num_pairs[self.molecules])
        return composition_of(self.molecules, self.offsets, columns)

    def keep(self, composition: Composition) -> None:
        """Spare the first epoch working out what the packer already knows of this plan."""
        # A frozen dataclass; this is what cached_property itself does.
        self.__dict__["composition"] = composition

    def shard(self, rank: int, world_size: int, packs_per_update: int) -> PackPlan:
        """The packs of one rank, cut inside each update, so an update is the same for any ranks.

        The plan is completed with empty packs to whole updates; update u is packs
        [u*packs_per_update, (u+1)*packs_per_update), and rank r takes the r-th contiguous
        packs_per_update / world_size of each. ValueError: rank outside [0, world_size),
        packs_per_update not a positive multiple of world_size.
        """
        if world_size < 1 or not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} is not in [0, world_size={world_size})")
        if packs_per_update < 1 or packs_per_update % world_size:
            raise ValueError(
                f"packs_per_update={packs_per_update} is not a positive multiple of "
                f"world_size={world_size}; raise it to "
                f"{max(1, -(-packs_per_update // world_size)) * world_size}"
            )
        num_updates = -(-self.num_packs // packs_per_update)
        padded = self.pad_to(num_updates * packs_per_update)
        share = packs_per_update // world_size
        packs = np.arange(padded.num_packs).reshape(num_updates, world_size, share)[:, rank]
        molecules, offsets = take_packs(padded.molecules, padded.offsets, packs.reshape(-1))
        return replace(self, molecules=molecules, offsets=offsets)

    def pad_to(self, num_packs: int) -> PackPlan:
        """This plan completed with empty packs; ValueError for fewer packs than it has."""
        missing = num_packs - self.num_packs
        if missing < 0:
            raise ValueError(
                f"cannot pad {self.num_packs} packs to num_packs={num_packs}; "
                "a plan never drops packs, give at least as many"
            )
        offsets = np.concatenate([self.offsets, np.full(missing, self.molecules.size, np.int64)])
        return replace(self, offsets=offsets)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan and the sizes it was made from to one npz file, whole or not at all."""
        write_plan_file(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PackPlan:
        """Read a plan written by `save`; ValueError for a damaged file or another version."""
        fields = read_plan_file(path)
        try:
            fields["shape"] = PackShape(**fields["shape"])
            plan = cls(**fields)
            plan.validate(complete=plan.num_molecules == plan.num_atoms.size)
        except (ValueError, TypeError) as fault:
            raise ValueError(f"{os.fspath(path)} is not a sound plan: {fault}") from fault
        return plan
