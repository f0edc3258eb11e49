"""What the world's company posts on social networks and what comes of it: one story, told in each network's dialect.

A post every third day; people see it for a week. An account's day is its posts' day, who looks at the profile, and the
visits to the site that came from the network.
"""

from __future__ import annotations

import pandas as pd

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.common import World, records_of, share_of, world_end

HOSTS = {
    "linkedin": r"//(?:[a-z]+\.)?(?:linkedin\.com|lnkd\.in)",
    "facebook": r"//(?:[a-z]+\.)?facebook\.com",
    "instagram": r"//(?:[a-z]+\.)?instagram\.com",
    "x": r"//(?:t\.co|(?:www\.)?(?:twitter|x)\.com)",
}
ACCOUNTS = {
    "linkedin": "5150001",
    "facebook": "200100000000001",
    "instagram": "17841400000000001",
    "x": "44196001",
}
FIGURES = ("impressions", "reach", "clicks", "reactions", "comments", "shares")
DAYS_BETWEEN, DAYS_SEEN = 3, 7


def _days(world: World) -> pd.DatetimeIndex:
    return pd.date_range(world.events["occurred_at"].min().floor("D"), world_end(world), freq="D", inclusive="left")


def posts(world: World, network: str) -> pd.DataFrame:
    """The account's posts: post_id, published_at, text; the oldest first."""
    place = list(HOSTS).index(network)
    days = _days(world)[place % DAYS_BETWEEN :: DAYS_BETWEEN]
    return pd.DataFrame(
        {
            "post_id": [str(7_100_000_000_000_000_000 + place * 10**15 + 37 * n) for n in range(1, len(days) + 1)],
            "published_at": days + pd.Timedelta(hours=9, minutes=place),
            "text": [f"What we learned in week {n} – write to hello@shop.example" for n in range(1, len(days) + 1)],
        }
    )


def post_days(world: World, network: str) -> pd.DataFrame:
    """Figures a post and day (UTC): post_id, date and `FIGURES`."""
    last = _days(world)[-1]
    rows = []
    for post in records_of(posts(world, network)):
        number, first = str(post["post_id"]), pd.Timestamp(post["published_at"]).floor("D")
        for age in range(DAYS_SEEN):
            day = first + pd.Timedelta(days=age)
            if day > last:
                break
            mark = f"{number} {age}"
            seen = (300 + share_of(mark, 700)) // (age + 1)
            figures = (
                seen,
                seen * 7 // 10,
                share_of(f"{mark} c", 1 + seen // 50),
                share_of(f"{mark} r", 1 + seen // 20),
                share_of(f"{mark} m", 4),
                share_of(f"{mark} s", 3),
            )
            rows.append((number, f"{day:%Y-%m-%d}", *figures))
    return pd.DataFrame(rows, columns=["post_id", "date", *FIGURES])


def account_days(world: World, network: str) -> pd.DataFrame:
    """Figures of an account and day: date, `FIGURES`, follower_gain, followers."""
    dates = _days(world).strftime("%Y-%m-%d")
    of_posts = post_days(world, network).groupby("date")[list(FIGURES)].sum().reindex(dates, fill_value=0)
    entries = world.events.drop_duplicates(["device_id", "ga_session_id"])
    mine = entries["referrer"].fillna("").str.contains(HOSTS[network], regex=True)
    visits = entries[mine].groupby(entries["occurred_at"].dt.strftime("%Y-%m-%d")).size().reindex(dates, fill_value=0)
    table = of_posts.reset_index(names="date")
    profile = pd.Series([20 + share_of(f"{network} {day}", 60) for day in dates])
    table["impressions"] += profile
    table["reach"] += profile * 8 // 10
    table["clicks"] += visits.to_numpy()
    table["follower_gain"] = [share_of(f"{network} {day} f", 5) for day in dates]
    table["followers"] = 1000 + table["follower_gain"].cumsum()
    return table


def served_days(world: World, network: str, faults: Faults, vendor: str) -> pd.DataFrame:
    """`account_days` as the vendor shows them now: late days are not there yet, unsettled ones are provisional."""
    table = account_days(world, network)
    end = world_end(world)
    times = pd.to_datetime(table["date"])
    if (late := faults.active(vendor, "late_rows")) is not None:
        table = table[times < end - pd.Timedelta(days=late.days)]
    if (restated := faults.active(vendor, "restated_days")) is not None:
        recent = pd.to_datetime(table["date"]) >= end - pd.Timedelta(days=restated.days)
        for name in ("impressions", "reach", "clicks"):
            table[name] = table[name].mask(recent, (table[name] * restated.factor).astype("int64"))
    return table


def post_totals(world: World, network: str) -> pd.DataFrame:
    """Posts with their figures so far."""
    sums = post_days(world, network).groupby("post_id")[list(FIGURES)].sum()
    return posts(world, network).join(sums, on="post_id")
