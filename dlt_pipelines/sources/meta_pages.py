"""Facebook and Instagram pages: an account's organic figures by day, and its posts.

Days are Pacific ones, as Meta counts them. Facebook answers a range of days for each metric; Instagram has totals only for
most, so each day is asked for by itself. Meta withdraws names of metrics often: which are asked for is a setting.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from dlt_pipelines.config import ExtractionWindow, MetaPagesConfig
from dlt_pipelines.dialects import meta
from dlt_pipelines.http import HeaderAuth, VendorSession, walk
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import moment
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "meta_pages"
TOKEN: Final = SecretSpec(
    "META_PAGES_ACCESS_TOKEN",
    "system user's token with pages_read_engagement, read_insights, instagram_manage_insights",
)
PACIFIC: Final = ZoneInfo("America/Los_Angeles")
# Meta answers for 90 days at a time and keeps two years.
DAYS_A_CALL: Final = 90
HISTORY_DAYS: Final = 729
POST_INSIGHTS: Final = {
    "facebook": {"post_media_view": "impressions", "post_total_media_view_unique": "reach", "post_clicks": "clicks"},
    "instagram": {"views": "impressions", "reach": "reach", "shares": "shares"},
}
ACCOUNT_DAILY: Final = ResourceSpec(
    "account_daily",
    ("date", "network", "account_id"),
    "Organic figures of a Facebook page or Instagram account by day.",
    (
        C("date", "date", "Day in Pacific time."),
        C("network", "text", "facebook or instagram."),
        C("account_id", "text", "Page or account."),
        C("impressions", "bigint", "Views."),
        C("reach", "bigint", "People who saw something."),
        C("engagements", "bigint", "Reactions, comments, shares and the like."),
        C("clicks", "bigint", "Clicks that led to the site, where the network tells."),
        C("followers", "bigint", "Followers at the end of the day, where the network tells."),
    ),
)
POSTS: Final = ResourceSpec(
    "posts",
    ("network", "id"),
    "Posts with their figures so far; those of the last weeks are read again.",
    (
        C("network", "text", "facebook or instagram."),
        C("id", "text", "Post."),
        C("account_id", "text", "Page or account."),
        C("published_on", "date", "Day of publication, UTC."),
        C("published_at", "timestamp", "Publication, UTC."),
        C("text", "text", "Text.", "free_text"),
        C("url", "text", "Address.", "url"),
        C("impressions", "bigint", "Views."),
        C("reach", "bigint", "People who saw it."),
        C("clicks", "bigint", "Clicks; Facebook only."),
        C("reactions", "bigint", "Reactions."),
        C("comments", "bigint", "Comments."),
        C("shares", "bigint", "Shares."),
    ),
)


def open_session(config: MetaPagesConfig, token: str = "") -> VendorSession:
    token = token or TOKEN.read()
    return VendorSession(NAME, config, meta, HeaderAuth("Authorization", f"Bearer {token}", token))


def _as_page(config: MetaPagesConfig, account: str) -> VendorSession:
    """A session with the page's own token, which its insights ask for; Instagram is read with ours."""
    if account not in config.page_ids:
        return open_session(config)
    with open_session(config) as session:
        found = session.get(f"/{config.api_version}/{account}", {"fields": "access_token"})
    return open_session(config, str(found.get("access_token") or ""))


