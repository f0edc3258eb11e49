"""What several vendors share: the sandbox's credentials, its clock, value formats and request helpers."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from datetime import date
from typing import Any, Protocol
from urllib.parse import parse_qs

import pandas as pd
from starlette.requests import Request
from starlette.responses import Response

from dlt_pipelines.sandbox.faults import Faults

# Account facts of the demo world, as the world's own brief fixes them.
GA4_PROPERTY = "4711"
GOOGLE_ADS_CUSTOMER = "1234567890"
GOOGLE_ADS_MANAGER = "9876543210"
META_ACCOUNT = "1001"
MAILCHIMP_DC = "us21"
OWN_DOMAIN = "shop.example"
EUROPE = "Europe/Berlin"
AMERICA = "America/Los_Angeles"
KEY_EVENTS = frozenset({"sign_up", "generate_lead", "purchase"})


class World(Protocol):
    """The frames of a simulated world that the vendors serve (see ``sandbox.world``)."""

    @property
    def people(self) -> pd.DataFrame: ...
    @property
    def devices(self) -> pd.DataFrame: ...
    @property
    def events(self) -> pd.DataFrame: ...
    @property
    def ad_days(self) -> pd.DataFrame: ...
    @property
    def ad_clicks(self) -> pd.DataFrame: ...
    @property
    def email_campaigns(self) -> pd.DataFrame: ...
    @property
    def email_activity(self) -> pd.DataFrame: ...
    @property
    def contacts(self) -> pd.DataFrame: ...
    @property
    def deals(self) -> pd.DataFrame: ...
    @property
    def deal_stages(self) -> pd.DataFrame: ...


def sandbox_secret(name: str, length: int = 40) -> str:
    """A made-up credential, equal in every run so that a restarted sandbox still knows its clients."""
    return hashlib.sha256(f"sandbox credential {name}".encode()).hexdigest()[:length]


HUBSPOT_TOKEN = f"pat-eu1-{sandbox_secret('hubspot', 36)}"
META_TOKEN = f"EAAB{sandbox_secret('meta', 60)}"
MAILCHIMP_KEY = f"{sandbox_secret('mailchimp', 32)}-{MAILCHIMP_DC}"
DEVELOPER_TOKEN = sandbox_secret("developer token", 22)


class JsonResponse(Response):
    """JSON with the separators and the charset that these vendors send."""

    media_type = "application/json; charset=UTF-8"

    def render(self, content: Any) -> bytes:
        """Serialises; NaN is an error, as it would be for the client."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def world_end(world: World) -> pd.Timestamp:
    """The sandbox's "now": midnight UTC after the last event."""
    last: pd.Timestamp = world.events["occurred_at"].max()
    return last.floor("D") + pd.Timedelta(days=1)


def world_today(world: World) -> date:
    """What vendors mean by "today": the day that begins where the world ends."""
    return world_end(world).date()


def share_of(text: str, modulus: int) -> int:
    """A number in ``range(modulus)`` fixed by the text: which rows come late, which flip their type."""
    return zlib.crc32(text.encode()) % modulus


def on_time(faults: Faults, vendor: str, end: pd.Timestamp, ids: pd.Series, times: pd.Series) -> pd.Series:
    """True for rows to serve; while ``late_rows`` is on, one in three of the last days is still missing."""
    fault = faults.active(vendor, "late_rows")
    if fault is None:
        return pd.Series(True, index=ids.index)
    recent = pd.to_datetime(times) >= end - pd.Timedelta(days=fault.days)
    late = ids.astype(str).map(lambda value: share_of(value, 3) == 0).astype(bool)
    return ~(recent & late)


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries by column name."""
    names = [str(name) for name in frame.columns]
    # to_dict walks Arrow strings cell by cell: four times as long on 100,000 events.
    columns = [frame[name].to_numpy(dtype=object) for name in frame.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def text_or_none(value: Any) -> str | None:
    """A cell as text; None for any kind of missing value."""
    return None if pd.isna(value) else str(value)


def whole(value: Any) -> int:
    """A cell as an integer; 0 when missing."""
    return 0 if pd.isna(value) else int(value)


def iso_millis(value: Any) -> str | None:
    """``2026-09-01T10:00:00.000Z``; None when missing."""
    return None if pd.isna(value) else pd.Timestamp(value).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def iso_offset(value: Any) -> str:
    """``2026-09-01T10:00:00+00:00``."""
    return str(pd.Timestamp(value).strftime("%Y-%m-%dT%H:%M:%S+00:00"))


def epoch_millis(value: Any) -> int:
    """Milliseconds since 1970."""
    return int(pd.Timestamp(value).value // 1_000_000)


def decimal_text(micros: Any) -> str:
    """Micro-units as a decimal with at least two places and no rounding: 12340000 -> ``12.34``."""
    units, rest = divmod(whole(micros), 1_000_000)
    return f"{units}.{f'{rest:06d}'.rstrip('0').ljust(2, '0')}"


def sealed(cursor: str) -> str:
    """A cursor as an opaque token."""
    return base64.urlsafe_b64encode(cursor.encode()).decode().rstrip("=")


def opened(token: str) -> str:
    """The cursor inside a token.

    Raises:
        ValueError: The token is not one of ours.
    """
    return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()


def bearer(request: Request) -> str | None:
    """The token of an ``Authorization: Bearer`` header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def own_address(request: Request) -> str:
    """The vendor's root as the client wrote it, to build addresses that lead back here."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


async def form_of(request: Request) -> dict[str, str]:
    """Fields of an urlencoded body; the last one wins."""
    return {key: values[-1] for key, values in parse_qs((await request.body()).decode()).items()}


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        ValueError: The body is not a JSON object.
    """
    document = json.loads(await request.body() or b"{}")
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")
    return document
