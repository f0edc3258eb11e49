"""Sections of attribution.toml on what is watched and who is told: thresholds by metric, routes, alerts."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# What grows or shrinks with the business itself; every other metric says how well it is measured and keeps its first baseline.
FOLLOWED_METRICS = frozenset(
    {
        "authenticated_visits",
        "cookie_user_coverage",
        "cost_per_click",
        "event_volume",
        "identity_tier_share",
        "model_divergence",
    }
)


# What compares a day with what was known before it. When tracking begins nothing is: the first conversions have no touch behind
# them, and every device is a stranger. In six weeks these went from .44 to .09 direct-only and from .45 to .57 of devices known,
# in a world where nothing changed.
WARM_UP_DAYS = 42
HISTORY_METRICS = frozenset(
    {
        "behavioural_coverage",
        "cookie_user_coverage",
        "direct_only_rate",
        "identity_tier_share",
        "model_divergence",
        "survey_agreement",
    }
)


class MetricThresholds(Section):
    """How one metric is judged; what is not given is as for every metric. Meanings: monitoring.cusum.CusumOptions."""

    k: Annotated[float, Field(gt=0)] | None = None
    h: Annotated[float, Field(gt=0)] | None = None
    point: Annotated[float, Field(gt=0)] | None = None
    baseline_days: Annotated[int, Field(ge=14)] | None = None
    min_baseline_days: Annotated[int, Field(ge=14)] | None = None
    min_volume: Annotated[float, Field(gt=0)] | None = None
    warm_up_days: Annotated[int, Field(ge=0)] | None = None


class Thresholds(Section):
    click_id_capture_min: Annotated[float, Field(ge=0, le=1)] = 0.5
    behavioural_coverage_min: Annotated[float, Field(ge=0, le=1)] = 0.5
    # Units a day, in every table and every check: of a day its own, of a week or a baseline the mean. With fewer the answer is
    # "insufficient volume", never green; below ten a day no scheme was fast.
    min_volume: Annotated[float, Field(gt=0)] = 10
    k: Annotated[float, Field(gt=0)] = 1.0
    h: Annotated[float, Field(gt=0)] = 4.0
    point: Annotated[float, Field(gt=0)] = 4.5
    baseline_days: Annotated[int, Field(ge=14)] = 84
    min_baseline_days: Annotated[int, Field(ge=14)] = 28
    # Whole days before today that are still coming in and are not judged; today itself never is.
    settling_days: Annotated[int, Field(ge=0, le=14)] = 0
    metrics: dict[str, MetricThresholds] = Field(default_factory=dict)

    def __hash__(self) -> int:
        # Settings are cache keys, and a mapping has no hash of its own.
        return hash(self.model_dump_json())

    def of(self, metric: str) -> dict[str, Any]:
        """Settings of one metric, its own before everybody's; the names are those of `CusumOptions`."""
        own = self.metrics.get(metric, MetricThresholds()).model_dump(exclude_none=True)
        common = {name: getattr(self, name) for name in MetricThresholds.model_fields if name != "warm_up_days"}
        warm_up = WARM_UP_DAYS if metric in HISTORY_METRICS else 0
        return {**common, "follow": metric in FOLLOWED_METRICS, "warm_up_days": warm_up, **own}

    @model_validator(mode="after")
    def _usable(self) -> "Thresholds":
        for metric in ("", *self.metrics):
            own = self.of(metric)
            if own["min_baseline_days"] > own["baseline_days"]:
                where = f"metrics.{metric}: " if metric else ""
                raise ValueError(f"{where}min_baseline_days must not exceed baseline_days")
        return self


VariableName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]


class Route(Section):
    """One receiver of alerts. Its address is a secret: here stands only the name of the environment variable that holds it."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$")]
    kind: Literal["slack", "teams", "email", "pagerduty", "webhook"]
    url_env: VariableName
    # The least severity it is told of.
    severity: Literal["warning", "critical"] = "warning"
    # Metrics it is told of, `*` for any text; all when empty.
    metrics: tuple[str, ...] = ()
    # A webhook's key for its signatures.
    secret_env: VariableName | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Route":
        if (self.kind == "webhook") != (self.secret_env is not None):
            raise ValueError(
                "a webhook needs `secret_env`, the name of the variable that holds the key it is signed with"
                if self.kind == "webhook"
                else f"`secret_env` is for webhooks, not for {self.kind}"
            )
        return self


class Alerts(Section):
    # Without a route alerts are kept and listed, and said in the log.
    routes: tuple[Route, ...] = ()
    # Metrics, `*` for any text, whose drift is critical; that of others is a warning.
    critical_metrics: tuple[str, ...] = ("event_volume", "freshness", "click_id_capture*")
    fire_after: Annotated[int, Field(ge=1, le=100)] = 1
    resolve_after: Annotated[int, Field(ge=1, le=100)] = 2
    remind_critical_hours: Annotated[float, Field(gt=0)] = 24
    remind_warning_hours: Annotated[float, Field(gt=0)] = 168
    # A source that was not loaded for so long is stale.
    stale_after_hours: Annotated[float, Field(gt=0)] = 36
    # A schedule that is so late has been missed.
    schedule_grace_minutes: Annotated[float, Field(gt=0)] = 60
    # Decide and keep, but only say in the log what would have been sent.
    dry_run: bool = False
    # Where people read more; links in messages begin with these.
    dagster_url: str = "http://127.0.0.1:3000"
    data_docs_url: str | None = None
    thresholds: Thresholds = Thresholds()

    @property
    def stale_after(self) -> timedelta:
        return timedelta(hours=self.stale_after_hours)

    @property
    def schedule_grace(self) -> timedelta:
        return timedelta(minutes=self.schedule_grace_minutes)

    @field_validator("routes")
    @classmethod
    def _each_once(cls, value: tuple[Route, ...]) -> tuple[Route, ...]:
        names = [route.name for route in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"route named twice: {', '.join(twice)}")
        return value

    @field_validator("dagster_url", "data_docs_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s]+", value):
            raise ValueError(f"{value!r} is not a web address, e.g. https://dagster.example.com")
        return value.rstrip("/") if value else value
