"""Exports of any number of events, in the wire formats of GA4, PostHog, Mixpanel and Amplitude, and a server for the latter two.

A small world's events are repeated under other devices and ids, so that a million cost disk and not memory. Users are not
repeated: they log in on more devices.
"""

import gzip
import io
import os
import re
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import requests

from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors import amplitude, mixpanel
from dlt_pipelines.sandbox.vendors.ga4_export import write_export
from dlt_pipelines.sandbox.vendors.posthog_export import write_batch_export
from dlt_pipelines.sandbox.world import World

# What tells events and devices apart, as text in front of the value; `@` stands for the number of the copy.
REPEATED: Final = {
    "ga4": r'("user_pseudo_id": ?")',
    "posthog_jsonl": r'("(?:uuid|\$device_id|\$anon_distinct_id)": "|"distinct_id": "(?=[^u]))',
    "mixpanel": r'("\$(?:insert_id|device_id|anon_id)": "|"distinct_id": "\$device:)',
    "amplitude": r'("(?:\$insert_id|uuid|device_id)": ")',
}


def repeated(lines: list[str], copies: int, pattern: str) -> Iterator[str]:
    """Every line so many times, each time under other ids."""
    find = re.compile(pattern)
    templates = [find.sub(r"\1@@", line) for line in lines]
    for copy in range(copies):
        for line in templates:
            yield line.replace("@@", f"{copy:x}-") + "\n"


def make_events(world: World, folder: Path, kind: str, events: int) -> int:
    """Write about so many events of a world under `folder`; how many there are."""
    folder.mkdir(parents=True)
    return MAKERS[kind](world, folder, events)


def _ga4(world: World, folder: Path, events: int) -> int:
    write_export(world, folder.with_name("ga4_once"), dialect="extract")
    files = sorted(path for path in folder.with_name("ga4_once").rglob("*") if path.is_file())
    days = {path.name: path.read_text().splitlines() for path in files}
    return _write(days, events, REPEATED["ga4"], lambda name, lines: _plain_file(folder / name, lines))


def _posthog_jsonl(world: World, folder: Path, events: int) -> int:
    files = write_batch_export(world, folder.with_name("posthog_jsonl_once"), "jsonl")
    days = {
        path.name: gzip.decompress(path.read_bytes()).decode().splitlines()
        for path in files
        if path.parent.name == "events"
    }
    return _write(days, events, REPEATED["posthog_jsonl"], lambda name, lines: _gzip_file(folder / name, lines))


def _posthog_parquet(world: World, folder: Path, events: int) -> int:
    files = [
        path
        for path in write_batch_export(world, folder.with_name("posthog_parquet_once"), "parquet")
        if path.parent.name == "events"
    ]
    tables = {path.name: pq.read_table(path) for path in files}
    copies = _copies(events, sum(table.num_rows for table in tables.values()))
    for name, table in tables.items():
        with pq.ParquetWriter(folder / name, table.schema, compression="zstd") as out:
            for copy in range(copies):
                prefix = pa.scalar(f"{copy:x}-")
                changed = table
                for column in ("uuid", "distinct_id"):
                    marked = pc.binary_join_element_wise(prefix, table.column(column), "")
                    changed = changed.set_column(table.schema.get_field_index(column), table.field(column), marked)
                out.write_table(changed)
    return copies * sum(table.num_rows for table in tables.values())


def _mixpanel(world: World, folder: Path, events: int) -> int:
    def fetch(server: SandboxServer, day: datetime) -> list[str]:
        params = {"project_id": mixpanel.PROJECT, "from_date": f"{day:%Y-%m-%d}", "to_date": f"{day:%Y-%m-%d}"}
        params["time_in_ms"] = "true"
        key = (mixpanel.USERNAME, mixpanel.SECRET)
        url = f"{server.base_urls['mixpanel']}/api/2.0/export"
        # Values hold other separators than the line feed.
        return requests.get(url, params=params, auth=key, timeout=60).content.decode().split("\n")[:-1]

    return _write(
        _by_day(world, fetch), events, REPEATED["mixpanel"], lambda name, lines: _plain_file(folder / name, lines)
    )


