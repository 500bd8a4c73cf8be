"""What a GPU is to reach, and what a file of lines says of it."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, NamedTuple

from gnnpack.bench.gpu_clusters import CLUSTERS
from gnnpack.bench.gpu_lines import RUN
from gnnpack.bench.gpu_steps import LEARNING, WHOLE_EPOCH
from gnnpack.tracking import MEV_PER_EV

NOT_YET = "not yet measured"
NEVER = "never in its run"
LEARNED_MEV = 14.0
MANY = 8  # updates a call that hide the host

Results = Mapping[str, Any]


class Goal(NamedTuple):
    """One figure to reach.

    Args:
        limit: ``value > limit`` where more is better, ``value < limit`` else.
        value: from the results by step; None = not measured.
    """

    what: str
    limit: float
    more: bool
    unit: str
    value: Callable[[Results], float | None]
    aim: str = ""


def goal_rows(results: Results) -> list[list[str]]:
    """What, goal, aim, reached, whether; text. Toy sizes and made molecules reach no goal."""
    run = results.get(RUN, {})
    if run.get("device") != "cuda":
        results = {}
    elif run.get("dataset") != "qm9":
        trained = ("epochs", LEARNING)
        results = {name: one for name, one in results.items() if not name.startswith(trained)}
    return [_row(goal, goal.value(results)) for goal in GOALS]


def _row(goal: Goal, value: float | None) -> list[str]:
    wanted = f"{'>' if goal.more else '<'} {_number(goal.limit)} {goal.unit}".rstrip()
    if value is None:
        return [goal.what, wanted, goal.aim, NOT_YET, ""]
    reached = value > goal.limit if goal.more else value < goal.limit
    # An endless time: the run ended before.
    shown = NEVER if value == float("inf") else f"{_number(value)} {goal.unit}".rstrip()
    return [goal.what, wanted, goal.aim, shown, "yes" if reached else "no"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"


def epoch_results(results: Results) -> dict[tuple[int, int, str], Mapping[str, Any]]:
    """(batch size, updates a call, precision) -> figures of the run."""
    found = {}
    for name, result in results.items():
        words = name.split()
        if words[0] == "epochs":
            found[int(words[2]), int(words[4]), words[5]] = result
    return found


def _best_rate(results: Results, wanted: Callable[[int, str], bool]) -> float | None:
    return _best(
        result["train_molecules_per_second"]
        for (batch, _, precision), result in epoch_results(results).items()
        if wanted(batch, precision)
    )


def _best(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _least(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _block(results: Results, way: str) -> float | None:
    block = results.get("block 4096 128 32768")
    if block is None:
        return None
    return _least(1e6 * block[one][way]["median"] for one in ("tf32", "float32"))


def _clusters(results: Results) -> float | None:
    """Seconds of an epoch: a whole one where it was run, else extrapolated."""
    whole = results.get(WHOLE_EPOCH, {})
    rate = whole.get("train_molecules_per_second")
    if rate:
        return float(whole["clusters"] / rate)
    parts = [result for name, result in results.items() if name.startswith(f"{CLUSTERS} part")]
    return _least(part["extrapolated_epoch_seconds"] for part in parts)


def _wait(results: Results) -> float | None:
    """The largest share of waiting for input of any run."""
    shares = (result["input_wait_fraction"] for result in epoch_results(results).values())
    worst = _best(shares)
    return None if worst is None else 100 * worst


def _host(results: Results) -> float | None:
    """The host's own share of an update's time, the largest of runs with many updates a call."""
    shares = []
    for (batch, iterations, _), result in epoch_results(results).items():
        host, rate = result["host_seconds_per_update"], result["train_molecules_per_second"]
        if iterations >= MANY and host is not None and rate:
            shares.append(100 * host * rate / batch)
    return _best(shares)


def _recaptures(results: Results) -> float | None:
    counts = (result["graph_recaptures"] for result in epoch_results(results).values())
    return _best(counts)


def _minutes_to_learn(results: Results) -> float | None:
    """Until a validation error of 14 meV; infinite where the run ended above it."""
    run = results.get(LEARNING)
    if run is None:
        return None
    there = [one["seconds"] for one in run["curve"] if MEV_PER_EV * one["val_mae"] < LEARNED_MEV]
    return there[0] / 60 if there else float("inf")


def _test_mae(results: Results) -> float | None:
    return None if LEARNING not in results else MEV_PER_EV * results[LEARNING]["test_mae"]


RATE = "molecules/s"
GOALS = (
    Goal(
        "QM9 epochs, batch 128",
        149_206,
        True,
        RATE,
        lambda results: _best_rate(results, lambda batch, precision: batch == 128),
        "above 64 IPUs on real data",
    ),
    Goal(
        "QM9 epochs, best batch",
        1_135_514,
        True,
        RATE,
        lambda results: _best_rate(results, lambda batch, precision: True),
        "above 64 IPUs on made data",
    ),
    Goal(
        "QM9 epochs, bf16",
        2_000_000,
        True,
        RATE,
        lambda results: _best_rate(results, lambda batch, precision: precision == "bf16"),
        "a stretch",
    ),
    Goal(
        "HydroNet-sized, made, one epoch",
        21.9,
        False,
        "s",
        _clusters,
        "12 s",
    ),
    Goal(
        "block 4096 128 32768, graph",
        60,
        False,
        "µs",
        lambda results: _block(results, "graph"),
        "25 µs",
    ),
    Goal(
        "the same, from Python",
        100,
        False,
        "µs",
        lambda results: _block(results, "eager"),
    ),
    Goal("host's own work, K >= 8", 90, False, "%", _host, "hidden"),
    Goal("waiting for input", 1, False, "%", _wait),
    Goal("re-captures in training", 1, False, "", _recaptures, "none"),
    Goal("QM9 U0: validation at 14 meV", 10, False, "min", _minutes_to_learn, "5 min"),
    Goal("QM9 U0: test MAE in the end", LEARNED_MEV, False, "meV", _test_mae),
)
