"""Every vendor of the sandbox under every fault: what is switched, what must come of it, and one run of one cell.

A cell reads a vendor that was read before, whole window again, while one fault is on. Three outcomes are right: it comes
through and the tables are what they were; it fails with a message and the tables are what they were; or, where the vendor
really showed other figures meanwhile, the next clean run puts the tables right. A vendor that has no case of its own is read
with the sandbox's settings, and any right outcome is good; which field to spoil is then found by trying.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from dlt_pipelines import http
from dlt_pipelines.config import SourceConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import MOUNTED, SandboxServer
from dlt_pipelines.sandbox.vendors import google_ads, mixpanel
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS
from dlt_pipelines.spec import SourceSpec
from tests.extraction.harness import Loader, make_window

Outcome = Literal["recovered", "settled", "failed", "no such thing"]
START: Final = date(2026, 7, 1)
WORLD: Final = WorldConfig(people=120, start_on=START, days=14, seed=3, platforms=tuple(PLATFORMS))
WINDOW: Final = make_window(START, START + timedelta(days=WORLD.days), refresh=True)
LONG: Final = 7200.0
# Fields tried until one shows.
TRIED: Final = 12
# What the vendor shows meanwhile, rather than an accident of one request.
STATES: Final = ("late_rows", "restated_days")


@dataclass(frozen=True)
class Fault:
    """One column of the matrix.

    Attributes:
        kind: of the sandbox's switchboard; options: how it is switched.
        outcome: what comes of it unless a vendor says otherwise.
    """

    kind: str
    outcome: Outcome
    options: Mapping[str, Any] = field(default_factory=dict)


FAULTS: Final[Mapping[str, Fault]] = {
    "throttled": Fault("throttle", "recovered", {"seconds": 2.0}),
    "throttled for hours": Fault("throttle", "failed", {"seconds": LONG, "times": None}),
    "server error": Fault("server_error", "recovered"),
    "server errors without end": Fault("server_error", "failed", {"times": None}),
    "no answer": Fault("timeout", "recovered", {"seconds": 0.02}),
    "cut in the middle": Fault("cut_body", "recovered"),
    "truncated": Fault("truncated_body", "recovered"),
    "malformed": Fault("malformed_body", "recovered"),
    "expired token": Fault("expired_token", "recovered"),
    "revoked token": Fault("revoked_token", "failed"),
    "spent refresh token": Fault("spent_refresh_token", "no such thing"),
    "empty page": Fault("empty_page", "recovered"),
    "duplicate page": Fault("duplicate_page", "recovered"),
    "repeated cursor": Fault("repeated_cursor", "recovered"),
    "repeated cursor without end": Fault("repeated_cursor", "failed", {"times": None}),
    "late rows": Fault("late_rows", "settled"),
    "restated days": Fault("restated_days", "settled", {"factor": 0.5}),
    "withdrawn field": Fault("withdrawn_field", "failed"),
    "changed type": Fault("type_flip", "failed"),
    "skewed clock": Fault("clock_skew", "recovered", {"seconds": 7200.0}),
    "failed job": Fault("failed_job", "no such thing"),
}


# Why a cell has nothing to test, where its outcome is "no such thing".
REASONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("empty page", "duplicate page", "repeated cursor", "repeated cursor without end"),
        "its answers are not paged",
    ),
    "spent refresh token": "its credentials do not rotate",
    "failed job": "these calls start no report job",
    "restated days": "its rows are records with an id, or days that only gain rows; see late rows",
    "expired token": "its credentials do not expire",
}


@dataclass(frozen=True)
class Case:
    """One row of the matrix: how a vendor is read, and where it differs from the rest.

    Attributes:
        config: settings to read the sandbox with, given the server and a folder of one's own.
        flipped, withdrawn: a field of the wire whose type changes, or that vanishes.
        differs: outcome by fault, where it is not the usual one; a pair adds options of the switch, `config` among
            them: settings that this cell is read with.

    Empty `flipped` and `withdrawn` are found by trying names of the raw columns as the wire may spell them.
    """

    config: Callable[[SandboxServer, Path], SourceConfig]
    flipped: str = ""
    withdrawn: str = ""
    differs: Mapping[str, Outcome | tuple[Outcome, Mapping[str, Any]]] = field(default_factory=dict)


def settings(source: str, server: SandboxServer, **more: Any) -> SourceConfig:
    """A source's settings against the sandbox: impatient, and ready to wait as long as minutes."""
    tokens = {"token_url": server.token_urls[source]} if source in server.token_urls else {}
    given: dict[str, Any] = {
        **tokens,
        "enabled": True,
        "base_url": server.base_urls[source],
        "timeout_seconds": 5,
        "attempts": 4,
        "max_wait_seconds": 600,
    }
    return SOURCES[source].config_model.model_validate(given | more)


