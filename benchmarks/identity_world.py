"""People, browsers and what a tracker sees of them, drawn as frames with the truth beside them.

Written for the identity models alone: events carry what identity reads and nothing else, so a hundred thousand people take
seconds. Households share tablets, strangers share kiosks, fingerprints collide and drift, addresses are mistyped.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

START = pd.Timestamp("2026-01-01")
# Devices first appear within so many days.
DAYS = 240


@dataclass(frozen=True)
class IdentityWorldConfig:
    """Shares are of cookies unless the name says otherwise; a presence is one person on one cookie."""

    people: int = 100_000
    seed: int = 4
    # Two-person households, and how much of what their members use is a tablet both hold.
    people_in_households: float = 0.30
    household_cookies_on_tablet: float = 0.15
    kiosks: int = 40
    presences_a_kiosk: int = 19
    logged_in: float = 0.56
    gave_email: float = 0.27
    wrong_email: float = 0.03
    email_verified: float = 0.80  # of accounts
    devices_with_colliding_fingerprint: float = 0.20
    fingerprint_drift: float = 0.12
    beside_another: float = 0.10
    days_between_cookies: float = 20.0
    handed_over_by_click: float = 0.01


@dataclass(frozen=True)
class IdentityWorld:
    """What is tracked, and who it was.

    Attributes:
        events: event_id, source, event_name, device_id, user_id, email_hash, fingerprint_id, gclid, occurred_at.
        users: user_id, email_hash, is_email_verified, created_at, updated_at.
        visits: visit, presence, device_id, person, occurred_at; one row a visit, the truth. `person` is the user id the
            person has or would have.
        presences: presence, device_id, person, on_kiosk.
    """

    events: pd.DataFrame
    users: pd.DataFrame
    visits: pd.DataFrame
    presences: pd.DataFrame


def draw_identity_world(config: IdentityWorldConfig) -> IdentityWorld:
    """Draw a world; equal configurations give equal worlds. Kiosks come from a stream of their own, so that worlds that
    differ in kiosks alone are otherwise the same."""
    rng = np.random.default_rng(config.seed)
    kiosk_rng = np.random.default_rng([config.seed, 1])
    own = _own_presences(config, rng)
    home = _visits(config, own, rng)
    events, visits, presences = [home[0]], [home[1]], [own]
    if config.kiosks:
        public = _kiosk_presences(config, kiosk_rng)
        more = _visits(config, public, kiosk_rng, kiosk=True)
        events.append(more[0])
        visits.append(more[1])
        presences.append(public)
    seen = pd.concat(events, ignore_index=True)
    seen["event_id"] = "e" + seen.index.astype(str)
    truth = pd.concat(presences, ignore_index=True)[["presence", "cookie", "person", "on_kiosk"]]
    truth["person"] = "u" + truth["person"].astype(str)
    return IdentityWorld(
        events=seen,
        users=_users(config, seen, rng),
        visits=pd.concat(visits, ignore_index=True).sort_values("occurred_at", ignore_index=True),
        presences=truth.rename(columns={"cookie": "device_id"}),
    )


def _own_presences(config: IdentityWorldConfig, rng: np.random.Generator) -> pd.DataFrame:
    """Presences on the devices people own and on household tablets: presence, cookie, person, device, fingerprint, …"""
    in_pairs = int(config.people * config.people_in_households) // 2 * 2
    # Who visits more has more cookies and more often an account: without that, pairs of logged-in cookies are too rare.
    activity = rng.gamma(1.0, 1.0, config.people)
    devices = 1 + (rng.random(config.people) < 0.15)
    owner = np.repeat(np.arange(config.people), devices)
    cookies = 1 + rng.poisson(1.15 * activity[owner])
    device = np.repeat(np.arange(len(owner)), cookies)
    frame = pd.DataFrame({"device": device, "person": owner[device]})
    frame["cookie"] = "c" + frame.index.astype(str)
    frame["logs_in"] = rng.random(len(frame)) < _login_chance(config, activity[frame["person"]])

    moved = (frame["person"] < in_pairs) & (rng.random(len(frame)) < config.household_cookies_on_tablet)
    household = frame["person"] // 2
    frame.loc[moved, "device"] = len(owner) + household[moved]
    # On half of the tablets both use one browser profile: a cookie is used by its owner and the partner alike.
    joint = moved & (household % 2 == 0)
    partner = frame[joint].assign(person=frame.loc[joint, "person"] ^ 1)
    # Whether a device is used with an account is a habit of the device more than of the hand that holds it.
    partner["logs_in"] = rng.random(len(partner)) < np.where(frame.loc[joint, "logs_in"], 0.5, 0.1)
    frame = pd.concat([frame, partner], ignore_index=True)

    frame = _lives(config, frame, rng)
    frame["fingerprint"], frame["next_fingerprint"] = _fingerprints(config, frame, rng)
    frame["on_kiosk"] = False
    frame["presence"] = "p" + frame.index.astype(str)
    return frame


def _login_chance(config: IdentityWorldConfig, activity: np.ndarray) -> np.ndarray:
    """Chance of a login on each cookie, its mean the configured one."""
    rate = np.asarray(0.7 + 0.12 * activity)
    for _ in range(20):
        rate = rate * np.log(1 - config.logged_in) / np.log(np.mean(np.exp(-rate)))
    return 1 - np.exp(-rate)


def _lives(config: IdentityWorldConfig, frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """When each cookie begins and how long it is kept. Cookies of a device follow each other in time."""
    cookies = frame.drop_duplicates("cookie")[["cookie", "device"]].sort_values("device", kind="stable")
    cookies["lasts"] = 1 + rng.exponential(25, len(cookies)).clip(0, 58)
    # A browser keeps one cookie at a time; a private window opens a second one beside it.
    step = cookies["lasts"] * np.where(rng.random(len(cookies)) < config.beside_another, 0.5, 1.0)
    step = step + rng.exponential(config.days_between_cookies, len(cookies))
    since_first = step.groupby(cookies["device"]).cumsum() - step
    start = (
        pd.Series(rng.random(len(cookies)) * DAYS, index=cookies.index).groupby(cookies["device"]).transform("first")
    )
    cookies["begins"] = start + since_first
    return frame.merge(cookies.drop(columns="device"), on="cookie", how="left", sort=False)


def _fingerprints(
    config: IdentityWorldConfig, frame: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprint of each cookie, and the one it has from the middle of its life on (the same unless it drifts then)."""
    cookies = frame.drop_duplicates("cookie").sort_values(["device", "begins", "cookie"])
    n_devices = int(frame["device"].max()) + 1
    base = np.char.add("f", np.arange(n_devices).astype(str)).astype(object)
    # Popular phones look alike: by Zipf's law from fingerprints on thousands of devices down to those on two.
    colliding = np.flatnonzero(rng.random(n_devices) < config.devices_with_colliding_fingerprint)
    pool = max(2, len(colliding) // 15)
    popularity = 1 / (np.arange(pool) + 1)
    base[colliding] = np.char.add(
        "shared", rng.choice(pool, len(colliding), p=popularity / popularity.sum()).astype(str)
    )
    drifts = rng.random(len(cookies)) < config.fingerprint_drift
    within = rng.random(len(cookies)) < 0.5
    version = pd.Series(drifts).groupby(cookies["device"].to_numpy()).cumsum().to_numpy()
    before = np.where(drifts & within, version - 1, version)
    device = cookies["device"].to_numpy()

    def named(versions: np.ndarray) -> np.ndarray:
        fresh = np.char.add(np.char.add("f", device.astype(str)), np.char.add(".", versions.astype(str)))
        return np.where(versions == 0, base[device], fresh.astype(object))

    names = pd.DataFrame({"cookie": cookies["cookie"].to_numpy(), "first": named(before), "then": named(version)})
    matched = frame[["cookie"]].merge(names, on="cookie", how="left", sort=False)
    return matched["first"].to_numpy(), matched["then"].to_numpy()


def _kiosk_presences(config: IdentityWorldConfig, rng: np.random.Generator) -> pd.DataFrame:
    """Strangers on public machines: every other kiosk keeps its cookie, the rest wipe it after each visitor."""
    kiosk = np.repeat(np.arange(config.kiosks), config.presences_a_kiosk)
    turn = np.tile(np.arange(config.presences_a_kiosk), config.kiosks)
    keeps = kiosk % 2 == 0
    cookie = np.where(keeps, [f"k{k}" for k in kiosk], [f"k{k}.{t}" for k, t in zip(kiosk, turn, strict=True)])
    fingerprint = np.array([f"kiosk{k}" for k in kiosk], dtype=object)
    return pd.DataFrame(
        {
            "presence": [f"kp{i}" for i in range(len(kiosk))],
            "cookie": cookie,
            "person": rng.integers(0, config.people, len(kiosk)),
            "device": -1 - kiosk,
            "begins": rng.random(len(kiosk)) * DAYS,
            "lasts": 0.02,
            "logs_in": rng.random(len(kiosk)) < config.logged_in,
            "fingerprint": fingerprint,
            "next_fingerprint": fingerprint,
            "on_kiosk": True,
        }
    )


def _visits(
    config: IdentityWorldConfig, presences: pd.DataFrame, rng: np.random.Generator, kiosk: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The events of all presences and the visits behind them. A visit is two page views a minute apart, with a login, a
    form or a logout between them."""
    n = len(presences)
    # A tablet has a main user; the other one does everything about half as often.
    usual = np.where(presences["cookie"].duplicated(), 0.5, 2.0)
    count = np.ones(n, dtype=int) if kiosk else 1 + rng.poisson(usual)
    row = np.repeat(np.arange(n), count)
    visits = presences[["presence", "cookie", "person", "begins", "lasts", "fingerprint", "next_fingerprint"]].iloc[row]
    visits = visits.reset_index(drop=True)
    part = rng.random(len(visits))
    days = visits["begins"] + part * visits["lasts"]
    visits["occurred_at"] = (START + pd.to_timedelta(days * 86_400_000, unit="ms")).dt.floor("ms")
    visits["fingerprint_id"] = np.where(part < 0.5, visits["fingerprint"], visits["next_fingerprint"])
    visits["visit"] = visits["presence"] + "." + visits.groupby("presence").cumcount().astype(str)

    # One visit of a presence has its login and another, perhaps the same, its form.
    first = np.r_[0, np.cumsum(count)[:-1]]
    login_visit = first + (rng.random(n) * count).astype(int)
    form_visit = first + (rng.random(n) * count).astype(int)
    logs_in = presences["logs_in"].to_numpy()
    gives_email = rng.random(n) < config.gave_email * np.where(presences["cookie"].duplicated() & (not kiosk), 0.5, 1.0)
    login = np.zeros(len(visits), dtype=bool)
    login[login_visit[logs_in]] = True
    email = np.zeros(len(visits), dtype=bool)
    email[form_visit[gives_email]] = True
    logout = login & (rng.random(len(visits)) < 0.4)

    user = "u" + visits["person"].astype(str)
    base = visits[["cookie", "fingerprint_id", "occurred_at"]].rename(columns={"cookie": "device_id"})
    views = base.assign(event_name="page_view")
    logins = base[login].assign(event_name="login", user_id=user[login])
    forms = base[email].assign(
        event_name="generate_lead", email_hash=_addresses(config, visits.loc[email, "person"], rng)
    )
    second = base.assign(event_name="page_view", user_id=user.where(login, None))
    logouts = base[logout].assign(event_name="logout")
    for frame, seconds in ((logins, 10), (forms, 20), (second, 60), (logouts, 90)):
        frame["occurred_at"] = frame["occurred_at"] + pd.Timedelta(seconds=seconds)
    events = pd.concat([views, logins, forms, second, logouts], ignore_index=True)
    events["source"] = "ga4"
    if not kiosk:
        events = pd.concat([events, _handovers(config, presences, visits, rng)], ignore_index=True)
    truth = visits[["visit", "presence", "cookie", "person", "occurred_at"]].rename(columns={"cookie": "device_id"})
    return events, truth.assign(person="u" + truth["person"].astype(str))


def _addresses(config: IdentityWorldConfig, person: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Hashes of the addresses people give: of the wrong ones half belong to somebody else, half to nobody."""
    wrong = rng.random(len(person)) < config.wrong_email
    stranger = rng.integers(0, config.people, len(person))
    nobody = rng.random(len(person)) < 0.5
    right = ("m" + person.astype(str)).to_numpy(dtype=object)
    other = np.where(nobody, right + "typo", "m" + stranger.astype(str).astype(object))
    return np.where(wrong, other, right)


def _handovers(
    config: IdentityWorldConfig, presences: pd.DataFrame, visits: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """An ad clicked in an app, opened in its browser and then in the real one: one click id on two cookies of a person."""
    owner = presences.reset_index(drop=True)
    pairs = owner.merge(owner, on="person", suffixes=("", "_app"))
    pairs = pairs[pairs["cookie"] < pairs["cookie_app"]].drop_duplicates("cookie").drop_duplicates("cookie_app")
    chosen = pairs[rng.random(len(pairs)) < config.handed_over_by_click * len(owner) / max(1, len(pairs))]
    first = visits.drop_duplicates("cookie").set_index("cookie")
    begins = chosen["cookie"].map(first["occurred_at"])
    token = "g" + chosen["cookie"]
    common = {"event_name": "page_view", "source": "ga4", "gclid": token}
    real = pd.DataFrame(
        {
            "device_id": chosen["cookie"],
            "occurred_at": begins,
            "fingerprint_id": chosen["cookie"].map(first["fingerprint_id"]),
            **common,
        }
    )
    # The app's own browser shows another fingerprint than the same phone's real one.
    app = pd.DataFrame({"device_id": chosen["cookie_app"], "occurred_at": begins - pd.Timedelta(minutes=4), **common})
    return pd.concat([real, app], ignore_index=True)


def _users(config: IdentityWorldConfig, events: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The backend's accounts: everybody who ever logged in. An address somebody mistyped at sign-up stays unverified."""
    logins = events.dropna(subset=["user_id"])
    created = logins.groupby("user_id")["occurred_at"].min()
    person = pd.Series(created.index.str[1:].astype(int))
    verified = rng.random(len(created)) < config.email_verified
    right = ("m" + person.astype(str)).to_numpy(dtype=object)
    given = _addresses(config, person, rng)
    return pd.DataFrame(
        {
            "user_id": created.index,
            "email_hash": np.where(verified, right, given),
            "is_email_verified": verified,
            "created_at": created.to_numpy(),
            "updated_at": created.to_numpy(),
        }
    )
