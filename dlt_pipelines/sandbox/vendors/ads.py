"""Ad days as an ad platform serves them before they have settled; shared by the ad platforms."""

from __future__ import annotations

import pandas as pd

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.common import World, on_time, share_of, world_end

SUMS = ("cost_micros", "clicks", "impressions", "conversions", "conversions_value")


def served_days(world: World, faults: Faults, vendor: str, first: str, last: str) -> pd.DataFrame:
    """A platform's ad days from `first` to `last` (YYYY-MM-DD, both included) as it shows them now; `date` is text."""
    frame = world.ad_days
    frame = frame[frame["platform"].eq(vendor)]
    frame = frame.assign(date=pd.to_datetime(frame["date"]).dt.strftime("%Y-%m-%d"))
    ids = frame["date"] + "/" + frame["ad_id"].astype(str)
    end = world_end(world)
    frame = restated(frame[on_time(faults, vendor, end, ids, frame["date"])], faults, vendor, end)
    return frame[(frame["date"] >= first) & (frame["date"] <= last)]


def campaign_days(world: World, faults: Faults, vendor: str, first: str, last: str) -> pd.DataFrame:
    """A platform's days by campaign, of days with any delivery."""
    frame = served_days(world, faults, vendor, first, last)
    return frame if frame.empty else summed(frame, ["date", "campaign_id"])


def campaigns_of(world: World, vendor: str) -> list[dict[str, str]]:
    """Every campaign of a platform: id, name, type."""
    frame = world.ad_days[world.ad_days["platform"].eq(vendor)]
    table = frame.groupby("campaign_id", as_index=False)[["campaign_name", "channel_type"]].last()
    return [
        {"id": str(row.campaign_id), "name": str(row.campaign_name), "type": str(row.channel_type)}
        for row in table.itertuples()
    ]


def summed(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Sums by the given columns, everything else as in the last row; rows without delivery left out."""
    others = [name for name in frame.columns if name not in keys and name not in SUMS]
    table = frame.groupby(keys, sort=True, as_index=False).agg(
        {**dict.fromkeys(others, "last"), **dict.fromkeys(SUMS, "sum")}
    )
    return delivered(table)


def restated(frame: pd.DataFrame, faults: Faults, vendor: str, end: pd.Timestamp) -> pd.DataFrame:
    """Ad days with provisional figures, while ``restated_days`` is on.

    Cost and counts of the last days are scaled, and one ad of ten reports under an id that the final figures
    no longer have: rows that vanish upstream must vanish downstream.
    """
    fault = faults.active(vendor, "restated_days")
    if fault is None:
        return frame
    recent = pd.to_datetime(frame["date"]) >= end - pd.Timedelta(days=fault.days)
    frame = frame.copy()
    for column in ("cost_micros", "clicks", "impressions"):
        scaled = (frame[column] * fault.factor).astype("int64")
        frame[column] = frame[column].mask(recent, scaled)
    for column in ("conversions", "conversions_value"):
        frame[column] = frame[column].mask(recent, (frame[column] * fault.factor).round(2))
    phantom = frame[recent & frame["ad_id"].astype(str).map(lambda value: share_of(value, 10) == 0)]
    phantom = phantom.assign(
        **{name: phantom[name].astype(str) + "9" for name in ("campaign_id", "ad_group_id", "ad_id")}
    )
    return pd.concat([frame, phantom], ignore_index=True)


def delivered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in which something happened: ad platforms leave out days with no delivery."""
    return table[(table[list(SUMS)] != 0).any(axis=1)]
