"""Spend of a user's file beside credit: cost by channel, cost per conversion, return on spend."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from attribution_platform.credit.paths import Floats
from attribution_platform.credit_input import CreditInputError, read_table

UNMATCHED = "(unmatched spend)"
SPEND_COLUMNS = {
    "cost": ("cost", "spend"),
    "channel": ("channel",),
    "campaign": ("campaign", "utm_campaign"),
    "medium": ("medium", "utm_medium"),
    "platform": ("platform", "source", "utm_source"),
}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")


def cost_by_channel(file: Path, channels: list[str], campaign_shares: dict[str, Floats] | None) -> dict[str, float]:
    """Cost by channel. A row's channel is, in this order: its `channel`; the channels its campaign's touches have, in
    proportion; the channel its medium, then its platform, spells in another way (`paid_social` is Paid Social).
    What fits nothing stays visible under `(unmatched spend)`: spend is never lost."""
    table = read_table(file, [], SPEND_COLUMNS)
    if not table.has("cost"):
        raise CreditInputError(f"{file.name}: missing column cost (or spend)")
    keys = [name for name in ("channel", "campaign", "medium", "platform") if table.has(name)]
    if not keys:
        raise CreditInputError(f"{file.name}: missing column channel (or campaign, medium, platform) to place the cost")
    amounts = table.numbers("cost", minimum=0, required=True)
    texts = {name: table.text(name, required=keys == ["channel"]) for name in keys}
    spelled = {_slug(name): name for name in reversed(channels)}
    cost: dict[str, float] = {}
    labels = pd.DataFrame({name: np.array(values, dtype=object)[codes] for name, (codes, values) in texts.items()})
    totals = labels.assign(cost=amounts).groupby(keys, sort=True)["cost"].sum()
    for label, amount in totals.items():
        row = dict(zip(keys, label if isinstance(label, tuple) else (label,), strict=True))
        shares = (campaign_shares or {}).get(row.get("campaign", ""))
        if row.get("channel"):
            placed = {spelled.get(_slug(row["channel"]), row["channel"]): 1.0}
        elif shares is not None and shares.sum() > 0:
            placed = {channels[i]: float(shares[i]) for i in np.flatnonzero(shares)}
        else:
            hits = (spelled.get(_slug(row.get(name, ""))) for name in ("medium", "platform"))
            placed = {next((hit for hit in hits if hit), UNMATCHED): 1.0}
        for name, share in placed.items():
            cost[name] = cost.get(name, 0.0) + share * float(amount)
    return cost


def roi_table(credit: pd.DataFrame, cost: dict[str, float]) -> pd.DataFrame:
    """Cost beside credit: cost per conversion with the interval its conversions imply, return on spend."""
    frames = []
    for model, rows in credit.groupby("model", sort=False):
        known = rows.set_index("channel")
        names = sorted({*known.index, *cost})
        frame = known.reindex(names)[["conversions", "revenue", "ci_low", "ci_high", "status"]].reset_index()
        status = str(rows["status"].iloc[0])
        absent = ~frame["channel"].isin(known.index)
        if status == "ok":
            frame.loc[absent, ["conversions", "revenue"]] = 0.0
        frame["status"] = status
        frame.insert(0, "model", model)
        frame["cost"] = [cost.get(name, 0.0) for name in names]
        frames.append(frame)
    table = pd.concat(frames, ignore_index=True)

    def per(top: str, bottom: str) -> pd.Series:
        return table[top] / table[bottom].where(table[bottom] > 0)

    spent = table["cost"] > 0
    table["cost_per_conversion"] = per("cost", "conversions").where(spent)
    table["cost_per_conversion_low"] = per("cost", "ci_high").where(spent)
    table["cost_per_conversion_high"] = per("cost", "ci_low").where(spent)
    table["roas"] = per("revenue", "cost")
    table["roi"] = table["roas"] - 1.0
    columns = ["cost_per_conversion", "cost_per_conversion_low", "cost_per_conversion_high", "roas", "roi", "status"]
    return table[["model", "channel", "cost", "conversions", "revenue", *columns]]
