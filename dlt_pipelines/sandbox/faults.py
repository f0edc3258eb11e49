"""Faults the sandbox can be told to show, and the middleware that shows them.

What belongs here: which faults exist, how they are switched, and those that need no knowledge of a vendor (a
cut connection, a broken body, a flipped type). What a throttle or a dead token looks like is the vendor's: each
vendor module hands its :class:`Dialect` to the middleware. Paging faults are decided by :func:`cursor_page` and
:func:`offset_page`, which every vendor's listing goes through.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from typing import Any, Literal, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Vendor = Literal[
    "google_oauth",
    "ga4",
    "google_ads",
    "meta_ads",
    "mailchimp",
    "klaviyo",
    "hubspot",
    "posthog",
    "mixpanel",
    "amplitude",
    "salesforce",
    "pipedrive",
    "search_console",
    "linkedin_pages",
    "meta_pages",
    "x_posts",
    "microsoft_ads",
    "linkedin_ads",
    "reddit_ads",
    "x_ads",
    "tiktok_ads",
]
Kind = Literal[
    "throttle",
    "server_error",
    "timeout",
    "cut_body",
    "expired_token",
    "revoked_token",
    "malformed_body",
    "truncated_body",
    "empty_page",
    "duplicate_page",
    "repeated_cursor",
    "late_rows",
    "restated_days",
    "withdrawn_field",
    "type_flip",
    "clock_skew",
    "failed_job",
    "spent_refresh_token",
]
LOG = logging.getLogger(__name__)
VENDORS: tuple[str, ...] = get_args(Vendor)
KINDS: tuple[str, ...] = get_args(Kind)

# These describe a state of the vendor, not an accident of one request: they stay on until cleared.
STANDING = frozenset(
    {"revoked_token", "late_rows", "restated_days", "withdrawn_field", "type_flip", "clock_skew", "spent_refresh_token"}
)
BODY_FAULTS = ("cut_body", "malformed_body", "truncated_body", "type_flip", "withdrawn_field")
MALFORMED = b"<html><head><title>502 Bad Gateway</title></head><body>upstream sent no answer</body></html>"


@dataclass
class Fault:
    """One fault switched on for one vendor.

    Attributes:
        times: Requests still to be hit; None means until cleared.
        skip: Requests to let pass first ("the third page fails").
        path: Only requests whose path contains this text are hit.
        seconds: Waiting time told by a throttle, silence of a timeout, or offset of a skewed clock.
        field: Field withdrawn or flipped, in the vendor's own spelling.
        days: Last days of the world concerned by late rows (1) and restated days (3).
        factor: What restated metrics are multiplied by while the fault is on.
        retry_after: Whether a throttle also says ``Retry-After``, which few of these vendors do.
        hits: Requests it has hit so far.
        policy: A vendor's name of the exhausted quota, e.g. ``DAILY`` at HubSpot, code ``80000`` at Meta.
    """

    vendor: str
    kind: str
    times: int | None = 1
    skip: int = 0
    path: str = ""
    seconds: float = 1.0
    field: str = ""
    days: int = 1
    factor: float = 0.8
    policy: str = ""
    retry_after: bool = False
    hits: int = 0


@dataclass(frozen=True)
class RequestRecord:
    """One request as the sandbox saw it; the query is left out because Meta carries its token there."""

    vendor: str
    method: str
    path: str
    status: int  # 0: the connection was dropped with no answer


class Faults:
    """Switchboard of faults, safe to use from tests while the server runs in its thread."""

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []
        self._faults: list[Fault] = []
        self._shift: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def switch(self, vendor: str, kind: str, times: int | None = -1, **options: Any) -> Fault:
        """Switches a fault on.

        Args:
            vendor: One of ``VENDORS``.
            kind: One of ``KINDS``.
            times: Requests to hit, None for all; left out, 1, or None for the standing kinds.
            **options: Further attributes of :class:`Fault`.

        Raises:
            ValueError: Unknown vendor, kind or option, or an option that the kind needs is missing.
        """
        if vendor not in VENDORS:
            raise ValueError(f"unknown vendor {vendor!r}; known: {', '.join(VENDORS)}")
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known: {', '.join(KINDS)}")
        unknown = options.keys() - Fault.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(f"unknown option {sorted(unknown)} of fault {kind!r}")
        if kind in ("withdrawn_field", "type_flip") and not options.get("field"):
            raise ValueError(f"fault {kind!r} needs the option field")
        if times == -1:
            times = None if kind in STANDING else 1
        if kind == "restated_days":
            options.setdefault("days", 3)
        fault = Fault(vendor, kind, times, **options)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self, vendor: str | None = None, kind: str | None = None) -> None:
        """Switches off every fault, or those of a vendor, of a kind, or of both."""
        with self._lock:
            self._faults = [
                fault
                for fault in self._faults
                if (vendor is not None and fault.vendor != vendor) or (kind is not None and fault.kind != kind)
            ]
            self._shift.clear()

    def active(self, vendor: str, kind: str) -> Fault | None:
        """The first such fault that is on, without using it up."""
        with self._lock:
            return next((f for f in self._faults if f.vendor == vendor and f.kind == kind), None)

    def take(self, vendor: str, kind: str, path: str = "") -> Fault | None:
        """Uses up one hit of such a fault, if one is on for this path."""
        with self._lock:
            for fault in self._faults:
                if fault.vendor != vendor or fault.kind != kind or fault.path not in path:
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.hits += 1
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._faults.remove(fault)
                return fault
        return None

    def listing(self) -> list[dict[str, Any]]:
        """Every fault that is on, as plain values."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def record(self, record: RequestRecord) -> None:
        """Appends to the request log."""
        with self._lock:
            self.requests.append(record)

    def shift(self, vendor: str, path: str, offset: int, size: int, *, grow: bool) -> int:
        """Rows by which a listing read by offset has moved since its first page was read."""
        with self._lock:
            key = (vendor, path)
            if offset == 0:
                self._shift.pop(key, None)
            if grow:
                self._shift[key] = self._shift.get(key, 0) + size
            return self._shift.get(key, 0)


