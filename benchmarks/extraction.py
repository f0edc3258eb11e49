"""Throughput and peak memory of extraction: events through Arrow into DuckDB, and a million ad rows from a zipped report.

    python -m benchmarks.extraction [--events 300000] [--ad-rows 1000000] [--write]

Each part is a process of its own, so that its peak memory is its own; the loopback vendor of the ad rows is another. Seconds of
processor time are the honest figure on a shared machine: rows a second "a core" is rows by processor seconds. Budget: 15,000
events a second a core. Each part runs twice, the second time over rows that are already there.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.page import PAGE, replace_section
from dlt_pipelines.config import ExtractionWindow, Ga4Config, MicrosoftAdsConfig, SourceConfig
from dlt_pipelines.pipeline import run_source
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.vendors.ga4_export import write_export
from dlt_pipelines.sandbox.vendors.microsoft_ads import zipped
from dlt_pipelines.sandbox.world import WorldConfig, build_world

START = date(2026, 7, 1)
DAYS = 30
Figures = dict[str, float]


def make_events(folder: Path, events: int) -> int:
    """A GA4 export of about so many events: a small world's, repeated under other devices; how many there are."""
    world = build_world(WorldConfig(people=300, days=DAYS, start_on=START))
    write_export(world, folder / "one", dialect="extract")
    files = sorted(path for path in (folder / "one").rglob("*") if path.is_file())
    lines = {path.name: path.read_text().splitlines() for path in files}
    copies = max(1, round(events / sum(map(len, lines.values()))))
    (folder / "many").mkdir()
    written = 0
    for name, own in lines.items():
        with (folder / "many" / name).open("w") as out:
            for copy in range(copies):
                for line in own:
                    out.write(
                        line.replace('"user_pseudo_id":"', f'"user_pseudo_id":"{copy}').replace(
                            '"user_pseudo_id": "', f'"user_pseudo_id": "{copy}'
                        )
                        + "\n"
                    )
                    written += 1
    shutil.rmtree(folder / "one")
    return written


def make_report(rows: int) -> bytes:
    """A Microsoft campaign report of so many rows over the days."""
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


def serve(path: str, ready: Any) -> None:
    """Speak for Microsoft: every order is done at once, and its file is the one at `path`."""
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
    ready.put(server.server_address[1])
    server.serve_forever()


def measured(work: Callable[[], int], queue: Any) -> None:
    """Rows, wall and processor seconds and peak memory of one piece of work, put into a queue."""
    cpu, wall = time.process_time(), time.perf_counter()
    rows = work()
    queue.put(
        {
            "rows": rows,
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )


def alone(work: Callable[[], int]) -> Figures:
    """The same, in a process of its own."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=measured, args=(work, queue))
    process.start()
    found: Figures = queue.get()
    process.join()
    return found


def load(name: str, config: SourceConfig, folder: Path, table: str) -> int:
    window = ExtractionWindow(
        start=START, end=START + timedelta(days=DAYS), now=datetime(2026, 7, 31, tzinfo=UTC), refresh=True
    )
    found = run_source(
        SOURCES[name],
        config,
        window,
        Hasher(b"0123456789abcdef0123456789abcdef"),
        landing_dir=folder / "landing",
        pipelines_dir=folder / "dlt",
        resources=(table,),
    )
    return found.rows[table]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--ad-rows", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    chosen = parser.parse_args()
    secrets = ("DEVELOPER_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN")
    os.environ |= {f"MICROSOFT_ADS_{name}": "a-secret" for name in secrets}
    lines = [
        "| what | rows | wall s | processor s | rows/s a core | peak MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]

    def note(what: str, figures: Figures) -> None:
        rate = figures["rows"] / figures["cpu"]
        line = (
            f"| {what} | {figures['rows']:,.0f} | {figures['wall']:.1f} | {figures['cpu']:.1f} | {rate:,.0f} | "
            f"{figures['peak']:,.0f} |"
        )
        print(line, flush=True)
        lines.append(line)

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        note("Python with dlt imported, nothing read", alone(lambda: 1))
        alone(lambda: make_events(folder, chosen.events))
        events = Ga4Config(enabled=True, export_path=folder / "many")
        note("GA4 export files, first load", alone(lambda: load("ga4", events, folder, "events")))
        note("GA4 export files, the same again", alone(lambda: load("ga4", events, folder, "events")))
        (folder / "report.zip").write_bytes(make_report(chosen.ad_rows))
        context = multiprocessing.get_context("fork")
        ready = context.Queue()
        vendor = context.Process(target=serve, args=(str(folder / "report.zip"), ready), daemon=True)
        vendor.start()
        url = f"http://127.0.0.1:{ready.get()}"
        ads = MicrosoftAdsConfig(
            enabled=True, base_url=url, token_url=f"{url}/token", token_folder=folder / "tokens", account_ids=("1",)
        )
        note("Microsoft report, first load", alone(lambda: load("microsoft_ads", ads, folder, "campaign_daily")))
        note("Microsoft report, the same again", alone(lambda: load("microsoft_ads", ads, folder, "campaign_daily")))
        vendor.terminate()
    if chosen.write:
        replace_section("throughput", "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
