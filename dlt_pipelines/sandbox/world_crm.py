"""The shop's own records and its CRM: users, requests, fingerprints, subscriptions, contacts, deals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlt_pipelines.sandbox import world_tools as tools
from dlt_pipelines.sandbox.world_people import Population
from dlt_pipelines.sandbox.world_web import PRODUCTS, Visits

WRONG_EMAILS = 0.03
VERIFIED_SHARE = 0.8
ASKED_SHARE = 0.7
HONEST_SHARE = 0.65
DEAL_SHARE = 0.6
PIPELINE = "default"
STAGES = (
    ("appointmentscheduled", "Appointment scheduled", 0.2, False, False),
    ("qualifiedtobuy", "Qualified to buy", 0.4, False, False),
    ("contractsent", "Contract sent", 0.9, False, False),
    ("closedwon", "Closed won", 1.0, True, True),
    ("closedlost", "Closed lost", 0.0, True, False),
)
# What people answer to "how did you hear about us?", by the channel they mean.
ANSWERS = {
    "Paid Search": ("Google", "google ad", "search"),
    "Organic Search": ("Google", "google search", "Searched the web"),
    "Paid Social": ("Instagram", "facebook ad", "Instagram ad"),
    "Organic Social": ("LinkedIn", "reddit", "social media"),
    "Email": ("newsletter", "E-mail", "your email"),
    "Referral": ("a blog post", "review site", "Friend or colleague"),
    "Direct": ("already knew you", "word of mouth", "I don't remember"),
    "AI Assistant": ("ChatGPT", "AI", "Perplexity"),
}
_ANALYTICS_SOURCE = {
    "Paid Search": "PAID_SEARCH",
    "Organic Search": "ORGANIC_SEARCH",
    "Paid Social": "PAID_SOCIAL",
    "Organic Social": "SOCIAL_MEDIA",
    "Email": "EMAIL_MARKETING",
    "Referral": "REFERRALS",
    "Direct": "DIRECT_TRAFFIC",
    "AI Assistant": "AI_REFERRALS",
}


def first_channels(visits: Visits, count: int) -> NDArray[np.object_]:
    """The channel of each person's first visit; None without any."""
    result = np.full(count, None, dtype=object)
    first = visits.frame.drop_duplicates("person")
    result[first["person"].to_numpy()] = first["channel"].to_numpy(dtype=object)
    return result


def self_reports(rng: np.random.Generator, first: NDArray[np.object_], asked: NDArray[np.bool_]) -> NDArray[np.object_]:
    """Free-text answers: two thirds name the first visit's channel, the rest anything."""
    result = np.full(len(first), None, dtype=object)
    names = list(ANSWERS)
    for person in np.flatnonzero(asked):
        honest = rng.random() < HONEST_SHARE and first[person] in ANSWERS
        channel = first[person] if honest else names[rng.integers(len(names))]
        result[person] = ANSWERS[channel][rng.integers(len(ANSWERS[channel]))]
    return result


def wrong_emails(rng: np.random.Generator, people: pd.DataFrame, wrong: NDArray[np.bool_]) -> NDArray[np.object_]:
    """E-mail addresses as written down: some mistyped, some a role address, some a housemate's."""
    real = people["email"].to_numpy(dtype=object)
    result = real.copy()
    homes = people.groupby("household_id")["email"].agg(list)
    for person in np.flatnonzero(wrong):
        box, domain = real[person].split("@")
        others = [e for e in homes[people["household_id"].iat[person]] if e != real[person]]
        turn = rng.random()
        if others and turn < 0.5:
            result[person] = others[0]
        elif turn < 0.8:
            result[person] = f"{box[:-1]}@{domain}"
        else:
            result[person] = f"info@{domain}"
    return result


