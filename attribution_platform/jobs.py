"""Jobs over the one graph: what each pulls and re-estimates."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from attribution_platform import keys
from attribution_platform.ingestion import EXTRACTION_STEP, INGESTION_GROUP, ExtractionMode
from attribution_platform.settings import Settings

# Job -> how far back it extracts.
EXTRACTION: Mapping[str, ExtractionMode] = {"daily": "incremental", "full": "full", "fast": "recent"}
DESCRIPTIONS: Mapping[str, str] = {
    "daily": "Pull what is new, rebuild, check, publish.",
    "full": "Pull all of history again, rebuild, check, publish.",
    "fast": "Pull the last week only, rebuild, check, publish: for trying a change.",
    "rebuild": "Pull nothing; rebuild, check, publish from what the sources have delivered so far.",
    "monthly": "Re-estimate the data-driven models and everything built on them; pulls nothing.",
}


REBUILD = "rebuild"


def only_extraction_failed(failed_steps: Iterable[str]) -> bool:
    """Whether sources alone are to blame. Dagster then skipped everything after them, and a rebuild is due.

    One vendor's bad day must not stop the others' data from being used.
    """
    steps = list(failed_steps)
    return bool(steps) and all(step.startswith(EXTRACTION_STEP) for step in steps)


def run_config(job: str, settings: Settings) -> dict[str, Any]:
    """The job's run configuration: how far back each enabled source is pulled."""
    if job not in EXTRACTION:
        return {}
    mode = EXTRACTION[job]
    return {"ops": {f"{EXTRACTION_STEP}{name}": {"config": {"mode": mode}} for name in settings.enabled_sources}}


def build_jobs(settings: Settings) -> list[Any]:
    jobs = [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.all(),
            config=run_config(name, settings),
            description=DESCRIPTIONS[name],
        )
        for name in EXTRACTION
    ]
    built = dg.AssetSelection.all() - dg.AssetSelection.groups(INGESTION_GROUP)
    jobs.append(dg.define_asset_job(REBUILD, selection=built, description=DESCRIPTIONS[REBUILD]))
    estimated = dg.AssetSelection.assets(
        *([keys.CREDIT, f"credit_{what}_weights"] for what in ("channel", "path", "touch")),
        *([keys.CREDIT, f"conversion_model_{what}"] for what in ("terms", "quality", "reliability")),
    )
    re_estimated = estimated.downstream()
    jobs.append(dg.define_asset_job("monthly", selection=re_estimated, description=DESCRIPTIONS["monthly"]))
    return jobs
