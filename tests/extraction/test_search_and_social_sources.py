"""Search Console and social pages against the sandbox over loopback: value for value what the world holds."""

from datetime import date, timedelta
from typing import Any

import pytest

from dlt_pipelines.config import LinkedinPagesConfig, MetaPagesConfig, SearchConsoleConfig, XPostsConfig
from dlt_pipelines.extraction import DayRange
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.vendors import social_facts as social
from dlt_pipelines.sandbox.vendors.search_console import SITE, final_days, grouped
from dlt_pipelines.sources import x_posts
from tests.extraction.harness import make_window


@pytest.fixture
def configs(server, tmp_path, monkeypatch):
    server.faults.clear()
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)
    common: Any = {"enabled": True, "timeout_seconds": 5}
    yield {
        "search_console": SearchConsoleConfig(
            base_url=server.base_urls["search_console"],
            token_url=server.token_url,
            site_urls=(SITE,),
            page_size=7,
            **common,
        ),
        "linkedin_pages": LinkedinPagesConfig(
            base_url=server.base_urls["linkedin_pages"],
            token_url=server.token_urls["linkedin_pages"],
            token_folder=tmp_path / "tokens",
            organisation_ids=(f"urn:li:organization:{social.ACCOUNTS['linkedin']}",),
            page_size=3,
            **common,
        ),
        "meta_pages": MetaPagesConfig(
            base_url=server.base_urls["meta_pages"],
            page_ids=(social.ACCOUNTS["facebook"],),
            instagram_ids=(social.ACCOUNTS["instagram"],),
            page_size=3,
            **common,
        ),
        "x_posts": XPostsConfig(
            base_url=server.base_urls["x_posts"], user_id=social.ACCOUNTS["x"], page_size=3, **common
        ),
    }
    server.faults.clear()


def test_search_days_are_the_worlds(loader, configs, world, window, server):
    spec, config = SOURCES["search_console"], configs["search_console"]
    loader.load(spec, config, window)
    final = final_days(world)
    for table, dimensions in (("site_daily", ["date", "device"]), ("query_daily", ["date", "query", "page"])):
        columns = ", ".join("date::varchar" if name == "date" else name for name in dimensions)
        stored = loader.query(
            "search_console", f"select {columns}, clicks, impressions, position from raw_search_console.{table}"
        )
        expected = [
            (*row["keys"], row["clicks"], row["impressions"], row["position"]) for row in grouped(final, dimensions)
        ]
        assert sorted(stored) == sorted(expected)
        assert sum(row[-3] for row in stored) > 20
    ((told, all_of_them),) = loader.query(
        "search_console",
        "select (select sum(clicks) from raw_search_console.query_daily), "
        "(select sum(clicks) from raw_search_console.site_daily)",
    )
    assert told < all_of_them == final["clicks"].sum(), "rare queries are in the property's days only"
    before = loader.stored("search_console")
    server.requests.clear()
    loader.load(spec, config, window)
    assert loader.stored("search_console") == before, "twice changes no row"
    asked = [request for request in server.requests if request.path.endswith("/query")]
    assert len(asked) < 60, "only the settling days are asked for again"


def test_days_that_become_final_later_arrive_later(loader, configs, world, window, server):
    spec, config = SOURCES["search_console"], configs["search_console"]
    early = make_window(window.start, window.end - timedelta(days=4))
    loader.load(spec, config, early)
    loader.load(spec, config, window)
    ((last,),) = loader.query("search_console", "select max(date)::varchar from raw_search_console.site_daily")
    assert last == final_days(world)["date"].max()


def test_the_doctor_says_which_property_may_not_be_read(configs, server, pauses):
    (fine,) = SOURCES["search_console"].check(configs["search_console"])
    assert (fine.level, fine.message) == ("ok", "siteFullUser")
    other = configs["search_console"].model_copy(update={"site_urls": ("https://other.example/",)})
    (refused,) = SOURCES["search_console"].check(other)
    assert (refused.level, refused.remedy.endswith("it may read: sc-domain:shop.example")) == ("error", True)