NO_PAGES: Final[Mapping[str, Outcome]] = dict.fromkeys(
    ("empty page", "duplicate page", "repeated cursor", "repeated cursor without end"), "no such thing"
)
# What is held stays held while the vendor does not show it; that it arrives at all is tested with the source.
UPSERTED: Final[Mapping[str, Outcome]] = {"late rows": "recovered", "restated days": "no such thing"}
# Nobody can renew a token that does not come from a refresh.
STATIC_TOKEN: Final[Mapping[str, Outcome]] = {"expired token": "failed"}
ROTATES: Final[Mapping[str, Outcome]] = {"spent refresh token": "recovered"}
JOBS: Final[Mapping[str, Outcome]] = {"failed job": "recovered"}

CASES: Final[Mapping[str, Case]] = {
    "ga4": Case(
        lambda server, folder: settings("ga4", server, property_id="4711", page_size=40),
        flipped="rowCount",
        withdrawn="metricValues",
        differs={
            # Google's throttle here is the hourly quota.
            "throttled": "failed",
            "restated days": "no such thing",
            "late rows": "recovered",
            "skewed clock": ("recovered", {"vendor": "google_oauth"}),
        },
    ),
    "posthog": Case(
        lambda server, folder: settings("posthog", server, project_id="4712", page_size=60),
        flipped="results",
        withdrawn="columns",
        differs={**STATIC_TOKEN, "restated days": "no such thing"},
    ),
    "mixpanel": Case(
        lambda server, folder: settings(
            "mixpanel", server, query_url=server.base_urls["mixpanel"], project_id="4713", days_per_request=5
        ),
        flipped="time",
        withdrawn="distinct_id",
        differs={**STATIC_TOKEN, "restated days": "no such thing"},
    ),
    "amplitude": Case(
        lambda server, folder: settings("amplitude", server, hours_per_request=48),
        flipped="event_time",
        withdrawn="event_type",
        differs={**STATIC_TOKEN, **NO_PAGES, **UPSERTED},
    ),
    "google_ads": Case(
        lambda server, folder: settings(
            "google_ads",
            server,
            customer_ids=("1234567890",),
            login_customer_id="9876543210",
            click_days_back=3,
        ),
        flipped="costMicros",
        withdrawn="segments",
    ),
    "meta_ads": Case(
        lambda server, folder: settings("meta_ads", server, account_ids=("1001",), page_size=60, sync_days=30),
        flipped="spend",
        withdrawn="inline_link_clicks",
        differs={**STATIC_TOKEN, "failed job": ("recovered", {"config": {"sync_days": 0}})},
    ),
    "microsoft_ads": Case(
        lambda server, folder: settings(
            "microsoft_ads", server, account_ids=("141000001",), token_folder=folder / "tokens"
        ),
        flipped="Spend",
        withdrawn="Spend",
        differs={**NO_PAGES, **ROTATES, **JOBS, "throttled for hours": ("failed", {"retry_after": True})},
    ),
    "linkedin_ads": Case(
        lambda server, folder: settings(
            "linkedin_ads", server, account_ids=("507000001",), token_folder=folder / "tokens", page_size=1
        ),
        flipped="costInLocalCurrency",
        withdrawn="costInLocalCurrency",
        differs={"throttled for hours": ("failed", {"policy": "DAILY"})},
    ),
    "reddit_ads": Case(
        lambda server, folder: settings(
            "reddit_ads", server, account_ids=("a2_sandbox",), token_folder=folder / "tokens", page_size=1
        ),
        flipped="spend",
        withdrawn="spend",
        differs=ROTATES,
    ),
    "x_ads": Case(
        lambda server, folder: settings("x_ads", server, account_ids=("18ce5sandbx",), page_size=1, sync_days=14),
        flipped="timezone",
        withdrawn="billed_charge_local_micro",
        differs={**STATIC_TOKEN, "failed job": ("recovered", {"config": {"sync_days": 0}})},
    ),
    "tiktok_ads": Case(
        lambda server, folder: settings(
            "tiktok_ads", server, advertiser_ids=(PLATFORMS["tiktok_ads"].account_id,), page_size=30
        ),
        flipped="impressions",
        withdrawn="ad_name",
        differs={**STATIC_TOKEN, "throttled for hours": ("failed", {"policy": "DAILY"})},
    ),
    "mailchimp": Case(
        lambda server, folder: settings("mailchimp", server, page_size=1),
        flipped="timestamp",
        withdrawn="email_id",
        differs={**STATIC_TOKEN, **UPSERTED},
    ),
    "klaviyo": Case(
        lambda server, folder: settings("klaviyo", server, page_size=4),
        flipped="datetime",
        withdrawn="datetime",
        differs={**STATIC_TOKEN, **UPSERTED},
    ),
    "hubspot": Case(
        lambda server, folder: settings("hubspot", server, page_size=1),
        flipped="displayOrder",
        withdrawn="dealstage",
        differs={
            **STATIC_TOKEN,
            **UPSERTED,
            "throttled for hours": ("failed", {"policy": "DAILY"}),
            # The property reads as null until it is back, which the raw contract calls an error.
            "withdrawn field": "settled",
        },
    ),
    "salesforce": Case(
        lambda server, folder: settings("salesforce", server, page_size=1),
        flipped="SortOrder",
        withdrawn="SystemModstamp",
        # Its usual throttle is the day's quota.
        differs={**UPSERTED, "throttled": ("recovered", {"policy": "concurrent"})},
    ),
    "search_console": Case(
        lambda server, folder: settings(
            "search_console",
            server,
            token_url=server.token_url,
            site_urls=("sc-domain:shop.example",),
            page_size=5,
        ),
        flipped="clicks",
        withdrawn="impressions",
        differs={
            # Its usual throttle is the load quota.
            "throttled": ("recovered", {"policy": "rate"}),
            "restated days": "no such thing",
            "skewed clock": ("recovered", {"vendor": "google_oauth"}),
        },
    ),
    "linkedin_pages": Case(
        lambda server, folder: settings(
            "linkedin_pages", server, organisation_ids=("5150001",), token_folder=folder / "tokens", page_size=1
        ),
        flipped="impressionCount",
        withdrawn="clickCount",
        differs={"throttled for hours": ("failed", {"policy": "DAILY"})},
    ),
    "meta_pages": Case(
        lambda server, folder: settings(
            "meta_pages",
            server,
            page_ids=("200100000000001",),
            instagram_ids=("17841400000000001",),
            page_size=1,
        ),
        flipped="like_count",
        withdrawn="end_time",
        differs=STATIC_TOKEN,
    ),
    "x_posts": Case(
        lambda server, folder: settings("x_posts", server, user_id="44196001", page_size=1),
        flipped="like_count",
        withdrawn="created_at",
        differs=STATIC_TOKEN,
    ),
    "pipedrive": Case(
        lambda server, folder: settings("pipedrive", server, page_size=1),
        flipped="order_nr",
        withdrawn="update_time",
        differs={**STATIC_TOKEN, **UPSERTED},
    ),
}