def _amplitude(world: World, folder: Path, events: int) -> int:
    def fetch(server: SandboxServer, day: datetime) -> list[str]:
        params = {"start": f"{day:%Y%m%d}T00", "end": f"{day:%Y%m%d}T23"}
        key = (amplitude.API_KEY, amplitude.SECRET_KEY)
        reply = requests.get(f"{server.base_urls['amplitude']}/api/2/export", params=params, auth=key, timeout=60)
        if not reply.ok:
            return []
        with zipfile.ZipFile(io.BytesIO(reply.content)) as files:
            members = [gzip.decompress(files.read(name)).decode() for name in files.namelist()]
        return [line for text in members for line in text.split("\n")[:-1]]

    def write(name: str, lines: Iterator[str]) -> None:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as files:
            member = f"{amplitude.PROJECT}//{amplitude.PROJECT}_{name}_0#0.json.gz"
            files.writestr(member, gzip.compress("".join(lines).encode(), compresslevel=1))

    return _write(_by_day(world, fetch), events, REPEATED["amplitude"], write)


MAKERS: Final = {
    "ga4": _ga4,
    "posthog_parquet": _posthog_parquet,
    "posthog_jsonl": _posthog_jsonl,
    "mixpanel": _mixpanel,
    "amplitude": _amplitude,
}


def _copies(wanted: int, once: int) -> int:
    return max(1, round(wanted / once))


def _write(days: dict[str, list[str]], events: int, pattern: str, write: Callable[[str, Iterator[str]], None]) -> int:
    once = sum(map(len, days.values()))
    copies = _copies(events, once)
    for name, lines in days.items():
        write(name, repeated(lines, copies, pattern))
    return copies * once


def _plain_file(path: Path, lines: Iterator[str]) -> None:
    with path.open("w") as out:
        out.writelines(lines)


def _gzip_file(path: Path, lines: Iterator[str]) -> None:
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.writelines(lines)


def _by_day(world: World, fetch: Callable[[SandboxServer, datetime], list[str]]) -> dict[str, list[str]]:
    first = datetime.combine(world.config.start_on, time(), UTC)
    days = [first + timedelta(days=number) for number in range(world.config.days)]
    with SandboxServer(world) as server:
        found = {f"{day:%Y-%m-%d}": fetch(server, day) for day in days}
    return {name: lines for name, lines in found.items() if lines}


def serve_days(folder: str, port: Any) -> None:
    """Speak for Mixpanel and Amplitude: the files of the days asked for, as they lie in the folder. Puts its port first."""
    keys = {
        f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"
        for name, secret in ((mixpanel.USERNAME, mixpanel.SECRET), (amplitude.API_KEY, amplitude.SECRET_KEY))
    }

    class Vendor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            if self.headers["Authorization"] not in keys:
                self.send_error(401)
                return
            first, last = asked.get("from_date", ""), asked.get("to_date", "")
            if not first:
                first = last = f"{datetime.strptime(asked['start'], '%Y%m%dT%H'):%Y-%m-%d}"
            paths = [path for path in sorted(Path(folder).iterdir()) if first <= path.name <= last]
            if not paths:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(sum(path.stat().st_size for path in paths)))
            self.end_headers()
            for path in paths:
                with path.open("rb") as content:
                    while block := content.read(1 << 16):
                        self.wfile.write(block)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    port.put(server.server_address[1])
    server.serve_forever()


def credentials() -> dict[str, str]:
    """Variables to read the server with."""
    return {
        "MIXPANEL_USERNAME": mixpanel.USERNAME,
        "MIXPANEL_SECRET": mixpanel.SECRET,
        "AMPLITUDE_API_KEY": amplitude.API_KEY,
        "AMPLITUDE_SECRET_KEY": amplitude.SECRET_KEY,
        "PATH": os.environ["PATH"],
    }
