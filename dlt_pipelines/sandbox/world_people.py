"""Who lives in the sandbox world and what they browse with: people, households, organisations, devices.

The proportions follow the identity benchmark the platform is held to: 30 % of people in two-person households, shared
tablets, kiosks, colliding fingerprints (20 % of devices), drifting fingerprints (12 %), cookies that are reset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlt_pipelines.sandbox import world_tools as tools
from dlt_pipelines.sandbox.world_user_agents import BROWSERS, IN_APP

HOUSEHOLD_SHARE = 0.30
HOUSEHOLD_TABLET_SHARE = 0.5
TABLET_SESSIONS = 0.15
KIOSK_SESSIONS = 0.003
PEOPLE_PER_KIOSK = 1000
BUSINESS_SHARE = 0.18
COOKIE_RESET_SHARE = 0.15
COLLIDING_FINGERPRINTS = 0.20
DRIFTING_FINGERPRINTS = 0.12
COUNTRIES = {"DE": 0.55, "AT": 0.1, "FR": 0.1, "GB": 0.1, "US": 0.15}

_FIRST = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Greta",
    "Hugo",
    "Ida",
    "Jonas",
    "Karla",
    "Leon",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Quinn",
    "Rosa",
    "Samuel",
    "Tara",
    "Uwe",
    "Vera",
    "Wim",
    "Xenia",
    "Yara",
    "Zoe",
    "Amir",
    "Bea",
    "Chloe",
    "Deniz",
    "Elif",
    "Farid",
    "Gina",
    "Hasan",
    "Ines",
    "Jakub",
    "Kim",
    "Lars",
    "Mara",
    "Nils",
    "Oskar",
    "Petra",
    "Ravi",
    "Sofia",
]
_LAST = [
    "Adler",
    "Bauer",
    "Conrad",
    "Dietz",
    "Ebert",
    "Fischer",
    "Graf",
    "Hahn",
    "Imhof",
    "Jung",
    "Krause",
    "Lang",
    "Maier",
    "Novak",
    "Otto",
    "Peters",
    "Quast",
    "Richter",
    "Sommer",
    "Thoma",
    "Ulrich",
    "Vogel",
    "Wagner",
    "Xander",
    "Yilmaz",
    "Ziegler",
    "Arnaud",
    "Blanc",
    "Carter",
    "Dubois",
    "Evans",
    "Fabre",
    "Girard",
    "Hughes",
    "Iwanow",
    "Jansen",
    "Kowalski",
    "Laurent",
    "Moreau",
    "Nguyen",
    "Oliveira",
    "Patel",
    "Rossi",
    "Schmidt",
]
_COMPANIES = [
    "nordwind",
    "birkenau",
    "lumina",
    "tessera",
    "kobalt",
    "morgenrot",
    "palisade",
    "quarzit",
    "rotbuche",
    "sandstein",
    "talblick",
    "ufer",
    "vektor",
    "wiesengrund",
    "zenit",
    "altona",
    "brise",
    "cirrus",
    "delta",
    "elmwood",
]


@dataclass(frozen=True)
class Population:
    """People and what they browse with.

    Attributes:
        people: the world's people frame, registration not yet known.
        organisations: organisation_id, domain, created (µs).
        devices: one row a cookie: device_id, owner (position in people, -1 for shared), kind, fingerprint_id,
            drifted_fingerprint_id, drifts_at (µs, -1 never), user_agent, browser, operating_system, ip.
        own_devices: people x 3 first cookie of each own device (position in devices, -1 none).
        successor: per device the cookie that replaces it (position, -1 none), and ``reset_at`` when (µs).
        tablet: per person the household's shared tablet (position, -1 none).
        kiosks: positions of the kiosks in devices.
        mobile_ip: per person the address outside the home.
    """

    people: pd.DataFrame
    organisations: pd.DataFrame
    devices: pd.DataFrame
    own_devices: NDArray[np.int64]
    successor: NDArray[np.int64]
    reset_at: NDArray[np.int64]
    tablet: NDArray[np.int64]
    kiosks: NDArray[np.int64]
    mobile_ip: NDArray[np.object_]


def _addresses(offset: int, numbers: NDArray[np.int64]) -> NDArray[np.object_]:
    """Addresses in 198.18.0.0/15, the range set aside for tests (RFC 2544); 131,072 of them, then they repeat."""
    low = (numbers + offset) % 131_072
    return tools.texts("198.{}.{}.{}", 18 + (low >> 16), (low >> 8) & 255, low & 255)


def _device_ids(seed: int, numbers: NDArray[np.int64], first_seen: NDArray[np.int64]) -> NDArray[np.object_]:
    # A prime multiplier walks the 9 billion ten-digit numbers without repeating, so ids never collide.
    visitor = 1_000_000_000 + (numbers * 2_654_435_761 + seed * 97_003) % 9_000_000_000
    return tools.texts("{}.{}", visitor, first_seen // tools.SECOND)


def build_population(count: int, start: int, end: int, seed: int) -> Population:
    """Draw ``count`` people and their devices for the time from ``start`` to ``end`` (µs)."""
    rng = tools.stream(seed, "people")
    number = np.arange(count)
    business = rng.random(count) < BUSINESS_SHARE
    organisation_count = max(1, int(business.sum() / 2.2)) if business.any() else 0
    organisation = np.where(business, rng.integers(0, max(organisation_count, 1), count), -1)
    organisations = pd.DataFrame(
        {
            "organisation_id": [f"org_{i:05d}" for i in range(organisation_count)],
            "domain": [f"{_COMPANIES[i % len(_COMPANIES)]}-{i:04d}.example" for i in range(organisation_count)],
            "created": start - rng.integers(0, 300, organisation_count) * tools.DAY,
        }
    )
    first = tools.pick(rng, _FIRST, count)
    last = tools.pick(rng, _LAST, count)
    consumers = rng.permutation(np.flatnonzero(~business))
    paired = consumers[: int(count * HOUSEHOLD_SHARE) // 2 * 2].reshape(-1, 2)
    household = np.full(count, -1)
    household[paired] = np.arange(len(paired))[:, None]
    lone = np.flatnonzero(household < 0)
    household[lone] = len(paired) + np.arange(len(lone))
    last[paired[:, 1]] = last[paired[:, 0]]

    mailbox = tools.pick(rng, ("mail.example", "post.example", "inbox.example"), count, (0.6, 0.25, 0.15))
    domains = organisations["domain"].to_numpy(dtype=object)
    mailbox[business] = domains[organisation[business]]
    people = pd.DataFrame(
        {
            "person_id": tools.texts("p{:07d}", number),
            "email": [f"{f}.{n}.{i}@{d}".lower() for f, n, i, d in zip(first, last, number, mailbox, strict=True)],
            "first_name": first,
            "last_name": last,
            "phone": tools.texts("+49 30 555{:07d}", number),
            "household_id": tools.texts("h{:07d}", household),
            "organisation_id": [f"org_{o:05d}" if o >= 0 else None for o in organisation],
            "country": tools.pick(rng, list(COUNTRIES), count, list(COUNTRIES.values())),
        }
    )
    return _with_devices(people, organisations, household, paired, start, end, seed)


def _with_devices(
    people: pd.DataFrame,
    organisations: pd.DataFrame,
    household: NDArray[np.int64],
    paired: NDArray[np.int64],
    start: int,
    end: int,
    seed: int,
) -> Population:
    rng = tools.stream(seed, "devices")
    count = len(people)
    amount = rng.choice([1, 2, 3], count, p=[0.45, 0.40, 0.15])
    slots = np.arange(3) < amount[:, None]
    kind = np.full((count, 3), "desktop", dtype=object)
    mobile_first = rng.random(count) < 0.6
    kind[mobile_first, 0] = "mobile"
    kind[~mobile_first, 1] = "mobile"
    kind[:, 2] = "tablet"
    own = np.full((count, 3), -1)
    owner, _ = np.nonzero(slots)
    own[slots] = np.arange(len(owner))
    kinds = list(kind[slots])

    tablet_homes = paired[rng.random(len(paired)) < HOUSEHOLD_TABLET_SHARE]
    tablet = np.full(count, -1)
    tablet[tablet_homes] = len(owner) + np.arange(len(tablet_homes))[:, None]
    kiosk_count = max(2, count // PEOPLE_PER_KIOSK)
    kiosks = len(owner) + len(tablet_homes) + np.arange(kiosk_count)
    owner = np.concatenate([owner, np.full(len(tablet_homes) + kiosk_count, -1)])
    kinds += ["tablet"] * len(tablet_homes) + ["kiosk"] * kiosk_count
    homes = np.concatenate(
        [household[owner[owner >= 0]], household[tablet_homes[:, 0]], household.max() + 1 + np.arange(kiosk_count)]
    )

    by_kind = {k: [a for a in BROWSERS if a.kind == k] for k in ("desktop", "mobile", "tablet")}
    by_kind["kiosk"] = by_kind["desktop"][:1]
    agents = np.empty(len(kinds), dtype=object)
    names = np.asarray(kinds, dtype=object)
    for name, choices in by_kind.items():
        agents[names == name] = _pick_agents(rng, choices, int((names == name).sum()))

    total = len(kinds)
    fingerprint = tools.texts("fp_{:08d}", np.arange(total))
    colliding = rng.random(total) < COLLIDING_FINGERPRINTS
    # A common model with default settings: about a dozen devices share one fingerprint.
    models = rng.integers(0, max(1, int(colliding.sum()) // 12), total)
    fingerprint[colliding] = tools.texts("fp_m{:07d}", models[colliding])
    drifts = rng.random(total) < DRIFTING_FINGERPRINTS
    drift_at = np.where(drifts, rng.integers(start, end, total), -1)
    reset = (rng.random(total) < COOKIE_RESET_SHARE) & (owner >= 0)
    reset_at = np.where(reset, rng.integers(start, end, total), np.iinfo(np.int64).max)
    first_seen = start - rng.integers(1, 180 * 86_400, total) * tools.SECOND

    replaced = np.flatnonzero(reset)
    source = np.concatenate([np.arange(total), replaced])
    successor = np.full(total + len(replaced), -1)
    successor[replaced] = total + np.arange(len(replaced))
    seen = np.concatenate([first_seen, reset_at[replaced]])
    devices = pd.DataFrame(
        {
            "device_id": _device_ids(seed, np.arange(len(source)), seen),
            "owner": owner[source],
            "kind": names[source],
            "fingerprint_id": fingerprint[source],
            "drifted_fingerprint_id": tools.texts("fp_d{:07d}", source),
            "drifts_at": drift_at[source],
            "user_agent": [agents[i].text for i in source],
            "browser": [agents[i].browser for i in source],
            "operating_system": [agents[i].operating_system for i in source],
            "ip": _addresses(0, homes)[source],
        }
    )
    return Population(
        people=people,
        organisations=organisations,
        devices=devices,
        own_devices=own,
        successor=successor,
        reset_at=np.concatenate([reset_at, np.full(len(replaced), np.iinfo(np.int64).max)]),
        tablet=tablet,
        kiosks=kiosks,
        mobile_ip=_addresses(70_001, np.arange(count)),
    )


def _pick_agents(rng: np.random.Generator, choices: list, count: int) -> NDArray[np.object_]:
    pool = np.empty(len(choices), dtype=object)
    for position, choice in enumerate(choices):
        pool[position] = choice
    chances = np.array([choice.weight for choice in choices])
    return pool[rng.choice(len(choices), count, p=chances / chances.sum())]


def in_app_agents(rng: np.random.Generator, apps: tuple[str, ...], systems: NDArray[np.object_]) -> NDArray[np.object_]:
    """For each operating system the user agent text of one of ``apps`` on it; "" where the app is not on it."""
    result = np.full(len(systems), "", dtype=object)
    for system in ("iOS", "Android"):
        here = np.flatnonzero(systems == system)
        choices = [a for a in IN_APP if a.app in apps and a.operating_system == system]
        if choices and len(here):
            result[here] = [agent.text for agent in _pick_agents(rng, choices, len(here))]
    return result


def devices_for(
    population: Population, rng: np.random.Generator, person: NDArray[np.int64], at: NDArray[np.int64], mobile: NDArray
) -> NDArray[np.int64]:
    """The cookie (position in devices) each visit happens on: own, shared tablet or kiosk; ``mobile`` prefers phones."""
    own = population.own_devices[person]
    amount = (own >= 0).sum(axis=1)
    kinds = population.devices["kind"].to_numpy(dtype=object)
    favourite = np.minimum((rng.random(len(person)) ** 1.7 * amount).astype(np.int64), amount - 1)
    device = own[np.arange(len(person)), favourite]
    phone = np.where(kinds[own] == "mobile", own, -1).max(axis=1) if len(person) else device
    device = np.where(mobile & (phone >= 0) & (rng.random(len(person)) < 0.75), phone, device)
    tablet = population.tablet[person]
    device = np.where((tablet >= 0) & (rng.random(len(person)) < TABLET_SESSIONS), tablet, device)
    at_kiosk = rng.random(len(person)) < KIOSK_SESSIONS
    device = np.where(at_kiosk, population.kiosks[rng.integers(0, len(population.kiosks), len(person))], device)
    replaced = at >= population.reset_at[device]
    return np.where(replaced, population.successor[device], device)
