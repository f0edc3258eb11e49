"""Google Search Console: what people searched for when the site was shown or clicked, by day, query and page.

Only final data are read, which come two to three days late; days are those of Pacific time, whatever the account. Google
states no total and leaves rare queries out: `site_daily` holds them, `query_daily` does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dlt_pipelines.config import ExtractionWindow, SearchConsoleConfig
from dlt_pipelines.dialects import search_console
from dlt_pipelines.google_auth import GoogleAuth
from dlt_pipelines.http import VendorSession, read_to_the_end
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "search_console"
SCOPE: Final = "https://www.googleapis.com/auth/webmasters.readonly"
CREDENTIALS: Final = SecretSpec(
    "SEARCH_CONSOLE_CREDENTIALS_JSON", "JSON of a service account or authorized user who may read the property"
)
# Google keeps 16 months.
HISTORY_DAYS: Final = 480
# The load of a query grows with its days, and the most expensive kind is by page and query.
DAYS_A_SUMMARY: Final = 90
DAYS_A_DETAIL: Final = 1
_FIGURES = (
    C("clicks", "bigint", "Clicks."),
    C("impressions", "bigint", "Times shown."),
    C("position", "double", "Mean position of the topmost result, weighted by impressions; 1 is the top."),
)
SITE_DAILY: Final = ResourceSpec(
    "site_daily",
    ("date", "site_url", "device"),
    "Clicks and impressions per property, day and device, rare queries included.",
    (
        C("date", "date", "Day in Pacific time."),
        C("site_url", "text", "Property."),
        C("device", "text", "DESKTOP, MOBILE or TABLET."),
        *_FIGURES,
    ),
)
QUERY_DAILY: Final = ResourceSpec(
    "query_daily",
    ("date", "site_url", "query", "page"),
    "Clicks and impressions per query and page; queries that few people asked are left out by Google.",
    (
        C("date", "date", "Day in Pacific time."),
        C("site_url", "text", "Property."),
        C("query", "text", "What was searched for.", "free_text"),
        C("page", "text", "Page that was shown.", "url"),
        *_FIGURES,
    ),
)
DIMENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    SITE_DAILY.name: ("date", "device"),
    QUERY_DAILY.name: ("date", "query", "page"),
}


def open_session(config: SearchConsoleConfig) -> VendorSession:
    auth = GoogleAuth.from_json(NAME, config, CREDENTIALS.read(), CREDENTIALS.env, SCOPE, config.token_url)
    return VendorSession(NAME, config, search_console, auth)


def build(config: SearchConsoleConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured properties."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.site_urls:
        raise ValueError(
            'sources.search_console.site_urls is empty; name the properties to read, such as "sc-domain:shop.example".'
        )

    def puller(spec: ResourceSpec, days_a_call: int) -> Any:
        def pull(days: "DayRange") -> Iterator[Mapping[str, Any]]:
            with open_session(config) as session:
                for part in days.chunks(days_a_call):
                    for row in _rows(session, config, part, DIMENSIONS[spec.name]):
                        yield _row(part.account, DIMENSIONS[spec.name], row)

        return pull

    return make_source(
        NAME,
        [
            day_resource(
                NAME,
                spec,
                window,
                hasher,
                account_column="site_url",
                accounts=config.site_urls,
                settling_days=config.settling_days,
                pull=puller(spec, days_a_call),
                earliest=window.now.date() - timedelta(days=HISTORY_DAYS),
            )
            for spec, days_a_call in ((SITE_DAILY, DAYS_A_SUMMARY), (QUERY_DAILY, DAYS_A_DETAIL))
        ],
    )


def _path(config: SearchConsoleConfig, site: str) -> str:
    return f"/webmasters/{config.api_version}/sites/{quote(site, safe='')}"


def _rows(
    session: VendorSession, config: SearchConsoleConfig, days: "DayRange", dimensions: Sequence[str]
) -> list[Mapping[str, Any]]:
    last: date = days.end - timedelta(days=1)

    def fetch(offset: int) -> Sequence[Mapping[str, Any]]:
        reply = session.post(
            f"{_path(config, days.account)}/searchAnalytics/query",
            {
                "startDate": days.start.isoformat(),
                "endDate": last.isoformat(),
                "dimensions": list(dimensions),
                "type": config.search_type,
                "dataState": "final",
                "rowLimit": config.page_size,
                "startRow": offset,
            },
        )
        rows: Sequence[Mapping[str, Any]] = reply.get("rows", [])
        return rows

    return read_to_the_end(f"{NAME} {days.account}", fetch, config.page_size, lambda row: tuple(row["keys"]))


def _row(site: str, dimensions: Sequence[str], row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "site_url": site,
        **dict(zip(dimensions, row["keys"], strict=True)),
        "clicks": row["clicks"],
        "impressions": row["impressions"],
        "position": row["position"],
    }


def probe(config: SearchConsoleConfig) -> Iterator[Finding]:
    """Whether the credentials reach every configured property."""
    if not config.site_urls:
        yield Finding("error", f"{NAME}: site_urls", "empty", "Name the properties under [sources.search_console].")
        return
    with open_session(config) as session:
        listed = session.get(f"/webmasters/{config.api_version}/sites").get("siteEntry", [])
    known = {str(entry["siteUrl"]): str(entry["permissionLevel"]) for entry in listed}
    for site in config.site_urls:
        level = known.get(site, "siteUnverifiedUser")
        if level == "siteUnverifiedUser":
            yield Finding(
                "error",
                f"{NAME}: {site}",
                "the credentials may not read it",
                "Add the account as a user of the property in Search Console; it may read: "
                + (", ".join(known) or "none"),
            )
        else:
            yield Finding("ok", f"{NAME}: {site}", level)


SPEC: Final = SourceSpec(
    name=NAME,
    title="Google Search Console",
    config_model=SearchConsoleConfig,
    resources=(SITE_DAILY, QUERY_DAILY),
    secrets=(CREDENTIALS,),
    build=build,
    probe=probe,
)
