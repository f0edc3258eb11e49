"""When the jobs run. Registered everywhere, started by default only where automation is on."""

import dagster as dg

from attribution_platform.environment import AUTOMATION_IS_ON, resolve
from attribution_platform.settings import Settings


def crons_of(settings: Settings) -> dict[str, str]:
    """Job to when it runs by itself."""
    return {"daily": settings.schedules.daily, "monthly": settings.schedules.monthly}


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    status = (
        dg.DefaultScheduleStatus.RUNNING
        if resolve(AUTOMATION_IS_ON, "AUTOMATION_IS_ON")
        else dg.DefaultScheduleStatus.STOPPED
    )
    return [
        dg.ScheduleDefinition(
            name=f"{job}_schedule",
            job_name=job,
            cron_schedule=cron,
            execution_timezone=settings.project.reporting_time_zone,
            default_status=status,
        )
        for job, cron in crons_of(settings).items()
    ]