def case_of(source: str) -> Case:
    """A vendor's case; one that has none is read with its sandbox module's `SETTINGS`, in pages of five where it has pages."""
    return CASES.get(source) or Case(lambda server, folder: settings(source, server, **_own_settings(source)))


def _own_settings(source: str) -> dict[str, Any]:
    known = dict(getattr(sys.modules[MOUNTED[source].__module__], "SETTINGS", {}))
    pages = {"page_size": 5} if "page_size" in SOURCES[source].config_model.model_fields else {}
    return pages | known


def wire_names(spec: SourceSpec, kinds: Collection[str]) -> Iterator[str]:
    """How a vendor may spell the raw columns of some types, keys first: as they are, and in camel case."""
    for resource in spec.resources:
        for column in sorted(resource.columns, key=lambda column: column.name not in resource.primary_key):
            if column.data_type in kinds:
                first, *rest = column.name.split("_")
                yield from dict.fromkeys((column.name, first + "".join(map(str.capitalize, rest))))


@contextmanager
def running_sandbox(pauses: list[float]) -> Iterator[SandboxServer]:
    """A sandbox of the matrix's world, its credentials in the environment, waits noted instead of made."""
    with SandboxServer(build_world(WORLD)) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.credentials().items():
            patch.setenv(name, value)
        patch.setattr(http, "sleep", pauses.append)
        # Google's pages hold 10,000 rows; with fewer the small world has several.
        patch.setattr(google_ads, "PAGE", 30)
        patch.setattr(mixpanel, "PAGE_SIZE", 3)
        yield server


