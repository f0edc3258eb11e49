"""Merging, remembering and recovering: what every source relies on, with made-up vendors."""

import multiprocessing
import os
import shutil
import signal
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dlt
import pytest
from dlt.common.runtime import run_context
from dlt.destinations.impl.snowflake.configuration import SnowflakeCredentials
from dlt.destinations.impl.snowflake.snowflake import SnowflakeMergeJob

from dlt_pipelines.config import ExtractionWindow, FilesConfig, GoogleAdsConfig, SourceConfig, SourcesConfig
from dlt_pipelines.extraction import (
    DayRange,
    changed_since,
    cursor_resource,
    day_range,
    day_resource,
    make_source,
    merge_hints,
    remember,
)
from dlt_pipelines.pipeline import FRUGAL, ExtractionFailed, pipeline_for, stored_rows
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.rows import ContractViolation, Shaper
from dlt_pipelines.sources import files
from dlt_pipelines.spec import ColumnSpec, MissingSecret, ResourceSpec, SecretSpec, SourceSpec
from tests.extraction.harness import Loader, make_window

ADS = ResourceSpec(
    "ad_days",
    ("date", "account", "ad"),
    "Made-up ad days.",
    (
        ColumnSpec("date", "date"),
        ColumnSpec("account"),
        ColumnSpec("ad"),
        ColumnSpec("cost", "decimal"),
        ColumnSpec("at", "timestamp"),
        ColumnSpec("url", "text", "", "url"),
    ),
)
PEOPLE = ResourceSpec(
    "people", ("id",), "Made-up people.", (ColumnSpec("id"), ColumnSpec("name"), ColumnSpec("n", "bigint"))
)


class Ads:
    """A vendor of ad days that records what it is asked."""

    def __init__(self, accounts=("a",), settling_days=3):
        self.rows = {}
        self.asked = []
        self.accounts, self.settling_days = accounts, settling_days

    def put(self, day, ad, cost, account="a"):
        row = {"date": day, "account": account, "ad": ad, "cost": cost, "at": f"{day}T03:00:00+02:00"}
        self.rows[(day, account, ad)] = row

    def pull(self, days):
        self.asked.append((days.account, str(days.start), str(days.end)))
        return [
            row
            for (day, account, _), row in self.rows.items()
            if account == days.account and str(days.start) <= day < str(days.end)
        ]

    def spec(self):
        def build(config, window, hasher):
            options = {"day_column": "date", "account_column": "account", "accounts": self.accounts}
            resource = day_resource(
                "made_up", ADS, window, hasher, settling_days=self.settling_days, pull=self.pull, **options
            )
            return make_source("made_up", [resource])

        return SourceSpec("made_up", "Made up", SourceConfig, (ADS,), (), build)


def window(start, end, **options):
    return make_window(date.fromisoformat(start), date.fromisoformat(end), **options)


def costs(loader):
    return {
        (str(day), ad): cost
        for day, ad, cost in loader.query("made_up", "select date, ad, cost from raw_made_up.ad_days")
    }


def test_days_are_replaced_inside_the_settling_window_and_nowhere_else(loader):
    ads = Ads()
    for day in ("2026-09-01", "2026-09-05", "2026-09-06"):
        ads.put(day, "x", "1.5")
        ads.put(day, "y", "2")
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    before = loader.stored("made_up")

    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    assert loader.stored("made_up") == before, "unchanged days are not rewritten, load ids included"

    del ads.rows[("2026-09-05", "a", "x")]  # vanished inside the window
    del ads.rows[("2026-09-06", "a", "x")], ads.rows[("2026-09-06", "a", "y")]  # a day that became empty
    ads.put("2026-09-05", "y", "2.25")  # restated inside
    ads.put("2026-09-01", "x", "9")  # restated outside: too old to be asked for
    ads.put("2026-09-07", "z", "4")
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-08"))
    assert ads.asked == [
        ("a", "2026-09-01", "2026-09-07"),
        ("a", "2026-09-04", "2026-09-07"),
        ("a", "2026-09-04", "2026-09-08"),
    ]
    assert costs(loader) == {
        ("2026-09-01", "x"): Decimal("1.5"),
        ("2026-09-01", "y"): Decimal("2"),
        ("2026-09-05", "y"): Decimal("2.25"),
        ("2026-09-07", "z"): Decimal("4"),
    }


