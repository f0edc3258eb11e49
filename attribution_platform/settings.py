"""attribution.toml plus environment, validated once; every error names the key and the file.

What belongs here: the shape of the file, its defaults, and what the other parts derive from it (paths, dbt variables, dbt
environment). Secrets do not: sources read those from the environment when they need them.
"""

import os
import re
import secrets
import zoneinfo
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from attribution_platform.alert_settings import FOLLOWED_METRICS as FOLLOWED_METRICS
from attribution_platform.alert_settings import HISTORY_METRICS as HISTORY_METRICS
from attribution_platform.alert_settings import WARM_UP_DAYS as WARM_UP_DAYS
from attribution_platform.alert_settings import Alerts as Alerts
from attribution_platform.alert_settings import MetricThresholds as MetricThresholds
from attribution_platform.alert_settings import Route as Route
from attribution_platform.alert_settings import Section
from attribution_platform.alert_settings import Thresholds as Thresholds
from attribution_platform.credit.eligibility import Eligibility, Transform
from attribution_platform.credit.lift import Residual
from attribution_platform.credit.rules import CustomWeights
from attribution_platform.environment import HASH_KEY_MAY_BE_MADE, resolve
from attribution_platform.layout import DBT_PROJECT_DIR, IS_CLONE, PROJECT_ROOT
from dlt_pipelines.config import ExtractionWindow, SourceConfig, SourcesConfig

CONFIG_VARIABLE = "ATTRIBUTION_CONFIG"
HASH_KEY_VARIABLE = "ATTRIBUTION_HASH_KEY"
DEFAULT_CONFIG = "attribution.toml"


# Participation never adds up across channels, so it is no model of the credit tables: `mart_attribution__channel_assists` has it.
DataDrivenModel = Literal["markov", "shapley", "hazard"]
RuleModel = Literal[
    "first_touch",
    "last_touch",
    "first_non_direct",
    "last_non_direct",
    "first_paid",
    "last_paid",
    "linear",
    "time_decay",
    "position_based",
    "u_shaped",
    "w_shaped",
    "j_shaped",
    "inverse_j",
    "custom",
]


WebSource = Literal["ga4", "posthog", "mixpanel", "amplitude"]
WEB_SOURCES: tuple[WebSource, ...] = get_args(WebSource)
CrmName = Literal["hubspot", "salesforce", "pipedrive"]


class SettingsError(ValueError):
    """The settings cannot be used; the message says which key and what to do."""


class Project(Section):
    name: str = "attribution"
    reporting_time_zone: str = "UTC"
    reporting_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    own_domains: tuple[str, ...] = ()
    data_dir: Path = Path("data")
    history_start: date = date(2020, 1, 1)
    as_of: datetime | None = None

    @field_validator("reporting_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone, e.g. Europe/Berlin")
        return value

    @field_validator("own_domains")
    @classmethod
    def _bare_domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for domain in value:
            if not re.fullmatch(r"[a-z0-9.-]+\.(?:[a-z]+|xn--[a-z0-9-]+)", domain):
                raise ValueError(f"{domain!r} is not a bare lower-case domain, e.g. shop.example")
        # Hosts are compared without it.
        return tuple(domain.removeprefix("www.") for domain in value)


Minutes = Annotated[int, Field(ge=1, le=1440)]


class SessionTimeouts(Section):
    """Minutes of inactivity that end a session, for surfaces that want another pause than the rest."""

    web: Minutes | None = None
    app: Minutes | None = None
    backend: Minutes | None = None


