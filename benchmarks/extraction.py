"""Throughput and peak memory of extraction: events of every analytics vendor at several sizes, and a million ad rows.

    python -m benchmarks.extraction [--events 300000 1200000] [--only mixpanel,amplitude] [--results throughput.json] [--write]

Each load is a process of its own that imports nothing but the sources, so that its peak memory (`VmHWM`) is its own; the
vendors that have to be asked are another, on loopback. Seconds of processor time are the honest figure on a shared machine:
rows a second "a core" is rows by processor seconds, dlt's start and the merge into DuckDB included, imports not. Budget: 15,000
events a second a core, and a peak that does not grow with the export. The smallest size and the ad rows are loaded twice, the
second time over rows that are already there. Results gather in a file, so that parts may be run one after the other; the
largest size takes about two minutes of processor time a vendor, half of it to write the export.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.memory import peak_mb
from benchmarks.page import PAGE, replace_section

START = date(2026, 7, 1)
DAYS = 30
PEOPLE = 300
SECRETS = ("DEVELOPER_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")
EVENT_KINDS = {
    "ga4": "GA4 export files",
    "posthog_parquet": "PostHog Parquet files",
    "posthog_jsonl": "PostHog JSON lines",
    "mixpanel": "Mixpanel's stream",
    "amplitude": "Amplitude's archives",
}
SPAWN = multiprocessing.get_context("spawn")
Figures = dict[str, float]
Results = dict[str, dict[str, float]]


def make_report(rows: int) -> bytes:
    """A Microsoft campaign report of so many rows over the days."""
    from dlt_pipelines.sandbox.vendors.microsoft_ads import zipped

    names = ["TimePeriod", "AccountId", "CampaignId", "CampaignName", "CampaignType", "CurrencyCode"]
    names += ["Impressions", "Clicks", "Spend", "Conversions", "Revenue"]
    campaigns = -(-rows // DAYS)
    lines = [f'"Rows: {campaigns * DAYS}"', "", ",".join(f'"{name}"' for name in names)]
    for day in range(DAYS):
        on = START + timedelta(days=day)
        for campaign in range(campaigns):
            values: tuple[object, ...] = (on, 1, 410_000_000 + campaign, f"campaign {campaign}", "Search", "EUR")
            values += (campaign % 997, campaign % 31, f"{campaign % 113}.{day:02d}", "", "0.00")
            lines.append(",".join(f'"{value}"' for value in values))
    return zipped("\r\n".join([*lines, "", '"©2026 Microsoft Corporation. All rights reserved. "', ""]))


def serve_report(path: str, port: Any) -> None:
    """Speak for Microsoft: every order is done at once, and its file is the one at `path`. Puts its port first."""
    content = Path(path).read_bytes()

    class Vendor(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            address = f"http://{self.headers['Host']}/file.zip"
            answers = {
                "/token": {"access_token": "t", "expires_in": 3600},
                "/Reporting/v13/GenerateReport/Submit": {"ReportRequestId": "1"},
                "/Reporting/v13/GenerateReport/Poll": {
                    "ReportRequestStatus": {"Status": "Success", "ReportDownloadUrl": address}
                },
            }
            body = content if self.path == "/file.zip" else json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    port.put(server.server_address[1])
    server.serve_forever()


def load(source: str, settings: dict[str, Any], folder: str, table: str, queue: Any) -> None:
    """Load one table in this process; puts rows, seconds and peak memory into the queue."""
    from dlt_pipelines.config import ExtractionWindow
    from dlt_pipelines.pipeline import run_source
    from dlt_pipelines.privacy import Hasher
    from dlt_pipelines.registry import SOURCES

    # Amplitude's last uploads are two days younger than the last event.
    end = START + timedelta(days=DAYS + (2 if source == "amplitude" else 0))
    now = datetime(end.year, end.month, end.day, 12, tzinfo=UTC)
    config = SOURCES[source].config_model.model_validate({"enabled": True, **settings})
    cpu, wall = time.process_time(), time.perf_counter()
    found = run_source(
        SOURCES[source],
        config,
        ExtractionWindow(start=START, end=end, now=now, refresh=True),
        Hasher(b"0123456789abcdef0123456789abcdef"),
        landing_dir=Path(folder) / "landing",
        pipelines_dir=Path(folder) / "dlt",
        resources=(table,),
    )
    used, taken = time.process_time() - cpu, time.perf_counter() - wall
    queue.put({"rows": found.rows[table], "wall": taken, "cpu": used, "peak": peak_mb()})


def alone(source: str, settings: dict[str, Any], folder: Path, table: str) -> Figures:
    """The figures of one load in a process of its own."""
    queue = SPAWN.Queue()
    process = SPAWN.Process(target=load, args=(source, settings, str(folder), table, queue))
    process.start()
    found: Figures = queue.get()
    process.join()
    return found


@contextmanager
def serving(target: Any, path: Path) -> Iterator[str]:
    """The address of a loopback vendor in another process."""
    port = SPAWN.Queue()
    vendor = SPAWN.Process(target=target, args=(str(path), port), daemon=True)
    vendor.start()
    try:
        yield f"http://127.0.0.1:{port.get()}"
    finally:
        vendor.terminate()


def events_of(kind: str, events: int, again: bool) -> Iterator[tuple[str, Figures]]:
    """Load about so many events of one kind, and again if asked."""
    from benchmarks.event_files import credentials, make_events, serve_days
    from dlt_pipelines.sandbox.vendors import mixpanel
    from dlt_pipelines.sandbox.world import WorldConfig, build_world

    os.environ |= credentials()
    with tempfile.TemporaryDirectory() as text:
        files, folder = Path(text) / kind, Path(text) / "loaded"
        world = build_world(WorldConfig(people=PEOPLE, days=DAYS, start_on=START))
        make_events(world, files, kind, events)
        with serving(serve_days, files) as url:
            ways: dict[str, tuple[str, dict[str, Any]]] = {
                "ga4": ("ga4", {"export_path": files}),
                "posthog_parquet": ("posthog", {"events_path": files}),
                "posthog_jsonl": ("posthog", {"events_path": files}),
                "mixpanel": ("mixpanel", {"base_url": url, "project_id": mixpanel.PROJECT}),
                "amplitude": ("amplitude", {"base_url": url}),
            }
            source, settings = ways[kind]
            yield "first load", alone(source, settings, folder, "events")
            if again:
                yield "the same again", alone(source, settings, folder, "events")


def ad_rows(rows: int) -> Iterator[tuple[str, Figures]]:
    """Load a Microsoft report of so many rows, and again."""
    os.environ |= {f"MICROSOFT_ADS_{name}": "a-secret" for name in SECRETS}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "report.zip").write_bytes(make_report(rows))
        with serving(serve_report, folder / "report.zip") as url:
            settings = {"base_url": url, "token_url": f"{url}/token", "token_folder": folder, "account_ids": ("1",)}
            for what in ("first load", "the same again"):
                yield what, alone("microsoft_ads", settings, folder, "campaign_daily")


def table(results: Results) -> str:
    lines = [
        "| what | rows | wall s | processor s | rows/s a core | peak MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for what, figures in results.items():
        lines.append(
            f"| {what.partition(' of ')[0]} | {figures['rows']:,.0f} | {figures['wall']:.1f} | {figures['cpu']:.1f} | "
            f"{figures['rows'] / figures['cpu']:,.0f} | {figures['peak']:,.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="*", default=[300_000, 1_200_000])
    parser.add_argument("--ad-rows", type=int, default=1_000_000)
    parser.add_argument("--only", default=",".join((*EVENT_KINDS, "ads")), help="event exports by name, or ads")
    parser.add_argument("--results", type=Path, default=Path("data/throughput.json"))
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    chosen = parser.parse_args()
    results: Results = json.loads(chosen.results.read_text()) if chosen.results.exists() else {}

    def note(what: str, figures: Figures) -> None:
        results[what] = figures
        print(table({what: figures}).splitlines()[-1], flush=True)
        chosen.results.parent.mkdir(parents=True, exist_ok=True)
        chosen.results.write_text(json.dumps(results, indent=1))

    wanted = chosen.only.split(",")
    for kind in (kind for kind in EVENT_KINDS if kind in wanted):
        for events in chosen.events:
            for what, figures in events_of(kind, events, again=events == min(chosen.events)):
                note(f"{EVENT_KINDS[kind]}, {what} of {events}", figures)
    if "ads" in wanted:
        for what, figures in ad_rows(chosen.ad_rows):
            note(f"Microsoft report, {what} of {chosen.ad_rows}", figures)
    if chosen.write:
        replace_section("throughput", table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