def test_everything_vanishing_empties_the_days(loader):
    ads = Ads()
    ads.put("2026-09-06", "x", "1")
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    ads.rows.clear()
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    assert costs(loader) == {}


def test_accounts_are_replaced_and_remembered_apart(loader):
    ads = Ads(accounts=("a",))
    ads.put("2026-09-06", "x", "1", "a")
    ads.put("2026-09-06", "x", "2", "b'{}")
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    ads.accounts = ("a", "b'{}")
    ads.asked.clear()
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    assert ads.asked == [("a", "2026-09-04", "2026-09-07"), ("b'{}", "2026-09-01", "2026-09-07")]
    before = loader.stored("made_up")
    assert len(before["ad_days"]) == 2
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    assert loader.stored("made_up") == before, "neither account's equal rows are rewritten"


def test_a_refresh_pulls_exactly_its_window(loader):
    ads = Ads()
    ads.put("2026-09-01", "x", "1")
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    ads.put("2026-09-01", "x", "9")
    loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-02", refresh=True))
    assert ads.asked[-1] == ("a", "2026-09-01", "2026-09-02")
    assert costs(loader) == {("2026-09-01", "x"): Decimal("9")}


def test_which_days_are_pulled():
    held = {"a": {"from": "2026-09-01", "through": "2026-09-10"}}
    pulled = {
        name: day_range(asked, state, "a", 3, earliest)
        for name, asked, state, earliest in [
            ("first", window("2026-09-01", "2026-09-11"), {}, None),
            ("next", window("2026-09-01", "2026-09-11"), held, None),
            ("gap", window("2026-09-20", "2026-09-21"), held, None),
            ("further back", window("2026-08-01", "2026-09-11"), held, None),
            ("older day", window("2026-09-04", "2026-09-05"), held, None),
            ("limited", window("2026-01-01", "2026-09-11"), {}, date(2026, 9, 5)),
            ("too old", window("2026-01-01", "2026-02-01"), {}, date(2026, 9, 5)),
        ]
    }
    assert {name: found and (found.start.day, found.start.month, found.end.day) for name, found in pulled.items()} == {
        "first": (1, 9, 11),
        "next": (7, 9, 11),
        "gap": (7, 9, 21),
        "further back": (1, 8, 11),
        "older day": (2, 9, 5),
        "limited": (5, 9, 11),
        "too old": None,
    }
    remember(window("2026-08-01", "2026-08-03", refresh=True), held, DayRange("a", date(2026, 8, 1), date(2026, 8, 3)))
    assert held["a"] == {"from": "2026-09-01", "through": "2026-09-10"}, "a far refresh must not claim the days between"
    remember(window("2026-09-01", "2026-09-12"), held, DayRange("a", date(2026, 9, 7), date(2026, 9, 12)))
    assert held["a"] == {"from": "2026-09-01", "through": "2026-09-12"}


def test_which_changes_are_read():
    lag = timedelta(days=1)
    state = {"through": "2026-09-10T00:00:00+00:00", "from": "2026-07-01"}
    assert changed_since(window("2026-07-01", "2026-09-11"), {}, lag) is None
    assert changed_since(window("2026-07-01", "2026-09-11"), state, lag) == datetime(2026, 9, 9, tzinfo=UTC)
    assert changed_since(window("2026-06-01", "2026-09-11"), state, lag) is None
    assert changed_since(window("2026-07-01", "2026-09-11", refresh=True), state, lag) is None
    assert changed_since(window("2026-09-04", "2026-09-11", refresh=True), state, lag) == datetime(
        2026, 9, 4, tzinfo=UTC
    )


def people_spec(rows, since):
    def build(config, asked, hasher):
        def pull(moment):
            since.append(moment)
            return rows

        return make_source(
            "made_up", [cursor_resource("made_up", PEOPLE, asked, hasher, lag=timedelta(days=1), pull=pull)]
        )

    return SourceSpec("made_up", "Made up", SourceConfig, (PEOPLE,), (), build)


