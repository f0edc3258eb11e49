"""Meta's insights: checked requests, rows from the world's ad days, and report runs."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
from starlette.responses import Response

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.ads import served_days, summed
from dlt_pipelines.sandbox.vendors.common import (
    META_ACCOUNT,
    JsonResponse,
    World,
    decimal_text,
    records_of,
    text_or_none,
    whole,
    world_today,
)

VENDOR = "meta_ads"
HISTORY_MONTHS = 37
LEVELS = {
    "account": ("account_id",),
    "campaign": ("account_id", "campaign_id"),
    "adset": ("account_id", "campaign_id", "ad_group_id"),
    "ad": ("account_id", "campaign_id", "ad_group_id", "ad_id"),
}
FIELD_NAMES = frozenset(
    {
        "account_id",
        "account_name",
        "account_currency",
        "campaign_id",
        "campaign_name",
        "adset_id",
        "adset_name",
        "ad_id",
        "ad_name",
        "spend",
        "impressions",
        "clicks",
        "inline_link_clicks",
        "reach",
        "frequency",
        "ctr",
        "cpc",
        "cpm",
        "actions",
        "action_values",
        "outbound_clicks",
        "purchase_roas",
        "attribution_setting",
        "objective",
        "buying_type",
        "date_start",
        "date_stop",
    }
)
PURCHASE_TYPES = ("offsite_conversion.fb_pixel_purchase", "purchase", "omni_purchase")
# The steps a report run is seen in, one a poll.
PROGRESS = (("Job Not Started", 0), ("Job Started", 0), ("Job Running", 50), ("Job Completed", 100))


class GraphError(Exception):
    """A refusal in the Graph API's form."""

    def __init__(
        self, code: int, message: str, *, http: int = 400, subcode: int | None = None, transient: bool = False
    ) -> None:
        super().__init__(message)
        self.code, self.http, self.subcode, self.transient = code, http, subcode, transient

    def response(self, **headers: str) -> Response:
        """The error body; fbtrace_id is what a user would quote to support."""
        error: dict[str, Any] = {"message": str(self), "type": "OAuthException", "code": self.code}
        if self.subcode:
            error["error_subcode"] = self.subcode
        error |= {"is_transient": self.transient, "fbtrace_id": "AsandboxTrace00000000001"}
        return JsonResponse({"error": error}, self.http, headers=headers)


@dataclass(frozen=True)
class Query:
    """One insights request, checked."""

    level: str
    fields: tuple[str, ...]
    first: date
    last: date
    increment: int | None  # days per row; None: the whole range in one row
    windows: tuple[str, ...]
    filters: tuple[tuple[str, str, tuple[str, ...]], ...]