def build_users(
    population: Population, visits: Visits, user_ids: NDArray[np.object_], seed: int, end: int
) -> pd.DataFrame:
    """The backend's users: one row a registered person."""
    rng = tools.stream(seed, "users")
    people = population.people
    count = len(people)
    registered = visits.signed_up_at >= 0
    wrong = rng.random(count) < WRONG_EMAILS
    asked = registered & (rng.random(count) < ASKED_SHARE)
    verified = (rng.random(count) < VERIFIED_SHARE) & ~wrong
    touched = visits.signed_up_at + (rng.exponential(10, count) * tools.DAY).astype(np.int64)
    users = pd.DataFrame(
        {
            "user_id": user_ids,
            "person_id": people["person_id"],
            "email": wrong_emails(rng, people, wrong),
            "email_verified": verified,
            "created_at": tools.times(visits.signed_up_at),
            "updated_at": tools.times(np.where(registered, np.minimum(touched, end - tools.HOUR), -1)),
            "customer_source": self_reports(rng, first_channels(visits, count), asked),
            "organisation_id": people["organisation_id"],
            "country": people["country"],
        }
    )
    users["updated_at"] = users[["created_at", "updated_at"]].max(axis=1)
    return users[registered].reset_index(drop=True)


def build_requests(events: pd.DataFrame) -> pd.DataFrame:
    """The app's request log: sign-ups, logins and what people open once inside. Anonymous browsing never reaches it."""
    inside = events["page_url"].str.startswith("https://app.shop.example") & ~events["is_bot"]
    named = events["event_name"].isin(["login", "sign_up"])
    kept = events[inside & (named | (events["event_name"] == "page_view"))].reset_index(drop=True)
    path = kept["page_url"].str.removeprefix("https://app.shop.example")
    return pd.DataFrame(
        {
            "request_id": tools.texts("req_{:09d}", range(len(kept))),
            "occurred_at": kept["occurred_at"] + pd.Timedelta(milliseconds=180),
            "device_id": kept["device_id"],
            "user_id": kept["user_id"],
            "path": path,
            "referrer": kept["referrer"],
            "user_agent": kept["user_agent"],
            "ip": kept["ip"],
            "event_name": kept["event_name"].where(kept["event_name"] != "page_view", None),
            "fingerprint_id": kept["fingerprint_id"],
        }
    )


def build_fingerprints(events: pd.DataFrame) -> pd.DataFrame:
    """Which fingerprint each cookie showed, since when, and the user last logged in there."""
    humans = events[~events["is_bot"]]
    seen = humans.groupby(["device_id", "fingerprint_id"], as_index=False).agg(
        user_id=("user_id", "last"), first_seen_at=("occurred_at", "min"), last_seen_at=("occurred_at", "max")
    )
    seen["user_id"] = seen["user_id"].astype(object).where(seen["user_id"].notna(), None)
    return seen[["device_id", "fingerprint_id", "user_id", "first_seen_at", "last_seen_at"]]


def build_subscriptions(
    population: Population,
    visits: Visits,
    user_ids: NDArray[np.object_],
    deals: pd.DataFrame,
    seed: int,
    start: int,
    end: int,
) -> pd.DataFrame:
    """One subscription a purchase and one a deal won, since `start`."""
    rng = tools.stream(seed, "subscriptions")
    buyers = np.flatnonzero(visits.purchased_at >= start)
    started = visits.purchased_at[buyers]
    cancelled = started + (rng.exponential(60, len(buyers)) * tools.DAY).astype(np.int64)
    cancelled = np.where((rng.random(len(buyers)) < 0.4) & (cancelled < end), cancelled, -1)
    bought = pd.DataFrame(
        {
            "user_id": user_ids[buyers],
            "organisation_id": population.people["organisation_id"].to_numpy(dtype=object)[buyers],
            "product": visits.product[buyers],
            "status": np.where(cancelled >= 0, "cancelled", "active"),
            "started_at": tools.times(started),
            "cancelled_at": tools.times(cancelled),
            "amount": [PRODUCTS[product] for product in visits.product[buyers]],
            "currency": "EUR",
            "billing_period": "month",
            "updated_at": tools.times(np.maximum(started, cancelled)),
        }
    )
    won = deals[deals["dealstage"] == "closedwon"]
    contracts = pd.DataFrame(
        {
            "user_id": won["user_id"],
            "organisation_id": won["organisation_id"],
            "product": won["product"],
            "status": "active",
            "started_at": won["close_at"],
            "cancelled_at": pd.Series(pd.NaT, index=won.index, dtype="datetime64[us]"),
            "amount": won["amount"],
            "currency": won["currency"],
            "billing_period": "year",
            "updated_at": won["close_at"],
        }
    )
    table = pd.concat([bought, contracts], ignore_index=True)
    table = table.sort_values(["started_at", "user_id"], kind="stable", ignore_index=True)
    table.insert(0, "subscription_id", tools.texts("sub_{:07d}", range(len(table))))
    return table