def test_entities_are_upserted_once_each(loader):
    rows: list[dict[str, Any]] = [
        {"id": 1, "name": "a"},
        {"id": "1", "name": "again"},
        {"id": "2", "name": "b", "n": "7"},
    ]
    since: list[datetime | None] = []
    loader.load(people_spec(rows, since), SourceConfig())
    before = loader.stored("made_up")
    loader.load(people_spec(rows, since), SourceConfig())
    assert loader.stored("made_up") == before
    loader.load(people_spec([{"id": "2", "name": None, "n": 8}], since), SourceConfig())
    assert loader.query("made_up", "select id, name, n from raw_made_up.people order by id") == [
        ("1", "a", None),
        ("2", None, 8),
    ]
    assert since == [None, *[datetime(2026, 9, 30, tzinfo=UTC)] * 2]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "1", "n": "seven"}, r"made_up.people.n is bigint, but the vendor sent str of 5 characters"),
        ({"id": "1", "n": 1.5}, "n is bigint"),
        ({"id": "1", "n": True}, "n is bigint"),
        ({"id": "1", "name": {"value": "x"}}, "name is text, but the vendor sent dict"),
        ({"name": "x"}, "id is a key and has no value"),
    ],
)
def test_a_flipped_type_stops_the_source_before_anything_is_written(loader, row, message):
    loader.load(people_spec([{"id": "0", "name": "kept", "n": 1}], []), SourceConfig())
    before = loader.stored("made_up")
    with pytest.raises(ExtractionFailed, match=message):
        loader.load(people_spec([{"id": "9", "name": "fine"}, row], []), SourceConfig())
    assert loader.stored("made_up") == before


def test_a_new_column_of_the_contract_is_added_and_a_changed_type_is_refused(loader):
    loader.load(people_spec([{"id": "1"}], []), SourceConfig())

    def reshaped(*columns):
        changed = ResourceSpec("people", ("id",), "Made-up people.", columns)

        def build(config, asked, hasher):
            pull = lambda moment: [{"id": "2", "n": "3", "extra": "new"}]  # noqa: E731
            return make_source(
                "made_up", [cursor_resource("made_up", changed, asked, hasher, lag=timedelta(1), pull=pull)]
            )

        return SourceSpec("made_up", "Made up", SourceConfig, (changed,), (), build)

    loader.load(reshaped(ColumnSpec("id"), ColumnSpec("extra")), SourceConfig())
    assert loader.query("made_up", "select id, extra from raw_made_up.people order by id") == [
        ("1", None),
        ("2", "new"),
    ]
    before = loader.stored("made_up")
    with pytest.raises(ExtractionFailed):
        loader.load(reshaped(ColumnSpec("id"), ColumnSpec("n", "double")), SourceConfig())
    assert {table: len(rows) for table, rows in loader.stored("made_up").items()} == {
        table: len(rows) for table, rows in before.items()
    }


def test_nothing_plain_reaches_the_table_through_a_treated_column(hasher):
    table = Shaper("s", ADS, hasher).table(
        [{"date": "2026-09-01", "account": "a", "ad": "x", "cost": "-2E-18", "url": "/?email=a@b.de"}]
    )
    assert table.to_pylist()[0]["url"] == "/?email=redacted"
    assert table.to_pylist()[0]["cost"] == Decimal("0.000000")
    with pytest.raises(ContractViolation):
        Shaper("s", ADS, hasher).table([{"date": "2026-09-01", "account": "a", "ad": "x", "cost": "1,5"}])


def test_a_load_that_does_not_fit_into_its_memory_is_loaded_without_that_limit(loader, monkeypatch, caplog):
    monkeypatch.setitem(FRUGAL, "memory_limit", "12MB")
    since: list[datetime | None] = []
    rows = [{"id": str(number), "name": f"{number} " * 100} for number in range(20_000)]
    with caplog.at_level("INFO", "dlt_pipelines.pipeline"):
        assert loader.load(people_spec(rows, since), SourceConfig()).rows == {"people": 20_000}
    assert "does not fit into 12MB" in caplog.text
    assert since == [None], "the vendor is not asked again"
    assert loader.query("made_up", "select count(*), min(length(name)) from raw_made_up.people") == [(20_000, 200)]


