"""X posts: an account's own posts with their figures, and, read in the user's name, what each brought by day.

With an app's bearer token X tells public figures only. Clicks and days are the owner's to see: OAuth 1.0a keys of the
user, the same kind that `x_ads` signs with. Private figures are told for posts of the last 30 days.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import ExtractionWindow, XPostsConfig
from dlt_pipelines.dialects import x_ads
from dlt_pipelines.http import HeaderAuth, VendorSession, walk
from dlt_pipelines.oauth1 import OAuth1Auth
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import moment
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

LOG = logging.getLogger(__name__)
NAME: Final = "x_posts"
BEARER: Final = SecretSpec(
    "X_POSTS_BEARER_TOKEN", "app's bearer token; or the four X_POSTS keys of a user", required=False
)
CONSUMER_KEY: Final = SecretSpec("X_POSTS_CONSUMER_KEY", "consumer key of the app", required=False)
CONSUMER_SECRET: Final = SecretSpec("X_POSTS_CONSUMER_SECRET", "consumer secret of the app", required=False)
ACCESS_TOKEN: Final = SecretSpec("X_POSTS_ACCESS_TOKEN", "access token of the account's user", required=False)
ACCESS_SECRET: Final = SecretSpec("X_POSTS_ACCESS_TOKEN_SECRET", "secret of the access token", required=False)
USER_SECRETS: Final = (CONSUMER_KEY, CONSUMER_SECRET, ACCESS_TOKEN, ACCESS_SECRET)
POSTS_A_CALL: Final = 100
# How long private figures of a post are told.
PRIVATE_DAYS: Final = 30
POSTS: Final = ResourceSpec(
    "posts",
    ("id",),
    "The account's posts with their figures so far; those of the last weeks are read again.",
    (
        C("id", "text", "Post."),
        C("account_id", "text", "User id of the account."),
        C("published_on", "date", "Day of publication, UTC."),
        C("published_at", "timestamp", "Publication, UTC."),
        C("text", "text", "Text.", "free_text"),
        C("impressions", "bigint", "Times shown."),
        C("likes", "bigint", "Likes."),
        C("replies", "bigint", "Replies."),
        C("reposts", "bigint", "Reposts."),
        C("quotes", "bigint", "Quotes."),
        C("url_clicks", "bigint", "Clicks on links; told to the owner for 30 days, null from then on or without keys."),
    ),
)
POST_DAILY: Final = ResourceSpec(
    "post_daily",
    ("date", "post_id"),
    "What each post of the last weeks brought by day; in the user's name only.",
    (
        C("date", "date", "Day in UTC."),
        C("account_id", "text", "User id of the account."),
        C("post_id", "text", "Post."),
        C("impressions", "bigint", "Times shown."),
        C("likes", "bigint", "Likes."),
        C("replies", "bigint", "Replies."),
        C("reposts", "bigint", "Reposts."),
        C("url_clicks", "bigint", "Clicks on links."),
        C("engagements", "bigint", "Everything done with the post."),
    ),
)
ANALYTICS: Final[Mapping[str, str]] = {
    "impressions": "impressions",
    "likes": "likes",
    "replies": "replies",
    "retweets": "reposts",
    "url_clicks": "url_clicks",
    "engagements": "engagements",
}


def in_users_name() -> bool:
    """Whether a user's keys are given."""
    return bool(CONSUMER_KEY.read())


def open_session(config: XPostsConfig) -> VendorSession:
    """A session in the user's name where the keys are given, else in the app's.

    Raises:
        MissingSecret: neither is given, or some of the keys are missing.
    """
    if in_users_name():
        auth = OAuth1Auth(*(SecretSpec(secret.env, secret.purpose).read() for secret in USER_SECRETS))
        session = VendorSession(NAME, config, x_ads, auth)
        auth.skew = session.clock_skew
        return session
    token = SecretSpec(BEARER.env, BEARER.purpose).read()
    return VendorSession(NAME, config, x_ads, HeaderAuth("Authorization", f"Bearer {token}", token))


