"""TikTok, Microsoft, LinkedIn, X and Reddit ads against the sandbox over loopback: value for value what the world holds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from dlt_pipelines.oauth1 import signature
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS
from tests.extraction.harness import Loader, make_window


@dataclass(frozen=True)
class Platform:
    """How a platform's days are read, and what they are called.

    Attributes:
        settings: besides address and patience, given the server.
        table: raw table of days; keys: its day, account and further key columns.
        values: columns that hold cost in micro-units, clicks, impressions, conversions, currency.
        grain: the world's columns behind the keys after day and account.
    """

    settings: Callable[[SandboxServer], dict[str, object]]
    table: str
    keys: tuple[str, ...]
    grain: tuple[str, ...]
    values: tuple[str, ...]


def _account(vendor):
    return {"account_ids": (PLATFORMS[vendor].account_id,)}


READ = {
    "microsoft_ads": Platform(
        lambda server: _account("microsoft_ads"),
        "campaign_daily",
        ("date", "account_id", "campaign_id"),
        ("campaign_id",),
        ("cast(spend * 1000000 as bigint)", "clicks", "impressions", "conversions", "currency_code"),
    ),
    "linkedin_ads": Platform(
        lambda server: _account("linkedin_ads") | {"page_size": 1},
        "campaign_daily",
        ("date", "account_id", "campaign_id"),
        ("campaign_id",),
        (
            "cast(cost_in_local_currency * 1000000 as bigint)",
            "landing_page_clicks",
            "impressions",
            "external_website_conversions",
            "currency",
        ),
    ),
    "reddit_ads": Platform(
        lambda server: _account("reddit_ads") | {"page_size": 7},
        "campaign_daily",
        ("date", "account_id", "campaign_id"),
        ("campaign_id",),
        ("spend_micros", "clicks", "impressions", "conversions", "currency"),
    ),
    "x_ads": Platform(
        lambda server: _account("x_ads") | {"page_size": 1, "sync_days": 400},
        "campaign_daily",
        ("date", "account_id", "campaign_id"),
        ("campaign_id",),
        (
            "sum(billed_charge_local_micro)::bigint",
            "sum(url_clicks)::bigint",
            "sum(impressions)::bigint",
            "coalesce(sum(conversion_sign_ups), 0) + coalesce(sum(conversion_purchases), 0)",
            "currency",
        ),
    ),
    "tiktok_ads": Platform(
        lambda server: {"advertiser_ids": (PLATFORMS["tiktok_ads"].account_id,), "page_size": 50},
        "ad_daily",
        ("date", "advertiser_id", "ad_id"),
        ("ad_id",),
        ("cast(spend * 1000000 as bigint)", "clicks", "impressions", "coalesce(conversion, 0)", "currency"),
    ),
}


@pytest.fixture(scope="module")
def world():
    return build_world(WorldConfig(people=300, days=40, platforms=tuple(PLATFORMS)))


@pytest.fixture(scope="module")
def server(world):
    with SandboxServer(world) as running:
        yield running


@pytest.fixture(scope="module")
def window(world):
    start = pd.Timestamp(world.config.start_on).date()
    return make_window(start, start + timedelta(days=world.config.days))


@pytest.fixture
def config(server, tmp_path, monkeypatch):
    server.faults.clear()
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)

    def of(vendor, **more):
        model = SOURCES[vendor].config_model
        given = {"enabled": True, "base_url": server.base_urls[vendor], "timeout_seconds": 5.0}
        if vendor in server.token_urls:
            given["token_url"] = server.token_urls[vendor]
        return model(**given | READ[vendor].settings(server) | more).anchored(tmp_path)

    yield of
    server.faults.clear()


def held_by_the_world(world, vendor):
    """Days with any delivery, at the platform's grain: keys, then the sums."""
    days = world.ad_days[world.ad_days["platform"] == vendor]
    keys = ["date", "account_id", *READ[vendor].grain]
    sums = ["cost_micros", "clicks", "impressions", "conversions"]
    table = days.groupby([*keys, "currency"], as_index=False)[sums].sum()
    table = table[(table[sums] != 0).any(axis=1)]
    return sorted(
        (
            *(str(row[key])[:10] if key == "date" else str(row[key]) for key in keys),
            *(int(row[name]) for name in sums[:3]),
            float(row["conversions"]),
            row["currency"],
        )
        for row in table.to_dict("records")
    )