def build_organisations(population: Population, visits: Visits, deals: pd.DataFrame) -> pd.DataFrame:
    """Organisations with at least one registered person; the plan follows the deals won."""
    people = population.people
    registered = set(people.loc[visits.signed_up_at >= 0, "organisation_id"].dropna())
    table = population.organisations
    table = table[table["organisation_id"].isin(registered)].reset_index(drop=True)
    won = deals[deals["dealstage"] == "closedwon"].groupby("organisation_id")["close_at"].max()
    created = tools.times(table["created"].to_numpy())
    # By dictionary and typed by hand: in a world where no deal is won, pandas cannot map by an empty series of times.
    closed = pd.to_datetime(table["organisation_id"].map(won.to_dict())).astype("datetime64[us]")
    return pd.DataFrame(
        {
            "organisation_id": table["organisation_id"],
            "domain": table["domain"],
            "created_at": created,
            "plan": np.where(closed.notna(), "team", "free"),
            "updated_at": closed.where(closed.notna(), created).astype("datetime64[us]"),
        }
    )


def build_crm(
    population: Population,
    visits: Visits,
    landings: pd.DataFrame,
    users: pd.DataFrame,
    user_ids: NDArray[np.object_],
    seed: int,
    end: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """HubSpot contacts and deals of the people who signed up for an organisation.

    Deals carry two columns more than the interface, ``user_id`` and ``organisation_id``, for the records made from them.
    """
    rng = tools.stream(seed, "crm")
    people = population.people
    business = people["organisation_id"].notna().to_numpy()
    lead = np.flatnonzero(business & (visits.signed_up_at >= 0))
    lead = lead[np.argsort(visits.signed_up_at[lead], kind="stable")]
    created = visits.signed_up_at[lead] + tools.MINUTE
    contact_id = tools.texts("{}", 40_000_000_001 + 13 * np.arange(len(lead)))
    deals = _deals(rng, people, lead, created, contact_id, user_ids, end)

    stage = np.full(len(lead), "lead", dtype=object)
    position = {identifier: i for i, identifier in enumerate(contact_id)}
    touched = created + (rng.exponential(5, len(lead)) * tools.DAY).astype(np.int64)
    for ids, deal_stage, updated in zip(deals["contact_ids"], deals["dealstage"], deals["updated_at"], strict=True):
        for identifier in ids:
            row = position[identifier]
            stage[row] = (
                "customer" if "closedwon" in (deal_stage, stage[row]) or stage[row] == "customer" else "opportunity"
            )
            touched[row] = max(touched[row], updated.value // 1000)
    wrong = rng.random(len(people)) < WRONG_EMAILS
    first = visits.frame.join(landings).drop_duplicates("person").set_index("person").reindex(lead)
    gclid = first["page_url"].str.extract(r"[?&]gclid=([^&]+)")[0]
    source = users.set_index("user_id")["customer_source"].reindex(user_ids[lead])
    contacts = pd.DataFrame(
        {
            "contact_id": contact_id,
            "person_id": people["person_id"].to_numpy(dtype=object)[lead],
            "email": wrong_emails(rng, people, wrong)[lead],
            "created_at": tools.times(created),
            "updated_at": tools.times(np.minimum(touched, end - 1)),
            "lifecyclestage": stage,
            "customer_source": source.to_numpy(dtype=object),
            "user_id": np.where(rng.random(len(lead)) < 0.7, user_ids[lead], None),
            "organisation_id": people["organisation_id"].to_numpy(dtype=object)[lead],
            "hs_analytics_source": _or_none(first["channel"].map(_ANALYTICS_SOURCE)),
            "hs_google_click_id": _or_none(gclid),
            "first_url": _or_none(first["page_url"]),
            "archived": rng.random(len(lead)) < 0.01,
        }
    )
    contacts["updated_at"] = contacts[["created_at", "updated_at"]].max(axis=1)
    return contacts, deals


def _or_none(values: pd.Series) -> NDArray[np.object_]:
    return np.asarray(values.astype(object).where(values.notna(), None).to_numpy())


def _deals(
    rng: np.random.Generator,
    people: pd.DataFrame,
    lead: NDArray[np.int64],
    created: NDArray[np.int64],
    contact_id: NDArray[np.object_],
    user_ids: NDArray[np.object_],
    end: int,
) -> pd.DataFrame:
    opened = created + rng.integers(0, 5 * 24, len(lead)) * tools.HOUR
    has = np.flatnonzero((rng.random(len(lead)) < DEAL_SHARE) & (opened < end - tools.DAY))
    organisation = people["organisation_id"].to_numpy(dtype=object)[lead]
    colleagues: dict[str, list[int]] = {}
    for row, name in enumerate(organisation):
        colleagues.setdefault(name, []).append(row)
    rows = []
    for number, row in enumerate(has):
        closes = int(opened[row] + rng.integers(5 * 24, 35 * 24) * tools.HOUR)
        fate = rng.random()
        closed = closes < end
        final = "closedwon" if fate < 0.55 else "closedlost"
        stage = final if closed else ("appointmentscheduled", "qualifiedtobuy", "contractsent")[int(fate * 3)]
        others = [r for r in colleagues[organisation[row]] if r != row and created[r] <= opened[row]]
        contacts = [row, *others[:1]] if rng.random() < 0.5 else [row]
        rows.append(
            {
                "deal_id": str(9_000_000_001 + 7 * number),
                "name": f"{people['last_name'].iat[lead[row]]} / {organisation[row]}",
                "pipeline": PIPELINE,
                "dealstage": stage,
                "amount": f"{int(rng.lognormal(7.6, 0.7))}.00",
                "currency": "USD" if rng.random() < 0.15 else "EUR",
                "created": int(opened[row]),
                "close": closes,
                "updated": closes if closed else int(opened[row] + (end - opened[row]) // 3),
                "contact_ids": [contact_id[r] for r in contacts],
                "product": "team",
                "archived": bool(rng.random() < 0.01 and stage != "closedwon"),
                "user_id": user_ids[lead[row]],
                "organisation_id": organisation[row],
            }
        )
    names = ["deal_id", "name", "pipeline", "dealstage", "amount", "currency", "created", "close", "updated"]
    table = pd.DataFrame(rows, columns=[*names, "contact_ids", "product", "archived", "user_id", "organisation_id"])
    for name in ("created", "close", "updated"):
        table[name] = tools.times(table[name].to_numpy(dtype=np.int64))
    return table.rename(columns={"created": "created_at", "close": "close_at", "updated": "updated_at"})


def deal_stages() -> pd.DataFrame:
    """The stages of the one pipeline."""
    table = pd.DataFrame(STAGES, columns=["stage_id", "label", "probability", "is_closed", "is_won"])
    table.insert(0, "pipeline_id", PIPELINE)
    table.insert(3, "display_order", np.arange(len(table)))
    return table
