"""Days of Google search for the world's site: clicks are its visits from Google's results, the rest is drawn around them."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

import pandas as pd

from dlt_pipelines.sandbox.vendors.common import AMERICA, World, share_of

QUERIES = (
    "shop example",
    "shop example login",
    "team software",
    "best team software",
    "how to plan work",
    "shop vs rival",
)
DEVICES = {"desktop": "DESKTOP", "mobile": "MOBILE", "tablet": "TABLET"}
# One search of eight is too rare to be told.
HIDDEN_SHARE = 8


def search_days(world: World) -> pd.DataFrame:
    """One row a day (Pacific time), query (None: not told), page and device: clicks, impressions, position."""
    events = world.events.sort_values(["occurred_at", "event_id"], kind="stable")
    entries = events.drop_duplicates(["device_id", "ga_session_id"])
    found = entries["referrer"].fillna("").str.contains(r"^https?://(?:www\.)?google\.", regex=True)
    ad = entries["page_url"].fillna("").str.contains(r"[?&](?:gclid|gbraid|wbraid|utm_source)=", regex=True)
    bots = entries["is_bot"].astype(bool)
    entries = entries[found & ~ad & ~bots]
    local = entries["occurred_at"].dt.tz_localize("UTC").dt.tz_convert(AMERICA)
    kinds = world.devices.drop_duplicates("device_id").set_index("device_id")["kind"]
    clicks = pd.DataFrame(
        {
            "date": local.dt.strftime("%Y-%m-%d"),
            "query": [_query(str(key)) for key in entries["event_id"]],
            "page": [_bare(str(url)) for url in entries["page_url"]],
            "device": [DEVICES.get(str(kinds.get(device)), "DESKTOP") for device in entries["device_id"]],
            "clicks": 1,
        }
    )
    days = pd.date_range(world.events["occurred_at"].min().floor("D"), world.events["occurred_at"].max(), freq="D")
    # Shown and not clicked: every day each query once a device.
    shown = pd.DataFrame(
        [
            (day.strftime("%Y-%m-%d"), query, "https://shop.example/", device, 0)
            for day in days
            for query in QUERIES[:3]
            for device in ("DESKTOP", "MOBILE")
        ],
        columns=["date", "query", "page", "device", "clicks"],
    )
    table = pd.concat([clicks, shown], ignore_index=True)
    table = table.groupby(["date", "query", "page", "device"], as_index=False, dropna=False)[["clicks"]].sum()
    marks = [
        f"{a}|{b}|{c}|{d}" for a, b, c, d in zip(*(table[n] for n in ("date", "query", "page", "device")), strict=True)
    ]
    table["impressions"] = [
        10 * clicks + 1 + share_of(mark, 40) for clicks, mark in zip(table["clicks"], marks, strict=True)
    ]
    table["position"] = [1 + _share(mark) / 1000 * 20 for mark in marks]
    return table


def _query(key: str) -> str | None:
    return None if share_of(f"hidden {key}", HIDDEN_SHARE) == 0 else QUERIES[share_of(key, len(QUERIES))]


def _bare(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path or '/'}"


def _share(mark: str) -> int:
    return int(hashlib.md5(mark.encode(), usedforsecurity=False).hexdigest()[:6], 16) % 1000