def build(config: MetaPagesConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured pages and accounts."""
    from dlt_pipelines.extraction import day_resource, make_source

    accounts = (*config.page_ids, *config.instagram_ids)
    if not accounts:
        raise ValueError("sources.meta_pages names neither page_ids nor instagram_ids; set one of them.")

    def days_of(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with _as_page(config, days.account) as session:
            if days.account in config.page_ids:
                for part in days.chunks(DAYS_A_CALL):
                    yield from _facebook_days(session, config, part)
            else:
                yield from _instagram_days(session, config, days)

    def posts_of(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with _as_page(config, days.account) as session:
            yield from _posts(session, config, days)

    shared: dict[str, Any] = {
        "account_column": "account_id",
        "accounts": accounts,
        "earliest": window.now.date() - timedelta(days=HISTORY_DAYS),
    }
    return make_source(
        NAME,
        [
            day_resource(
                NAME, ACCOUNT_DAILY, window, hasher, settling_days=config.settling_days, pull=days_of, **shared
            ),
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


def _facebook_days(session: VendorSession, config: MetaPagesConfig, days: "DayRange") -> Iterator[dict[str, Any]]:
    columns = dict(config.page_metrics)
    reply = session.get(
        f"/{config.api_version}/{days.account}/insights",
        {
            "metric": ",".join(columns),
            "period": "day",
            "since": days.start.isoformat(),
            "until": days.end.isoformat(),
        },
    )
    rows: dict[date, dict[str, Any]] = {}
    for metric in reply["data"]:
        column = columns[metric["name"]]
        for value in metric["values"]:
            # The end of a Pacific day: the day is the one before.
            ends = moment(value["end_time"]).replace(tzinfo=UTC).astimezone(PACIFIC)
            day = ends.date() - timedelta(days=1)
            if days.start <= day < days.end:
                rows.setdefault(day, {})[column] = value["value"]
    for day, figures in sorted(rows.items()):
        yield {"date": day, "network": "facebook", "account_id": days.account, **figures}


def _instagram_days(session: VendorSession, config: MetaPagesConfig, days: "DayRange") -> Iterator[dict[str, Any]]:
    columns = dict(config.instagram_metrics)
    for part in days.chunks(1):
        begin, end = (int(datetime.combine(day, time(), PACIFIC).timestamp()) for day in (part.start, part.end))
        reply = session.get(
            f"/{config.api_version}/{days.account}/insights",
            {
                "metric": ",".join(columns),
                "period": "day",
                "metric_type": "total_value",
                "since": str(begin),
                "until": str(end),
            },
        )
        figures: dict[str, Any] = {columns[metric["name"]]: metric["total_value"]["value"] for metric in reply["data"]}
        # A day that Meta has not counted yet comes back without a metric.
        if figures:
            yield {"date": part.start, "network": "instagram", "account_id": days.account, **figures}


def _posts(session: VendorSession, config: MetaPagesConfig, days: "DayRange") -> Iterator[dict[str, Any]]:
    is_page = days.account in config.page_ids
    network = "facebook" if is_page else "instagram"
    insights = f"insights.metric({','.join(POST_INSIGHTS[network])})"
    fields = (
        "id,created_time,message,permalink_url,shares,reactions.limit(0).summary(true),comments.limit(0).summary(true)"
        if is_page
        else "id,timestamp,caption,permalink,like_count,comments_count"
    )
    question = {
        "fields": f"{fields},{insights}",
        "limit": str(config.page_size),
        "since": str(int(datetime.combine(days.start, time(), UTC).timestamp())),
        "until": str(int(datetime.combine(days.end, time(), UTC).timestamp())),
    }
    path = f"/{config.api_version}/{days.account}/{'posts' if is_page else 'media'}"

    def fetch(after: str | None) -> tuple[Any, str | None]:
        reply = session.get(path, question | ({"after": after} if after else {}))
        paging = reply.get("paging", {})
        return reply["data"], paging.get("cursors", {}).get("after") if paging.get("next") else None

    for page in walk(f"{NAME} {days.account}", fetch):
        for post in page:
            published = moment(post["created_time"] if is_page else post["timestamp"])
            if days.start <= published.date() < days.end:
                yield {
                    "network": network,
                    "id": post["id"],
                    "account_id": days.account,
                    "published_on": published.date(),
                    "published_at": published,
                    **_post_figures(network, post),
                }


def _post_figures(network: str, post: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        POST_INSIGHTS[network][metric["name"]]: metric["values"][0]["value"]
        for metric in (post.get("insights") or {}).get("data", [])
        if metric["name"] in POST_INSIGHTS[network]
    }
    if network == "facebook":
        return {
            "text": post.get("message"),
            "url": post.get("permalink_url"),
            "reactions": post["reactions"]["summary"]["total_count"],
            "comments": post["comments"]["summary"]["total_count"],
            "shares": (post.get("shares") or {}).get("count", 0),
            **told,
        }
    return {
        "text": post.get("caption"),
        "url": post.get("permalink"),
        "reactions": post["like_count"],
        "comments": post["comments_count"],
        **told,
    }


def probe(config: MetaPagesConfig) -> Iterator[Finding]:
    """Whether the token reaches every configured page and account."""
    accounts = (*config.page_ids, *config.instagram_ids)
    if not accounts:
        yield Finding("error", f"{NAME}: page_ids", "empty", "Name pages or accounts under [sources.meta_pages].")
        return
    with open_session(config) as session:
        for account in accounts:
            found = session.get(f"/{config.api_version}/{account}", {"fields": "name"})
            yield Finding("ok", f"{NAME}: {account}", str(found.get("name")))


SPEC: Final = SourceSpec(
    name=NAME,
    title="Facebook and Instagram pages",
    config_model=MetaPagesConfig,
    resources=(ACCOUNT_DAILY, POSTS),
    secrets=(TOKEN,),
    build=build,
    probe=probe,
)
