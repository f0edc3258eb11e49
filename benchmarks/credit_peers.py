"""Credit models against ChannelAttribution and marketing-attribution-models, in one run on the same data.

    python benchmarks/credit_peers.py [--paths PathData.csv] [--cases pathdata,pathdata_x100,channels_50,channels_500] [--limit 300]

Cases: the published PathData, 100 times its rows, and 200,000 synthetic paths over 50 and over 500 channels (2 % convert).
Every tool works in a process of its own, from the same data frame to credit by channel: wall seconds without imports and
reading, peak memory of the process, and half the L1 distance to the closed form of the same Markov order. A tool that needs
longer than `--limit` seconds is stopped and said to. Peers are used only where they can be imported.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from attribution_platform.credit.markov import markov
from attribution_platform.credit.paths import Floats, Paths, factorize_texts, group_paths
from attribution_platform.credit.registry import DEFAULT_MODELS, CreditOptions, run_models
from attribution_platform.credit.rules import rule_weights
from attribution_platform.credit.shapley import shapley
from attribution_platform.lab.peers import channel_attribution_markov, load_peer, mam_credit
from benchmarks.memory import peak_mb

DEFAULT_PATHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "paths" / "PathData.csv"
CASES = ("pathdata", "pathdata_x100", "channels_50", "channels_500")


def synthetic(channels: int, rows: int = 200_000, seed: int = 0) -> pd.DataFrame:
    """Paths of up to 25 touches over a skewed channel mix; 2 % of the journeys convert."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(0.2, rows).clip(1, 25)
    popularity = 1.0 / np.arange(1, channels + 1)
    codes = rng.choice(channels, size=int(lengths.sum()), p=popularity / popularity.sum())
    names = np.array([f"c{i:04}" for i in range(channels)], dtype=object)[codes]
    ends = np.cumsum(lengths)
    journeys = rng.poisson(1.0, rows) + 1
    won = rng.binomial(journeys, 0.02)
    return pd.DataFrame(
        {
            "path": [" > ".join(names[end - size : end]) for end, size in zip(ends, lengths, strict=True)],
            "total_conversions": won,
            "total_conversion_value": won * 50.0,
            "total_null": journeys - won,
        }
    )


def make_case(name: str, path_data: Path) -> pd.DataFrame:
    """The data of a case."""
    if name.startswith("pathdata"):
        frame = pd.read_csv(path_data)[["path", "total_conversions", "total_conversion_value", "total_null"]]
        return pd.concat([frame] * (100 if name.endswith("x100") else 1), ignore_index=True)
    return synthetic(int(name.removeprefix("channels_")))


def grouped(frame: pd.DataFrame) -> Paths:
    """Rows as distinct paths: what our models read, and part of what is timed."""
    numbers = frame[["total_conversions", "total_conversion_value", "total_null"]].to_numpy(np.float64)
    return group_paths(*factorize_texts(frame["path"]), *numbers.T.copy())


def _ours_markov(order: int, frame: pd.DataFrame) -> Floats:
    return markov(grouped(frame), order).conversions


def _ours_rules(frame: pd.DataFrame) -> Floats:
    paths = grouped(frame)
    credits = [paths.credit_totals(rule_weights(model, paths), paths.conversions) for model in DEFAULT_MODELS[:6]]
    return credits[0]


def _ours_shapley(frame: pd.DataFrame) -> Floats:
    paths = grouped(frame)
    return shapley(paths, "reach", pairs=256 if len(paths.channels) <= 50 else 16).conversions


def _ours_bootstrap(frame: pd.DataFrame) -> Floats:
    paths = grouped(frame)
    names = DEFAULT_MODELS if len(paths.channels) <= 50 else DEFAULT_MODELS[:7]
    outcomes = run_models(paths, names, CreditOptions(min_conversions=1, replicates=1000))
    result = next(outcome.result for outcome in outcomes if outcome.model == "markov")
    assert result is not None
    return result.conversions


