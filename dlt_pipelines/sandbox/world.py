"""The simulated world behind the sandbox: people, journeys, spend, e-mails, leads, deals, subscriptions, known truth.

``build_world`` is deterministic: equal configs give equal frames. What happens to people comes from
``behaviour.simulate``; the ``world_*`` modules dress it up as the records that analytics, ad platforms, mailers, the CRM
and the shop's own backend would hold. The truth is kept aside and served by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from dlt_pipelines.sandbox import backend, world_crm, world_marketing, world_platforms, world_tools
from dlt_pipelines.sandbox.behaviour import BehaviourConfig, Channel, Trigger, simulate
from dlt_pipelines.sandbox.counterfactual import true_shapley
from dlt_pipelines.sandbox.world_faults import apply_faults, parse_fault
from dlt_pipelines.sandbox.world_files import write_files
from dlt_pipelines.sandbox.world_people import Population, build_population
from dlt_pipelines.sandbox.world_web import PRODUCTS, Visits, build_events, plan_visits


@dataclass(frozen=True)
class WorldConfig:
    """What to simulate.

    Attributes:
        people: how many people there are; a tenth or so never visit.
        start_on, days: the world lives from the UTC midnight of ``start_on`` for so many days.
        stay_days: people come, are about for so many days and go, and did so before ``start_on``: a company that has been in
            business, whose rates are steady. 0: a launch; everybody is new on the first day, and none follow.
        platforms: ad platforms besides Google and Meta, see ``world_platforms.PLATFORMS``; they take some of the visits.
        faults: tracking faults by name, see ``world_faults.FAULTS``; ``name[:target][@YYYY-MM-DD]``.
    """

    people: int = 2000
    start_on: date = date(2026, 7, 1)
    days: int = 120
    seed: int = 7
    faults: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    stay_days: int = 0

    def __post_init__(self) -> None:
        if self.people < 20 or self.days < 7:
            raise ValueError(f"a world needs at least 20 people and 7 days, got {self.people} and {self.days}")
        for fault in self.faults:
            parse_fault(fault, self.start_on)


@dataclass(frozen=True)
class Truth:
    """What really happened, for scoring. Devices shared by several people are in no row of ``identity``."""

    touches: pd.DataFrame
    conversions: pd.DataFrame
    channel_shares: pd.DataFrame
    identity: pd.DataFrame


@dataclass(frozen=True)
class World:
    """Frames of everything the sandbox serves. Times are tz-naive UTC ``datetime64[us]``."""

    config: WorldConfig
    people: pd.DataFrame
    devices: pd.DataFrame
    events: pd.DataFrame
    ad_days: pd.DataFrame
    ad_clicks: pd.DataFrame
    email_campaigns: pd.DataFrame
    email_activity: pd.DataFrame
    contacts: pd.DataFrame
    deals: pd.DataFrame
    deal_stages: pd.DataFrame
    users: pd.DataFrame
    device_fingerprints: pd.DataFrame
    requests: pd.DataFrame
    subscriptions: pd.DataFrame
    organisations: pd.DataFrame
    truth: Truth = field(repr=False)

    def to_files(self, folder: Path | str) -> list[Path]:
        """Write the five CSV files of the ``files`` source, un-hashed, as a team would drop them."""
        return write_files(self, Path(folder))

    def to_backend(self, url: str) -> dict[str, int]:
        """Fill the relational backend at a SQLAlchemy URL. Returns rows by table; doing it again changes nothing."""
        names = ("users", "device_fingerprints", "requests", "subscriptions", "organisations")
        return backend.fill(url, {name: getattr(self, name) for name in names})

    def to_truth(self, folder: Path | str) -> list[Path]:
        """Write the truth as Parquet, one file a frame, outside anything the pipeline reads."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        paths = []
        for name in ("touches", "conversions", "channel_shares", "identity"):
            path = target / f"{name}.parquet"
            getattr(self.truth, name).to_parquet(path, index=False)
            paths.append(path)
        return paths