def test_a_property_that_is_none_is_refused():
    with pytest.raises(ValueError, match="is no property"):
        SearchConsoleConfig(site_urls=("shop.example",))


USER_KEYS = tuple(
    f"X_POSTS_{part}" for part in ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET")
)


def rows_of(frame, *columns):
    return sorted(tuple(row) for row in frame[list(columns)].itertuples(index=False, name=None))


def sums(frame, *columns):
    return frame[list(columns)].sum(axis=1)


def test_linkedin_pages_are_the_worlds(loader, configs, world, window):
    loader.load(SOURCES["linkedin_pages"], configs["linkedin_pages"], window)
    figures = "impressions, unique_impressions, clicks, likes, comments, shares"
    days = loader.query(
        "linkedin_pages", f"select date::varchar, {figures}, organic_follower_gain from raw_linkedin_pages.page_daily"
    )
    assert sorted(days) == rows_of(social.account_days(world, "linkedin"), "date", *social.FIGURES, "follower_gain")
    posts = loader.query("linkedin_pages", f"select id, published_at, {figures} from raw_linkedin_pages.posts")
    expected = social.post_totals(world, "linkedin")
    expected["post_id"] = "urn:li:share:" + expected["post_id"]
    assert sorted(posts) == rows_of(expected, "post_id", "published_at", *social.FIGURES)
    texts = loader.query(
        "linkedin_pages", "select distinct text like '%redacted%', text like '%@%' from raw_linkedin_pages.posts"
    )
    assert texts == [(True, False)]


def test_facebook_and_instagram_are_the_worlds(loader, configs, world, window):
    loader.load(SOURCES["meta_pages"], configs["meta_pages"], window)
    for network, last in (("facebook", "followers"), ("instagram", "clicks")):
        table = social.account_days(world, network)
        table["engagements"] = sums(table, "reactions", "comments", "shares")
        stored = loader.query(
            "meta_pages",
            f"select date::varchar, impressions, reach, engagements, {last} from raw_meta_pages.account_daily "
            f"where network = '{network}'",
        )
        assert sorted(stored) == rows_of(table, "date", "impressions", "reach", "engagements", last)
        posts = social.post_totals(world, network)
        if network == "facebook":
            posts["post_id"] = f"{social.ACCOUNTS[network]}_" + posts["post_id"]
        columns = ("published_at", "impressions", "reach", "reactions", "comments", "shares")
        stored = loader.query(
            "meta_pages", f"select id, {', '.join(columns)} from raw_meta_pages.posts where network = '{network}'"
        )
        assert sorted(stored) == rows_of(posts, "post_id", *columns)


def test_x_posts_are_the_worlds_and_days_the_owners_to_see(loader, tmp_path, configs, world, window, monkeypatch):
    spec, config = SOURCES["x_posts"], configs["x_posts"]
    loader.load(spec, config, window)
    days = social.post_days(world, "x")
    stored = loader.query(
        "x_posts",
        "select post_id, date::varchar, impressions, url_clicks, likes, replies, reposts from raw_x_posts.post_daily",
    )
    assert sorted(stored) == rows_of(
        days, "post_id", "date", "impressions", "clicks", "reactions", "comments", "shares"
    )
    stored = loader.query("x_posts", "select id, published_at, impressions, likes, url_clicks from raw_x_posts.posts")
    posts = social.post_totals(world, "x")
    assert sorted(row[:4] for row in stored) == rows_of(posts, "post_id", "published_at", "impressions", "reactions")
    clicks = dict(zip(posts["post_id"], posts["clicks"], strict=True))
    assert all(told in (None, clicks[key]) for key, *_, told in stored)
    assert sum(told is not None for *_, told in stored) > 5
    for name in USER_KEYS:
        monkeypatch.delenv(name)
    (finding,) = spec.check(config)
    assert (finding.level, "public figures only" in finding.message) == ("warning", True)
    other = type(loader)(tmp_path / "other")
    other.load(spec, config, window)
    assert other.query("x_posts", "select count(*), count(url_clicks) from raw_x_posts.posts") == [(len(posts), 0)]
    assert "post_daily" not in other.tables("x_posts")