class Attribution(Section):
    lookback_days: Annotated[int, Field(ge=1, le=730)] = 90
    session_timeout_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    session_timeout_minutes_by_surface: SessionTimeouts = SessionTimeouts()
    staleness_days: Annotated[int, Field(ge=1, le=730)] = 90
    retention_days: Annotated[int, Field(ge=1, le=99)] = 30
    # Only so many of the last touches of a journey; unset for all of them.
    lookback_steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    half_life_days: Annotated[float, Field(gt=0, le=365)] = 7.0
    rule_models: tuple[RuleModel, ...] = (
        "first_touch",
        "last_touch",
        "last_non_direct",
        "linear",
        "time_decay",
        "position_based",
    )
    custom_weights: CustomWeights = CustomWeights(first=0.4, last=0.4)
    include_channels: tuple[str, ...] = ()
    exclude_channels: tuple[str, ...] = ()
    include_campaigns: tuple[str, ...] = ()
    exclude_campaigns: tuple[str, ...] = ()
    path_transform: Transform = "unique"
    # `hazard` reads every touch of everybody, about 20 s of CPU; the others read distinct paths.
    data_driven_models: tuple[DataDrivenModel, ...] = ("markov", "shapley", "hazard")
    # Under this many conversions a data-driven model reports "insufficient data" instead of a number.
    data_driven_min_conversions: Annotated[int, Field(ge=1)] = 1000
    bootstrap_replicates: Annotated[int, Field(ge=50, le=10_000)] = 500
    # CSV or Parquet of geo and holdout experiments, relative to this file; they are put in place of what models believe.
    experiments: Path | None = None
    residual_policy: Residual = "proportional"
    residual_channels: tuple[str, ...] = ()
    # Days ahead in which a journey's score gives the chance of a conversion.
    score_horizon_days: Annotated[int, Field(ge=1, le=180)] = 30
    identity_ip_window: bool = False
    # Of several vendors that track one site, the first that saw it on a day counts for that day.
    web_source_priority: tuple[WebSource, ...] = WEB_SOURCES

    @field_validator("web_source_priority")
    @classmethod
    def _every_web_source(cls, value: tuple[WebSource, ...]) -> tuple[WebSource, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a source is named twice")
        return (*value, *(name for name in WEB_SOURCES if name not in value))

    @model_validator(mode="after")
    def _receivers(self) -> "Attribution":
        if (self.residual_policy == "channels") != bool(self.residual_channels):
            raise ValueError('`residual_channels` goes with residual_policy = "channels", and only with it')
        return self

    @field_validator("include_campaigns", "exclude_campaigns")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Eligibility(include_campaigns=value)
        return value


class Conversion(Section):
    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    kind: Literal["event", "crm_stage", "subscription", "file"]
    event_name: str | None = None
    stage: str | None = None
    product: str | None = None
    revenue_column: str | None = None
    revenue_value: float | None = None
    lookback_days: Annotated[int, Field(ge=1, le=730)] | None = None
    lookback_steps: Annotated[int, Field(ge=1, le=1000)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Conversion":
        needed = {"event": "event_name", "crm_stage": "stage"}.get(self.kind)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"a conversion of kind {self.kind!r} needs `{needed}`")
        return self


class ChannelRule(Section):
    id: str
    channel: str
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    referrer_domain: str | None = None
    landing_path: str | None = None

    @field_validator("source", "medium", "campaign", "referrer_domain", "landing_path")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression ({error})") from None
        if re.search(r"\(\?|\\[1-9]", value or ""):
            raise ValueError(f"{value!r}: warehouses know neither (?…) groups nor back-references")
        return value

    @model_validator(mode="after")
    def _has_a_condition(self) -> "ChannelRule":
        if not any((self.source, self.medium, self.campaign, self.referrer_domain, self.landing_path)):
            raise ValueError(
                "a channel rule needs at least one of source, medium, campaign, referrer_domain, landing_path"
            )
        return self


class Crm(Section):
    # Needed where several CRMs are on: a deal that is kept in two of them must count once.
    primary: CrmName | None = None


class Warehouse(Section):
    target: Literal["duckdb", "snowflake"] = "duckdb"
    # DuckDB alone takes 80 % of the machine, and dbt, Dagster and the models run beside it.
    duckdb_memory_limit: Annotated[str, Field(pattern=r"^\d+(\.\d+)?(MB|GB|TB|%)$")] = "3GB"


class Schedules(Section):
    daily: str = "0 6 * * *"
    monthly: str = "0 7 2 * *"


class Settings(BaseSettings):
    """Everything a run needs to know, apart from secrets."""

    model_config = SettingsConfigDict(
        env_prefix="ATTRIBUTION__", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    config_path: Path = Path(DEFAULT_CONFIG)
    project: Project = Project()
    attribution: Attribution = Attribution()
    conversions: tuple[Conversion, ...] = ()
    channel_rules: tuple[ChannelRule, ...] = ()
    sources: SourcesConfig = SourcesConfig()
    crm: Crm = Crm()
    alerts: Alerts = Alerts()
    warehouse: Warehouse = Warehouse()
    schedules: Schedules = Schedules()

    @field_validator("conversions")
    @classmethod
    def _unique_names(cls, value: tuple[Conversion, ...]) -> tuple[Conversion, ...]:
        names = [conversion.name for conversion in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"conversion named twice: {', '.join(twice)}")
        return value

    @field_validator("channel_rules")
    @classmethod
    def _unique_rules(cls, value: tuple[ChannelRule, ...]) -> tuple[ChannelRule, ...]:
        ids = [rule.id for rule in value]
        twice = sorted({rule for rule in ids if ids.count(rule) > 1})
        if twice:
            raise ValueError(f"id used twice: {', '.join(twice)}; channel_reason could not say which rule decided")
        return value

    @model_validator(mode="after")
    def _one_primary_crm(self) -> "Settings":
        on = [name for name in get_args(CrmName) if getattr(self.sources, name).enabled]
        if self.crm.primary is None and len(on) > 1:
            raise ValueError(
                f'{" and ".join(on)} are on: name the one whose deals count, [crm] primary = "{on[0]}" or another'
            )
        if self.crm.primary is not None and self.crm.primary not in on:
            raise ValueError(f"[crm] primary = {self.crm.primary!r}, but sources.{self.crm.primary} is not enabled")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, toml_file=_config_file.path),
        )

    # ---- paths -------------------------------------------------------------------------------------------------------

    def path(self, value: Path) -> Path:
        """A path from the file, taken relative to the file."""
        return value if value.is_absolute() else (self.config_path.parent / value).resolve()

    @property
    def data_dir(self) -> Path:
        return self.path(self.project.data_dir)

    @property
    def landing_dir(self) -> Path:
        return self.data_dir / "landing"

    @property
    def warehouse_path(self) -> Path:
        return self.data_dir / "warehouse.duckdb"

    @property
    def serving_path(self) -> Path:
        return self.data_dir / "serving.duckdb"

    @property
    def operations_path(self) -> Path:
        return self.data_dir / "operations.sqlite"

    @property
    def dagster_home(self) -> Path:
        return self.data_dir / "dagster"

    # ---- derived -----------------------------------------------------------------------------------------------------

    @property
    def enabled_sources(self) -> tuple[str, ...]:
        return tuple(self.sources.enabled())

    def source_config(self, name: str) -> SourceConfig:
        """A source's configuration with its folders taken relative to attribution.toml."""
        config: SourceConfig = getattr(self.sources, name)
        return config.anchored(self.config_path.parent)

    def now(self) -> datetime:
        """The run's own clock: frozen by `project.as_of`, else real time (UTC)."""
        moment = self.project.as_of or datetime.now(UTC)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def extraction_window(self, recent_days: int | None = None, refresh: bool = False) -> ExtractionWindow:
        """All of history up to and including today; a source pulls of it what it does not hold yet.

        Args:
            recent_days: only the last so many days.
            refresh: pull the whole window again, whatever a source holds.
        """
        now = self.now()
        start = self.project.history_start
        if recent_days is not None:
            start = max(start, now.date() - timedelta(days=recent_days))
        return ExtractionWindow(start=start, end=now.date() + timedelta(days=1), now=now, refresh=refresh)

    def dbt_vars(self) -> dict[str, Any]:
        return {
            "enabled_sources": list(self.enabled_sources),
            "web_source_priority": list(self.attribution.web_source_priority),
            "reporting_time_zone": self.project.reporting_time_zone,
            "reporting_currency": self.project.reporting_currency,
            "history_start": self.project.history_start.isoformat(),
            "own_domains": list(self.project.own_domains),
            "session_timeout_minutes": self.attribution.session_timeout_minutes,
            "session_timeout_minutes_by_surface": self.attribution.session_timeout_minutes_by_surface.model_dump(
                exclude_none=True
            ),
            "staleness_days": self.attribution.staleness_days,
            "retention_days": self.attribution.retention_days,
            "primary_crm": self.crm.primary or "",
            "half_life_days": self.attribution.half_life_days,
            "lookback_days": self.attribution.lookback_days,
            "lookback_steps": self.attribution.lookback_steps,
            "rule_models": list(self.attribution.rule_models),
            "custom_weights": {
                name: share for name, share in asdict(self.attribution.custom_weights).items() if share is not None
            },
            "include_channels": list(self.attribution.include_channels),
            "exclude_channels": list(self.attribution.exclude_channels),
            "include_campaigns": list(self.attribution.include_campaigns),
            "exclude_campaigns": list(self.attribution.exclude_campaigns),
            "path_transform": self.attribution.path_transform,
            "score_horizon_days": self.attribution.score_horizon_days,
            "conversions": [conversion.model_dump(exclude_none=True) for conversion in self.conversions],
            "channel_rules": [rule.model_dump(exclude_none=True) for rule in self.channel_rules],
            "min_volume": self.alerts.thresholds.min_volume,
            "min_volumes": {
                metric: own.min_volume
                for metric, own in sorted(self.alerts.thresholds.metrics.items())
                if own.min_volume is not None
            },
            "identity_ip_window_enabled": self.attribution.identity_ip_window,
        }

    def dbt_environment(self) -> dict[str, str]:
        """What dbt_attribution/profiles.yml reads."""
        return {
            "ATTRIBUTION_DBT_TARGET": self.warehouse.target,
            "ATTRIBUTION_WAREHOUSE_PATH": str(self.warehouse_path),
            "ATTRIBUTION_DUCKDB_MEMORY_LIMIT": self.warehouse.duckdb_memory_limit,
            "ATTRIBUTION_LANDING_DIR": str(self.landing_dir),
            "ATTRIBUTION_DBT_PLUGINS": str(DBT_PROJECT_DIR / "plugins"),
        }

    def hash_key(self) -> str:
        """The key personal data is hashed with.

        Where the environment allows it, a missing key is made once and kept in the data folder (mode 600): without it a
        second run would not recognise the people of the first.

        Raises:
            SettingsError: no key, and this environment does not make one.
        """
        given = os.environ.get(HASH_KEY_VARIABLE)
        if given:
            return given
        if not resolve(HASH_KEY_MAY_BE_MADE, "HASH_KEY_MAY_BE_MADE"):
            raise SettingsError(
                f"{HASH_KEY_VARIABLE} is not set. Export a secret of 32 random bytes and keep it: it must never change."
            )
        kept = self.data_dir / "hash_key"
        if not kept.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
        return kept.read_text().strip()


