"""How often a model's interval holds the model's own value in the population: repeated draws of simulated worlds.

    python benchmarks/interval_coverage.py [--worlds plain,demand_harvesting] [--draws 40] [--people 6000] [--level 0.9]

The population value of a model is its credit on a world of `--population` people, scaled to the size of a draw. Draws are
worlds of the same mechanism with other people. Prints, per world and model, the share of intervals that hold it over draws
and channels, with its standard error over draws, and the width of the intervals relative to the credit. The hazard
model is left out: its posterior is held to the truth itself, in `attribution lab`.
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from attribution_platform.credit.registry import CreditOptions, credit_view, run_models
from attribution_platform.lab.score import journeys_of
from attribution_platform.lab.worlds import WORLDS
from dlt_pipelines.sandbox.behaviour import BehaviourConfig, simulate

MODELS = (
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "time_decay",
    "position_based",
    "markov",
    "markov_2",
    "markov_3",
    "shapley",
    "shapley_subset_sums",
)


def credits(config: BehaviourConfig, options: CreditOptions) -> list[tuple[str, pd.DataFrame]]:
    """Model and its conversions with interval, by channel."""
    view = credit_view(journeys_of(simulate(config), 90.0))
    found = []
    for outcome in run_models(view, MODELS, options):
        assert outcome.result is not None
        frame = pd.DataFrame({"conversions": outcome.result.conversions}, index=list(view.channels))
        if outcome.interval is not None:
            frame["low"], frame["high"] = outcome.interval.low, outcome.interval.high
        found.append((outcome.model, frame))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default="plain,demand_harvesting")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--people", type=int, default=6000)
    parser.add_argument("--population", type=int, default=400_000)
    parser.add_argument("--level", type=float, default=0.9)
    arguments = parser.parse_args()
    options = CreditOptions(min_conversions=1, replicates=500, level=arguments.level)
    for name in arguments.worlds.split(","):
        config = WORLDS[name].draw(arguments.population, 0)
        scale = arguments.people / arguments.population
        population = dict(credits(config, replace(options, replicates=0)))
        rows = []
        for draw in range(1, arguments.draws + 1):
            drawn = replace(config, people=arguments.people, seed=100_000 + draw)
            for model, found in credits(drawn, options):
                value = population[model]["conversions"].reindex(found.index) * scale
                held = (found["low"] <= value) & (value <= found["high"])
                width = (found["high"] - found["low"]).sum() / found["conversions"].sum()
                total = float(found["conversions"].sum())
                rows.append({"model": model, "draw": draw, "held": held.mean(), "width": width, "conversions": total})
        table = pd.DataFrame(rows).groupby("model", sort=False)
        summary = table.agg(held=("held", "mean"), spread=("held", "std"), width=("width", "mean"))
        summary["standard_error"] = summary.pop("spread") / np.sqrt(arguments.draws)
        conversions = table["conversions"].mean().iloc[0]
        print(f"{name}: {arguments.draws} draws of {arguments.people:,} people, {conversions:,.0f} conversions each")
        print(summary.round(3).to_string(), flush=True)


if __name__ == "__main__":
    main()