def stored(loader, vendor):
    read = READ[vendor]
    day, *rest = read.keys
    columns = ", ".join([f"{day}::varchar", *rest, *read.values])
    return sorted(loader.query(vendor, f"select {columns} from raw_{vendor}.{read.table}{_summed(read)}"))


def _summed(read):
    """X reports by placement, which the world does not know."""
    return " group by all" if any("sum(" in value for value in read.values) else ""


@pytest.mark.parametrize("vendor", READ)
def test_days_are_the_worlds_value_for_value(loader, config, world, window, vendor, pauses):
    result = loader.load(SOURCES[vendor], config(vendor), window)
    expected = held_by_the_world(world, vendor)
    assert expected
    assert stored(loader, vendor) == expected
    (rows,) = loader.query(vendor, f"select count(*) from raw_{vendor}.{READ[vendor].table}")
    assert result.rows[READ[vendor].table] == rows[0] >= len(expected)


@pytest.mark.parametrize("vendor", READ)
def test_a_second_run_changes_no_row(loader, config, window, vendor, pauses):
    loader.load(SOURCES[vendor], config(vendor), window)
    before = loader.stored(vendor)
    loader.load(SOURCES[vendor], config(vendor), window.model_copy(update={"refresh": True}))
    assert loader.stored(vendor) == before


@pytest.mark.parametrize("vendor", READ)
def test_restated_days_are_replaced_whole(loader, tmp_path, config, server, window, vendor, pauses):
    spec = SOURCES[vendor]
    server.faults.switch(vendor, "restated_days", days=3, factor=0.5)
    loader.load(spec, config(vendor), window)
    provisional = loader.stored(vendor, load_ids=False)
    server.faults.clear()
    loader.load(spec, config(vendor), window)
    fresh = Loader(tmp_path / "fresh")
    fresh.load(spec, config(vendor), window)
    assert loader.stored(vendor, load_ids=False) == fresh.stored(vendor, load_ids=False) != provisional


@pytest.mark.parametrize("vendor", READ)
def test_money_is_exact(loader, config, world, window, vendor, pauses):
    loader.load(SOURCES[vendor], config(vendor), window)
    total = sum(Decimal(row[len(READ[vendor].keys)]) for row in stored(loader, vendor)) / 1_000_000
    days = world.ad_days[world.ad_days["platform"] == vendor]
    assert total == Decimal(int(days["cost_micros"].sum())) / 1_000_000


@pytest.mark.parametrize("vendor", READ)
def test_the_doctor_reads_every_account(config, vendor, pauses):
    assert {finding.level for finding in SOURCES[vendor].check(config(vendor))} == {"ok"}
    account = PLATFORMS[vendor]
    (finding,) = SOURCES[vendor].check(config(vendor))
    assert account.account_id in finding.subject
    key = next(name for name in ("account_ids", "advertiser_ids") if hasattr(config(vendor), name))
    (finding,) = SOURCES[vendor].check(config(vendor, **{key: ()}))
    assert finding.level == "error"
    assert key in finding.subject


def test_x_jobs_hold_what_calls_hold(loader, tmp_path, config, server, window, pauses):
    loader.load(SOURCES["x_ads"], config("x_ads"), window)
    other = Loader(tmp_path / "jobs")
    server.faults.switch("x_ads", "failed_job", times=1)
    other.load(SOURCES["x_ads"], config("x_ads", sync_days=0), window)
    assert other.stored("x_ads", load_ids=False) == loader.stored("x_ads", load_ids=False)
    assert pauses
    server.faults.switch("x_ads", "failed_job", times=None)
    with pytest.raises(ExtractionFailed, match="ended 3 times with 'FAILED'"):
        other.load(SOURCES["x_ads"], config("x_ads", sync_days=0), window.model_copy(update={"refresh": True}))