class Insights:
    """Answers insights requests from the world's ad days, and keeps the report runs."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._today = world_today(world)
        self._runs: dict[str, tuple[Query, int]] = {}
        self._numbers = itertools.count(6023920149050001)
        self._lock = threading.Lock()

    def query(self, params: dict[str, str]) -> Query:
        """Checks the parameters of a request.

        Raises:
            GraphError: One of them is wrong.
        """
        level = params.get("level", "account")
        if level not in LEVELS:
            raise GraphError(100, f"(#100) level must be one of {sorted(LEVELS)}")
        fields = tuple(items(params.get("fields", "impressions,spend")))
        withdrawn = self._faults.active(VENDOR, "withdrawn_field")
        for name in fields:
            if name not in FIELD_NAMES or (withdrawn and withdrawn.field == name):
                raise GraphError(
                    100,
                    f"(#100) {name} is not valid for fields param. please check "
                    "https://developers.facebook.com/docs/marketing-api/reference/ads-insights/ for all valid values",
                )
        first, last = self._range(params)
        increment = params.get("time_increment", "all_days")
        if not (increment == "all_days" or (increment.isdigit() and 1 <= int(increment) <= 90)):
            raise GraphError(100, "(#100) time_increment must be all_days, monthly or 1 to 90")
        return Query(
            level,
            fields,
            first,
            last,
            None if increment == "all_days" else int(increment),
            tuple(items(params.get("action_attribution_windows", "7d_click,1d_view"))),
            _filters(params.get("filtering", "[]")),
        )

    def _range(self, params: dict[str, str]) -> tuple[date, date]:
        if "time_range" in params or "time_range[since]" in params:
            try:
                asked = json.loads(params.get("time_range", "{}"))
                since = date.fromisoformat(asked.get("since") or params["time_range[since]"])
                until = date.fromisoformat(asked.get("until") or params["time_range[until]"])
            except (ValueError, KeyError, AttributeError):
                raise GraphError(
                    100, "(#100) param time_range must be an object with since and until (YYYY-MM-DD)"
                ) from None
        else:
            days = {"today": (0, 0), "yesterday": (1, 1), "last_7d": (7, 1), "last_14d": (14, 1)}
            back = days.get(params.get("date_preset", ""), (30, 1))
            since, until = self._today - timedelta(days=back[0]), self._today - timedelta(days=back[1])
        if since > until:
            raise GraphError(100, "(#100) The start date of the time range must be before or equal to the end date")
        if since < self._today - timedelta(days=31 * HISTORY_MONTHS):
            raise GraphError(
                3018,
                f"(#3018) The start date of the time range cannot be beyond {HISTORY_MONTHS} months from the current date",
            )
        return since, until

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """Rows of one request, days in order."""
        frame = served_days(self._world, self._faults, VENDOR, str(query.first), str(query.last))
        for column, operator, values in query.filters:
            kept = frame[column].astype(str).isin(values)
            frame = frame[kept if operator in ("IN", "EQUAL") else ~kept]
        if frame.empty:
            return []
        step = query.increment or (query.last - query.first).days + 1
        number = (pd.to_datetime(frame["date"]) - pd.Timestamp(query.first)).dt.days // step
        frame = frame.assign(bucket=number)
        keys = ["bucket", *LEVELS[query.level]]
        return [self._row(query, values, step) for values in records_of(summed(frame, keys))]

    def _row(self, query: Query, values: dict[str, Any], step: int) -> dict[str, Any]:
        start = query.first + timedelta(days=int(values["bucket"]) * step)
        stop = min(start + timedelta(days=step - 1), query.last)
        clicks, impressions = whole(values["clicks"]), whole(values["impressions"])
        spend = whole(values["cost_micros"])
        purchases, revenue = float(values["conversions"]), float(values["conversions_value"])
        reach = max(1, impressions * 7 // 10)
        known: dict[str, Any] = {
            "account_id": str(values["account_id"]).removeprefix("act_"),
            "account_name": "Sandbox shop",
            "account_currency": text_or_none(values["currency"]),
            "campaign_id": text_or_none(values["campaign_id"]),
            "campaign_name": text_or_none(values["campaign_name"]),
            "adset_id": text_or_none(values["ad_group_id"]),
            "adset_name": text_or_none(values["ad_group_name"]),
            "ad_id": text_or_none(values["ad_id"]),
            "ad_name": text_or_none(values["ad_name"]),
            "spend": decimal_text(spend),
            "impressions": str(impressions),
            "clicks": str(clicks),
            "inline_link_clicks": str(clicks) if clicks else None,
            "reach": str(reach),
            "frequency": f"{impressions / reach:.6f}",
            "ctr": f"{100 * clicks / max(1, impressions):.6f}",
            "cpc": f"{spend / 1e6 / clicks:.6f}" if clicks else None,
            "cpm": f"{spend / 1e3 / max(1, impressions):.6f}",
            "actions": _actions(query.windows, [("link_click", clicks), ("landing_page_view", clicks * 9 // 10)])
            + _purchases(query.windows, purchases),
            "action_values": _purchases(query.windows, revenue),
            "outbound_clicks": _actions(query.windows, [("outbound_click", clicks)]),
            "purchase_roas": _actions((), [("omni_purchase", revenue / (spend / 1e6))]) if spend else [],
            "attribution_setting": "7d_click_1d_view",
            "objective": "OUTCOME_SALES",
            "buying_type": "AUCTION",
        }
        # Names and ids above the level of the row do not exist for it.
        deepest = {"account": 0, "campaign": 1, "adset": 2, "ad": 3}[query.level]
        for depth, prefix in ((1, "campaign"), (2, "adset"), (3, "ad")):
            if depth > deepest:
                known[f"{prefix}_id"] = known[f"{prefix}_name"] = None
        row = {name: known[name] for name in query.fields if known.get(name) not in (None, [])}
        return {**row, "date_start": start.isoformat(), "date_stop": stop.isoformat()}

    def start_run(self, query: Query) -> str:
        """Registers a report run; its number."""
        with self._lock:
            number = str(next(self._numbers))
            self._runs[number] = (query, 0)
        return number

    def poll(self, number: str) -> dict[str, Any]:
        """The state of a run, one step further at each look.

        Raises:
            GraphError: No such run.
        """
        with self._lock:
            if number not in self._runs:
                raise unknown_object(number)
            query, step = self._runs[number]
            status, percent = PROGRESS[step]
            if step == 2 and self._faults.take(VENDOR, "failed_job", number):
                status = "Job Failed"
                self._runs[number] = (query, 0)
            elif step < len(PROGRESS) - 1:
                self._runs[number] = (query, step + 1)
        return {
            "id": number,
            "account_id": META_ACCOUNT,
            "async_status": status,
            "async_percent_completion": percent,
            "is_running": status in ("Job Started", "Job Running"),
            "date_start": query.first.isoformat(),
            "date_stop": query.last.isoformat(),
        }

    def finished(self, number: str) -> Query:
        """The request of a run that is complete.

        Raises:
            GraphError: No such run, or it is not complete.
        """
        with self._lock:
            if number not in self._runs:
                raise unknown_object(number)
            query, step = self._runs[number]
        if step < len(PROGRESS) - 1:
            raise GraphError(100, f"(#100) The report run {number} is not completed yet")
        return query

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """Campaigns, ad sets or ads, oldest id first."""
        prefix = {"campaigns": "campaign", "adsets": "ad_group", "ads": "ad"}[kind]
        frame = self._world.ad_days
        frame = frame[frame["platform"].eq("meta_ads")].sort_values(["date", f"{prefix}_id"])
        frame = frame.drop_duplicates(f"{prefix}_id", keep="last").sort_values(f"{prefix}_id")
        parents = {"campaigns": {}, "adsets": {"campaign_id": "campaign_id"}, "ads": {}}[kind]
        if kind == "ads":
            parents = {"campaign_id": "campaign_id", "adset_id": "ad_group_id"}
        return [
            {
                "id": str(values[f"{prefix}_id"]),
                "name": str(values[f"{prefix}_name"]),
                "account_id": META_ACCOUNT,
                "status": "ACTIVE",
                **{name: str(values[column]) for name, column in parents.items()},
            }
            for values in records_of(frame)
        ]


def unknown_object(name: str) -> GraphError:
    return GraphError(
        100,
        f"Unsupported get request. Object with ID '{name}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation",
        subcode=33,
    )


def items(text: str) -> list[str]:
    """A list given as ``a,b`` or as JSON."""
    if text.startswith("["):
        try:
            return [str(item) for item in json.loads(text)]
        except ValueError:
            raise GraphError(100, "(#100) param must be an array.") from None
    return [item.strip() for item in text.split(",") if item.strip()]


def _filters(text: str) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    columns = {"campaign.id": "campaign_id", "adset.id": "ad_group_id", "ad.id": "ad_id"}
    try:
        asked = json.loads(text)
        filters = tuple(
            (
                columns[item["field"]],
                str(item["operator"]),
                tuple(map(str, item["value"] if isinstance(item["value"], list) else [item["value"]])),
            )
            for item in asked
        )
    except (ValueError, KeyError, TypeError):
        raise GraphError(100, f"(#100) filtering must be a list of conditions on {', '.join(columns)}") from None
    if any(operator not in ("IN", "NOT_IN", "EQUAL", "NOT_EQUAL") for _, operator, _ in filters):
        raise GraphError(100, "(#100) filtering: unsupported operator")
    return filters


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else repr(round(float(number), 6))


def _actions(windows: Iterable[str], counts: list[tuple[str, float]]) -> list[dict[str, str]]:
    """One entry per action type that happened; clicks all fall into the click windows."""
    clicked = [window for window in windows if window.endswith("_click")]
    return [
        {
            "action_type": kind,
            "value": _plain(count),
            **{window: _plain(count) for window in clicked},
        }
        for kind, count in counts
        if count
    ]


def _purchases(windows: Iterable[str], amount: float) -> list[dict[str, str]]:
    """The same purchases under three types: whoever adds them up counts each one three times."""
    return _actions(windows, [(kind, amount) for kind in PURCHASE_TYPES])
