"""``options.TensorLocations``: what lives on the IPU, and its I/O tiles."""

from __future__ import annotations

from gnnpack.accelerators.ipu_emulator.option_values import OptionValues


class TensorLocationSettings(OptionValues):
    """Where one kind of tensor lives: on the IPU unless said otherwise."""

    def minElementsForOffChip(self, min_elements: int) -> TensorLocationSettings:
        """Smaller tensors stay on the IPU."""
        assert isinstance(min_elements, int), f"min_elements is {min_elements!r}; it is a count"
        self.createOrSet(minElementsForOffChip=min_elements)
        return self

    def minElementsForReplicatedTensorSharding(self, min_elements: int) -> TensorLocationSettings:
        """Smaller tensors are kept whole by each replica."""
        assert isinstance(min_elements, int), f"min_elements is {min_elements!r}; it is a count"
        self.createOrSet(minElementsForReplicatedTensorSharding=min_elements)
        return self

    def useOnChipStorage(self, use: bool | None = True) -> TensorLocationSettings:
        """Keep it on the IPU (True), in the host's memory (False), or undecided (None)."""
        if use is None:
            self.deleteIfExists("onChip")
        else:
            self._flag("onChip", use)
        return self

    def useReplicatedTensorSharding(self, use: bool = True) -> TensorLocationSettings:
        """Each replica keeps its part only."""
        return self._flag("useReplicatedTensorSharding", use)

    def useIOTilesToLoad(self, use: bool = True) -> TensorLocationSettings:
        """Load it through I/O tiles."""
        return self._flag("useIOTilesToLoad", use)

    def useIOTilesToStore(self, use: bool = True) -> TensorLocationSettings:
        """Store it through I/O tiles."""
        return self._flag("useIOTilesToStore", use)

    def _flag(self, name: str, use: bool) -> TensorLocationSettings:
        assert isinstance(use, bool), f"{name} is {use!r}; use True or False"
        # PopART takes 0 and 1.
        self.createOrSet(**{name: int(use)})
        return self


class TensorLocations(OptionValues):
    """Read back by `toDict`: ``numIOTiles``, ``location_weight``, ``location_optimizer``,
    ``location_accumulator``, ``location_activation``; each only once it was set.
    """

    def numIOTiles(self, num_tiles: int) -> TensorLocations:
        """Give tiles of the IPU to host I/O alone: even, 32 to 192."""
        assert isinstance(num_tiles, int), f"numIOTiles is {num_tiles!r}; it is a whole number"
        assert num_tiles in range(32, 193, 2), (
            "numIOTiles must be an even number between 32 and 192."
        )
        self.createOrSet(numIOTiles=num_tiles)
        return self

    def setActivationLocation(self, location: TensorLocationSettings) -> TensorLocations:
        """Where activations live."""
        return self._locate("location_activation", location)

    def setWeightLocation(self, location: TensorLocationSettings) -> TensorLocations:
        """Where weights live."""
        return self._locate("location_weight", location)

    def setOptimizerLocation(self, location: TensorLocationSettings) -> TensorLocations:
        """Where the optimizer's moments live."""
        return self._locate("location_optimizer", location)

    def setAccumulatorLocation(self, location: TensorLocationSettings) -> TensorLocations:
        """Where accumulated gradients live."""
        return self._locate("location_accumulator", location)

    def _locate(self, name: str, location: TensorLocationSettings) -> TensorLocations:
        assert isinstance(location, TensorLocationSettings), (
            f"{name} is {location!r}; it is a poptorch.TensorLocationSettings"
        )
        self.createOrSet(**{name: location.toDict()})
        return self
