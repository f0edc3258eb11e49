"""Meta (Facebook, Instagram) ads: insights per ad and day, by call for short spans and by report job for long ones.

The token travels in a header and pages are walked by cursor, never by Meta's `next` link, which carries the token.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines import contract
from dlt_pipelines.config import ExtractionWindow, MetaAdsConfig
from dlt_pipelines.dialects import meta
from dlt_pipelines.http import HeaderAuth, VendorError, VendorSession, poll, walk
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import Finding, SecretSpec, SourceSpec, looked_at

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

LOG = logging.getLogger(__name__)
NAME: Final = "meta_ads"
TOKEN: Final = SecretSpec("META_ADS_ACCESS_TOKEN", "system user's access token with ads_read")
DAYS_PER_JOB: Final = 90
JOB_TRIES: Final = 3
FIELDS: Final = (
    "account_id",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
    "spend",
    "clicks",
    "inline_link_clicks",
    "impressions",
    "account_currency",
    "actions",
    "attribution_setting",
)


def open_session(config: MetaAdsConfig) -> VendorSession:
    token = TOKEN.read()
    return VendorSession(NAME, config, meta, HeaderAuth("Authorization", f"Bearer {token}", token))


def build(config: MetaAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured ad accounts."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.account_ids:
        raise ValueError("sources.meta_ads.account_ids is empty; name the ad accounts to read.")

    def pull(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            if (days.end - days.start).days <= config.sync_days:
                yield from _insights(session, config, days, f"/{config.api_version}/{days.account}/insights", True)
                return
            for part in days.chunks(DAYS_PER_JOB):
                run = _finished_job(session, config, part)
                yield from _insights(session, config, part, f"/{config.api_version}/{run}/insights", False)

    return make_source(
        NAME,
        [
            day_resource(
                NAME,
                contract.META_ADS_DAYS,
                window,
                hasher,
                day_column="date_start",
                accounts=config.account_ids,
                settling_days=config.settling_days,
                pull=pull,
                earliest=window.now.date() - timedelta(days=config.history_days),
            )
        ],
    )


def _question(start: date, end: date) -> dict[str, str]:
    """Insights parameters; `until` is inclusive."""
    return {
        "level": "ad",
        "time_increment": "1",
        "time_range": json.dumps({"since": start.isoformat(), "until": (end - timedelta(days=1)).isoformat()}),
        "fields": ",".join(FIELDS),
    }


def _insights(
    session: VendorSession, config: MetaAdsConfig, days: "DayRange", path: str, ask: bool
) -> Iterator[Mapping[str, Any]]:
    question = {"limit": str(config.page_size)} | (_question(days.start, days.end) if ask else {})

    def fetch(after: str | None) -> tuple[Any, str | None]:
        reply = session.get(path, question | ({"after": after} if after else {}))
        paging = reply.get("paging", {})
        # Only `next` says that there is more; `after` is there on the last page too.
        following = paging.get("cursors", {}).get("after") if paging.get("next") else None
        return reply.get("data", []), following

    for page in walk(f"{NAME} {days.account}", fetch):
        for row in page:
            yield _ad_row(config, days.account, row)


def _finished_job(session: VendorSession, config: MetaAdsConfig, days: "DayRange") -> str:
    """Run a report job to its end; its id.

    Raises:
        VendorError: the job failed repeatedly or never ended.
    """
    status = ""
    for attempt in range(1, JOB_TRIES + 1):
        reply = session.call(
            "POST", f"/{config.api_version}/{days.account}/insights", data=_question(days.start, days.end)
        )
        run = str(reply["report_run_id"])
        status = _wait_for(session, config, run)
        if status == "Job Completed":
            return run
        LOG.warning("%s: report job for %s to %s: %s (attempt %d)", NAME, days.start, days.end, status, attempt)
    raise VendorError(f"{NAME}: the report job for {days.account} ended {JOB_TRIES} times with {status!r}.")


def _wait_for(session: VendorSession, config: MetaAdsConfig, run: str) -> str:
    def ended() -> str | None:
        status = str(session.get(f"/{config.api_version}/{run}").get("async_status"))
        return status if status in ("Job Completed", "Job Failed", "Job Skipped") else None

    return str(poll(ended) or "no end within an hour")


def _ad_row(config: MetaAdsConfig, account: str, row: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in FIELDS if name not in ("actions", "account_id")]
    actions = row.get("actions") or []
    return {name: row.get(name) for name in names} | {
        "date_start": row["date_start"],
        "account_id": account,
        "purchases": _purchases(config, actions),
        "actions": json.dumps(actions, ensure_ascii=False, sort_keys=True) if actions else None,
    }


def _purchases(config: MetaAdsConfig, actions: list[Mapping[str, Any]]) -> Any:
    """Count of the first purchase action present: the others repeat the same purchases under another name."""
    values = {action.get("action_type"): action.get("value") for action in actions}
    return next((values[kind] for kind in config.purchase_actions if kind in values), 0)


def probe(config: MetaAdsConfig) -> Iterator[Finding]:
    """Whether the token reaches every configured ad account."""
    with open_session(config) as session:

        def look(account: str) -> str:
            facts = session.get(f"/{config.api_version}/{account}", {"fields": "name,currency,timezone_name"})
            return f"{facts.get('currency')}, {facts.get('timezone_name')}"

        yield from looked_at(NAME, "account_ids", config.account_ids, "ad accounts", look)


SPEC: Final = SourceSpec(
    name=NAME,
    title="Meta Ads",
    config_model=MetaAdsConfig,
    resources=contract.META_ADS,
    secrets=(TOKEN,),
    build=build,
    probe=probe,
)