def build(config: XPostsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of the configured account."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.user_id:
        raise ValueError("sources.x_posts.user_id is empty; set the account's numeric user id.")

    def posts_of(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for post in _posts(session, config, days.start, days.end, window.now.date()):
                yield _post_row(config, post)

    def days_of(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            # A post goes on being seen after the day it was published on.
            since = days.start - timedelta(days=config.post_days)
            ids = [post["id"] for post in _posts(session, config, since, days.end, None)]
            for start in range(0, len(ids), POSTS_A_CALL):
                yield from _post_days(session, config, days, ids[start : start + POSTS_A_CALL])

    shared: dict[str, Any] = {"account_column": "account_id", "accounts": (config.user_id,)}
    resources = [
        day_resource(
            NAME,
            POSTS,
            window,
            hasher,
            day_column="published_on",
            settling_days=config.post_days,
            pull=posts_of,
            **shared,
        )
    ]
    if in_users_name():
        resources.append(
            day_resource(NAME, POST_DAILY, window, hasher, settling_days=config.settling_days, pull=days_of, **shared)
        )
    else:
        LOG.info(
            "%s: an app's token tells public figures only; set the X_POSTS keys of a user for days and clicks", NAME
        )
    return make_source(NAME, resources)


def _moment(day: date) -> str:
    return datetime.combine(day, time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _posts(
    session: VendorSession, config: XPostsConfig, start: date, end: date, today: date | None
) -> Iterator[Mapping[str, Any]]:
    """Posts published in these days; with private figures where `today` is given and they are still told."""
    recent = today - timedelta(days=PRIVATE_DAYS - 1) if today and in_users_name() else end
    for begin, stop, private in ((start, min(recent, end), False), (max(start, recent), end, True)):
        if begin >= stop:
            continue
        question = {
            "max_results": str(config.page_size),
            "exclude": "retweets",
            "tweet.fields": "created_at,public_metrics" + (",non_public_metrics" if private else ""),
            "start_time": _moment(begin),
            "end_time": _moment(stop),
        }

        def fetch(token: str | None, question: Mapping[str, str] = question) -> tuple[Any, str | None]:
            asked = {**question, **({"pagination_token": token} if token else {})}
            reply = session.get(f"/2/users/{config.user_id}/tweets", asked)
            return reply.get("data", []), reply["meta"].get("next_token")

        for page in walk(f"{NAME} posts", fetch):
            yield from page


def _post_row(config: XPostsConfig, post: Mapping[str, Any]) -> dict[str, Any]:
    public, published = post["public_metrics"], moment(post["created_at"])
    return {
        "id": post["id"],
        "account_id": config.user_id,
        "published_on": published.date(),
        "published_at": published,
        "text": post["text"],
        "impressions": public["impression_count"],
        "likes": public["like_count"],
        "replies": public["reply_count"],
        # Its specification has the new name, its guide the old one.
        "reposts": public.get("repost_count", public.get("retweet_count")),
        "quotes": public["quote_count"],
        "url_clicks": (post.get("non_public_metrics") or {}).get("url_link_clicks"),
    }


def _post_days(
    session: VendorSession, config: XPostsConfig, days: "DayRange", ids: list[str]
) -> Iterator[dict[str, Any]]:
    reply = session.get(
        "/2/tweets/analytics",
        {
            "ids": ",".join(ids),
            "start_time": _moment(days.start),
            "end_time": _moment(days.end),
            "granularity": "daily",
            "analytics.fields": ",".join(("id", "timestamped_metrics", *ANALYTICS)),
        },
    )
    for post in reply.get("data", []):
        for bucket in post["timestamped_metrics"]:
            # Its specification lets a day go without figures.
            if bucket["metrics"] is not None:
                yield {
                    "date": moment(bucket["timestamp"]).date(),
                    "account_id": config.user_id,
                    "post_id": post["id"],
                    **{column: bucket["metrics"][name] for name, column in ANALYTICS.items()},
                }


def probe(config: XPostsConfig) -> Iterator[Finding]:
    """Whether the credentials reach the account, and what they will be told."""
    if not config.user_id:
        yield Finding(
            "error", f"{NAME}: user_id", "empty", "Set the account's numeric user id under [sources.x_posts]."
        )
        return
    with open_session(config) as session:
        found = session.get(f"/2/users/{config.user_id}")["data"]
    name = f"@{found['username']}"
    if in_users_name():
        yield Finding("ok", f"{NAME}: {name}", "read in the user's name, days and clicks included")
    else:
        yield Finding(
            "warning",
            f"{NAME}: {name}",
            "an app's token is told public figures only, no days and no clicks",
            f"Set {', '.join(secret.env for secret in USER_SECRETS)} to read in the user's name.",
        )


SPEC: Final = SourceSpec(
    name=NAME,
    title="X posts",
    config_model=XPostsConfig,
    resources=(POSTS, POST_DAILY),
    secrets=(BEARER, *USER_SECRETS),
    build=build,
    probe=probe,
)
