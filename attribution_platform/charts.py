"""Charts for asset metadata and reports: frames in, PNG or a self-contained specification out.

Altair renders through vl-convert inside this process; nothing is fetched.
"""

import base64
from typing import Any

import altair as alt
import pandas as pd

WIDTH, ROW_HEIGHT = 620, 26


def credit_chart(weights: pd.DataFrame) -> alt.VConcatChart:
    """Credited conversions by channel and model with their intervals, one chart a conversion type.

    Args:
        weights: rows of credit.credit_channel_weights with status `ok`: model_type, conversion_type, channel,
            conversions, ci_low, ci_high.
    """
    return alt.vconcat(*(_credit_of_type(str(kind), rows) for kind, rows in weights.groupby("conversion_type")))


def _credit_of_type(conversion_type: str, weights: pd.DataFrame) -> alt.LayerChart:
    base = alt.Chart(weights).encode(y=alt.Y("channel:N", title=None, sort="-x"), yOffset="model_type:N")
    bars = base.mark_bar(height={"band": 0.8}).encode(
        x=alt.X("conversions:Q", title="credited conversions"), color=alt.Color("model_type:N", title="model")
    )
    whiskers = base.mark_rule(color="#333").encode(x="ci_low:Q", x2="ci_high:Q")
    height = max(120, ROW_HEIGHT * weights["channel"].nunique() * max(1, weights["model_type"].nunique()))
    return (bars + whiskers).properties(width=WIDTH, height=height, title=conversion_type)


def coverage_chart(weekly: pd.DataFrame) -> alt.FacetChart:
    """XmR charts of the weekly coverage metrics: rate, centre line and natural limits.

    Args:
        weekly: rows of mart_attribution__coverage_weekly for the segment `all`: metric, week_on, rate,
            centre, lower_limit, upper_limit.
    """
    base = alt.Chart(weekly).encode(x=alt.X("week_on:T", title=None))
    band = base.mark_area(opacity=0.12).encode(y="lower_limit:Q", y2="upper_limit:Q")
    centre = base.mark_line(strokeDash=[4, 3], color="#777").encode(y="centre:Q")
    line = base.mark_line(point=True).encode(y=alt.Y("rate:Q", title=None, axis=alt.Axis(format="%")))
    return (
        alt.layer(band, centre, line)
        .properties(width=280, height=120)
        .facet(facet=alt.Facet("metric:N", title=None), columns=2)
        .resolve_scale(y="independent")
    )


def reliability_chart(bins: pd.DataFrame) -> alt.HConcatChart:
    """What a conversion model promised against what happened, one chart a conversion type.

    Args:
        bins: rows of credit.conversion_model_reliability: conversion_type, predicted, observed, ci_low, ci_high, journeys.
    """
    return alt.hconcat(*(_reliability_of_type(str(kind), rows) for kind, rows in bins.groupby("conversion_type")))


def _reliability_of_type(conversion_type: str, bins: pd.DataFrame) -> alt.LayerChart:
    top = float(bins[["predicted", "ci_high"]].max().max()) or 1.0
    scale = alt.Scale(domain=[0, top])
    diagonal = alt.Chart(pd.DataFrame({"at": [0.0, top]})).mark_line(color="#999", strokeDash=[4, 3])
    base = alt.Chart(bins).encode(x=alt.X("predicted:Q", title="promised chance", scale=scale))
    whiskers = base.mark_rule(color="#333").encode(y="ci_low:Q", y2="ci_high:Q")
    points = base.mark_circle(size=60).encode(y=alt.Y("observed:Q", title="share that converted", scale=scale))
    line = diagonal.encode(x=alt.X("at:Q", scale=scale), y=alt.Y("at:Q", scale=scale))
    return (line + whiskers + points).properties(width=260, height=260, title=conversion_type)


def lab_chart(scores: pd.DataFrame) -> alt.VConcatChart:
    """How far each model is from the truth in each world of the lab, seen worlds and those kept apart one above the other.

    Args:
        scores: model, world, seen, half_l1 (missing where a model withheld its number).
    """
    known = scores.dropna(subset=["half_l1"])
    order = known.groupby("model")["half_l1"].mean().sort_values(kind="stable").index.tolist()
    parts = []
    for seen, title in ((True, "worlds models were developed on"), (False, "worlds kept apart")):
        rows = known[known["seen"] == seen]
        if not len(rows):
            continue
        base = alt.Chart(rows).encode(y=alt.Y("model:N", title=None, sort=order))
        points = base.mark_circle(size=50, opacity=0.6).encode(
            x=alt.X("half_l1:Q", title="half the L1 distance of channel shares to the truth"),
            color=alt.Color("world:N", title="world"),
        )
        means = base.mark_tick(color="#111", thickness=3).encode(x="mean(half_l1):Q")
        parts.append((points + means).properties(width=WIDTH, height=ROW_HEIGHT * rows["model"].nunique(), title=title))
    return alt.vconcat(*parts).resolve_scale(color="independent")


def identity_accuracy_chart(accuracy: pd.DataFrame) -> alt.LayerChart:
    """Accuracy by tier on held-out logins with its interval.

    Args:
        accuracy: rows of identity.identity_quality: match_tier, value, ci_low, ci_high, n.
    """
    base = alt.Chart(accuracy).encode(y=alt.Y("match_tier:N", title=None, sort=None))
    bars = base.mark_rule().encode(
        x=alt.X("ci_low:Q", title="share right", scale=alt.Scale(zero=False)), x2="ci_high:Q"
    )
    points = base.mark_point(filled=True, size=70).encode(x="value:Q")
    counts = base.mark_text(align="left", dx=8, dy=-8).encode(x="value:Q", text=alt.Text("n:Q", format=",d"))
    return (bars + points + counts).properties(width=WIDTH, height=ROW_HEIGHT * (1 + len(accuracy)))


def identity_tiers_chart(tiers: pd.DataFrame) -> alt.Chart:
    """Share of devices decided by each tier.

    Args:
        tiers: rows of identity.identity_quality with measure `tier_share`: match_tier, value.
    """
    return (
        alt.Chart(tiers)
        .mark_bar()
        .encode(
            y=alt.Y("match_tier:N", title=None, sort="-x"),
            x=alt.X("value:Q", title="share of devices", axis=alt.Axis(format="%")),
        )
        .properties(width=WIDTH, height=ROW_HEIGHT * (1 + len(tiers)))
    )


def as_markdown(chart: Any, alternative: str) -> str:
    """A chart as an image inside Markdown, for Dagster's metadata."""
    import vl_convert

    png = vl_convert.vegalite_to_png(chart.to_dict(), scale=1.5)
    return f"![{alternative}](data:image/png;base64,{base64.b64encode(png).decode()})"