def demo_behaviour(config: WorldConfig) -> BehaviourConfig:
    """The causal core of the demo world: a bit of every mechanism, and enough sign-ups for the data-driven models."""
    channels = (
        Channel("Paid Search", 0.008, intent=0.5, effect=2.4, half_life=3.0, hazard_driven=0.08, closing=0.05),
        Channel("Paid Social", 0.011, intent=0.1, effect=2.0, half_life=9.0),
        Channel("Organic Search", 0.008, intent=0.5, effect=1.3, half_life=4.0, hazard_driven=0.08, closing=0.05),
        Channel("Email", 0.012, effect=1.6, half_life=3.0, needs_visit_days=45),
        Channel("Referral", 0.005, intent=0.2, effect=2.2, half_life=6.0),
        Channel("Organic Social", 0.007, effect=1.2, half_life=5.0),
        Channel("Direct", 0.004, intent=0.3, hazard_driven=0.1, closing=0.06),
        Channel("AI Assistant", 0.004, intent=0.3, effect=2.0, half_life=5.0),
    )
    triggers = (
        Trigger("Paid Social", "Organic Search", 0.04),
        Trigger("Paid Social", "Direct", 0.04),
        Trigger("Referral", "Paid Search", 0.05),
        Trigger("Organic Social", "Direct", 0.03),
    )
    return BehaviourConfig(
        channels,
        name="demo",
        people=config.people,
        days=config.days,
        seed=config.seed,
        base_hazard=0.0019,
        intent_sd=0.5,
        episode_share=0.2,
        triggers=triggers,
        exit_after_conversion=False,
        stay_days=config.stay_days,
    )


def build_world(config: WorldConfig | None = None, with_shares: bool = True) -> World:
    """Simulate a world.

    Args:
        with_shares: work out the channels' true shares, which replays the world once a set of channels: most of the time of a
            long one.

    Raises:
        ValueError: too small a world, or an unknown fault.
    """
    config = config or WorldConfig()
    start = world_tools.midnight(config.start_on)
    end = start + config.days * world_tools.DAY
    behaviour = demo_behaviour(config)
    population = build_population(config.people, start, end, config.seed)
    visits = plan_visits(simulate(behaviour), population, start, end, config.seed)
    marketing = world_marketing.arrive(visits, population, (start, end), config.seed)
    marketing = world_platforms.redirect(marketing, visits, population, (start, end), config.platforms, config.seed)
    number = np.arange(config.people)
    user_ids = world_tools.texts("u{:07d}", 1_000_000 + (number * 7919) % 8_999_993)
    user_ids[visits.signed_up_at < 0] = None

    events, devices = build_events(visits, marketing.landings, population, user_ids, (start, end), config.seed)
    users = world_crm.build_users(population, visits, user_ids, config.seed, end)
    contacts, deals = world_crm.build_crm(population, visits, marketing.landings, users, user_ids, config.seed, end)
    # Users and contacts of before are known; what was sold before stands in the books of before.
    deals = deals[deals["close_at"] >= pd.Timestamp(config.start_on)].reset_index(drop=True)
    people = _people(population, visits, users, user_ids)
    person_ids = np.append(population.people["person_id"].to_numpy(dtype=object), None)
    activity = marketing.email_activity.rename(columns={"person": "person_id"})
    activity.insert(5, "email", population.people["email"].to_numpy(dtype=object)[activity["person_id"].to_numpy()])
    activity["person_id"] = person_ids[activity["person_id"].to_numpy()]
    calendar = pd.date_range(config.start_on, config.start_on + timedelta(days=config.days - 1), unit="us")
    revenue = np.array([float(PRODUCTS[p]) if p is not None else 0.0 for p in visits.product])
    click_columns = ["platform", "click_id", "click_id_type", "occurred_at", "campaign_id", "campaign_name"]
    world = World(
        config=config,
        people=people,
        devices=_devices(devices, person_ids),
        events=events,
        ad_days=_ad_days(config, marketing, visits, revenue, pd.DatetimeIndex(calendar)),
        ad_clicks=marketing.ad_clicks[[*click_columns, "ad_group_id", "ad_id", "person_id"]],
        email_campaigns=marketing.email_campaigns,
        email_activity=activity,
        contacts=contacts,
        deals=deals.drop(columns=["user_id", "organisation_id"]),
        deal_stages=world_crm.deal_stages(),
        users=users,
        device_fingerprints=world_crm.build_fingerprints(events),
        requests=world_crm.build_requests(events),
        subscriptions=world_crm.build_subscriptions(population, visits, user_ids, deals, config.seed, start, end),
        organisations=world_crm.build_organisations(population, visits, deals),
        truth=_truth(behaviour, population, visits, users, contacts, deals, devices, start, with_shares),
    )
    return apply_faults(world, config.faults)


