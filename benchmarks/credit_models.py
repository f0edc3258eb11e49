"""Credit models against their budgets and, where installed, against peer libraries, in one process and one run.

    python benchmarks/credit_models.py [--paths PathData.csv] [--quick]

Prints wall seconds, peak memory of the process so far, and the error of each peer against the closed form. Peers
(ChannelAttribution, marketing_attribution_models) are used only where they can be imported.
"""

import argparse
import importlib
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attribution_platform.credit.markov import markov
from attribution_platform.credit.paths import Paths, factorize_texts, group_paths
from attribution_platform.credit.registry import DEFAULT_MODELS, CreditOptions, credit_view, run_models
from attribution_platform.credit.rules import rule_weights
from attribution_platform.credit.shapley import reach_worths, shapley, shapley_exact

DEFAULT_PATHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "paths" / "PathData.csv"


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took and the peak memory so far."""
    begun = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
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


def half_l1(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Half the L1 distance between two credit vectors, as a share of all credit."""
    return float(np.abs(ours / ours.sum() - theirs / theirs.sum()).sum()) / 2


def peer(name: str, what: str, run: Callable[[Any], np.ndarray], ours: np.ndarray) -> None:
    """Time a peer where it is installed."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        print(f"{what:<72} {'not installed':>11}")
        return
    with timed(what):
        theirs = run(module)
    print(f"{'':<72} half-L1 to the closed form {half_l1(ours, theirs):.4%}")


def on_path_data(file: Path, times: int) -> None:
    """Known path data, repeated."""
    frame = pd.concat([pd.read_csv(file)] * times, ignore_index=True)
    label = f"PathData x{times} ({len(frame):,} rows)"
    with timed(f"{label}: read, group"):
        numbers = frame[["total_conversions", "total_conversion_value", "total_null"]].to_numpy(np.float64)
        distinct = group_paths(*factorize_texts(frame["path"]), *numbers.T.copy())
    first = markov(distinct, 1).conversions
    for order in (1, 2, 3, 4):
        with timed(f"{label}: Markov order {order}, conversions and value"):
            markov(distinct, order)

    def channel_attribution(module: Any) -> np.ndarray:
        columns = {"var_path": "path", "var_conv": "total_conversions", "var_null": "total_null"}
        result = module.markov_model(frame, **columns, order=1, flg_adv=False)
        table = result if isinstance(result, pd.DataFrame) else result["result"]
        return table.set_index("channel_name")["total_conversions"].reindex(distinct.channels).to_numpy()

    peer("ChannelAttribution", f"{label}: ChannelAttribution order 1, default precision", channel_attribution, first)

    def mam(module: Any) -> np.ndarray:
        won = frame.loc[frame.index.repeat(frame["total_conversions"])].assign(conversion=True)
        lost = frame.loc[frame.index.repeat(frame["total_null"].astype(int))].assign(conversion=False)
        model = module.MAM(
            pd.concat([won, lost]),
            group_channels=False,
            channels_colname="path",
            journey_with_conv_colname="conversion",
        )
        model.attribution_markov(transition_to_same_state=True)
        effects = model.removal_effect_matrix.iloc[:, 0]
        return effects.reindex(distinct.channels).to_numpy()

    peer("marketing_attribution_models", f"{label}: marketing-attribution-models Markov", mam, first)


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
