"""The five CSV files a team without connectors would drop: events, contacts, conversions, email_events, spend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from dlt_pipelines.sandbox.world import World

CONTACT_COLUMNS = ("contact_id", "email", "user_id", "created_at", "lifecycle_stage", "customer_source")


def _utc(stamps: pd.Series) -> pd.Series:
    return stamps.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").where(stamps.notna(), None)


def events_file(world: World) -> pd.DataFrame:
    """Web events; the e-mail stands only on the rows where the person typed it."""
    events = world.events
    emails = world.users.set_index("user_id")["email"]
    typed = events["event_name"].isin(["sign_up", "login", "generate_lead"])
    return pd.DataFrame(
        {
            "event_id": events["event_id"],
            "occurred_at": _utc(events["occurred_at"]),
            "event_name": events["event_name"],
            "device_id": events["device_id"],
            "user_id": events["user_id"],
            "email": events["user_id"].map(emails).where(typed, None),
            "page_url": events["page_url"],
            "referrer": events["referrer"],
            "user_agent": events["user_agent"],
            "ip": events["ip"],
            "fingerprint_id": events["fingerprint_id"],
        }
    )


def contacts_file(world: World) -> pd.DataFrame:
    """CRM contacts that are not archived."""
    table = world.contacts[~world.contacts["archived"]].rename(columns={"lifecyclestage": "lifecycle_stage"})
    table = table.assign(created_at=_utc(table["created_at"]))
    return table[list(CONTACT_COLUMNS)]


def conversions_file(world: World) -> pd.DataFrame:
    """Sign-ups, purchases and deals won as the team's own books have them."""
    events = world.events
    emails = world.users.set_index("user_id")["email"]
    signups = events[events["event_name"] == "sign_up"]
    purchases = events[events["event_name"] == "purchase"]
    products = world.subscriptions[world.subscriptions["billing_period"] == "month"]
    bought = products.drop_duplicates("user_id").set_index("user_id")["product"]
    won = world.deals[world.deals["dealstage"] == "closedwon"]
    first_contact = won["contact_ids"].str[0]
    contacts = world.contacts.set_index("contact_id")
    parts = [
        pd.DataFrame(
            {
                "conversion_id": "signup_" + signups["user_id"].astype(object),
                "at": signups["occurred_at"],
                "conversion_type": "signup",
                "user_id": signups["user_id"],
                "email": signups["user_id"].map(emails),
                "device_id": signups["device_id"],
                "revenue": None,
                "currency": None,
                "product": "app",
            }
        ),
        pd.DataFrame(
            {
                "conversion_id": "purchase_" + purchases["user_id"].astype(object),
                "at": purchases["occurred_at"],
                "conversion_type": "purchase",
                "user_id": purchases["user_id"],
                "email": purchases["user_id"].map(emails),
                "device_id": purchases["device_id"],
                "revenue": purchases["value"].map("{:.2f}".format),
                "currency": "EUR",
                "product": purchases["user_id"].map(bought),
            }
        ),
        pd.DataFrame(
            {
                "conversion_id": "deal_" + won["deal_id"].astype(object),
                "at": won["close_at"],
                "conversion_type": "deal_won",
                "user_id": first_contact.map(contacts["user_id"]),
                "email": first_contact.map(contacts["email"]),
                "device_id": None,
                "revenue": won["amount"],
                "currency": won["currency"],
                "product": won["product"],
            }
        ),
    ]
    table = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    table = table.sort_values(["at", "conversion_id"], ignore_index=True)
    table.insert(1, "converted_at", _utc(pd.to_datetime(table["at"])))
    return table.drop(columns="at")


def email_events_file(world: World) -> pd.DataFrame:
    """E-mails sent, opened, clicked and bounced. ``campaign`` is the name a reader knows, not the vendor's id."""
    titles = world.email_campaigns.set_index(["vendor", "campaign_id"])["title"]
    activity = world.email_activity
    keys = pd.MultiIndex.from_frame(activity[["vendor", "campaign_id"]])
    return pd.DataFrame(
        {
            "email": activity["email"],
            "campaign": titles.reindex(keys).to_numpy(dtype=object),
            "action": activity["action"],
            "occurred_at": _utc(activity["occurred_at"]),
            "url": activity["url"],
        }
    )


def spend_file(world: World) -> pd.DataFrame:
    """Spend by day, platform and campaign."""
    table = world.ad_days.groupby(["date", "platform", "campaign_name", "currency"], as_index=False)[
        ["cost_micros", "clicks", "impressions"]
    ].sum()
    table["cost"] = [f"{micros / 1_000_000:.6f}" for micros in table["cost_micros"].astype(np.int64)]
    table["date"] = table["date"].dt.strftime("%Y-%m-%d")
    table = table.rename(columns={"campaign_name": "campaign"})
    return table[["date", "platform", "campaign", "cost", "clicks", "impressions", "currency"]]


FILES = {
    "events": events_file,
    "contacts": contacts_file,
    "conversions": conversions_file,
    "email_events": email_events_file,
    "spend": spend_file,
}


def write_files(world: World, folder: Path) -> list[Path]:
    """Write all five files; each replaces its predecessor in one rename, so a reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, make in FILES.items():
        path = folder / f"{name}.csv"
        part = folder / f".{name}.csv.part"
        make(world).to_csv(part, index=False)
        part.replace(path)
        paths.append(path)
    return paths