def _ad_days(
    config: WorldConfig,
    marketing: world_marketing.Marketing,
    visits: Visits,
    revenue: np.ndarray,
    calendar: pd.DatetimeIndex,
) -> pd.DataFrame:
    parts = [world_marketing.ad_days(marketing.ads, marketing.ad_clicks, visits, revenue, calendar, config.seed)]
    for name in config.platforms:
        account = world_platforms.PLATFORMS[name]
        accounts = ((name, account.zone, account.claim_days),)
        parts.append(
            world_marketing.ad_days(
                marketing.ads, marketing.ad_clicks, visits, revenue, calendar, config.seed, accounts, f"days {name}"
            )
        )
    return pd.concat(parts, ignore_index=True).sort_values(
        ["date", "platform", "ad_id"], kind="stable", ignore_index=True
    )


def _people(population: Population, visits: Visits, users: pd.DataFrame, user_ids: np.ndarray) -> pd.DataFrame:
    people = population.people.copy()
    people["user_id"] = user_ids
    people["registered_at"] = world_tools.times(visits.signed_up_at)
    known = users.set_index("person_id")
    said = people["person_id"].map(known["customer_source"])
    people["customer_source"] = said.astype(object).where(said.notna(), None)
    people["email_verified"] = people["person_id"].map(known["email_verified"]).eq(True)
    return people


def _devices(devices: pd.DataFrame, person_ids: np.ndarray) -> pd.DataFrame:
    table = devices.drop(columns=["owner", "drifted_fingerprint_id", "drifts_at"])
    table.insert(1, "owner_person_id", person_ids[devices["owner"].to_numpy()])
    return table


def _truth(
    behaviour: BehaviourConfig,
    population: Population,
    visits: Visits,
    users: pd.DataFrame,
    contacts: pd.DataFrame,
    deals: pd.DataFrame,
    devices: pd.DataFrame,
    start: int,
    with_shares: bool,
) -> Truth:
    person_ids = population.people["person_id"].to_numpy(dtype=object)
    frame = visits.frame
    touches = pd.DataFrame(
        {
            "person_id": person_ids[frame["person"].to_numpy()],
            "occurred_at": world_tools.times(frame["started"].to_numpy()),
            "channel": frame["channel"],
        }
    )
    signed = np.flatnonzero(visits.signed_up_at >= start)
    bought = np.flatnonzero(visits.purchased_at >= start)
    won = deals[deals["dealstage"] == "closedwon"]
    by_contact = contacts.set_index("contact_id")["person_id"]
    parts = [
        pd.DataFrame(
            {
                "person_id": person_ids[signed],
                "converted_at": world_tools.times(visits.signed_up_at[signed]),
                "conversion_type": "signup",
                "revenue": 0.0,
            }
        ),
        pd.DataFrame(
            {
                "person_id": person_ids[bought],
                "converted_at": world_tools.times(visits.purchased_at[bought]),
                "conversion_type": "purchase",
                "revenue": [float(PRODUCTS[p]) for p in visits.product[bought]],
            }
        ),
        pd.DataFrame(
            {
                "person_id": [by_contact[ids[0]] for ids in won["contact_ids"]],
                "converted_at": won["close_at"].to_numpy(),
                "conversion_type": "deal_won",
                "revenue": won["amount"].astype(float).to_numpy(),
            }
        ),
    ]
    conversions = pd.concat([part for part in parts if len(part)], ignore_index=True)
    conversions = conversions.sort_values(
        ["converted_at", "person_id", "conversion_type"], kind="stable", ignore_index=True
    )
    conversions.insert(0, "conversion_id", world_tools.texts("truth_{:07d}", range(len(conversions))))
    owned = devices[devices["owner"] >= 0]
    people = population.people
    identity = [
        ("device_id", owned["device_id"], person_ids[owned["owner"].to_numpy()]),
        ("user_id", users["user_id"], users["person_id"]),
        ("email", people["email"], people["person_id"]),
        ("contact_id", contacts["contact_id"], contacts["person_id"]),
    ]
    columns = ["channel", "share", "conversions"]
    return Truth(
        touches=touches,
        conversions=conversions,
        channel_shares=true_shapley(behaviour)[columns] if with_shares else pd.DataFrame(columns=columns),
        identity=pd.concat(
            [
                pd.DataFrame({"identifier_type": kind, "identifier": list(ids), "person_id": list(owners)})
                for kind, ids, owners in identity
            ],
            ignore_index=True,
        ),
    )
