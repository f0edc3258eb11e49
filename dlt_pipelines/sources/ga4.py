"""Google Analytics 4: daily session reports from the Data API, events from BigQuery export files."""

import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from dlt_pipelines import contract
from dlt_pipelines.config import ExtractionWindow, Ga4Config
from dlt_pipelines.dialects import google
from dlt_pipelines.ga4_export import export_days, newer_days, read_day
from dlt_pipelines.google_auth import GoogleAuth
from dlt_pipelines.http import VendorSession, read_by_offset
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import ContractViolation, Shaper
from dlt_pipelines.spec import Finding, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

    from dlt_pipelines.extraction import DayRange

LOG = logging.getLogger(__name__)
NAME: Final = "ga4"
SCOPE: Final = "https://www.googleapis.com/auth/analytics.readonly"
# Short reports keep GA4 from folding rare rows into (other).
DAYS_PER_REPORT: Final = 7
# Events can be had without the API, so its credentials are asked for only when a property is configured.
CREDENTIALS: Final = SecretSpec(
    "GA4_CREDENTIALS_JSON", "JSON of a service account or authorized user who may read the property", required=False
)
DIMENSIONS: Final = ("date", "sessionSource", "sessionMedium", "sessionCampaignName")
METRICS: Final = ("sessions", "keyEvents")


def open_session(config: Ga4Config) -> VendorSession:
    """A session for the Data API.

    Raises:
        MissingSecret: no credentials.
        CredentialsRejected: they are not in one of Google's two forms.
    """
    text = SecretSpec(CREDENTIALS.env, CREDENTIALS.purpose).read()
    auth = GoogleAuth.from_json(NAME, config, text, CREDENTIALS.env, SCOPE, config.token_url)
    return VendorSession(NAME, config, google, auth)


