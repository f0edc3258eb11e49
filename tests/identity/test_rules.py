"""Each tier and each refusal on a case a person can follow, the manual table, and what a second run with other edges says."""

from typing import Any

import pandas as pd
import pytest

from tests.identity.project import IdentityProject

DAY = pd.Timestamp("2026-03-01")


def at(days: float) -> pd.Timestamp:
    return DAY + pd.Timedelta(days=days)


def event(device: str | None, days: float, name: str = "page_view", **more: Any) -> dict[str, Any]:
    return {"device_id": device, "occurred_at": at(days), "event_name": name, "source": "ga4", **more}


def account(user: str, email: str | None, verified: bool = True) -> dict[str, Any]:
    when = at(0)
    return {
        "user_id": user,
        "email_hash": email,
        "is_email_verified": verified,
        "created_at": when,
        "updated_at": when,
    }


USERS = [
    *(account(f"u{n}", f"mail{n}") for n in range(1, 13)),
    account("twin1", "twins"),
    account("twin2", "twins"),
    account("loose", "loosemail", verified=False),
    account("claim1", "claimed", verified=False),
    account("claim2", "claimed", verified=True),
    *(account(f"guest{n}", None) for n in range(7)),
]
EVENTS = [
    # cookie of a single user, with an anonymous past
    event("own", 0),
    event("own", 5, "login", user_id="u1"),
    # household tablet: u2, then u3 after a logout
    event("tablet", 0),
    event("tablet", 1, "login", user_id="u2"),
    event("tablet", 1.01, "logout"),
    event("tablet", 2, "login", user_id="u3"),
    event("tablet", 2.01),
    # kiosk of seven, one a day
    *(event("kiosk", n, "login", user_id=f"guest{n}") for n in range(7)),
    # two strangers between two of them, one of whom looks at two pages
    *(event("kiosk", 3 + hours / 24) for hours in (9, 9.1, 17)),
    # one click id on two devices within half an hour
    event("in_app", 3, gclid="g1"),
    event("browser", 3.01, gclid="g1"),
    event("browser", 3.02, "login", user_id="u4"),
    event("in_app_late", 3, gclid="g2"),
    event("browser", 3.5, gclid="g2"),
    # a click id that is not of one click, and one that a CRM's form captured
    *(event(f"shared_link{n}", 3, gclid="g3") for n in range(3)),
    event("ad_click", 3, gclid="g4"),
    # an address in a form
    event("form", 4, "generate_lead", email_hash="mail5"),
    event("two_forms", 4, "generate_lead", email_hash="mail5"),
    event("two_forms", 5, "generate_lead", email_hash="mail6"),
    # fingerprints: f1 of u7 alone, f2 of two users, f3 out of sight for too long, f4 beside another, f5 on too many
    event("known", 0, "login", user_id="u7", fingerprint_id="f1"),
    event("same_machine", 40, fingerprint_id="f1"),
    event("chain", 110, fingerprint_id="f1"),
    event("a2", 0, "login", user_id="u8", fingerprint_id="f2"),
    event("b2", 1, "login", user_id="u9", fingerprint_id="f2"),
    event("c2", 2, fingerprint_id="f2"),
    event("a3", 0, "login", user_id="u8", fingerprint_id="f3"),
    event("late", 130, fingerprint_id="f3"),
    event("a4", 0, "login", user_id="u8", fingerprint_id="f4"),
    event("a4", 20, fingerprint_id="f4"),
    event("beside", 10, fingerprint_id="f4"),
    event("beside_too", 12, fingerprint_id="f4"),
    event("a5", 0, "login", user_id="u8", fingerprint_id="f5"),
    *(event(f"crowd{n}", 1 + n, fingerprint_id="f5") for n in range(6)),
    # a machine whose fingerprint changes while it keeps a cookie, and one whose cookie says it is somebody else's
    event("machine", 0, "login", user_id="u10", fingerprint_id="f7"),
    event("kept", 20, fingerprint_id="f7"),
    event("kept", 25, fingerprint_id="f8"),
    event("updated", 50, fingerprint_id="f8"),
    event("a9", 0, "login", user_id="u11", fingerprint_id="f9"),
    event("handed_on", 20, "generate_lead", email_hash="mail10", fingerprint_id="f9"),
    event("handed_on", 25, fingerprint_id="f10"),
    event("after_it", 50, fingerprint_id="f10"),
    # sign-ups that reached the server without a cookie: one landing each, and one with two
    event(None, 7, "sign_up", user_id="u9", ip_hash="i1", user_agent_hash="b1"),
    event("landed", 6.99, ip_hash="i1", user_agent_hash="b1"),
    event("landed_early", 6.9, ip_hash="i1", user_agent_hash="b1"),
    event(None, 7, "sign_up", user_id="u8", ip_hash="i2", user_agent_hash="b1"),
    *(event(f"office{n}", 6.99, ip_hash="i2", user_agent_hash="b1") for n in range(2)),
    # address and fingerprint name different persons
    event("a6", 0, "login", user_id="u8", fingerprint_id="f6"),
    event("torn", 3, "generate_lead", email_hash="mail9", fingerprint_id="f6"),
    # two addresses from one machine, and two from a fingerprint on four
    event("one_form", 0, "generate_lead", email_hash="mail5", fingerprint_id="f11"),
    event("other_form", 9, "generate_lead", email_hash="mail6", fingerprint_id="f11"),
    event("common_form", 0, "generate_lead", email_hash="mail5", fingerprint_id="f12"),
    event("popular_form", 1, "generate_lead", email_hash="mail6", fingerprint_id="f12"),
    *(event(f"common{n}", 2 + n, fingerprint_id="f12") for n in range(2)),
    # placeholders
    event("NULL", 0, "login", user_id="u1"),
    event("00000000-0000", 0, "login", user_id="u1"),
    event("placed", 0, "login", user_id="undefined"),
    # a vendor's merge
    event("merged", 0),
    event("torn_merge", 0),
    event("other_merge", 0),
]
CONTACTS = [
    {"contact_id": "one_to_one", "user_id": "u1", "email_hash": None, "created_at": at(0)},
    {"contact_id": "first_of_two", "user_id": "u2", "email_hash": None, "created_at": at(0)},
    {"contact_id": "second_of_two", "user_id": "u2", "email_hash": "mail2", "created_at": at(0)},
    {"contact_id": "by_mail", "user_id": None, "email_hash": "mail3", "created_at": at(0)},
    {"contact_id": "stranger", "user_id": None, "email_hash": "nobody", "created_at": at(0)},
]
CRM = [
    {
        "source": "crm",
        "contact_id": "captured",
        "user_id": "u12",
        "gclid": "g4",
        "is_primary_crm": True,
        "is_archived": False,
        "created_at": at(0),
        "updated_at": at(0),
    }
]
MERGES = [
    {"source": "vendor", "device_id": "merged", "user_id": "u1", "merged_at": at(1)},
    {"source": "vendor", "device_id": "torn_merge", "user_id": "u1", "merged_at": at(1)},
    {"source": "vendor", "device_id": "torn_merge", "user_id": "u2", "merged_at": at(1)},
]
MANUAL = [
    {
        "action": "include",
        "identifier_type": "device_id",
        "identifier": "c2",
        "target_type": "user_id",
        "target": "u9",
    },
    {
        "action": "exclude",
        "identifier_type": "device_id",
        "identifier": "same_machine",
        "target_type": "user_id",
        "target": "u7",
    },
    # Written the other way round, and against a login and a contact's own user id.
    {
        "action": "include",
        "identifier_type": "user_id",
        "identifier": "u6",
        "target_type": "contact_id",
        "target": "one_to_one",
    },
    {
        "action": "exclude",
        "identifier_type": "email_hash",
        "identifier": "loosemail",
        "target_type": "user_id",
        "target": "loose",
    },
]


