"""What must hold in every world: two hundred small random ones in one build, each beside variants of itself that may change
nothing. A variant has the same names behind another prefix, so that a world is compared with its twin row by row."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.identity.project import IdentityProject

WORLDS = 200
START = pd.Timestamp("2026-01-01")
USERS, DEVICES, FINGERPRINTS, EVENTS = 4, 9, 6, 30
WEAK = ["fingerprint_id", "gclid", "email_hash"]
STRONGEST_WEAK_TIER = 7
ROW = ["identifier_type", "identifier", "canonical_user_id", "match_tier", "evidence_count", "valid_from", "valid_to"]


def draw(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """One world: events, accounts, contacts and vendor merges, names without a prefix."""

    def some(kind: str, count: int, share: float) -> list[str | None]:
        return [f"{kind}{rng.integers(count)}" if rng.random() < share else None for _ in range(EVENTS)]

    events = pd.DataFrame(
        {
            "event_id": [f"e{n:02d}" for n in range(EVENTS)],
            "device_id": [f"d{rng.integers(DEVICES)}" for _ in range(EVENTS)],
            "user_id": some("u", USERS, 0.2),
            "email_hash": some("m", USERS + 2, 0.12),
            "fingerprint_id": some("f", FINGERPRINTS, 0.6),
            "gclid": some("g", 5, 0.15),
            "event_name": rng.choice(["page_view", "login", "logout"], EVENTS, p=[0.8, 0.12, 0.08]),
            # Few distinct moments, so that ties happen.
            "occurred_at": START + pd.to_timedelta(rng.integers(0, 400, EVENTS) * 6, unit="h"),
            "source": "ga4",
        }
    )
    # A click id joins what shows it within half an hour.
    clicked = events["gclid"].notna()
    events.loc[clicked, "occurred_at"] = START + pd.to_timedelta(
        events["gclid"][clicked].str[1:].astype(int) * 20, unit="D"
    )
    accounts = pd.DataFrame(
        [
            {
                "user_id": f"u{n}",
                "email_hash": f"m{n if rng.random() < 0.8 else 0}",
                "is_email_verified": rng.random() < 0.6,
            }
            for n in range(USERS)
        ]
    ).assign(created_at=START, updated_at=START)
    contacts = pd.DataFrame(
        [
            {
                "contact_id": f"c{n}",
                "user_id": f"u{rng.integers(USERS)}" if rng.random() < 0.5 else None,
                "email_hash": f"m{rng.integers(USERS + 2)}" if rng.random() < 0.7 else None,
                "created_at": START,
            }
            for n in range(3)
        ]
    )
    merged = {"source": "vendor", "device_id": rng.choice(events["device_id"]), "user_id": f"u{rng.integers(USERS)}"}
    merges = pd.DataFrame([{**merged, "merged_at": START}])
    return {
        "int_events__unified": events,
        "stg_backend__users": accounts,
        "stg_files__contacts": contacts,
        "int_identity__vendor_merges": merges,
    }


def named(tables: dict[str, pd.DataFrame], prefix: str) -> dict[str, pd.DataFrame]:
    kinds = ("event_id", "device_id", "user_id", "email_hash", "fingerprint_id", "gclid", "contact_id")
    return {
        name: table.assign(**{kind: prefix + table[kind] for kind in kinds if kind in table})
        for name, table in tables.items()
    }


def with_stranger(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same with a device more, whose user, address and fingerprint nobody else has."""
    theirs: dict[str, Any] = {"device_id": "dx", "fingerprint_id": "fx", "event_name": "login", "source": "ga4"}
    visits = [
        {**theirs, "event_id": "ex1", "occurred_at": START, "user_id": "ux", "email_hash": "mx"},
        {**theirs, "event_id": "ex2", "occurred_at": START + pd.Timedelta(days=3), "gclid": "gx"},
    ]
    return {**tables, "int_events__unified": pd.concat([tables["int_events__unified"], pd.DataFrame(visits)])}