def test_microsoft_clicks_are_the_worlds(loader, config, world, window, pauses):
    loader.load(SOURCES["microsoft_ads"], config("microsoft_ads"), window)
    clicks = world.ad_clicks[world.ad_clicks["platform"] == "microsoft_ads"]
    day = clicks["occurred_at"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m-%d")
    inside = clicks[(day >= str(window.start)) & (day < str(window.end))].assign(day=day)
    stored_clicks = loader.query(
        "microsoft_ads", "select msclkid, date::varchar, campaign_id, ad_id, clicks from raw_microsoft_ads.clicks"
    )
    assert sorted(stored_clicks) == sorted(
        (row.click_id, row.day, str(row.campaign_id), str(row.ad_id), 1) for row in inside.itertuples()
    )
    # A click's own cost adds up to its ad's day, short of what division leaves over.
    ((cost, priced),) = loader.query("microsoft_ads", "select sum(cpc), count(cpc) from raw_microsoft_ads.clicks")
    days = world.ad_days[(world.ad_days["platform"] == "microsoft_ads") & (world.ad_days["clicks"] > 0)]
    assert priced == days["clicks"].sum()
    assert abs(cost - Decimal(int(days["cost_micros"].sum())) / 1_000_000) < Decimal("0.001")


def test_a_report_that_is_not_whole_is_asked_for_again_and_a_failed_one_ordered_again(
    loader, config, server, world, window, pauses
):
    server.faults.switch("microsoft_ads", "failed_job", times=2)
    server.faults.switch("microsoft_ads", "truncated_body", path="/download", times=1)
    loader.load(SOURCES["microsoft_ads"], config("microsoft_ads"), window)
    assert stored(loader, "microsoft_ads") == held_by_the_world(world, "microsoft_ads")
    server.faults.switch("microsoft_ads", "failed_job", times=None)
    with pytest.raises(ExtractionFailed, match="ended 3 times with 'Error'"):
        loader.load(SOURCES["microsoft_ads"], config("microsoft_ads"), window)


@pytest.mark.parametrize("vendor", ["microsoft_ads", "reddit_ads"])
def test_a_rotated_refresh_token_is_kept_sealed_and_used_by_the_next_run(
    loader, tmp_path, config, world, window, vendor, pauses
):
    # A sandbox of its own: the tokens that other tests spent are spent for good.
    with SandboxServer(world) as server:
        read = config(vendor).model_copy(
            update={"base_url": server.base_urls[vendor], "token_url": server.token_urls[vendor]}
        )
        server.faults.switch(vendor, "spent_refresh_token")
        again = window.model_copy(update={"refresh": True})
        for _ in range(3):
            loader.load(SOURCES[vendor], read, again)
        kept = tmp_path / "data" / "tokens" / f"{vendor}.token"
        first = server.credentials()[f"{vendor.upper()}_REFRESH_TOKEN"]
        assert first.encode() not in kept.read_bytes()
        kept.unlink()
        with pytest.raises(ExtractionFailed, match="credentials refused"):
            loader.load(SOURCES[vendor], read, again)


def test_linkedin_halves_a_span_whose_answer_may_have_been_cut(loader, config, world, window, pauses, monkeypatch):
    monkeypatch.setattr("dlt_pipelines.sources.linkedin_ads.ELEMENTS_A_CALL", 5)
    loader.load(SOURCES["linkedin_ads"], config("linkedin_ads"), window)
    assert stored(loader, "linkedin_ads") == held_by_the_world(world, "linkedin_ads")
    monkeypatch.setattr("dlt_pipelines.sources.linkedin_ads.ELEMENTS_A_CALL", 1)
    with pytest.raises(ExtractionFailed, match="more than 1 rows"):
        loader.load(SOURCES["linkedin_ads"], config("linkedin_ads"), window)


def test_an_old_linkedin_version_is_refused_in_words(loader, config, window, pauses):
    with pytest.raises(ExtractionFailed, match="202401 is not active"):
        loader.load(SOURCES["linkedin_ads"], config("linkedin_ads", api_version="202401"), window)


def test_x_signs_by_the_servers_clock_when_ours_is_off(loader, config, server, window, pauses):
    server.faults.switch("x_ads", "clock_skew", seconds=-7200.0)
    assert loader.load(SOURCES["x_ads"], config("x_ads"), window).rows["campaign_daily"] > 0


def test_the_published_example_is_signed_as_published():
    # The example of X's own documentation, "Creating a signature".
    parameters = {
        "status": "Hello Ladies + Gentlemen, a signed OAuth request!",
        "include_entities": "true",
        "oauth_consumer_key": "xvz1evFS4wEEPTGEFPHBog",
        "oauth_nonce": "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1318622958",
        "oauth_token": "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
        "oauth_version": "1.0",
    }
    made = signature(
        "POST",
        "https://api.twitter.com/1.1/statuses/update.json",
        parameters.items(),
        "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
    )
    assert made == "hCtSmYh+iHYCEqBWrE7C7hYmtUk="