TOOLS: dict[str, tuple[int | None, Callable[[pd.DataFrame], Floats]]] = {
    "ours: six rules": (None, _ours_rules),
    **{f"ours: Markov order {order}": (order, partial(_ours_markov, order)) for order in (1, 2, 3)},
    "ours: Shapley (reach)": (None, _ours_shapley),
    "ours: all default models, 1,000 bootstrap replicates": (1, _ours_bootstrap),
}
PEERS: dict[str, tuple[str, int | None, str]] = {
    **{f"ChannelAttribution: Markov order {order}": ("ChannelAttribution", order, "") for order in (1, 2, 3)},
    "ChannelAttribution: three heuristics": ("ChannelAttribution", None, "heuristics"),
    "MAM: linear": ("mam", None, "run_linear"),
    "MAM: Markov": ("mam", 1, "run_markov"),
    "MAM: Shapley, 4 channels a journey": ("mam", None, "run_shapley"),
}


def run_peer(tool: str, frame: pd.DataFrame) -> tuple[float, Floats, int | None]:
    """Seconds, credit and order of one peer, from a data frame in the form it asks for."""
    module_name, order, method = PEERS[tool]
    module = load_peer(module_name)
    table = frame.rename(columns={"total_conversions": "won", "total_conversion_value": "value", "total_null": "lost"})
    begun = time.perf_counter()
    if method == "heuristics":
        found = module.heuristic_models(table, "path", "won", var_value="value", flg_pro=False)
        return time.perf_counter() - begun, found.iloc[:, 1].to_numpy(np.float64), None
    if module_name == "ChannelAttribution":
        assert order is not None
        credit = channel_attribution_markov(module, order, table)
    else:
        credit = mam_credit(module, method, table)
    seconds = time.perf_counter() - begun
    channels = list(grouped(frame).channels)
    return seconds, credit.reindex(channels).fillna(0.0).to_numpy(np.float64), order


def child(tool: str, file: Path) -> None:
    """Measure one tool on one file and print what was found as JSON."""
    frame = pd.read_parquet(file)
    if tool in TOOLS:
        order, work = TOOLS[tool]
        begun = time.perf_counter()
        credit = work(frame)
        seconds = time.perf_counter() - begun
    else:
        seconds, credit, order = run_peer(tool, frame)
    peak = peak_mb()
    error = None
    if order is not None:
        exact = markov(grouped(frame), order).conversions
        error = float(np.abs(credit / credit.sum() - exact / exact.sum()).sum() / 2)
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "error": error}))


def measure(tool: str, file: Path, limit: float) -> str:
    """One line of the table: seconds, peak memory, error; or why there is none."""
    command = [sys.executable, __file__, "--child", tool, "--file", str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"stopped after {limit:.0f} s"
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
        return f"failed: {last[:90]}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    error = "" if found["error"] is None else f"{found['error']:.4%}"
    return f"{found['seconds']:9.3f} s  {found['peak_mb']:8,.0f} MB  {error:>10}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=Path, default=DEFAULT_PATHS)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--tools", default="", help="only tools whose name holds this text")
    parser.add_argument("--limit", type=float, default=300.0)
    parser.add_argument("--child")
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.file)
        return
    for case in arguments.cases.split(","):
        if case.startswith("pathdata") and not arguments.paths.is_file():
            print(f"{case}: {arguments.paths} is not there, left out")
            continue
        frame = make_case(case, arguments.paths)
        print(f"{case}: {len(frame):,} rows, {int(frame['total_conversions'].sum()):,} conversions")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "paths.parquet"
            frame.to_parquet(file)
            for tool in (name for name in (*TOOLS, *PEERS) if arguments.tools in name):
                print(f"  {tool:<54} {measure(tool, file, arguments.limit)}", flush=True)


if __name__ == "__main__":
    main()
