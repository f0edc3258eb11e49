"""Google Ads' resources as query results: which fields there are, and their rows from the world's ad days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.ads import SUMS, delivered, restated
from dlt_pipelines.sandbox.vendors.common import (
    EUROPE,
    GOOGLE_ADS_CUSTOMER,
    World,
    on_time,
    records_of,
    text_or_none,
    whole,
    world_end,
    world_today,
)
from dlt_pipelines.sandbox.vendors.gaql import Condition, Query, QueryError, date_bounds, keeps

VENDOR = "google_ads"
CLICK_DAYS = 90


@dataclass(frozen=True)
class Field:
    """A field of the query language: where its value comes from and how JSON shows it."""

    column: str
    kind: str = "text"  # text, int64 (text in JSON), int (text in JSON, a metric), double


FIELDS = {
    "customer.id": Field("account_id", "int64"),
    "customer.descriptive_name": Field("account_name"),
    "customer.currency_code": Field("currency"),
    "customer.time_zone": Field("time_zone"),
    "customer.manager": Field("manager", "bool"),
    "campaign.id": Field("campaign_id", "int64"),
    "campaign.name": Field("campaign_name"),
    "campaign.status": Field("status"),
    "campaign.advertising_channel_type": Field("channel_type"),
    "ad_group.id": Field("ad_group_id", "int64"),
    "ad_group.name": Field("ad_group_name"),
    "ad_group.status": Field("status"),
    "ad_group_ad.ad.id": Field("ad_id", "int64"),
    "ad_group_ad.ad.name": Field("ad_name"),
    "ad_group_ad.status": Field("status"),
    "click_view.gclid": Field("click_id"),
    "click_view.ad_group_ad": Field("ad_group_ad"),
    "segments.date": Field("date"),
    "segments.ad_network_type": Field("network"),
    "metrics.cost_micros": Field("cost_micros", "int64"),
    "metrics.clicks": Field("clicks", "int64"),
    "metrics.impressions": Field("impressions", "int64"),
    "metrics.conversions": Field("conversions", "double"),
    "metrics.conversions_value": Field("conversions_value", "double"),
    "metrics.ctr": Field("ctr", "double"),
    "metrics.average_cpc": Field("average_cpc", "double"),
}
# What each resource may be asked for, and the columns that make one row of it.
RESOURCES: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "customer": (frozenset({"customer", "segments", "metrics"}), ("account_id",)),
    "campaign": (frozenset({"customer", "campaign", "segments", "metrics"}), ("account_id", "campaign_id")),
    "ad_group": (
        frozenset({"customer", "campaign", "ad_group", "segments", "metrics"}),
        ("account_id", "campaign_id", "ad_group_id"),
    ),
    "ad_group_ad": (
        frozenset({"customer", "campaign", "ad_group", "ad_group_ad", "segments", "metrics"}),
        ("account_id", "campaign_id", "ad_group_id", "ad_id"),
    ),
    "click_view": (
        frozenset({"customer", "campaign", "ad_group", "click_view", "segments", "metrics"}),
        ("account_id", "date", "click_id"),
    ),
}


def is_metric(name: str) -> bool:
    return name.startswith("metrics.")


def camel(name: str) -> str:
    """``cost_micros`` -> ``costMicros``."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def field_mask(query: Query) -> str:
    """The mask of the reply: the selected fields, in JSON names."""
    return ",".join(".".join(camel(part) for part in name.split(".")) for name in query.fields)


