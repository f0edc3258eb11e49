"""Search Console against the sandbox over loopback: value for value what the world holds."""

from datetime import timedelta
from typing import Any

import pytest

from dlt_pipelines.config import SearchConsoleConfig
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors.search_console import SITE, final_days, grouped
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from tests.extraction.harness import make_window


@pytest.fixture(scope="module")
def world():
    return build_world(WorldConfig(people=250, days=30))


@pytest.fixture(scope="module")
def server(world):
    with SandboxServer(world) as running:
        yield running


@pytest.fixture(scope="module")
def window(world):
    return make_window(
        world.events["occurred_at"].min().date(), world.events["occurred_at"].max().date() + timedelta(days=1)
    )


@pytest.fixture
def configs(server, monkeypatch):
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
