"""The code location: explicit lists, no wiring hidden in imports.

`build_defs` takes overrides so that tests and the CLI assemble this same graph with other settings or resources.
"""

from typing import Any

from attribution_platform.environment import switch_telemetry_off

switch_telemetry_off()

import dagster as dg  # noqa: E402  (telemetry must be off before any library reads its switch)

from asset_checks import build_checks  # noqa: E402
from attribution_platform.assets.credit import build_credit_assets  # noqa: E402
from attribution_platform.assets.enrichment import build_enrichment_assets  # noqa: E402
from attribution_platform.assets.identity import build_identity_assets  # noqa: E402
from attribution_platform.assets.lift import build_lift_assets  # noqa: E402
from attribution_platform.assets.monitoring import build_monitoring_assets  # noqa: E402
from attribution_platform.assets.scoring import build_scoring_assets  # noqa: E402
from attribution_platform.assets.serving import build_serving_assets  # noqa: E402
from attribution_platform.ingestion import build_ingestion  # noqa: E402
from attribution_platform.jobs import REBUILD, build_jobs  # noqa: E402
from attribution_platform.resources.factory import build_resources  # noqa: E402
from attribution_platform.schedules import build_schedules  # noqa: E402
from attribution_platform.sensors import build_sensors  # noqa: E402
from attribution_platform.settings import Settings, load_settings  # noqa: E402
from attribution_platform.transformation import build_dbt_assets  # noqa: E402


def build_defs(settings: Settings | None = None, **overrides: Any) -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors of one settings file.

    Args:
        settings: defaults to the file found as documented in docs/settings.md.
        overrides: `resources` and `loggers` add to or replace ours by name; anything else is an error.
    """
    chosen = settings or load_settings()
    resources = {**build_resources(chosen), **overrides.pop("resources", {})}
    jobs = build_jobs(chosen)
    loggers = overrides.pop("loggers", None)
    if overrides:
        raise TypeError(f"build_defs has no override named {', '.join(overrides)}")
    return dg.Definitions(
        assets=[
            *build_ingestion(chosen),
            *build_dbt_assets(chosen),
            *build_enrichment_assets(),
            *build_identity_assets(),
            *build_credit_assets(chosen),
            *build_monitoring_assets(chosen),
            *build_scoring_assets(chosen),
            *build_lift_assets(chosen),
            *build_serving_assets(chosen),
        ],
        asset_checks=build_checks(chosen),
        jobs=jobs,
        schedules=build_schedules(chosen),
        sensors=build_sensors(chosen, next(job for job in jobs if job.name == REBUILD)),
        resources=resources,
        loggers=loggers,
        # A step in its own process costs 6 CPU seconds of imports, and DuckDB has one writer anyway.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads. A function, so that importing this module reads no file."""
    return build_defs()
