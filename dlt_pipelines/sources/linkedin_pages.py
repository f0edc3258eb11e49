"""LinkedIn pages: what came of an organisation's own posts by day, followers won, and the posts themselves.

Organic figures only; what was sponsored is in `linkedin_ads`. Queries are Rest.li and written out here, since its
parentheses, colons and commas must stay as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dlt_pipelines.config import ExtractionWindow, LinkedinPagesConfig
from dlt_pipelines.http import VendorSession, read_to_the_end
from dlt_pipelines.linkedin import linkedin_session
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import from_epoch_ms
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "linkedin_pages"
CLIENT_ID: Final = SecretSpec("LINKEDIN_PAGES_CLIENT_ID", "id of the developer application (Community Management API)")
CLIENT_SECRET: Final = SecretSpec("LINKEDIN_PAGES_CLIENT_SECRET", "secret of the developer application")
REFRESH_TOKEN: Final = SecretSpec("LINKEDIN_PAGES_REFRESH_TOKEN", "refresh token of an administrator of the pages")
# LinkedIn answers for the last twelve months.
HISTORY_DAYS: Final = 365
DAYS_A_CALL: Final = 90
POSTS_A_CALL: Final = 20
_COUNTS: Final[Mapping[str, str]] = {
    "impressionCount": "impressions",
    "uniqueImpressionsCount": "unique_impressions",
    "clickCount": "clicks",
    "likeCount": "likes",
    "commentCount": "comments",
    "shareCount": "shares",
}
_FIGURES = (
    C("impressions", "bigint", "Times shown."),
    C("unique_impressions", "bigint", "People it was shown to."),
    C("clicks", "bigint", "Clicks."),
    C("likes", "bigint", "Reactions."),
    C("comments", "bigint", "Comments."),
    C("shares", "bigint", "Reposts."),
)
PAGE_DAILY: Final = ResourceSpec(
    "page_daily",
    ("date", "organisation_id"),
    "Organic figures of a page by day.",
    (
        C("date", "date", "Day in UTC."),
        C("organisation_id", "text", "Organisation."),
        *_FIGURES,
        C("organic_follower_gain", "bigint", "Followers won without ads, less those lost."),
        C("paid_follower_gain", "bigint", "Followers won by ads."),
    ),
)
POSTS: Final = ResourceSpec(
    "posts",
    ("id",),
    "Posts of a page with their figures so far; those of the last weeks are read again.",
    (
        C("id", "text", "Post, its URN."),
        C("organisation_id", "text", "Organisation."),
        C("published_on", "date", "Day of publication, UTC."),
        C("published_at", "timestamp", "Publication, UTC."),
        C("text", "text", "Text.", "free_text"),
        *_FIGURES,
    ),
)


def open_session(config: LinkedinPagesConfig) -> VendorSession:
    return linkedin_session(NAME, config, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)


def build(config: LinkedinPagesConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured organisations."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.organisation_ids:
        raise ValueError("sources.linkedin_pages.organisation_ids is empty; name the organisations to read.")

    def days_of(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for part in days.chunks(DAYS_A_CALL):
                yield from _page_days(session, part)

    def posts_of(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            yield from _posts(session, config, days)

    shared: dict[str, Any] = {
        "account_column": "organisation_id",
        "accounts": config.organisation_ids,
        "earliest": window.now.date() - timedelta(days=HISTORY_DAYS),
    }
    return make_source(
        NAME,
        [
            day_resource(NAME, PAGE_DAILY, window, hasher, settling_days=config.settling_days, pull=days_of, **shared),
            day_resource(
                NAME,
                POSTS,
                window,
                hasher,
                day_column="published_on",
                settling_days=config.post_days,
                pull=posts_of,
                **shared,
            ),
        ],
    )


def _urn(organisation: str) -> str:
    return quote(f"urn:li:organization:{organisation}", safe="")


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)


def _elements(session: VendorSession, finder: str, query: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = session.get(f"/rest/{finder}?{query}")["elements"]
    return found


def _page_days(session: VendorSession, days: "DayRange") -> Iterator[dict[str, Any]]:
    span = f"(timeRange:(start:{_midnight(days.start)},end:{_midnight(days.end)}),timeGranularityType:DAY)"
    query = f"q=organizationalEntity&organizationalEntity={_urn(days.account)}&timeIntervals={span}"
    gains = {
        element["timeRange"]["start"]: element["followerGains"]
        for element in _elements(session, "organizationalEntityFollowerStatistics", query)
    }
    for element in _elements(session, "organizationalEntityShareStatistics", query):
        begin = element["timeRange"]["start"]
        gain = gains.get(begin, {})
        moment = from_epoch_ms(begin)
        assert moment is not None
        yield {
            "date": moment.date(),
            "organisation_id": days.account,
            **_figures(element),
            "organic_follower_gain": gain.get("organicFollowerGain"),
            "paid_follower_gain": gain.get("paidFollowerGain"),
        }


def _figures(element: Mapping[str, Any]) -> dict[str, Any]:
    totals = element["totalShareStatistics"]
    return {column: totals[name] for name, column in _COUNTS.items()}


def _posts(session: VendorSession, config: LinkedinPagesConfig, days: "DayRange") -> Iterator[dict[str, Any]]:
    def fetch(offset: int) -> Sequence[Mapping[str, Any]]:
        asked = f"q=author&author={_urn(days.account)}&start={offset}&count={config.page_size}&sortBy=CREATED"
        return _elements(session, "posts", asked)

    listed: dict[str, dict[str, Any]] = {}
    for post in read_to_the_end(f"{NAME} posts", fetch, config.page_size, lambda post: post["id"]):
        moment = from_epoch_ms(post.get("publishedAt") or post["createdAt"])
        assert moment is not None
        if days.start <= moment.date() < days.end:
            listed[post["id"]] = {"published_at": moment, "text": post.get("commentary")}
    for kind, name in (("share", "shares"), ("ugcPost", "ugcPosts")):
        ids = [key for key in listed if key.startswith(f"urn:li:{kind}:")]
        for start in range(0, len(ids), POSTS_A_CALL):
            urns = ",".join(quote(key, safe="") for key in ids[start : start + POSTS_A_CALL])
            query = f"q=organizationalEntity&organizationalEntity={_urn(days.account)}&{name}=List({urns})"
            for element in _elements(session, "organizationalEntityShareStatistics", query):
                listed[element[kind]] |= _figures(element)
    for key, post in listed.items():
        yield {
            "id": key,
            "organisation_id": days.account,
            "published_on": post["published_at"].date(),
            **post,
        }


def probe(config: LinkedinPagesConfig) -> Iterator[Finding]:
    """Whether the sign-in reaches every configured organisation."""
    if not config.organisation_ids:
        yield Finding(
            "error", f"{NAME}: organisation_ids", "empty", "Name the organisations under [sources.linkedin_pages]."
        )
        return
    with open_session(config) as session:
        for organisation in config.organisation_ids:
            found = session.get(f"/rest/organizations/{organisation}")
            yield Finding("ok", f"{NAME}: {organisation}", str(found.get("localizedName")))


SPEC: Final = SourceSpec(
    name=NAME,
    title="LinkedIn pages",
    config_model=LinkedinPagesConfig,
    resources=(PAGE_DAILY, POSTS),
    secrets=(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
    build=build,
    probe=probe,
)