@dataclass(frozen=True)
class Page:
    """Rows ``start:stop`` of a listing of ``total`` rows; ``cursor`` is None on the last page."""

    start: int
    stop: int
    total: int
    cursor: str | None = None


def cursor_page(faults: Faults, vendor: str, path: str, total: int, cursor: str, size: int) -> Page:
    """One page of a listing read by cursor, with the paging faults that are on.

    Cursors are the row number; a letter behind it tells two cursors for the same position apart, so that an
    empty or repeated page is not also a repeated cursor.

    Raises:
        ValueError: The cursor is not one of ours.
    """
    start = int(cursor.rstrip("abcdefghijklmnopqrstuvwxyz") or 0) if cursor else 0
    stop = min(start + size, total)
    following = str(stop) if stop < total else None
    if faults.take(vendor, "empty_page", path):
        return Page(start, start, total, f"{start}e")
    if start > 0 and faults.take(vendor, "duplicate_page", path):
        return Page(max(0, start - size), start, total, f"{start}d")
    if following and faults.take(vendor, "repeated_cursor", path):
        return Page(start, stop, total, cursor or str(start))
    return Page(start, stop, total, following)


def offset_page(faults: Faults, vendor: str, path: str, total: int, offset: int, size: int) -> Page:
    """One page of a listing read by offset, with the paging faults that are on.

    A duplicate page is what rows inserted in front of a listing look like while it is read: this page shows the
    rows of the one before, everything after moves back, and the total grows. A repeated cursor has no literal
    meaning without cursors; its likeness is a server that ignores the offset.
    """
    grow = offset > 0 and faults.take(vendor, "duplicate_page", path) is not None
    shift = faults.shift(vendor, path, offset, size, grow=grow)
    if faults.take(vendor, "empty_page", path):
        return Page(offset, offset, total + shift)
    if offset > 0 and faults.take(vendor, "repeated_cursor", path):
        offset = 0
    start = max(0, offset - shift)
    return Page(min(start, total), min(start + size, total), total + shift)


@dataclass(frozen=True)
class Dialect:
    """How one vendor says that something is wrong."""

    throttle: Callable[[Request, Fault], Response]
    server_error: Callable[[Request, Fault], Response]
    expired_token: Callable[[Request, Fault], Response]
    revoked_token: Callable[[Request, Fault], Response]


@dataclass
class _Answer:
    """A response collected in full, so that its body can be spoiled."""

    start: Message | None = None
    body: bytes = b""
    status: int = field(default=0)