def without_weak_evidence(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {**tables, "int_events__unified": tables["int_events__unified"].assign(**dict.fromkeys(WEAK))}


@pytest.fixture(scope="module")
def worlds(project: IdentityProject) -> dict[str, pd.DataFrame]:
    """Resolution of each variant over all worlds, names without the variant, and the edges behind the plain one."""
    rng = np.random.default_rng(20261121)
    gathered: dict[str, list[pd.DataFrame]] = {}
    for n in range(WORLDS):
        world = draw(rng)
        shuffled = {name: table.sample(frac=1, random_state=n) for name, table in world.items()}
        variants = {
            "plain": world,
            "shuffled": shuffled,
            "stranger": with_stranger(world),
            "strong": without_weak_evidence(world),
        }
        for variant, tables in variants.items():
            for name, table in named(tables, f"w{n:03d}{variant}.").items():
                gathered.setdefault(name, []).append(table)
    project.fill({name: pd.concat(tables, ignore_index=True) for name, tables in gathered.items()})
    project.build()
    resolution = project.query("select * from intermediate.int_identity__resolution")
    graph = project.query(
        """select graph.*, tiers.tier_rank from intermediate.int_identity__device_graph as graph
        inner join (select distinct match_tier as tier, match_tier_rank as tier_rank
            from intermediate.int_identity__resolution) as tiers using (tier)"""
    )
    found = {}
    for variant in ("plain", "shuffled", "stranger", "strong"):
        rows = resolution[resolution["identifier"].str.contains(f"{variant}.", regex=False)]
        assert len(rows) > WORLDS * DEVICES
        bare = rows.assign(
            **{
                column: rows[column].str.replace(f"{variant}.", ".", regex=False)
                for column in ("identifier", "canonical_user_id")
            }
        )
        found[variant] = bare.sort_values(["identifier_type", "identifier", "valid_from"], ignore_index=True)
    found["graph"] = graph[graph["identifier"].str.contains("plain.", regex=False)]
    return found


def test_the_worlds_show_every_rule_they_can(worlds):
    seen = set(worlds["plain"]["match_tier"])
    assert {
        "strong_id",
        "vendor_merge",
        "external_id",
        "verified_email",
        "cookie_single_user",
        "cookie_interval",
        "click_token",
        "email_only",
        "device_graph",
        "unresolved_analytics",
    } <= seen


def test_the_order_of_rows_changes_nothing(worlds):
    pd.testing.assert_frame_equal(worlds["plain"][ROW], worlds["shuffled"][ROW])


def test_an_unrelated_device_changes_no_other_person(worlds):
    others = worlds["stranger"][~worlds["stranger"]["identifier"].str.endswith("x")]
    pd.testing.assert_frame_equal(worlds["plain"][ROW], others[ROW].reset_index(drop=True))


def test_weaker_evidence_never_overwrites_a_stronger_tier(worlds):
    plain, strong = (
        rows[(rows["identifier_type"] == "device_id") & (rows["match_tier_rank"] < STRONGEST_WEAK_TIER)]
        for rows in (worlds["plain"], worlds["strong"])
    )
    assert len(plain) > WORLDS
    pd.testing.assert_frame_equal(plain[ROW].reset_index(drop=True), strong[ROW].reset_index(drop=True))


def test_the_strongest_accepted_edge_decides(worlds):
    accepted = worlds["graph"][~worlds["graph"]["is_refused"] & (worlds["graph"]["identifier_type"] == "device_id")]
    best = accepted.assign(identifier=accepted["identifier"].str.replace("plain.", ".", regex=False))
    best = best.groupby("identifier")["tier_rank"].min()
    devices = worlds["plain"][worlds["plain"]["identifier_type"] == "device_id"]
    decided = devices.groupby("identifier")["match_tier_rank"].min()
    assert (decided.reindex(best.index) == best).all()


def test_no_person_has_two_users(worlds):
    for variant in ("plain", "stranger", "strong"):
        users = worlds[variant][worlds[variant]["identifier_type"] == "user_id"]
        assert users.groupby("canonical_user_id")["identifier"].nunique().max() == 1