def test_half_an_emoji_does_not_stop_a_load(loader):
    loader.load(people_spec([{"id": "1", "name": "caf\u00e9 \ud83d"}], []), SourceConfig())
    assert loader.query("made_up", "select name from raw_made_up.people") == [("café ?",)]


def test_a_reply_without_an_expected_field_is_told_in_words(loader):
    def build(config, asked, hasher):
        empty: dict[str, Any] = {}
        pull = lambda moment: [{"id": empty["key"]}]  # noqa: E731
        return make_source("made_up", [cursor_resource("made_up", PEOPLE, asked, hasher, lag=timedelta(1), pull=pull)])

    with pytest.raises(ExtractionFailed, match="lacks the field 'key'"):
        loader.load(SourceSpec("made_up", "Made up", SourceConfig, (PEOPLE,), (), build), SourceConfig())


def kill_in_the_middle(folder, moment):
    """Load files in a child and kill it: while extracting, before loading, or in the middle of the merge."""

    def die(*_args, **_kwargs):
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "extract":
        files.read_table = die
    elif moment == "load":
        from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob

        setattr(DuckDbCopyJob, "run", die)  # noqa: B010 - mypy forbids assigning to a method
    else:
        from dlt.destinations.sql_jobs import SqlMergeFollowupJob

        setattr(SqlMergeFollowupJob, "generate_sql", die)  # noqa: B010
    Loader(folder).load(files.SPEC, FilesConfig(path=folder / "inbox"))


def drop_files(folder, rows):
    (folder / "inbox").mkdir(exist_ok=True)
    lines = [f"{number},2026-09-01T00:00:{number % 60:02d}Z,e{rows}" for number in range(rows)]
    (folder / "inbox" / "events.csv").write_text("event_id,occurred_at,event_name\n" + "\n".join(lines))
    (folder / "inbox" / "spend.csv").write_text(f"date,platform,cost\n2026-09-01,g,{rows}\n")


def load_files(folder):
    return Loader(folder).load(files.SPEC, FilesConfig(path=folder / "inbox"))


def test_a_killed_load_and_a_normal_one_equal_an_uninterrupted_one(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    drop_files(whole, 50)
    load_files(whole)
    moments = ("extract", "load", "merge")
    for moment in moments:
        shutil.copytree(whole, tmp_path / moment)
    for folder in (whole, *(tmp_path / moment for moment in moments)):
        drop_files(folder, 80)
    load_files(whole)
    for moment in moments:
        child = multiprocessing.get_context("fork").Process(target=kill_in_the_middle, args=(tmp_path / moment, moment))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL, moment
        load_files(tmp_path / moment)
        assert Loader(tmp_path / moment).stored("files", load_ids=False) == Loader(whole).stored(
            "files", load_ids=False
        )
        assert stored_rows(tmp_path / moment / "landing", files.SPEC)["events"] == 80


SNOWFLAKE = {
    "SNOWFLAKE_ACCOUNT": "org-account",
    "SNOWFLAKE_USER": "loader",
    "SNOWFLAKE_PASSWORD": "hush-hush",
    "SNOWFLAKE_DATABASE": "ANALYTICS",
    "SNOWFLAKE_WAREHOUSE": "WH",
    "SNOWFLAKE_ROLE": "LOADER",
}


def test_the_snowflake_destination_is_configured_without_a_connection(tmp_path, monkeypatch):
    for name, value in SNOWFLAKE.items():
        monkeypatch.setenv(name, value)
    pipeline = pipeline_for("google_ads", tmp_path / "landing", tmp_path / "dlt", "snowflake")
    schema = dlt.Schema("google_ads")
    for resource in SOURCES["google_ads"].resources:
        hints = merge_hints(resource, "date >= DATE '2026-09-01'")
        schema.update_table(dlt.resource([], name=resource.name, **hints).compute_table_schema())
    client: Any = pipeline._get_destination_clients(schema)[0]
    credentials = client.config.credentials
    assert isinstance(credentials, SnowflakeCredentials)
    assert (credentials.host, credentials.database, credentials.warehouse) == ("org-account", "ANALYTICS", "WH")
    assert "hush-hush" not in str(credentials)
    table = client.prepare_load_table("campaign_daily")
    (ddl,) = client._get_table_update_sql("campaign_daily", list(table["columns"].values()), False)
    assert '"RAW_GOOGLE_ADS"."CAMPAIGN_DAILY"' in ddl
    assert '"COST_MICROS" NUMBER(19,0)' in ddl
    delete, merge = SnowflakeMergeJob.generate_sql([table], client.sql_client)
    assert delete.endswith("AND (date >= DATE '2026-09-01');")
    assert "WHEN MATCHED AND (" in merge
    assert not (tmp_path / "landing").exists()


def test_snowflake_without_its_secrets_says_which(tmp_path, monkeypatch):
    for name in SNOWFLAKE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingSecret, match="SNOWFLAKE_ACCOUNT is not set"):
        pipeline_for("google_ads", tmp_path, tmp_path, "snowflake")