class FaultMiddleware:
    """Logs every request of a vendor's app and shows the faults that are on for it."""

    def __init__(
        self, app: ASGIApp, *, vendor: str, faults: Faults, dialect: Dialect, sign_in: str | None = None
    ) -> None:
        self.app, self.vendor, self.faults, self.dialect = app, vendor, faults, dialect
        # The token endpoint's path: what it says of dead tokens, and its limits, are its own.
        self.sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self._serve(scope, receive, send)
        except Exception:
            # uvicorn's own log is off, since the faults would fill it; a bug of the sandbox must still be seen.
            LOG.exception("the sandbox failed to answer %s %s", scope["method"], scope["path"])
            raise

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        status = 0

        async def logged_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                skew = self.faults.active(self.vendor, "clock_skew")
                now = formatdate(time.time() + (skew.seconds if skew else 0.0), usegmt=True)
                message = {**message, "headers": [*message["headers"], (b"date", now.encode())]}
                self.faults.record(RequestRecord(self.vendor, scope["method"], path, status))
            await send(message)

        if self.faults.active(self.vendor, "timeout"):
            fault = self.faults.take(self.vendor, "timeout", path)
            if fault:
                self.faults.record(RequestRecord(self.vendor, scope["method"], path, 0))
                await _fall_silent(scope, receive, fault.seconds)
                return
        refusal = self._refusal(scope, receive, path)
        if refusal is not None:
            await refusal(scope, receive, logged_send)
            return
        if not any(self.faults.active(self.vendor, kind) for kind in BODY_FAULTS):
            await self.app(scope, receive, logged_send)
            return
        await self._spoiled(scope, receive, logged_send, path)

    def _refusal(self, scope: Scope, receive: Receive, path: str) -> Response | None:
        """The error response of a fault that keeps the request from being served, if one is on."""
        kinds: tuple[tuple[str, Callable[[Request, Fault], Response]], ...] = (
            ("throttle", self.dialect.throttle),
            ("server_error", self.dialect.server_error),
            ("expired_token", self.dialect.expired_token),
            ("revoked_token", self.dialect.revoked_token),
        )
        for kind, respond in kinds[1:2] if path == self.sign_in else kinds:
            fault = self.faults.take(self.vendor, kind, path)
            if fault:
                response = respond(Request(scope, receive), fault)
                if fault.retry_after:
                    response.headers["retry-after"] = str(int(fault.seconds))
                return response
        return None

    async def _spoiled(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        answer = _Answer()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.start, answer.status = message, message["status"]
            elif message["type"] == "http.response.body":
                answer.body += message.get("body", b"")

        await self.app(scope, receive, collect)
        assert answer.start is not None
        body, promised, content_type = answer.body, None, None
        if answer.status == 200:
            if fault := self.faults.take(self.vendor, "type_flip", path):
                body = _rewrite(body, fault.field, _flipped)
            if fault := self.faults.take(self.vendor, "withdrawn_field", path):
                body = _rewrite(body, fault.field, None)
            if self.faults.take(self.vendor, "malformed_body", path):
                body, content_type = MALFORMED, b"text/html"
            elif self.faults.take(self.vendor, "truncated_body", path):
                body = body[: len(body) // 2]
            elif self.faults.take(self.vendor, "cut_body", path):
                promised, body = len(body), body[: len(body) // 2]
        headers = [
            (name, content_type if content_type and name == b"content-type" else value)
            for name, value in answer.start["headers"]
            if name != b"content-length"
        ]
        length = len(body) if promised is None else promised
        headers.append((b"content-length", str(length).encode()))
        await send({**answer.start, "headers": headers})
        # Left unfinished, uvicorn closes the socket: the client has half of what the header promised.
        await send({"type": "http.response.body", "body": body, "more_body": promised is not None})


async def _fall_silent(scope: Scope, receive: Receive, seconds: float) -> None:
    """Says nothing until the client hangs up or the time is over, then drops the connection."""

    async def hung_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(hung_up(), seconds)
    except TimeoutError:
        transport = scope.get("sandbox.transport")
        if transport is not None:
            transport.abort()
            await hung_up()


def _flipped(value: Any) -> Any:
    """The same value in another JSON type."""
    if isinstance(value, bool) or value is None:
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value} units"
    if isinstance(value, str):
        return {"value": value}
    return json.dumps(value)


def rewritten(node: Any, name: str, change: Callable[[Any], Any] | None) -> Any:
    """A JSON document with every member ``name`` changed, or left out."""
    if isinstance(node, list):
        return [rewritten(item, name, change) for item in node]
    if isinstance(node, dict):
        return {
            key: change(value) if change and key == name else rewritten(value, name, change)
            for key, value in node.items()
            if change or key != name
        }
    return node


def _rewrite(body: bytes, name: str, change: Callable[[Any], Any] | None) -> bytes:
    """A body of JSON, or of JSON lines, with its members changed; anything else is left alone."""
    try:
        return json.dumps(rewritten(json.loads(body), name, change), ensure_ascii=False).encode()
    except ValueError:
        pass
    try:
        lines = [rewritten(json.loads(line), name, change) for line in body.split(b"\n") if line]
    except ValueError:
        return body
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def reshaped(faults: Faults, vendor: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the flipped or withdrawn member that is on, for vendors whose body the middleware cannot look into."""
    for kind, change in (("type_flip", _flipped), ("withdrawn_field", None)):
        fault = faults.active(vendor, kind)
        if fault is not None:
            rows = [rewritten(row, fault.field, change) for row in rows]
    return rows
