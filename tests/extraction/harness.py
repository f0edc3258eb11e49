"""Pieces the extraction tests share: a loader that looks at what is stored, and a loopback vendor."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb

from dlt_pipelines.config import ExtractionWindow, SourceConfig
from dlt_pipelines.pipeline import LoadResult, dataset_name, landing_file, run_source
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import SourceSpec

KEY = b"a key for tests only"


def make_window(start: date = date(2026, 7, 1), end: date = date(2026, 10, 1), **options: Any) -> ExtractionWindow:
    now = options.pop("now", datetime(end.year, end.month, end.day, tzinfo=UTC))
    return ExtractionWindow(start=start, end=end, now=now, **options)


@dataclass
class Loader:
    """Loads sources into a temporary folder and reads what is stored."""

    folder: Path
    hasher: Hasher = field(default_factory=lambda: Hasher(KEY))

    def load(
        self, spec: SourceSpec, config: SourceConfig, window: ExtractionWindow | None = None, **more: Any
    ) -> LoadResult:
        return run_source(
            spec,
            config,
            window or make_window(),
            self.hasher,
            landing_dir=self.folder / "landing",
            pipelines_dir=self.folder / "dlt",
            **more,
        )

    def query(self, source: str, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(landing_file(self.folder / "landing", source)), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def tables(self, source: str) -> list[str]:
        sql = f"select table_name from information_schema.tables where table_schema = '{dataset_name(source)}'"
        return sorted(name for (name,) in self.query(source, sql) if not name.startswith("_dlt"))

    def stored(self, source: str, *, load_ids: bool = True) -> dict[str, list[tuple[Any, ...]]]:
        """Every table's rows, sorted."""
        shown = "*" if load_ids else "* exclude (_dlt_load_id)"
        return {
            table: sorted(
                self.query(source, f'select {shown} from {dataset_name(source)}."{table}"'), key=lambda row: repr(row)
            )
            for table in self.tables(source)
        }

    def left_behind(self) -> Iterator[tuple[Path, bytes]]:
        """Every file under the folder that the pipeline wrote, with its content."""
        for top in ("landing", "dlt"):
            for path in (self.folder / top).rglob("*"):
                if path.is_file():
                    yield path, path.read_bytes()


@dataclass
class Reply:
    """What the loopback vendor answers: a JSON body or raw bytes."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    """One request the vendor got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Vendor:
    """A loopback HTTP server whose answers a test scripts."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Reply] = lambda asked: Reply(404, {})

    def script(self, *replies: Reply) -> None:
        """Give these replies in turn, the last one for ever."""
        left = list(replies)
        self.answer = lambda asked: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def loopback_vendor() -> Iterator[Vendor]:
    """A vendor listening on loopback for the length of the block."""
    served = Vendor()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, dict(self.headers), body)
            served.asked.append(asked)
            reply = served.answer(asked)
            content = reply.content()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            if reply.cut:
                self.close_connection = True

        do_GET = do_POST = _serve  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