def test_the_registry_is_the_contract():
    assert list(SOURCES) == list(SourcesConfig.model_fields)
    for name, spec in SOURCES.items():
        assert spec.name == name
        for resource in spec.resources:
            assert resource.description, resource.name
            for column in resource.columns:
                assert column.description, f"{name}.{resource.name}.{column.name}"
                if column.name.endswith("_hash"):
                    assert column.treatment in ("email", "ip", "phone", "name"), column.name


def test_secrets_are_read_late_and_named_when_missing(monkeypatch, tmp_path, loader):
    for secret in SOURCES["google_ads"].secrets:
        monkeypatch.delenv(secret.env, raising=False)
    config = GoogleAdsConfig(enabled=True, customer_ids=("123-456-7890",))
    SOURCES["google_ads"].build(config, make_window(), loader.hasher)
    assert {finding.subject for finding in SOURCES["google_ads"].check(config)} == {
        f"google_ads: {secret.env}" for secret in SOURCES["google_ads"].secrets
    }
    with pytest.raises(ExtractionFailed, match="GOOGLE_ADS_DEVELOPER_TOKEN is not set"):
        loader.load(SOURCES["google_ads"], config)
    assert SecretSpec("SURELY_NOT_SET", "x", required=False).read() == ""


def test_settings_are_strict():
    with pytest.raises(ValueError, match="custmer_ids"):
        GoogleAdsConfig(custmer_ids=("1",))  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="not a customer id"):
        GoogleAdsConfig(customer_ids=("abc",))
    with pytest.raises(ValueError, match="must start with http"):
        GoogleAdsConfig(base_url="googleads.googleapis.com")
    with pytest.raises(ValueError, match="end is exclusive"):
        window("2026-09-01", "2026-09-01")
    with pytest.raises(ValueError, match="time zone"):
        ExtractionWindow(start=date(2026, 9, 1), end=date(2026, 9, 2), now=datetime(2026, 9, 2))
    assert GoogleAdsConfig(customer_ids=("123-456-7890",)).customer_ids == ("1234567890",)


def test_load_ids_stand_on_every_row_and_telemetry_is_off(loader):
    ads = Ads()
    ads.put("2026-09-06", "x", "1")
    result = loader.load(ads.spec(), SourceConfig(), window("2026-09-01", "2026-09-07"))
    assert loader.query("made_up", "select distinct _dlt_load_id from raw_made_up.ad_days") == [(result.load_ids[0],)]
    assert run_context.active().runtime_config.dlthub_telemetry is False
    described = {name: kind for name, kind, *_ in loader.query("made_up", "describe raw_made_up.ad_days")}
    assert described == {
        "date": "DATE",
        "account": "VARCHAR",
        "ad": "VARCHAR",
        "cost": "DECIMAL(20,6)",
        "at": "TIMESTAMP",
        "url": "VARCHAR",
        "_dlt_load_id": "VARCHAR",
    }
    assert loader.query("made_up", 'select "at" from raw_made_up.ad_days') == [(datetime(2026, 9, 6, 1),)]
