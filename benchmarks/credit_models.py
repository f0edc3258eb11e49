"""Credit models against their budgets; `credit_peers.py` has the comparison with other libraries.

    python benchmarks/credit_models.py [--paths PathData.csv] [--quick]

Prints wall seconds and peak memory of the process so far.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from attribution_platform.credit.markov import markov
from attribution_platform.credit.paths import Paths, factorize_texts, group_paths
from attribution_platform.credit.registry import DEFAULT_MODELS, CreditOptions, credit_view, run_models
from attribution_platform.credit.rules import rule_weights
from attribution_platform.credit.shapley import reach_worths, shapley, shapley_exact
from benchmarks.memory import peak_mb

DEFAULT_PATHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "paths" / "PathData.csv"


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took and the peak memory so far."""
    begun = time.perf_counter()
    yield
    peak = peak_mb()
    print(f"{what:<72} {time.perf_counter() - begun:9.3f} s  {peak:7,.0f} MB", flush=True)


def synthetic_paths(distinct: int, channels: int, conversion_rate: float = 0.2, seed: int = 0) -> Paths:
    """Random journeys with a skewed channel mix; about `distinct` distinct paths."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(0.2, distinct).clip(1, 25)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    popularity = 1.0 / np.arange(1, channels + 1)
    codes = rng.choice(channels, size=int(offsets[-1]), p=popularity / popularity.sum())
    journeys = rng.poisson(1.0, distinct) + 1
    conversions = rng.binomial(journeys, conversion_rate).astype(np.float64)
    names = tuple(f"c{i:04}" for i in range(channels))
    revenue = conversions * rng.gamma(2.0, 20.0, distinct)
    return Paths(names, codes.astype(np.int64), offsets.astype(np.int64), conversions, journeys - conversions, revenue)


def on_path_data(file: Path, times: int) -> None:
    """Known path data, repeated."""
    frame = pd.concat([pd.read_csv(file)] * times, ignore_index=True)
    label = f"PathData x{times} ({len(frame):,} rows)"
    with timed(f"{label}: read, group"):
        numbers = frame[["total_conversions", "total_conversion_value", "total_null"]].to_numpy(np.float64)
        distinct = group_paths(*factorize_texts(frame["path"]), *numbers.T.copy())
    for order in (1, 2, 3, 4):
        with timed(f"{label}: Markov order {order}, conversions and value"):
            markov(distinct, order)


def on_many_channels(distinct_paths: int, channels: int) -> None:
    """Many distinct paths over many channels."""
    paths = synthetic_paths(distinct_paths, channels, conversion_rate=0.02)
    label = f"{distinct_paths:,} paths, {channels} channels"
    with timed(f"{label}: Markov order 1, all removals"):
        markov(paths.distinct()[0], 1)
    pairs = 256 if channels <= 50 else 16
    with timed(f"{label}: Shapley reach, {pairs} pairs of permutations"):
        found = shapley(paths.distinct()[0], "reach", pairs=pairs)
    print(f"{'':<72} largest standard error {found.standard_error.max() / found.conversions.sum():.3%} of credit")


def main() -> None:
    """Run every benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paths", type=Path, default=DEFAULT_PATHS)
    parser.add_argument("--quick", action="store_true", help="leave out the million-row and 500-channel cases")
    arguments = parser.parse_args()
    if arguments.paths.is_file():
        on_path_data(arguments.paths, 1)
        if not arguments.quick:
            on_path_data(arguments.paths, 100)
    else:
        print(f"{arguments.paths} is not there: skipping path data")

    for players in (12, 16, 20, 22):
        rng = np.random.default_rng(players)
        matrix = rng.random((1, players + 1, players + 2))
        matrix /= matrix.sum(axis=2, keepdims=True) * 1.1
        with timed(f"exact Shapley, {players} channels: worth of every set by elimination"):
            worth = reach_worths(matrix)[0, :, 0]
        with timed(f"exact Shapley, {players} channels: values from the table"):
            shapley_exact(worth)

    for channels in (12, 20):
        view = credit_view(synthetic_paths(130_000, channels))
        label = f"{view.rows:,} distinct paths, {channels} channels"
        with timed(f"{label}: every model, no intervals"):
            run_models(view, DEFAULT_MODELS, CreditOptions(replicates=0))
        with timed(f"{label}: every model, 1,000 bootstrap replicates"):
            run_models(view, DEFAULT_MODELS, CreditOptions(replicates=1000))

    on_many_channels(200_000, 50)
    if not arguments.quick:
        on_many_channels(200_000, 500)
        touches = synthetic_paths(2_000_000, 20)
        with timed(f"rules on {len(touches.codes):,} touches: six models"):
            for model in DEFAULT_MODELS[:6]:
                rule_weights(model, touches)
        with timed(f"rules on {len(touches.codes):,} touches: a changed half-life"):
            rule_weights("time_decay", touches)


if __name__ == "__main__":
    main()
