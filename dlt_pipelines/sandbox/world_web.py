"""Visits and the events they leave: when people come, on what, what they look at, when they log in, sign up and buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlt_pipelines.sandbox import world_tools as tools
from dlt_pipelines.sandbox.behaviour import Journeys
from dlt_pipelines.sandbox.world_people import Population, devices_for
from dlt_pipelines.sandbox.world_user_agents import BOTS

SHOP = "https://shop.example"
APP = "https://app.shop.example"
PAGES = {
    "/": 0.2,
    "/products": 0.25,
    "/products/starter": 0.15,
    "/products/pro": 0.12,
    "/pricing": 0.12,
    "/guides/getting-started": 0.08,
    "/about": 0.08,
}
PAYMENT_REFERRERS = ("https://www.paypal.com/", "https://checkout.stripe.com/", "https://www.klarna.com/")
SSO_REFERRER = "https://accounts.google.com/"
PRODUCTS = {"starter": "29.00", "pro": "79.00"}

GA_SESSION_GAP = 30 * tools.MINUTE
PURCHASE_SHARE = 0.55
SAME_VISIT_PURCHASES = 0.6
SLOW_PAYMENTS = 0.12
SLOW_PAYMENT_DELAY = 40 * tools.MINUTE
RETURNS_AFTER_PAUSE = 0.06
SSO_SHARE = 0.15
BOT_SHARE = 0.04
NEVER = -1


@dataclass(frozen=True)
class Visits:
    """Planned visits of people and what each person did when.

    Attributes:
        frame: one row a visit, by time: person, started, channel, device, login_at, signup_at, lead_at, purchase_at
            (µs, -1 never), slow_payment, outside (away from the home address).
        signed_up_at, purchased_at: per person, µs or -1. product: per person, what was bought (null if nothing).
        came_at, left_at: per person when they were about first and last, µs; 0 and the far future where all always are.
    """

    frame: pd.DataFrame
    signed_up_at: NDArray[np.int64]
    purchased_at: NDArray[np.int64]
    product: NDArray[np.object_]
    came_at: NDArray[np.int64]
    left_at: NDArray[np.int64]


def clock(start: int, days: NDArray[np.float64]) -> NDArray[np.int64]:
    """World time in µs of a behaviour time in days. The simulated day is lived between 05:00 and 23:00 UTC."""
    whole = np.floor(days)
    return start + (whole * tools.DAY + 5 * tools.HOUR + (days - whole) * 18 * tools.HOUR).astype(np.int64)


def _clock_or(otherwise: int, start: int, days: NDArray[np.float64]) -> NDArray[np.int64]:
    finite = np.isfinite(days)
    return np.where(finite, clock(start, np.where(finite, days, 0.0)), otherwise)


def plan_visits(journeys: Journeys, population: Population, start: int, end: int, seed: int) -> Visits:
    """Turn touches and conversions into visits. A conversion without a visit in the half hour before gets a Direct one.

    Visits before `start` are lived and left out: nobody recorded them. Who signed up then is signed up.
    """
    rng = tools.stream(seed, "visits")
    count = len(population.people)
    person = journeys.touches["person"].to_numpy()
    at = clock(start, journeys.touches["time"].to_numpy())
    channel = journeys.touches["channel"].to_numpy(dtype=object)
    converts = journeys.conversions["person"].to_numpy()
    signup = clock(start, journeys.conversions["time"].to_numpy())

    signed_up_at = np.full(count, NEVER)
    signed_up_at[converts] = signup
    business = population.people["organisation_id"].notna().to_numpy()
    bought_at, product, slow, later = _plan_purchases(rng, signed_up_at, business, end)

    earliest = min(start, int(at.min(initial=start)), int(signup.min(initial=start)))
    span = end - earliest + tools.DAY
    keys = person * span + (at - earliest)
    found = np.searchsorted(keys, converts * span + (signup - earliest), side="right") - 1
    near = (found >= 0) & (person[found] == converts) & (signup - at[found] < GA_SESSION_GAP)
    alone = np.flatnonzero(~near)
    buyers = np.flatnonzero(later)
    lead_time = np.where(slow[buyers], SLOW_PAYMENT_DELAY, 0) + 3 * tools.MINUTE
    frame = pd.DataFrame(
        {
            "person": np.concatenate([person, converts[alone], buyers]),
            "started": np.concatenate([at, signup[alone] - 2 * tools.MINUTE, bought_at[buyers] - lead_time]),
            "channel": np.concatenate([channel, np.full(len(alone) + len(buyers), "Direct", dtype=object)]),
        }
    )
    signup_visit = np.where(near, found, 0)
    signup_visit[alone] = len(person) + np.arange(len(alone))
    frame["signup_at"] = NEVER
    frame.loc[signup_visit, "signup_at"] = signup
    frame["purchase_at"] = NEVER
    same = (bought_at[converts] >= 0) & ~later[converts]
    frame.loc[signup_visit[same], "purchase_at"] = bought_at[converts][same]
    frame.loc[len(person) + len(alone) + np.arange(len(buyers)), "purchase_at"] = bought_at[buyers]
    frame = frame.sort_values(["started", "person"], kind="stable", ignore_index=True)

    who = frame["person"].to_numpy()
    started = frame["started"].to_numpy()
    signs_up = frame["signup_at"].to_numpy() >= 0
    buys = frame["purchase_at"].to_numpy() >= 0
    propensity = rng.beta(1.6, 1.6, count)
    registered = (signed_up_at[who] >= 0) & (started > signed_up_at[who])
    logs_in = registered & ((rng.random(len(frame)) < propensity[who]) | buys)
    login_at = np.where(logs_in, started + rng.integers(15, 60, len(frame)) * tools.SECOND, NEVER)
    frame["login_at"] = np.where(signs_up, frame["signup_at"], login_at)
    frame["is_login"] = logs_in & ~signs_up
    frame["lead_at"] = np.where(signs_up & business[who], frame["signup_at"] + tools.MINUTE, NEVER)
    frame["slow_payment"] = slow[who] & buys
    social = frame["channel"].isin(["Paid Social", "Organic Social", "Email"]).to_numpy()
    frame["device"] = devices_for(population, rng, who, started, social)
    kinds = population.devices["kind"].to_numpy(dtype=object)[frame["device"].to_numpy()]
    frame["outside"] = (kinds == "mobile") & (rng.random(len(frame)) < 0.5)
    return Visits(
        frame=frame[frame["started"] >= start].reset_index(drop=True),
        signed_up_at=signed_up_at,
        purchased_at=bought_at,
        product=product,
        came_at=_clock_or(0, start, journeys.came),
        left_at=_clock_or(np.iinfo(np.int64).max, start, journeys.left),
    )


def _plan_purchases(
    rng: np.random.Generator, signed_up_at: NDArray[np.int64], business: NDArray[np.bool_], end: int
) -> tuple[NDArray[np.int64], NDArray[np.object_], NDArray[np.bool_], NDArray[np.bool_]]:
    count = len(signed_up_at)
    buys = (signed_up_at >= 0) & ~business & (rng.random(count) < PURCHASE_SHARE)
    later = rng.random(count) >= SAME_VISIT_PURCHASES
    slow = rng.random(count) < SLOW_PAYMENTS
    soon = rng.integers(120, 360, count) * tools.SECOND
    delay = np.where(later, rng.integers(20 * 60, 10 * 24 * 60, count) * tools.MINUTE, soon)
    bought_at = signed_up_at + delay + np.where(slow, SLOW_PAYMENT_DELAY, 0)
    buys &= bought_at < end - tools.HOUR
    product = tools.pick(rng, list(PRODUCTS), count, (0.7, 0.3))
    product[~buys] = None
    return np.where(buys, bought_at, NEVER), product, slow & buys, later & buys


def _bot_visits(seed: int, start: int, end: int, visits: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Devices and visits of bots, each visit a new cookie."""
    rng = tools.stream(seed, "bots")
    count = max(3, int(visits * BOT_SHARE))
    started = np.sort(rng.integers(start, end - tools.HOUR, count))
    weights = np.array([agent.weight for agent in BOTS])
    agents = [BOTS[i] for i in rng.choice(len(BOTS), count, p=weights / weights.sum())]
    number = np.arange(count)
    devices = pd.DataFrame(
        {
            "device_id": tools.texts("{}.{}", 100_000_000 + number, started // tools.SECOND),
            "owner": NEVER,
            "kind": "desktop",
            "fingerprint_id": tools.texts("fp_b{:07d}", number),
            "drifted_fingerprint_id": tools.texts("fp_b{:07d}", number),
            "drifts_at": NEVER,
            "user_agent": [agent.text for agent in agents],
            "browser": [agent.browser for agent in agents],
            "operating_system": "",
            "ip": tools.texts("198.19.{}.{}", 200 + number % 50, number // 50 % 256),
        }
    )
    landing = tools.pick(rng, list(PAGES), count, list(PAGES.values()))
    frame = pd.DataFrame(
        {
            "started": started,
            "page_url": tools.texts(SHOP + "{}", landing),
            "referrer": "",
            "user_agent": devices["user_agent"],
            "pages": rng.integers(3, 15, count),
        }
    )
    return devices, frame


def _page_views(
    rng: np.random.Generator, visits: pd.DataFrame, pages: NDArray[np.int64], pace: float
) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """The browsing of each visit (columns visit, at, page_url, referrer) and the time of its last page."""
    visit = np.repeat(np.arange(len(visits)), pages)
    first = np.cumsum(pages) - pages
    position = np.arange(len(visit)) - first[visit]
    step = ((rng.exponential(pace, len(visit)) + pace / 7) * tools.SECOND).astype(np.int64)
    step[position == 0] = 0
    walked = np.cumsum(step)
    offset = np.minimum(walked - walked[first][visit], 20 * tools.MINUTE + position * tools.SECOND)
    urls = tools.texts(SHOP + "{}", tools.pick(rng, list(PAGES), len(visit), list(PAGES.values())))
    landing = visits["page_url"].to_numpy(dtype=object)[visit]
    urls = np.where(position == 0, landing, urls)
    before = np.roll(urls, 1)
    bare = np.array([url.split("?")[0] for url in before], dtype=object)
    referrer = np.where(position == 0, visits["referrer"].to_numpy(dtype=object)[visit], bare)
    at = visits["started"].to_numpy()[visit] + offset
    last = at[first + pages - 1] if len(visits) else np.empty(0, np.int64)
    return pd.DataFrame({"visit": visit, "at": at, "page_url": urls, "referrer": referrer}), last


def _moment(
    visit: NDArray[np.int64], at: NDArray[np.int64], name: str, page_url: object, referrer: object
) -> pd.DataFrame:
    return pd.DataFrame({"visit": visit, "at": at, "event_name": name, "page_url": page_url, "referrer": referrer})


def _human_events(rng: np.random.Generator, visits: pd.DataFrame, product: NDArray[np.object_]) -> pd.DataFrame:
    count = len(visits)
    views, last = _page_views(
        rng, visits, np.minimum(1 + rng.geometric(0.4, count) - 1 + (rng.random(count) < 0.7), 9), 35
    )
    parts = [views.assign(event_name="page_view")]
    back = np.flatnonzero(rng.random(count) < RETURNS_AFTER_PAUSE)
    pause = rng.integers(35, 80, len(back)) * tools.MINUTE
    parts.append(_moment(back, last[back] + pause, "page_view", f"{SHOP}/products", f"{SHOP}/"))

    login = np.flatnonzero(visits["is_login"])
    at = visits["login_at"].to_numpy()
    sso = login[rng.random(len(login)) < SSO_SHARE]
    parts += [
        _moment(login, at[login], "login", f"{APP}/login", f"{SHOP}/"),
        _moment(sso, at[sso] + tools.SECOND, "page_view", f"{APP}/login/callback", SSO_REFERRER),
        _moment(login, at[login] + 4 * tools.SECOND, "page_view", f"{APP}/dashboard", f"{APP}/login"),
    ]
    signs = np.flatnonzero(visits["signup_at"] >= 0)
    at = visits["signup_at"].to_numpy()[signs]
    parts += [
        _moment(signs, at - 25 * tools.SECOND, "page_view", f"{SHOP}/signup", f"{SHOP}/pricing"),
        _moment(signs, at, "sign_up", f"{APP}/signup", f"{SHOP}/signup"),
        _moment(signs, at + 5 * tools.SECOND, "page_view", f"{APP}/welcome", f"{APP}/signup"),
    ]
    leads = np.flatnonzero(visits["lead_at"] >= 0)
    at = visits["lead_at"].to_numpy()[leads]
    parts.append(_moment(leads, at, "generate_lead", f"{SHOP}/demo", f"{APP}/welcome"))
    buys = np.flatnonzero(visits["purchase_at"] >= 0)
    at = visits["purchase_at"].to_numpy()[buys]
    early = at - np.where(visits["slow_payment"].to_numpy()[buys], SLOW_PAYMENT_DELAY, 0) - 75 * tools.SECOND
    paid = product[visits["person"].to_numpy()[buys]]
    purchase = _moment(buys, at, "purchase", f"{SHOP}/checkout/thank-you", "")
    purchase["referrer"] = tools.pick(rng, PAYMENT_REFERRERS, len(buys), (0.5, 0.35, 0.15))
    purchase["value"] = [float(PRODUCTS[name]) for name in paid]
    thanks = purchase.drop(columns="value").assign(event_name="page_view", at=at - tools.SECOND)
    parts += [_moment(buys, early, "page_view", f"{SHOP}/checkout", f"{SHOP}/pricing"), thanks, purchase]
    return pd.concat(parts, ignore_index=True)


def _number_ga_sessions(events: pd.DataFrame) -> pd.DataFrame:
    """GA4's session id and number, from half an hour of silence on a cookie, and a session_start for each."""
    events = events.sort_values(["device", "at", "visit"], kind="stable", ignore_index=True)
    at = events["at"].to_numpy()
    device = events["device"].to_numpy()
    opens = np.ones(len(events), bool)
    opens[1:] = (device[1:] != device[:-1]) | (at[1:] - at[:-1] > GA_SESSION_GAP)
    which = np.cumsum(opens) - 1
    events["ga_session_id"] = (at[opens] // tools.SECOND)[which]
    events["ga_session_number"] = pd.Series(opens).groupby(device).cumsum().to_numpy().astype(np.int64)
    starts = events[opens].assign(event_name="session_start", value=np.nan)
    return pd.concat([starts, events], ignore_index=True)


def build_events(
    visits: Visits,
    landings: pd.DataFrame,
    population: Population,
    user_ids: NDArray[np.object_],
    window: tuple[int, int],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every web event of people and bots.

    Args:
        landings: per visit page_url, referrer, user_agent.
        user_ids: per person, null where never registered.
        window: first and last µs of the world; what falls outside is cut.

    Returns:
        the world's events frame, and all devices (those of the population, then the bots').
    """
    start, end = window
    rng = tools.stream(seed, "events")
    frame = visits.frame.join(landings)
    human = _human_events(rng, frame, visits.product)
    person = frame["person"].to_numpy()
    at = human["at"].to_numpy()
    visit = human["visit"].to_numpy()
    human["person"] = person[visit]
    human["device"] = frame["device"].to_numpy()[visit]
    human["user_agent"] = frame["user_agent"].to_numpy(dtype=object)[visit]
    login_at = frame["login_at"].to_numpy()[visit]
    known = (login_at >= 0) & (at >= login_at)
    human["user_id"] = np.where(known, user_ids[human["person"].to_numpy()], None)
    home = population.devices["ip"].to_numpy(dtype=object)[human["device"].to_numpy()]
    outside = frame["outside"].to_numpy()[visit]
    human["ip"] = np.where(outside, population.mobile_ip[human["person"].to_numpy()], home)
    human["country"] = population.people["country"].to_numpy(dtype=object)[human["person"].to_numpy()]
    human["is_bot"] = False

    bot_devices, bot_visits = _bot_visits(seed, start, end, len(frame))
    bot, _ = _page_views(rng, bot_visits, bot_visits["pages"].to_numpy(), 2)
    visit = bot["visit"].to_numpy()
    bot = bot.assign(event_name="page_view", person=NEVER, user_id=None, country="US", is_bot=True)
    bot["device"] = visit + len(population.devices)
    bot["user_agent"] = bot_visits["user_agent"].to_numpy(dtype=object)[visit]
    bot["ip"] = bot_devices["ip"].to_numpy(dtype=object)[visit]
    bot["visit"] = visit + len(frame)

    devices = pd.concat([population.devices, bot_devices], ignore_index=True)
    events = pd.concat([human, bot], ignore_index=True)
    events = events[(events["at"] >= start) & (events["at"] < end)]
    events = _number_ga_sessions(events)
    order = {"session_start": 0, "page_view": 1}
    events["rank"] = events["event_name"].map(order).fillna(2)
    events = events.sort_values(["at", "visit", "rank"], kind="stable", ignore_index=True)
    return _finish(events, devices, population), devices


def _finish(events: pd.DataFrame, devices: pd.DataFrame, population: Population) -> pd.DataFrame:
    used = devices.iloc[events["device"].to_numpy()].reset_index(drop=True)
    at = events["at"].to_numpy()
    drifted = (used["drifts_at"] >= 0) & (at >= used["drifts_at"])
    person_ids = np.append(population.people["person_id"].to_numpy(dtype=object), None)
    return pd.DataFrame(
        {
            "event_id": tools.texts("ev_{:09d}", range(len(events))),
            "occurred_at": tools.times(at),
            "event_name": events["event_name"],
            "device_id": used["device_id"],
            "person_id": person_ids[events["person"].to_numpy()],
            "user_id": events["user_id"],
            "page_url": events["page_url"],
            "referrer": events["referrer"].replace("", None),
            "ga_session_id": events["ga_session_id"],
            "ga_session_number": events["ga_session_number"],
            "user_agent": events["user_agent"],
            "ip": events["ip"],
            "fingerprint_id": used["fingerprint_id"].where(~drifted, used["drifted_fingerprint_id"]),
            "country": events["country"],
            "value": events["value"].astype(float),
            "is_bot": events["is_bot"].astype(bool),
        }
    )