def world(**changed: Any) -> dict[str, Any]:
    events = pd.DataFrame(EVENTS)
    events["event_id"] = [f"e{n:03d}" for n in range(len(events))]
    tables = {
        "int_events__unified": events,
        "stg_backend__users": USERS,
        "stg_files__contacts": CONTACTS,
        "int_crm__contacts": CRM,
        "int_identity__vendor_merges": MERGES,
    }
    return {**tables, **changed}


def resolution(project: IdentityProject) -> pd.DataFrame:
    return project.query("select * from intermediate.int_identity__resolution")


def person(found: pd.DataFrame, kind: str, identifier: str, days: float = 60) -> tuple[str, str]:
    """Person and tier of an identifier at a moment."""
    rows = found[(found["identifier_type"] == kind) & (found["identifier"] == identifier)]
    now = rows[(rows["valid_from"] <= at(days)) & (rows["valid_to"].isna() | (at(days) < rows["valid_to"]))]
    assert len(now) == 1, rows
    return str(now["canonical_user_id"].iloc[0]), str(now["match_tier"].iloc[0])


def refusals(project: IdentityProject) -> set[tuple[str, str]]:
    audit = project.query("select identifier, refusal_reason from intermediate.int_identity__cardinality_audit")
    return set(audit.itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def first(project: IdentityProject) -> pd.DataFrame:
    """Everything by the rules alone, with the audit beside it."""
    project.fill(world())
    project.build()
    found = resolution(project)
    found.attrs["refusals"] = refusals(project)
    found.attrs["graph"] = project.query("select * from intermediate.int_identity__device_graph")
    found.attrs["audit"] = project.query("select * from intermediate.int_identity__cardinality_audit")
    return found


@pytest.mark.parametrize(
    ("kind", "identifier", "days", "expected"),
    [
        ("user_id", "u1", 60, ("u1", "strong_id")),
        ("device_id", "merged", 60, ("u1", "vendor_merge")),
        ("contact_id", "one_to_one", 60, ("u1", "external_id")),
        ("email_hash", "mail1", 60, ("u1", "verified_email")),
        ("email_hash", "claimed", 60, ("claim2", "verified_email")),
        ("email_hash", "loosemail", 60, ("loose", "email_only")),
        ("contact_id", "by_mail", 60, ("u3", "email_only")),
        ("device_id", "own", -1, ("u1", "cookie_single_user")),
        ("device_id", "own", 60, ("u1", "cookie_single_user")),
        ("device_id", "tablet", 0, ("device:tablet", "unresolved_analytics")),
        ("device_id", "tablet", 1.005, ("u2", "cookie_interval")),
        ("device_id", "tablet", 1.5, ("device:tablet", "unresolved_analytics")),
        ("device_id", "tablet", 2.2, ("u3", "cookie_interval")),
        ("device_id", "kiosk", 3.001, ("guest3", "cookie_interval")),
        ("device_id", "in_app", 60, ("u4", "click_token")),
        ("device_id", "in_app_late", 60, ("device:in_app_late", "unresolved_analytics")),
        ("device_id", "shared_link0", 60, ("device:shared_link0", "unresolved_analytics")),
        ("device_id", "ad_click", 60, ("u12", "click_token")),
        ("device_id", "form", 60, ("u5", "email_only")),
        ("device_id", "same_machine", 60, ("u7", "device_graph")),
        ("device_id", "chain", 60, ("u7", "device_graph")),
        ("device_id", "popular_form", 60, ("u6", "email_only")),
        ("device_id", "kept", 60, ("u10", "device_graph")),
        ("device_id", "updated", 60, ("u10", "device_graph")),
        ("device_id", "after_it", 60, ("device:after_it", "unresolved_analytics")),
        ("device_id", "landed", 60, ("device:landed", "unresolved_analytics")),
        ("device_id", "NULL", 60, ("blocked:device_id:NULL", "blocked")),
        ("contact_id", "stranger", 60, ("email:nobody", "email_only")),
    ],
)
def test_every_tier_has_its_case(first, kind, identifier, days, expected):
    assert person(first, kind, identifier, days) == expected


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("two_forms", "device_has_several_emails"),
        ("gclid:g2", "click_token_sightings_too_far_apart"),
        ("gclid:g3", "click_token_on_several_identifiers"),
        ("f2", "fingerprint_has_several_users"),
        ("late", "sightings_over_120_days_apart"),
        ("f4", "fingerprint_on_devices_at_once"),
        ("f5", "fingerprint_on_too_many_devices"),
        ("torn", "fingerprint_says_another_person"),
        ("torn", "email_says_another_person"),
        ("one_form", "addresses_on_fingerprint_differ"),
        ("other_form", "addresses_on_fingerprint_differ"),
        ("twins", "email_verified_by_several_users"),
        ("claimed", "email_verified_by_another_user"),
        ("first_of_two", "user_has_several_contacts"),
        ("torn_merge", "merged_into_several_users"),
        ("NULL", "blocked_value"),
        ("00000000-0000", "blocked_value"),
        ("placed", "blocked_value"),
    ],
)
def test_what_is_refused_says_why_and_stays_alone(first, identifier, reason):
    assert (identifier, reason) in first.attrs["refusals"]
    rows = first[(first["identifier"] == identifier) & first["identifier_type"].isin(["device_id"])]
    assert rows["match_tier"].isin(["unresolved_analytics", "unresolved_backend", "blocked"]).all()


