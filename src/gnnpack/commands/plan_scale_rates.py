"""What one device trains: a rate that is given, measured or published."""

from __future__ import annotations

from typing import NamedTuple

# The paper's SchNet has 4 blocks; a backward pass costs about two forward ones.
BLOCKS_OF_AN_UPDATE = 4 * 3
BLOCK, BLOCK_ATOMS = "4,096 atoms, 128 channels, 32,768 edges", 4_096


class DeviceRate(NamedTuple):
    """Molecules/s that one device trains while it never waits, and where the number is from."""

    device: str
    molecules_per_second: float
    source: str


def device_rates(rate: str, data: str, mean_atoms: float) -> list[DeviceRate]:
    """What ``rate=`` names, or published rates for molecules like these.

    data: name of the molecules; mean_atoms: of one of them. ValueError: a number that is not above
    0, a file that holds no rate of one device.
    """
    if not rate:
        return published_rates(data, mean_atoms)
    try:
        number = float(rate)
    except ValueError:
        from gnnpack.commands.plan_scale_measured import measured_rate

        measured, source = measured_rate(rate, data)
        return [DeviceRate("measured device", measured, source)]
    if not 0 < number < float("inf"):
        raise ValueError(f"rate={rate}; give the molecules/s of one device, above 0.")
    return [DeviceRate("given device", number, f"given: rate={rate}")]


def published_rates(data: str, mean_atoms: float) -> list[DeviceRate]:
    """Of the code of arXiv 2211.13853, brought to molecules of `mean_atoms` by their atoms.

    The IPU's are whole updates without host input, on QM9 or on HydroNet; other data sets have
    none. The A100's is of blocks alone, which no training can pass.
    """
    # Imported here: the bench room brings all that it measures.
    from gnnpack.bench.published import BLOCKS, TRAINING
    from gnnpack.experiments.published import STRONG_SCALING

    rates = []
    if data == "qm9":
        molecules = TRAINING.rows["QM9, no host input"]["1 IPU"]
        source = f"published: 1 IPU, {molecules:,} QM9 molecules/s, no host input"
        by_atoms = molecules * _mean_atoms("qm9") / mean_atoms
        rates.append(DeviceRate("a Bow IPU", by_atoms, source))
    elif data.startswith("hydronet"):
        clusters = STRONG_SCALING["HydroNet 500k, no host input"][8]
        source = (
            f"published: 8 IPUs, {clusters:,} HydroNet 500k clusters/s, no host input; an "
            "eighth, by atoms"
        )
        by_atoms = clusters / 8 * _mean_atoms("hydronet_500k") / mean_atoms
        rates.append(DeviceRate("a Bow IPU", by_atoms, source))
    microseconds = BLOCKS.rows[BLOCK]["A100"]
    source = (
        f"published block times, no training rate: at most this. {BLOCKS_OF_AN_UPDATE} x "
        f"{microseconds:,} µs for {BLOCK_ATOMS:,} atoms of 8 edges, by atoms"
    )
    atoms = BLOCK_ATOMS / (BLOCKS_OF_AN_UPDATE * microseconds * 1e-6)
    return [*rates, DeviceRate("an A100", atoms / mean_atoms, source)]


def _mean_atoms(distribution: str) -> float:
    from gnnpack.datasets.size_counts import size_counts

    sizes, counts = size_counts(distribution)
    return float(sizes @ counts / counts.sum())
