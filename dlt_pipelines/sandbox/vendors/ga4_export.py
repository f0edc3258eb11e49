"""GA4's BigQuery export as files, one day a file, in the three forms a team may hold.

``extract`` is what ``bq extract`` writes (NDJSON without nulls), ``console`` what the console downloads (NDJSON with
every null), ``parquet`` what an export to Parquet keeps (STRUCT and LIST). In both JSON forms INT64 is text. The last
day is still an intraday file, and the days before it are not complete until three days have passed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dlt_pipelines.sandbox.vendors.common import GOOGLE_ADS_CUSTOMER, World, records_of, share_of, text_or_none
from dlt_pipelines.sandbox.vendors.ga4_facts import campaign_parameters, event_facts

ExportDialect = Literal["extract", "console", "parquet"]
SETTLING_DAYS = 3
STREAM_ID = "1966637064"
MANUAL = {
    "manual_source": "utm_source",
    "manual_medium": "utm_medium",
    "manual_campaign_name": "utm_campaign",
    "manual_term": "utm_term",
    "manual_content": "utm_content",
    "gclid": "gclid",
    "dclid": "dclid",
    "srsltid": "srsltid",
}

_TEXT, _INT, _FLOAT = pa.string(), pa.int64(), pa.float64()


def _struct(*names: str, **typed: pa.DataType) -> pa.DataType:
    return pa.struct([*((name, _TEXT) for name in names), *typed.items()])


_VALUE = _struct("string_value", int_value=_INT, float_value=_FLOAT, double_value=_FLOAT)
_PARAMETERS = pa.list_(_struct("key", value=_VALUE))
SCHEMA = pa.schema(
    [
        ("event_date", _TEXT),
        ("event_timestamp", _INT),
        ("event_name", _TEXT),
        ("event_params", _PARAMETERS),
        ("event_previous_timestamp", _INT),
        ("event_value_in_usd", _FLOAT),
        ("event_bundle_sequence_id", _INT),
        ("event_server_timestamp_offset", _INT),
        ("user_id", _TEXT),
        ("user_pseudo_id", _TEXT),
        ("privacy_info", _struct("analytics_storage", "ads_storage", "uses_transient_token")),
        ("user_properties", _PARAMETERS),
        ("user_first_touch_timestamp", _INT),
        ("user_ltv", pa.struct([("revenue", _FLOAT), ("currency", _TEXT)])),
        (
            "device",
            _struct(
                "category",
                "mobile_brand_name",
                "operating_system",
                "operating_system_version",
                "language",
                "is_limited_ad_tracking",
                web_info=_struct("browser", "browser_version", "hostname"),
            ),
        ),
        ("geo", _struct("continent", "sub_continent", "country", "region", "city", "metro")),
        ("app_info", _struct("id", "version")),
        ("traffic_source", _struct("name", "medium", "source")),
        ("stream_id", _TEXT),
        ("platform", _TEXT),
        ("event_dimensions", _struct("hostname")),
        ("ecommerce", _struct("transaction_id", purchase_revenue=_FLOAT)),
        ("collected_traffic_source", _struct("manual_campaign_id", *MANUAL)),
        (
            "session_traffic_source_last_click",
            pa.struct(
                [
                    ("manual_campaign", _struct("campaign_name", "source", "medium", "term", "content")),
                    ("google_ads_campaign", _struct("customer_id", "campaign_id", "campaign_name")),
                ]
            ),
        ),
        ("is_active_user", pa.bool_()),
        ("items", pa.list_(_struct("item_id", "item_name"))),
    ]
)


def write_export(
    world: World,
    folder: Path | str,
    dialect: ExportDialect = "extract",
    through: date | None = None,
) -> list[Path]:
    """Writes the export as it stands at the end of a day; again for a later day, it moves on as GA4's does.

    Args:
        world: The world whose events are exported.
        folder: Where to write; files of other names are left alone.
        dialect: Form of the files.
        through: The last day to export, as its intraday file. Of the three days before it one event in forty is
            still missing, and is there once they are past. None: the whole world, nothing missing.

    Returns:
        The files that this export consists of. Unchanged files are not written again.

    Raises:
        ValueError: The dialect is unknown.
    """
    if dialect not in ("extract", "console", "parquet"):
        raise ValueError(f"unknown export dialect {dialect!r}; known: extract, console, parquet")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = event_facts(world)
    facts["micros"] = facts["occurred_at"].astype("datetime64[us]").astype("int64")
    last = facts["day"].max() if through is None else through
    facts = facts[facts["day"] <= last]
    if through is not None:
        facts = facts[[_has_arrived(key, day, last) for key, day in zip(facts["event_id"], facts["day"], strict=True)]]
    first_touch = facts.drop_duplicates("device_id").set_index("device_id")
    rows_of = _Rows(first_touch, _ad_campaigns(world), int if dialect == "parquet" else str)
    written = []
    suffix = "parquet" if dialect == "parquet" else "json"
    encode: Callable[[list[dict[str, Any]]], bytes] = {
        "extract": _ndjson,
        "console": lambda rows: _ndjson([_with_nulls(row, SCHEMA) for row in rows]),
        "parquet": _parquet,
    }[dialect]
    for day, events in facts.groupby("day", sort=True):
        stamp = f"{day:%Y%m%d}"
        intraday = folder / f"events_intraday_{stamp}.{suffix}"
        path = intraday if day == last else folder / f"events_{stamp}.{suffix}"
        _replace(path, encode([rows_of.row(values) for values in records_of(events)]))
        if path != intraday:
            # GA4 drops the streaming table once the day's own is there.
            intraday.unlink(missing_ok=True)
        written.append(path)
    return written


def _has_arrived(event_id: str, day: date, last: date) -> bool:
    """Late events come one to three days after their own."""
    late = share_of(f"late {event_id}", 40) == 0
    return not late or day + timedelta(days=1 + share_of(event_id, SETTLING_DAYS)) <= last


def _replace(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_bytes(content)
    os.replace(partial, path)


def _ad_campaigns(world: World) -> dict[str, tuple[str, str]]:
    clicks = world.ad_clicks
    google = clicks[clicks["platform"].eq("google_ads")]
    return {str(row["click_id"]): (str(row["campaign_id"]), str(row["campaign_name"])) for row in records_of(google)}


class _Rows:
    """Turns event facts into rows of the export schema; what is null is left out."""

    def __init__(
        self,
        first_touch: pd.DataFrame,
        campaigns: dict[str, tuple[str, str]],
        whole_number: Callable[[int], int | str],
    ) -> None:
        self._campaigns = campaigns
        self._int = whole_number  # BigQuery's JSON has INT64 as text
        columns = (first_touch[name] for name in ("micros", "source", "medium", "campaign"))
        self._first = dict(zip(first_touch.index, zip(*columns, strict=True), strict=True))

    def row(self, event: dict[str, Any]) -> dict[str, Any]:
        url, referrer = text_or_none(event["page_url"]), text_or_none(event["referrer"])
        moment, source, medium, campaign = self._first[event["device_id"]]
        found = campaign_parameters(url)
        value = None if pd.isna(event["value"]) else float(event["value"])
        hostname = {} if event["host"] == "(not set)" else {"hostname": event["host"]}
        row: dict[str, Any] = {
            "event_date": event["date"],
            "event_timestamp": self._int(event["micros"]),
            "event_name": event["event_name"],
            "event_params": [
                {"key": key, "value": {kind: content}}
                for key, kind, content in self._parameters(event, url, referrer, value)
            ],
            "event_bundle_sequence_id": self._int(share_of(event["event_id"], 10**9)),
            "user_pseudo_id": event["device_id"],
            "privacy_info": {"uses_transient_token": "No"},
            "user_properties": [],
            "user_first_touch_timestamp": self._int(int(moment)),
            "user_ltv": {"revenue": 0.0, "currency": "EUR"},
            "device": {
                "category": event["category"],
                "operating_system": event["operating_system"],
                "language": "en-us",
                "is_limited_ad_tracking": "No",
                "web_info": {"browser": event["browser"], **hostname},
            },
            "geo": {"country": event["country"], "metro": "(not set)"},
            # The user's first touch, not this session's: mistaking one for the other is a classic error.
            "traffic_source": {"name": campaign, "medium": medium, "source": source},
            "stream_id": STREAM_ID,
            "platform": "WEB",
            "ecommerce": {},
            "is_active_user": bool(event["is_engaged"]),
            "items": [],
        }
        if user_id := text_or_none(event["user_id"]):
            row["user_id"] = user_id
        if event["event_name"] == "purchase" and value is not None:
            row["ecommerce"] = {"transaction_id": event["event_id"], "purchase_revenue": value}
        if found:
            row["collected_traffic_source"] = {
                name: found[parameter] for name, parameter in MANUAL.items() if parameter in found
            }
        if event["medium"] != "(none)":
            row["session_traffic_source_last_click"] = self._last_click(event, found)
        return row

    def _last_click(self, event: dict[str, Any], found: dict[str, str]) -> dict[str, Any]:
        manual = {"campaign_name": event["campaign"], "source": event["source"], "medium": event["medium"]}
        last_click: dict[str, Any] = {"manual_campaign": manual}
        if known := self._campaigns.get(found.get("gclid", "")):
            last_click["google_ads_campaign"] = {
                "customer_id": GOOGLE_ADS_CUSTOMER,
                "campaign_id": known[0],
                "campaign_name": known[1],
            }
        return last_click

    def _parameters(
        self, event: dict[str, Any], url: str | None, referrer: str | None, value: float | None
    ) -> Iterator[tuple[str, str, Any]]:
        """Key, type and content of each event parameter."""
        if not pd.isna(event["ga_session_id"]):
            yield "ga_session_id", "int_value", self._int(int(event["ga_session_id"]))
            yield "ga_session_number", "int_value", self._int(int(event["ga_session_number"]))
        if url:
            yield "page_location", "string_value", url
        if referrer:
            yield "page_referrer", "string_value", referrer
        # Seen as text in one real export and as an integer in another; here rows of one export differ.
        if event["is_engaged"]:
            if share_of(event["event_id"], 2) == 0:
                yield "session_engaged", "string_value", "1"
            else:
                yield "session_engaged", "int_value", self._int(1)
            yield "engaged_session_event", "int_value", self._int(1)
        if value is not None:
            yield "value", "double_value", value
            yield "currency", "string_value", "EUR"


def _with_nulls(row: dict[str, Any], fields: pa.Schema | pa.StructType) -> dict[str, Any]:
    """Every field of the schema, absent ones as null."""

    def full(value: Any, kind: pa.DataType) -> Any:
        if value is None:
            return None
        if pa.types.is_struct(kind):
            return _with_nulls(value, kind)
        if pa.types.is_list(kind):
            return [full(item, kind.value_type) for item in value]
        return value

    return {field.name: full(row.get(field.name), field.type) for field in fields}


def _ndjson(rows: list[dict[str, Any]]) -> bytes:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
    lines = [encode(row) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="snappy")
    return bytes(sink.getvalue())