def test_the_audit_explains_every_refused_edge(first):
    graph, audit = first.attrs["graph"], first.attrs["audit"]
    assert len(audit) == graph["is_refused"].sum() > 15
    assert audit["explanation"].str.len().min() > 20
    assert (graph["refusal_reason"].notna() == graph["is_refused"]).all()


def test_strangers_on_a_kiosk_are_not_one_person(first):
    gaps = first[(first["identifier"] == "kiosk") & (first["match_tier"] == "unresolved_analytics")]
    assert len(gaps) >= 7
    assert gaps["canonical_user_id"].is_unique
    early, same, late = (person(first, "device_id", "kiosk", 3 + hours / 24)[0] for hours in (9, 9.1, 17))
    assert early == same != late


def test_every_row_carries_its_evidence(first):
    accepted = first[~first["match_tier"].isin(["unresolved_analytics", "unresolved_backend", "blocked"])]
    assert (accepted["evidence_count"] >= 1).all()
    assert first["rule_version"].nunique() == 1
    assert first["valid_from"].notna().all()
    ends = first["valid_to"].notna()
    assert (first.loc[ends, "match_tier"].isin(["cookie_interval", "unresolved_analytics"])).all()


def test_the_manual_table_has_the_last_word(project, first):
    project.fill(world(identity_overrides=MANUAL))
    project.build()
    found = resolution(project)
    assert person(found, "device_id", "c2") == ("u9", "manual_override")
    assert person(found, "device_id", "same_machine") == ("device:same_machine", "unresolved_analytics")
    assert person(found, "contact_id", "one_to_one") == ("u6", "manual_override")
    assert person(found, "email_hash", "loosemail") == ("email:loosemail", "unresolved_backend")
    assert {
        ("same_machine", "excluded_by_override"),
        ("one_to_one", "settled_by_override"),
        ("loosemail", "excluded_by_override"),
    } <= refusals(project)


