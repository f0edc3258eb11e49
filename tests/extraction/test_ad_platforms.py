"""TikTok, Microsoft, LinkedIn, X and Reddit ads against the sandbox over loopback: value for value what the world holds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

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


READ = {
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
    return sorted(loader.query(vendor, f"select {columns} from raw_{vendor}.{read.table}"))


@pytest.mark.parametrize("vendor", READ)
def test_days_are_the_worlds_value_for_value(loader, config, world, window, vendor, pauses):
    result = loader.load(SOURCES[vendor], config(vendor), window)
    expected = held_by_the_world(world, vendor)
    assert expected
    assert stored(loader, vendor) == expected
    assert result.rows[READ[vendor].table] == len(expected)


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
