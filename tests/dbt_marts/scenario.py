"""Seven weeks of a small business with every part in play, drawn once from a seed: frames for `Layer.fill`."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import pandas as pd

FIRST_DAY = date(2026, 6, 29)  # a Monday
DAYS = 49
MODELS = ("last_touch", "linear")
CHANNELS = ("Paid Search", "Paid Social", "Email", "Direct", "Organic Search")
TIERS = ("strong_id", "cookie", "unresolved_analytics")
USD_RATE = 0.5


def _day(offset: int) -> date:
    return FIRST_DAY + timedelta(days=int(offset))


@dataclass
class Scenario:
    """Upstream tables by name; `rows` is what Layer.fill takes."""

    rows: dict[str, pd.DataFrame] = field(default_factory=dict)


def make_scenario(seed: int = 5) -> Scenario:
    """Draw one scenario; equal seeds give equal frames."""
    random = np.random.default_rng(seed)
    scenario = Scenario()
    _spend(scenario, random)
    _people(scenario, random)
    _touches(scenario, random)
    _conversions(scenario, random)
    _survey(scenario, random)
    return scenario


def _spend(scenario: Scenario, random: np.random.Generator) -> None:
    google, meta, files = [], [], []
    for offset in range(DAYS):
        for campaign in ("brand", "generic"):
            if random.random() < 0.9:
                google.append(
                    {
                        "spend_on": _day(offset),
                        "customer_id": "g-account",
                        "campaign_id": f"id-{campaign}",
                        # A campaign renamed half-way stays one line.
                        "campaign_name": campaign if offset < 20 else f"{campaign}-new",
                        "advertising_channel_type": "SEARCH",
                        "cost": round(float(random.gamma(2, 10)), 6),
                        "clicks": int(random.poisson(9)),
                        "impressions": 100,
                        "conversions": 0.5,
                        "currency": "EUR",
                    }
                )
        for ad in ("one", "two"):
            meta.append(
                {
                    "spend_on": _day(offset),
                    "account_id": "m-account",
                    "campaign_id": "m-1",
                    "ad_id": ad,
                    "campaign_name": "prospecting",
                    "cost": round(float(random.gamma(2, 6)), 2),
                    "clicks": 9,
                    "inline_link_clicks": int(random.poisson(5)),
                    "impressions": 50,
                    "purchases": 0.0,
                    "currency": "USD",
                }
            )
        if offset % 7 == 0:
            files.append(
                {"spend_on": _day(offset), "platform": "podcast", "campaign": "talk", "cost": 70.0, "currency": "EUR"}
            )
    scenario.rows["stg_google_ads__campaign_daily"] = pd.DataFrame(google)
    scenario.rows["stg_meta_ads__ad_daily"] = pd.DataFrame(meta)
    scenario.rows["stg_files__spend"] = pd.DataFrame(files)
    scenario.rows["int_fx__rates"] = pd.DataFrame(
        [
            {"currency": "EUR", "valid_from": date(1900, 1, 1), "valid_to": None, "rate_to_reporting": 1.0},
            {"currency": "USD", "valid_from": date(1900, 1, 1), "valid_to": None, "rate_to_reporting": USD_RATE},
        ]
    )


def _people(scenario: Scenario, random: np.random.Generator) -> None:
    people = pd.DataFrame({"canonical_user_id": [f"p{number}" for number in range(120)]})
    people["tier"] = random.choice(TIERS, len(people), p=[0.5, 0.3, 0.2])
    people["user_id"] = people["canonical_user_id"].where(people["tier"] == "strong_id", None)
    scenario.rows["int_identity__persons"] = people


def _touches(scenario: Scenario, random: np.random.Generator) -> None:
    count = 1500
    people = scenario.rows["int_identity__persons"]["canonical_user_id"].to_numpy()
    person = random.choice(people, count)
    offset = random.integers(0, DAYS, count)
    moment = [
        pd.Timestamp(_day(o)) + pd.Timedelta(minutes=int(m))
        for o, m in zip(offset, random.integers(0, 1439, count), strict=True)
    ]
    channel = random.choice(CHANNELS, count, p=[0.3, 0.2, 0.15, 0.2, 0.15])
    platform = pd.Series(channel).map({"Paid Search": "google_ads", "Paid Social": "meta_ads"})
    click = pd.Series([f"click-{number}" for number in range(count)]).where(
        platform.notna() & (random.random(count) < 0.8), None
    )
    campaign = np.where(
        channel == "Paid Search",
        random.choice(["brand", "GENERIC-new", "unknown words"], count),
        np.where(channel == "Paid Social", "m-1", None),
    )
    frame = pd.DataFrame(
        {
            "touchpoint_id": [f"t{number:05d}" for number in range(count)],
            "session_id": [f"s{number:05d}" for number in range(count)],
            "canonical_user_id": person,
            "occurred_at": moment,
            "occurred_on": [stamp.date() for stamp in moment],
            "channel": channel,
            "campaign": campaign,
            "artifact_id": random.choice(["/a", "/b", None], count),
            "platform": platform.where(platform.notna(), None),
            "click_id": click,
            "origin": "session",
        }
    )
    scenario.rows["fct_touchpoints"] = frame
    scenario.rows["int_sessions__channels"] = frame[["session_id", "channel", "platform", "click_id"]]
    tagged = platform.notna().to_numpy()
    people = scenario.rows["int_identity__persons"]
    known = people[people["tier"] != "unresolved_analytics"]["canonical_user_id"]
    scenario.rows["int_identity__device_logins"] = pd.DataFrame(
        {
            "device_id": "d-" + known,
            "user_id": known,
            "first_seen_at": pd.Timestamp("2020-01-01"),
            "is_refused": False,
        }
    )
    scenario.rows["int_identity__observed_links"] = pd.DataFrame(
        {
            "link_kind": "device_user",
            "source": "events",
            "identifier": "d-" + known,
            "target": known,
            "first_seen_at": pd.Timestamp("2020-01-01"),
            "last_seen_at": pd.Timestamp("2026-06-30"),
        }
    )
    scenario.rows["int_sessions__detected"] = pd.DataFrame(
        {
            "session_id": frame["session_id"],
            "device_id": "d-" + frame["canonical_user_id"],
            "canonical_user_id": frame["canonical_user_id"],
            "started_at": frame["occurred_at"],
            "utm_source": np.where(tagged, "source", None),
            "utm_medium": np.where(tagged, "medium", None),
            "utm_campaign": np.where(tagged & (random.random(count) < 0.7), "campaign", None),
            "page_path": [f"/page-{number}" for number in random.integers(0, 40, count)],
            "browser": random.choice(["Chrome", "Safari", None], count),
            "device_category": random.choice(["desktop", "mobile"], count),
            "country": "DE",
        }
    )
    events = frame[["touchpoint_id", "occurred_at"]].rename(columns={"touchpoint_id": "event_id"})
    # The backend falls silent for the last ten days.
    late = frame["occurred_on"] >= _day(DAYS - 10)
    events["source"] = np.where(late | (random.random(count) < 0.7), "ga4", "backend")
    events["is_bot"] = random.random(count) < 0.1
    scenario.rows["int_events__unified"] = events


def _conversions(scenario: Scenario, random: np.random.Generator) -> None:
    touches = scenario.rows["fct_touchpoints"].sort_values(["occurred_at", "touchpoint_id"])
    people = scenario.rows["int_identity__persons"]
    conversions, journeys, credit = [], [], []
    for number in range(160):
        person = random.choice(people["canonical_user_id"])
        moment = pd.Timestamp(_day(random.integers(0, DAYS))) + pd.Timedelta(hours=23, minutes=59)
        kind = str(random.choice(["signup", "purchase"]))
        revenue = round(float(random.gamma(2, 30)), 2) if kind == "purchase" else 0.0
        conversion = f"c{number:04d}"
        conversions.append(
            {
                "conversion_id": conversion,
                "conversion_type": kind,
                "canonical_user_id": person,
                "product": "app",
                "converted_at": moment,
                "converted_on": moment.date(),
                "revenue": revenue,
                "currency": "EUR",
                "source": "ga4",
            }
        )
        before = touches[(touches["canonical_user_id"] == person) & (touches["occurred_at"] <= moment)].tail(6)
        if before.empty:
            steps = [(f"none-{conversion}", "Direct", None, None, moment.date(), "none", moment)]
        else:
            columns = ["touchpoint_id", "channel", "campaign", "artifact_id", "occurred_on", "origin", "occurred_at"]
            steps = list(before[columns].itertuples(index=False, name=None))
        for position, (touch, channel, campaign, artifact, touched_on, origin, at) in enumerate(steps, start=1):
            journeys.append(
                {
                    "journey_id": f"j-{conversion}",
                    "conversion_id": conversion,
                    "canonical_user_id": person,
                    "conversion_type": kind,
                    "touchpoint_id": touch,
                    "channel": channel,
                    "occurred_at": at,
                    "position": position,
                    "journey_length": len(steps),
                    "hours_before_conversion": (moment - at).total_seconds() / 3600,
                    "is_converting": True,
                    "origin": "none" if origin == "none" else "touch",
                }
            )
            for model in MODELS:
                share = 1 / len(steps) if model == "linear" else float(position == len(steps))
                if share:
                    credit.append(
                        {
                            "conversion_id": conversion,
                            "touchpoint_id": touch,
                            "model_type": model,
                            "conversion_type": kind,
                            "channel": channel,
                            "campaign": campaign,
                            "artifact_id": artifact,
                            "product": "app",
                            "converted_on": moment.date(),
                            "touched_on": touched_on,
                            "credit": share,
                            "credited_revenue": round(revenue * share, 6),
                            "currency": "EUR",
                        }
                    )
    scenario.rows["fct_conversions"] = pd.DataFrame(conversions)
    scenario.rows["fct_journey_touchpoints"] = pd.DataFrame(journeys)
    scenario.rows["fct_attribution_credit"] = pd.DataFrame(credit)


def _survey(scenario: Scenario, random: np.random.Generator) -> None:
    people = scenario.rows["int_identity__persons"]["canonical_user_id"].to_numpy()
    scenario.rows["stg_backend__users"] = pd.DataFrame(
        {
            "user_id": [f"u-{person}" for person in people],
            "customer_source": random.choice([" Google AD ", "a newsletter", "my uncle", None], len(people)),
            "created_at": [
                pd.Timestamp(_day(offset)) + pd.Timedelta(hours=12) for offset in random.integers(0, DAYS, len(people))
            ],
        }
    )
    scenario.rows["int_identity__resolution"] = pd.DataFrame(
        {
            "identifier_type": "user_id",
            "identifier": [f"u-{person}" for person in people],
            "canonical_user_id": people,
            "valid_from": pd.Timestamp("2020-01-01"),
        }
    )
    scenario.rows["customer_source_mapping"] = pd.DataFrame(
        [
            {"response": "google", "channel": "Organic Search", "paid_channel": "Paid Search", "precedence": "3"},
            {"response": "ad", "channel": "Paid Other", "paid_channel": None, "precedence": "5"},
            {"response": "newsletter", "channel": "Email", "paid_channel": None, "precedence": "1"},
        ]
    )