class _ConfigFile:
    """pydantic-settings asks for the file's path through a class hook; this holds it for the length of one load."""

    path: Path | None = None


_config_file = _ConfigFile()


def find_config(path: Path | None = None) -> Path:
    """The settings file: the one given, else $ATTRIBUTION_CONFIG, else ./attribution.toml, else in a clone the clone's own.

    Raises:
        SettingsError: there is none, or a file that was asked for does not exist.
    """
    asked = path or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else None)
    if asked is not None:
        if not asked.is_file():
            raise SettingsError(
                f"{asked}: no such settings file. Give --config FILE, or `attribution init` to write one."
            )
        return asked.resolve()
    here = Path.cwd() / DEFAULT_CONFIG
    if here.is_file():
        return here
    if not IS_CLONE:
        raise SettingsError(f"{here}: no such settings file. `attribution init` writes one to start from.")
    return PROJECT_ROOT / DEFAULT_CONFIG


def load_settings(path: Path | None = None) -> Settings:
    """Read and validate the settings.

    Raises:
        SettingsError: naming the file and every key that is wrong.
    """
    found = find_config(path)
    _config_file.path = found
    try:
        return Settings(config_path=found)
    except ValidationError as error:
        lines = [f"  {'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}" for issue in error.errors()]
        raise SettingsError(f"{found} has {len(lines)} wrong setting(s):\n" + "\n".join(lines)) from None
    except ValueError as error:
        raise SettingsError(f"{found} is not valid TOML: {error}") from None
    finally:
        _config_file.path = None


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return load_settings()