def test_manual_rows_that_contradict_each_other_stop_the_run(project, first):
    def row(action: str, target: str) -> dict[str, str]:
        return {
            "action": action,
            "identifier_type": "email_hash",
            "identifier": "loosemail",
            "target_type": "user_id",
            "target": target,
        }

    for rows in ([row("include", "u7"), row("include", "u9")], [row("include", "u7"), row("exclude", "u7")]):
        project.fill(world(identity_overrides=rows))
        with pytest.raises(AssertionError, match="assert_overrides_do_not_contradict"):
            project.build()


def test_the_ip_window_is_off_until_asked_for(project, first):
    project.fill(world())
    project.build(identity_ip_window_enabled=True)
    found = resolution(project)
    assert person(found, "device_id", "landed") == ("u9", "ip_ua_window")
    for device in ("landed_early", "office0", "office1"):
        assert person(found, "device_id", device) == (f"device:{device}", "unresolved_analytics")
    assert {("office0", "landing_not_unique"), ("office1", "landing_not_unique")} <= refusals(project)
    before, after = (
        rows[rows["identifier"] != "landed"]
        .sort_values(["identifier_type", "identifier", "valid_from"], ignore_index=True)
        .drop(columns="rule_version")
        for rows in (first, found)
    )
    pd.testing.assert_frame_equal(before, after, check_dtype=False)


def test_a_removed_edge_separates_and_the_rest_keeps_its_ids(project, first):
    events = world()["int_events__unified"]
    gone = events[~((events["device_id"] == "known") | (events["device_id"] == "browser"))]
    project.fill(world(int_events__unified=gone, stg_files__contacts=CONTACTS[1:]))
    project.build()
    found = resolution(project)
    assert person(found, "device_id", "same_machine") == ("device:same_machine", "unresolved_analytics")
    assert person(found, "device_id", "in_app") == ("device:in_app", "unresolved_analytics")
    keys = ["identifier_type", "identifier", "valid_from"]
    both = first.merge(found, on=keys, suffixes=("", "_now"))
    changed = both[both["canonical_user_id"] != both["canonical_user_id_now"]]
    assert set(changed["identifier"]) == {"same_machine", "chain", "in_app"}
