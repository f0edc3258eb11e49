"""The hazard model on a million journeys: time, memory, and error by how much of the data it samples.

    python benchmarks/hazard_model.py [--people 1000000] [--world intent_confounded] [--cases 1500 6000 24000]

Draws a simulated world, whose true effects are known, and fits the model to all of it, letting it look at more and more
of the conversions (and, in proportion, of the people that the arrival model is fitted to). Prints CPU seconds, wall
seconds, peak memory of the process so far, half the L1 distance of its shares to the truth, and the mean half-width of
its 90 % intervals. The truth is that of the same world with 60,000 people: it replays every coalition.
"""

import argparse
import time

from attribution_platform.credit.hazard.model import HazardOptions, fit_hazard
from benchmarks.memory import peak_mb
from dlt_pipelines.sandbox.behaviour import simulate
from dlt_pipelines.sandbox.causal_worlds import PRESETS
from dlt_pipelines.sandbox.counterfactual import true_shapley

TRUTH_PEOPLE = 60_000


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--world", choices=sorted(PRESETS), default="intent_confounded")
    parser.add_argument("--cases", type=int, nargs="+", default=[1500, 6000, 24_000])
    asked = parser.parse_args()
    config = PRESETS[asked.world](people=asked.people)
    log = simulate(config)
    truth = true_shapley(PRESETS[asked.world](people=TRUTH_PEOPLE)).set_index("channel")["share"]
    print(
        f"{asked.world}: {asked.people:,} people, {len(log.touches):,} touches, {len(log.conversions):,} conversions",
        flush=True,
    )
    for cases in asked.cases:
        options = HazardOptions(max_cases=cases, max_people=cases * 4 // 3, level=0.9)
        cpu, wall = time.process_time(), time.perf_counter()
        fit = fit_hazard(log.touches, log.conversions, start=0, end=config.days, options=options)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found = fit.credit().set_index("channel")
        error = 0.5 * (found["share"] - truth.reindex(found.index).fillna(0.0)).abs().sum()
        width = 0.5 * (found["share_high"] - found["share_low"]).mean()
        peak = peak_mb()
        print(
            f"{len(fit.case):>7,} cases  {cpu:7.1f} s CPU  {wall:7.1f} s  {peak:7,.0f} MB  "
            f"error {error:.3f}  half-width {width:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