class Reports:
    """Answers queries from the world's ad days and clicks."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._faults = faults
        self._end, self._today = world_end(world), world_today(world)
        self._ad_days, self._ad_clicks = _ad_days(world), _ad_clicks(world)

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """Result rows in JSON form, in a fixed order.

        Raises:
            QueryError: The query asks for what the resource does not have.
        """
        self._check(query)
        table = self._clicks(query) if query.resource == "click_view" else self._days(query)
        rows = [self._row(query, values) for values in records_of(table)]
        return rows[: query.limit] if query.limit else rows

    def _check(self, query: Query) -> None:
        if query.resource not in RESOURCES:
            raise QueryError(
                "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
                f"Error in query: '{query.resource}' is not a valid resource name.",
            )
        withdrawn = self._faults.active(VENDOR, "withdrawn_field")
        mentioned = [*query.fields, *(c.field for c in query.conditions), *(name for name, _ in query.order)]
        for name in mentioned:
            known = name in FIELDS or name.endswith(".resource_name")
            if not known or (withdrawn and withdrawn.field == name):
                raise QueryError("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{name}'.")
            if name.split(".")[0] not in RESOURCES[query.resource][0]:
                raise QueryError(
                    "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
                    f"Cannot select or filter on the following field: '{name}', since it is incompatible with the "
                    f"resource in the FROM clause, '{query.resource}'.",
                )
        for name in mentioned[len(query.fields) :]:
            if name.endswith(".resource_name"):
                raise QueryError(
                    "PROHIBITED_FIELD_IN_WHERE_CLAUSE",
                    f"The field '{name}' cannot be used in WHERE or ORDER BY.",
                )
        bounds = date_bounds(query, self._today)
        if query.resource == "click_view":
            self._check_clicks(query)
        elif "segments.date" in query.fields and None in bounds:
            raise QueryError(
                "EXPECTED_FILTERS_ON_DATE_RANGE",
                "Expects filters on the following field to limit a finite date range: 'segments.date'",
            )

    def _check_clicks(self, query: Query) -> None:
        for name in query.fields:
            if is_metric(name) and name != "metrics.clicks":
                raise QueryError(
                    "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
                    f"Cannot select or filter on the following metrics: '{name}' (click_view has only clicks).",
                )
        first, last = date_bounds(query, self._today)
        if first is None or first != last:
            raise QueryError(
                "EXPECTED_FILTER_ON_A_SINGLE_DAY",
                "Missing filter on a single day. The query must be limited to one segments.date.",
                family="clickViewError",
            )
        if first < self._today - timedelta(days=CLICK_DAYS):
            raise QueryError(
                "DATE_TOO_OLD",
                f"The requested date {first} is older than {CLICK_DAYS} days.",
                family="clickViewError",
            )

    def _days(self, query: Query) -> pd.DataFrame:
        frame = self._disturbed(self._ad_days)
        selected = set(query.fields) | {c.field for c in query.conditions}
        # A row of the answer is one resource per combination of the segments that were selected.
        segments = [FIELDS[name].column for name in sorted(query.fields) if name.startswith("segments.")]
        frame = _filtered(frame, [c for c in query.conditions if not is_metric(c.field)], self._today)
        keys = [*RESOURCES[query.resource][1], *segments]
        others = [c for c in frame.columns if c not in keys and c not in SUMS]
        grouped = frame.groupby(keys, sort=True, dropna=False, as_index=False)
        table = grouped.agg({**dict.fromkeys(others, "last"), **dict.fromkeys(SUMS, "sum")})
        if segments and any(is_metric(name) for name in selected):
            table = delivered(table)
        table["ctr"] = table["clicks"] / table["impressions"].where(table["impressions"] > 0)
        table["average_cpc"] = table["cost_micros"] / table["clicks"].where(table["clicks"] > 0)
        table = _filtered(table, [c for c in query.conditions if is_metric(c.field)], self._today)
        return _sorted(table, query)

    def _disturbed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Late and restated ad days, while those faults are on."""
        ids = frame["date"] + "/" + frame["ad_id"].astype(str)
        frame = frame[on_time(self._faults, VENDOR, self._end, ids, frame["date"])]
        return restated(frame, self._faults, VENDOR, self._end)

    def _clicks(self, query: Query) -> pd.DataFrame:
        table = self._ad_clicks
        table = table[on_time(self._faults, VENDOR, self._end, table["click_id"], table["occurred_at"])]
        table = _filtered(table, list(query.conditions), self._today)
        return _sorted(table, query)

    def _row(self, query: Query, values: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name in query.fields:
            resource, *rest = name.split(".")
            node = row.setdefault(camel(resource), {})
            if resource not in ("segments", "metrics"):
                # Google Ads sends the resource name of every selected resource, asked for or not.
                node["resourceName"] = _resource_name(resource, values)
            if rest == ["resource_name"]:
                continue
            if rest[0] == "ad":
                node = node.setdefault("ad", {})
                node["resourceName"] = f"customers/{values['account_id']}/ads/{values['ad_id']}"
            shown = _shown(FIELDS[name], values.get(FIELDS[name].column))
            if shown is not None:
                node[camel(rest[-1])] = shown
        return row


ACCOUNT: dict[str, Any] = {
    "account_name": "Sandbox shop",
    "time_zone": EUROPE,
    "manager": False,
    "status": "ENABLED",
    "network": "SEARCH",
}


def _ad_days(world: World) -> pd.DataFrame:
    frame = world.ad_days
    frame = frame[frame["platform"].eq("google_ads")]
    return frame.assign(date=pd.to_datetime(frame["date"]).dt.strftime("%Y-%m-%d"), **ACCOUNT)


def _ad_clicks(world: World) -> pd.DataFrame:
    """Clicks with a gclid, once a day each, by time; days in the account's time zone."""
    clicks = world.ad_clicks
    clicks = clicks[clicks["platform"].eq("google_ads") & clicks["click_id_type"].eq("gclid")]
    local = clicks["occurred_at"].dt.tz_localize("UTC").dt.tz_convert(EUROPE)
    table = clicks.assign(
        date=local.dt.strftime("%Y-%m-%d"),
        account_id=GOOGLE_ADS_CUSTOMER,
        currency="EUR",
        **ACCOUNT,
        clicks=1,
        ad_group_ad=[
            f"customers/{GOOGLE_ADS_CUSTOMER}/adGroupAds/{whole(group)}~{whole(ad)}"
            for group, ad in zip(clicks["ad_group_id"], clicks["ad_id"], strict=True)
        ],
    )
    return table.sort_values(["occurred_at", "click_id"]).drop_duplicates(["date", "click_id"])


def _filtered(frame: pd.DataFrame, conditions: list[Condition], today: date) -> pd.DataFrame:
    """Rows that satisfy every condition."""
    for condition in conditions:
        spec = FIELDS[condition.field]
        # Each distinct value is judged once: a report has far fewer days and campaigns than rows.
        kept = {value: keeps(condition, _comparable(spec, value), today) for value in frame[spec.column].unique()}
        frame = frame[frame[spec.column].map(kept).astype(bool)]
    return frame


def _comparable(field: Field, value: Any) -> Any:
    if not isinstance(value, bool) and pd.isna(value):
        return None
    return int(value) if field.kind == "int64" else value


def _sorted(table: pd.DataFrame, query: Query) -> pd.DataFrame:
    if not query.order:
        return table
    columns = [FIELDS[name].column for name, _ in query.order]
    return table.sort_values(columns, ascending=[not descending for _, descending in query.order], kind="stable")


def _resource_name(resource: str, values: dict[str, Any]) -> str:
    customer = f"customers/{values['account_id']}"
    if resource == "customer":
        return customer
    tail = {
        "campaign": f"campaigns/{values.get('campaign_id')}",
        "ad_group": f"adGroups/{values.get('ad_group_id')}",
        "ad_group_ad": f"adGroupAds/{values.get('ad_group_id')}~{values.get('ad_id')}",
        "click_view": f"clickViews/{values.get('date')}~{values.get('click_id')}",
    }[resource]
    return f"{customer}/{tail}"


def _shown(field: Field, value: Any) -> Any:
    if value is None or (not isinstance(value, bool) and pd.isna(value)):
        return None
    if field.kind == "int64":
        return str(int(value))
    if field.kind == "double":
        return float(value)
    if field.kind == "bool":
        return bool(value)
    shown = text_or_none(value)
    return shown.upper() if shown and field.column == "channel_type" else shown
