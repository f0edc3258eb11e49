"""Which model to read first, for the conversions in the warehouse: by rule, and as measured in the truth lab."""

import numpy as np
import pandas as pd

from attribution_platform.credit.paths import Paths
from attribution_platform.credit.recommend import recommend, recommend_measured
from attribution_platform.lab.results import provenance, shipped_looks, shipped_scores
from attribution_platform.resources.warehouse import Warehouse

DAYS_PER_MONTH = 30.4375
# Looks are averages: this many journeys of a type settle them to the second digit.
ENOUGH = 50_000
VOLUME = """
    select
        conversion_type,
        count(*) as conversions,
        min(converted_at) as first_at,
        max(converted_at) as last_at,
        count(distinct organisation_id) as organisations
    from core.fct_conversions
    group by conversion_type
    order by conversion_type
"""
SIZES = "select conversion_type, count(distinct journey_id) as journeys from core.fct_journey_touchpoints group by 1"
TOUCHES = """
    select journey_id, conversion_type, channel, position, hours_before_conversion, origin, is_converting
    from core.fct_journey_touchpoints
    where {drawn}
    order by journey_id, position
"""
USABLE = "select distinct conversion_type, model_type from core.fct_attribution_credit"


def recommendations(warehouse: Warehouse) -> pd.DataFrame:
    """One row a conversion type: conversion_type, conversions, by_rule, measured (words; empty where nothing is known)."""
    volume, sizes, usable = (warehouse.query(sql) for sql in (VOLUME, SIZES, USABLE))
    known = dict(zip(sizes["conversion_type"], sizes["journeys"], strict=True))
    # Ids are hexadecimal hashes, so a prefix below a bound is a sample any warehouse draws alike.
    drawn = [
        f"(conversion_type = '{kind}' and journey_id < '{_bound(ENOUGH / max(size, 1))}')"
        for kind, size in known.items()
    ]
    touches = warehouse.query(TOUCHES.format(drawn=" or ".join(drawn) or "1 = 0"))
    scores, looks = shipped_scores(), shipped_looks()
    rows = []
    for kind, count, first, last, organisations in volume.itertuples(index=False):
        months = max((last - first) / pd.Timedelta(days=DAYS_PER_MONTH), 1.0)
        mine = touches[touches["conversion_type"] == kind]
        journeys = _paths(mine)
        firsts = mine[(mine["position"] == 1) & mine["is_converting"] & (mine["origin"] != "none")]
        cycle = float(firsts["hours_before_conversion"].median()) / 24.0 if len(firsts) else None
        models = usable.loc[usable["conversion_type"] == kind, "model_type"].tolist()
        measured = recommend_measured(journeys, scores, looks, models, str(provenance(scores)))
        rows.append(
            {
                "conversion_type": kind,
                "conversions": int(count),
                # Where every other conversion comes from an organisation, accounts buy.
                "by_rule": str(recommend(count / months, cycle, b2b=organisations > count / 2)),
                "measured": "" if measured is None else str(measured),
            }
        )
    return pd.DataFrame(rows, columns=["conversion_type", "conversions", "by_rule", "measured"])


def _bound(share: float) -> str:
    return "g" if share >= 1 else f"{int(share * 16**6):06x}"


def _paths(touches: pd.DataFrame) -> Paths:
    """Journeys of one conversion type as the models read them; rows come by journey and position."""
    starts = np.flatnonzero(touches["position"].to_numpy() == 1)
    codes, channels = pd.factorize(touches["channel"], sort=True)
    won = touches["is_converting"].to_numpy(bool)[starts].astype(np.float64) if len(starts) else np.zeros(0)
    return Paths(
        channels=tuple(str(name) for name in channels),
        codes=codes.astype(np.int64),
        offsets=np.append(starts, len(touches)).astype(np.int64),
        conversions=won,
        nulls=1.0 - won,
        revenue=np.zeros(len(starts)),
        hours=touches["hours_before_conversion"].fillna(0.0).to_numpy(np.float64),
    )