SOCIAL = ("linkedin_pages", "meta_pages", "x_posts")


@pytest.mark.parametrize("vendor", SOCIAL)
def test_twice_changes_no_row_and_unsettled_days_are_replaced(loader, tmp_path, configs, server, window, vendor):
    spec, config = SOURCES[vendor], configs[vendor]
    server.faults.switch(vendor, "restated_days", factor=0.5)
    server.faults.switch(vendor, "late_rows", days=1)
    loader.load(spec, config, window)
    provisional = loader.stored(vendor, load_ids=False)
    server.faults.clear()
    loader.load(spec, config, window)
    settled = loader.stored(vendor)
    loader.load(spec, config, window)
    assert loader.stored(vendor) == settled
    fresh = type(loader)(tmp_path / "fresh")
    fresh.load(spec, config, window)
    assert fresh.stored(vendor, load_ids=False) == loader.stored(vendor, load_ids=False) != provisional


def test_the_doctor_tells_good_social_credentials_from_bad_ones(configs, server, monkeypatch, pauses):
    for vendor in (*SOCIAL, "search_console"):
        assert {finding.level for finding in SOURCES[vendor].check(configs[vendor])} == {"ok"}, vendor
    for name in server.credentials():
        monkeypatch.setenv(name, "wrong-credential")
    for vendor in (*SOCIAL, "search_console"):
        (finding,) = SOURCES[vendor].check(configs[vendor])
        assert finding.level == "error"
        assert "wrong-credential" not in finding.message
    for name in server.credentials():
        monkeypatch.delenv(name)
    for vendor in (*SOCIAL, "search_console"):
        assert {finding.level for finding in SOURCES[vendor].check(configs[vendor])} == {"error"}


def test_x_replies_have_the_fields_and_types_of_its_specification(configs, world):
    """As X's OpenAPI document 2.167 of August 2026 has them; the whole replies were validated against it once."""
    counts = {"bookmark_count", "impression_count", "like_count", "quote_count", "reply_count", "repost_count"}
    config = configs["x_posts"]
    last = world.events["occurred_at"].max()
    with x_posts.open_session(config) as session:
        asked = {"tweet.fields": "created_at,public_metrics,non_public_metrics", "max_results": "100"}
        reply = session.get(f"/2/users/{config.user_id}/tweets", asked)
        ids = [post["id"] for post in reply["data"]]
        question = {"ids": ",".join(ids), "start_time": "2026-01-01T00:00:00Z", "granularity": "daily"}
        days = session.get("/2/tweets/analytics", {**question, "end_time": f"{last:%Y-%m-%dT%H:%M:%SZ}"})["data"]
    assert set(reply) <= {"data", "errors", "includes", "meta"}
    assert type(reply["meta"]["result_count"]) is int
    assert {type(reply["meta"][name]) for name in ("newest_id", "oldest_id")} == {str}
    for post in reply["data"]:
        assert {type(post[name]) for name in ("id", "text", "created_at")} == {str}
        assert set(post["public_metrics"]) == counts
        assert {type(count) for count in post["public_metrics"].values()} == {int}
    for post in days:
        assert set(post) == {"id", "timestamped_metrics"}
        for bucket in post["timestamped_metrics"]:
            assert set(bucket) == {"timestamp", "metrics"}
            assert {type(count) for count in bucket["metrics"].values()} == {int}


def test_x_may_tell_a_day_without_figures(configs):
    class Told:
        def get(self, path, params):
            figures = dict.fromkeys(x_posts.ANALYTICS, 1)
            buckets = [("2026-07-01T00:00:00Z", None), ("2026-07-02T00:00:00Z", figures)]
            metrics = [{"timestamp": at, "metrics": found} for at, found in buckets]
            return {"data": [{"id": "1", "timestamped_metrics": metrics}]}

    days = DayRange("44196001", date(2026, 7, 1), date(2026, 7, 3))
    found = list(x_posts._post_days(Told(), configs["x_posts"], days, ["1"]))
    assert [row["date"] for row in found] == [date(2026, 7, 2)]