def build(config: Ga4Config, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source: events when an export folder is configured, reports when a property is."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.property_id and config.export_path is None:
        raise ValueError("sources.ga4 names neither property_id nor export_path; set one of them.")
    resources: list[DltResource] = []
    if config.export_path is not None:
        resources.append(_events(config, window, hasher))
    if config.property_id:
        resources.append(
            day_resource(
                NAME,
                contract.GA4_TRAFFIC,
                window,
                hasher,
                account_column=None,
                accounts=(config.property_id,),
                settling_days=config.settling_days,
                pull=lambda days: _traffic(config, days),
            )
        )
    return make_source(NAME, resources)


def _traffic(config: Ga4Config, days: "DayRange") -> Iterator[Mapping[str, Any]]:
    with open_session(config) as session:
        for part in days.chunks(DAYS_PER_REPORT):
            yield from _report(session, config, part)


def _report(session: VendorSession, config: Ga4Config, days: "DayRange") -> Iterator[Mapping[str, Any]]:
    """One report over these days; all rows of it, or an error."""
    metadata: dict[str, Any] = {}

    def fetch(offset: int) -> tuple[list[dict[str, Any]], int]:
        reply = session.post(
            f"/{config.api_version}/properties/{config.property_id}:runReport",
            {
                "dimensions": [{"name": name} for name in DIMENSIONS],
                "metrics": [{"name": name} for name in METRICS],
                "dateRanges": [{"startDate": str(days.start), "endDate": str(days.end - timedelta(days=1))}],
                # A fixed order, so that pages do not overlap.
                "orderBys": [{"dimension": {"dimensionName": name}} for name in DIMENSIONS],
                "limit": str(config.page_size),
                "offset": str(offset),
                "returnPropertyQuota": True,
            },
        )
        metadata.update(reply.get("metadata") or {})
        total = reply.get("rowCount", 0)
        if not isinstance(total, int):
            raise ContractViolation(
                f"{NAME}.traffic_daily: rowCount is a number, but the vendor sent {type(total).__name__}. "
                "Nothing of this source was written; its format changed."
            )
        return reply.get("rows", []), total

    rows = read_by_offset(f"{NAME} property {config.property_id}", fetch, config.page_size, _dimension_values)
    shared = {
        "currency_code": metadata.get("currencyCode"),
        "time_zone": metadata.get("timeZone"),
        "data_loss": bool(metadata.get("dataLossFromOtherRow", False)),
        "subject_to_thresholding": bool(metadata.get("subjectToThresholding", False)),
        "is_sampled": bool(metadata.get("samplingMetadatas")),
    }
    for row in rows:
        day, source, medium, campaign = _dimension_values(row)
        sessions, key_events = (item.get("value") for item in row["metricValues"])
        yield {
            "date": f"{day[:4]}-{day[4:6]}-{day[6:]}",
            "session_source": source,
            "session_medium": medium,
            "session_campaign_name": campaign,
            "sessions": sessions,
            "key_events": key_events,
            **shared,
        }


def _dimension_values(row: Mapping[str, Any]) -> tuple[str, ...]:
    values = tuple(item.get("value") for item in row.get("dimensionValues", []))
    if len(values) != len(DIMENSIONS) or not all(isinstance(value, str) for value in values):
        raise ContractViolation(f"ga4.traffic_daily: the report's rows are not the {len(DIMENSIONS)} asked dimensions.")
    return tuple(str(value) for value in values)


def _events(config: Ga4Config, window: ExtractionWindow, hasher: Hasher) -> "DltResource":
    import dlt

    from dlt_pipelines.extraction import guard_key, hinted, make_resource

    folder = config.export_path
    assert folder is not None
    if not folder.is_dir():
        raise FileNotFoundError(f"sources.ga4.export_path: {folder} is not a folder. Make it, or set another path.")
    spec = contract.GA4_EVENTS

    def generate() -> Iterator[Any]:
        state = dlt.current.resource_state()
        guard_key(state, hasher)
        held: dict[str, Any] = state.setdefault("days", {})
        inside = [export for export in export_days(folder) if window.start <= export.day < window.end]
        wanted = inside if window.refresh else newer_days(inside, held)
        if not wanted:
            return
        LOG.info("ga4.events: reading %d of %d days", len(wanted), len(inside))
        shaper = Shaper(NAME, spec, hasher)

        def tables() -> Iterator[pa.Table]:
            for export in wanted:
                # An event's day is part of what tells it apart, so repeats are looked for inside a day only.
                yield from shaper.batches(read_day(export, hasher))

        listed = ", ".join(f"DATE '{export.day}'" for export in wanted)
        scope = f"event_date IN ({listed})"
        stamps = {export.day.isoformat(): export.stamps() for export in wanted}
        yield from hinted(spec, scope, tables(), shaper.empty())
        held.update(stamps)

    return make_resource(spec, generate)


def probe(config: Ga4Config) -> Iterator[Finding]:
    """Whether the export folder holds days and the property can be read."""
    if not config.property_id and config.export_path is None:
        yield Finding("error", NAME, "neither property_id nor export_path is set", "Set one under [sources.ga4].")
    if config.export_path is not None:
        if not config.export_path.is_dir():
            yield Finding("error", f"{NAME}: export_path", f"{config.export_path} is not a folder", "Make it.")
        else:
            days = export_days(config.export_path)
            if days:
                yield Finding("ok", f"{NAME}: export", f"{len(days)} days, {days[0].day} to {days[-1].day}")
            else:
                yield Finding("warning", f"{NAME}: export", "no events_YYYYMMDD file", "Export days into the folder.")
    if config.property_id:
        with open_session(config) as session:
            body = {
                "metrics": [{"name": "sessions"}],
                "dateRanges": [{"startDate": "yesterday", "endDate": "yesterday"}],
            }
            reply = session.post(f"/{config.api_version}/properties/{config.property_id}:runReport", body)
            metadata = reply.get("metadata") or {}
            text = f"{metadata.get('currencyCode')}, {metadata.get('timeZone')}"
            yield Finding("ok", f"{NAME}: property {config.property_id}", text)


SPEC: Final = SourceSpec(
    name=NAME,
    title="Google Analytics 4",
    config_model=Ga4Config,
    resources=contract.GA4,
    secrets=(CREDENTIALS,),
    build=build,
    probe=probe,
)