@dataclass
class Cell:
    """What came of a vendor under a fault; `message` is the failure's, or why there is nothing to test."""

    outcome: Outcome
    message: str = ""
    requests: int = 0
    waited: float = 0.0


class Bench:
    """One vendor, read once without faults, ready to be read under each."""

    def __init__(self, source: str, server: SandboxServer, folder: Path, pauses: list[float]) -> None:
        self.case, self.spec, self.server, self.pauses = case_of(source), SOURCES[source], server, pauses
        self.config = self.case.config(server, folder)
        self.loader = Loader(folder)
        server.faults.clear()
        self.loader.load(self.spec, self.config, WINDOW)
        self.clean = self.loader.stored(source)

    def right(self, name: str, cell: Cell) -> bool:
        """Whether an outcome is the one expected; of a vendor without a case, whether it is a right one."""
        return cell.outcome == self.expected(name)[0] or self.spec.name not in CASES

    def expected(self, name: str) -> tuple[Outcome, dict[str, Any]]:
        """The right outcome of a cell, and how its fault is switched."""
        fault = FAULTS[name]
        options = dict(fault.options)
        if fault.kind == "withdrawn_field":
            options["field"] = self.case.withdrawn
        if fault.kind == "type_flip":
            options["field"] = self.case.flipped
        differing = self.case.differs.get(name, fault.outcome)
        if isinstance(differing, tuple):
            return differing[0], options | dict(differing[1])
        return differing, options

    def run(self, name: str) -> Cell:
        """Read under a fault and judge; afterwards the tables are clean again.

        Raises:
            AssertionError: something was half-written, or a clean run did not put the tables right.
        """
        expected, options = self.expected(name)
        if expected == "no such thing":
            return Cell(expected, REASONS[name])
        if "field" in options and not options["field"]:
            return self._by_trying(name, options)
        return self._cell(name, options)

    def _by_trying(self, name: str, options: dict[str, Any]) -> Cell:
        """The first field whose spoiling shows."""
        kinds = ("bigint", "double", "decimal", "timestamp", "date", "bool")
        names = list(wire_names(self.spec, kinds if FAULTS[name].kind == "type_flip" else (*kinds, "text")))[:TRIED]
        cell = Cell("no such thing", f"none of {', '.join(names)} is a field of the wire")
        for spelled in names:
            found = self._cell(name, options | {"field": spelled})
            if found.outcome != "recovered":
                return found
        return cell

    def _cell(self, name: str, options: dict[str, Any]) -> Cell:
        vendor, faults = self.spec.name, self.server.faults
        config = self.config.model_copy(update=options.pop("config", {}))
        self.pauses.clear()
        self.server.requests.clear()
        fault = faults.switch(options.pop("vendor", vendor), FAULTS[name].kind, **options)
        cell = Cell("recovered")
        try:
            self.loader.load(self.spec, config, WINDOW)
        except ExtractionFailed as failure:
            cell = Cell("failed", str(failure))
        finally:
            faults.clear()
        if self.spec.name not in CASES and not fault.hits and fault.kind.endswith(("page", "cursor", "job", "token")):
            return Cell("no such thing", REASONS[name])
        # A skewed clock shows in every reply and is never used up.
        assert cell.outcome == "failed" or fault.hits or fault.kind in (*STATES, "clock_skew"), (
            f"{vendor}: {name!r} hit no request, so nothing was tested"
        )
        cell.requests, cell.waited = len(self.server.requests), sum(self.pauses)
        stored = self.loader.stored(vendor)
        if stored == self.clean:
            return cell
        assert cell.outcome == "recovered", f"{vendor} under {name!r} failed and left other rows behind: {cell.message}"
        self.loader.load(self.spec, self.config, WINDOW)
        settled = self.loader.stored(vendor, load_ids=False)
        assert settled == {table: _without_load_id(rows) for table, rows in self.clean.items()}, (
            f"{vendor} after {name!r}: a clean run did not put the tables right"
        )
        self.clean = self.loader.stored(vendor)
        cell.outcome = "settled"
        return cell


def _without_load_id(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    # Raw tables are written by Arrow: the load id is the last column.
    return sorted((row[:-1] for row in rows), key=repr)
