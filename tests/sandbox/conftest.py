"""A world of a few rows, written by hand, and a sandbox that serves it."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import jwt
import numpy as np
import pandas as pd
import pytest
import requests

from dlt_pipelines.sandbox.server import SandboxServer

SHOP = "https://shop.example"
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"


def _times(*texts: str | None) -> pd.Series:
    return pd.Series(np.array(texts, dtype="datetime64[us]"))


def _events() -> pd.DataFrame:
    # id, time, name, device, user, url, referrer, session, number, value
    rows: list[tuple[Any, ...]] = [
        ("e1", "2026-07-01 10:00:00", "session_start", "11.1", None, f"{SHOP}/?gclid=g1", None, 100, 1, None),
        ("e2", "2026-07-01 10:00:01", "page_view", "11.1", None, f"{SHOP}/?gclid=g1", None, 100, 1, None),
        ("e3", "2026-07-01 10:05:00", "purchase", "11.1", "u1", f"{SHOP}/done", f"{SHOP}/", 100, 1, 49.5),
        # 23:30 UTC is already the next day in the property's time zone.
        (
            "e4",
            "2026-07-01 23:30:00",
            "page_view",
            "22.2",
            None,
            f"{SHOP}/?utm_source=news&utm_medium=email&utm_campaign=july",
            None,
            200,
            1,
            None,
        ),
        ("e5", "2026-07-03 08:00:00", "page_view", "22.2", None, f"{SHOP}/a", "https://www.google.de/", 300, 2, None),
        ("e6", "2026-07-04 09:00:00", "page_view", "11.1", None, f"{SHOP}/b", None, 400, 2, None),
        ("e7", "2026-07-04 09:00:30", "sign_up", "11.1", "u1", f"{SHOP}/b", f"{SHOP}/b", 400, 2, None),
    ]
    names = "event_id occurred_at event_name device_id user_id page_url referrer ga_session_id ga_session_number value"
    frame = pd.DataFrame(rows, columns=names.split())
    frame["occurred_at"] = _times(*frame["occurred_at"])
    frame["value"] = frame["value"].astype("float64")
    return frame.assign(country="DE", is_bot=False, person_id="p1", user_agent="UA", ip="198.51.100.1")


def _ad_days() -> pd.DataFrame:
    rows = []
    for platform, account, currency in (("google_ads", "1234567890", "EUR"), ("meta_ads", "act_1001", "USD")):
        for day in ("2026-07-01", "2026-07-02", "2026-07-03", "2026-07-04"):
            for ad in (1, 2, 3):
                rows.append(
                    {
                        "platform": platform,
                        "date": day,
                        "account_id": account,
                        "campaign_id": "70" if ad < 3 else "71",
                        "campaign_name": "brand-de" if ad < 3 else "generic-de",
                        "channel_type": "SEARCH",
                        "ad_group_id": f"80{ad}",
                        "ad_group_name": f"group {ad}",
                        "ad_id": f"90{ad}",
                        "ad_name": f"ad {ad}",
                        "cost_micros": 1_230_000 * ad,
                        "clicks": ad,
                        "impressions": 100 * ad,
                        "conversions": 1.0 if ad == 1 else 0.0,
                        "conversions_value": 49.5 if ad == 1 else 0.0,
                        "currency": currency,
                    }
                )
        rows[-1] |= {"cost_micros": 0, "clicks": 0, "impressions": 0}
    frame = pd.DataFrame(rows)
    return frame.assign(date=pd.to_datetime(frame["date"]))


def _ad_clicks() -> pd.DataFrame:
    rows = [
        ("google_ads", "g1", "gclid", "2026-07-01 09:59:58", "70", "brand-de", "801", "901"),
        ("google_ads", "g2", "gclid", "2026-07-01 22:30:00", "71", "generic-de", "803", "903"),
        ("google_ads", "w1", "wbraid", "2026-07-02 09:00:00", "71", "generic-de", "803", "903"),
        ("meta_ads", "f1", "fbclid", "2026-07-02 09:00:00", "70", "brand-de", "801", "901"),
    ]
    names = "platform click_id click_id_type occurred_at campaign_id campaign_name ad_group_id ad_id"
    frame = pd.DataFrame(rows, columns=names.split())
    return frame.assign(occurred_at=_times(*frame["occurred_at"]), person_id="p1")


def _emails() -> tuple[pd.DataFrame, pd.DataFrame]:
    campaigns = pd.DataFrame(
        {
            "vendor": ["mailchimp", "mailchimp", "hubspot"],
            "campaign_id": ["mc1", "mc2", "118"],
            "list_id": ["l1", "l1", "l2"],
            "title": ["July", "August", "Launch"],
            "subject_line": ["News of July", "News of August", "We launch"],
            "sent_at": _times("2026-07-01 08:00", "2026-07-03 08:00", "2026-07-02 08:00"),
            "emails_sent": [3, 1, 1],
        }
    )
    rows = [
        ("mailchimp", "a1", "mc1", "Ada@post.example", "sent", "2026-07-01 08:00:01", None, False),
        ("mailchimp", "a2", "mc1", "bob@post.example", "sent", "2026-07-01 08:00:01", None, False),
        ("mailchimp", "a3", "mc1", "cem@post.example", "sent", "2026-07-01 08:00:01", None, False),
        ("mailchimp", "a4", "mc1", "Ada@post.example", "open", "2026-07-01 09:00:00", None, False),
        ("mailchimp", "a5", "mc1", "Ada@post.example", "click", "2026-07-03 09:00:00", f"{SHOP}/x", False),
        ("mailchimp", "a6", "mc1", "cem@post.example", "bounce", "2026-07-01 08:00:09", None, False),
        ("mailchimp", "a7", "mc2", "bob@post.example", "sent", "2026-07-03 08:00:01", None, False),
        ("hubspot", "h1", "118", "ada@corp.example", "sent", "2026-07-02 08:00:01", None, False),
        ("hubspot", "h2", "118", "ada@corp.example", "open", "2026-07-02 08:00:02", None, True),
        ("hubspot", "h3", "118", "ada@corp.example", "click", "2026-07-02 10:00:00", f"{SHOP}/x", False),
    ]
    names = "vendor activity_id campaign_id email action occurred_at url is_bot"
    activity = pd.DataFrame(rows, columns=names.split())
    activity = activity.assign(
        occurred_at=_times(*activity["occurred_at"]), ip="198.51.100.7", list_id="l1", person_id="p1"
    )
    return campaigns, activity


def _crm() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    number = range(1, 6)
    contacts = pd.DataFrame(
        {
            "contact_id": [str(400 + n) for n in number],
            "person_id": ["p1", *(f"p{n}" for n in range(2, 6))],
            "email": [f"person{n}@corp.example" for n in number],
            "created_at": _times(*["2026-07-01 10:00:00.123456"] * 5),
            "updated_at": _times(*[f"2026-07-0{n} 12:00:00.123456" for n in (1, 2, 3, 4, 4)]),
            "lifecyclestage": ["lead", "lead", "customer", "lead", "lead"],
            "customer_source": ["a podcast", None, None, None, None],
            "user_id": ["u1", None, None, None, None],
            "organisation_id": ["o1"] * 5,
            "hs_analytics_source": ["PAID_SEARCH", *["DIRECT_TRAFFIC"] * 4],
            "hs_google_click_id": ["g1", None, None, None, None],
            "first_url": [f"{SHOP}/"] * 5,
            "archived": [False, False, False, False, True],
        }
    )
    deals = pd.DataFrame(
        {
            "deal_id": ["9001", "9002"],
            "name": ["Corp / o1", "Corp / o2"],
            "pipeline": ["default"] * 2,
            "dealstage": ["closedwon", "qualified"],
            "amount": ["60000.00", None],
            "currency": ["EUR", "EUR"],
            "created_at": _times("2026-07-01 10:00", "2026-07-02 10:00"),
            "close_at": _times("2026-07-04 10:00", None),
            "updated_at": _times("2026-07-04 10:00", "2026-07-02 10:00"),
            "contact_ids": [["401", "402"], []],
            "product": ["team", None],
            "archived": [False, False],
        }
    )
    stages = pd.DataFrame(
        {
            "pipeline_id": ["default"] * 2,
            "stage_id": ["qualified", "closedwon"],
            "label": ["Qualified", "Won"],
            "display_order": [0, 1],
            "probability": [0.4, 1.0],
            "is_closed": [False, True],
            "is_won": [False, True],
        }
    )
    return contacts, deals, stages


@pytest.fixture(scope="session")
def tiny_world() -> Any:
    """Four days, two devices, four sessions, three ads, two newsletters, five contacts, two deals."""
    campaigns, activity = _emails()
    contacts, deals, stages = _crm()
    return SimpleNamespace(
        people=pd.DataFrame({"person_id": ["p1"], "first_name": ["Ada"], "last_name": ["Roy"], "phone": [None]}),
        devices=pd.DataFrame(
            {
                "device_id": ["11.1", "22.2"],
                "kind": ["desktop", "mobile"],
                "browser": ["Firefox", "Chrome"],
                "operating_system": ["Linux", "Android"],
            }
        ),
        events=_events(),
        ad_days=_ad_days(),
        ad_clicks=_ad_clicks(),
        email_campaigns=campaigns,
        email_activity=activity,
        contacts=contacts,
        deals=deals,
        deal_stages=stages,
    )


@pytest.fixture(scope="session")
def running_sandbox(tiny_world: Any) -> Iterator[SandboxServer]:
    with SandboxServer(tiny_world) as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox: SandboxServer) -> Iterator[SandboxServer]:
    """The running sandbox with no fault on and an empty request log."""
    running_sandbox.faults.clear()
    running_sandbox.requests.clear()
    yield running_sandbox
    running_sandbox.faults.clear()


@pytest.fixture
def assertion(sandbox: SandboxServer) -> Callable[..., str]:
    """Signs a service-account assertion; claims may be overridden. Google checks times against its own clock."""

    def sign(**claims: Any) -> str:
        key = json.loads(sandbox.credentials()["GA4_CREDENTIALS_JSON"])
        now = int(pd.Timestamp.now("UTC").timestamp())
        content = {
            "iss": key["client_email"],
            "scope": SCOPE,
            "aud": key["token_uri"],
            "iat": now,
            "exp": now + 3600,
            **claims,
        }
        return jwt.encode(content, key["private_key"], algorithm="RS256", headers={"kid": key["private_key_id"]})

    return sign


@pytest.fixture
def token_reply(sandbox: SandboxServer) -> Callable[..., requests.Response]:
    """Asks the token endpoint."""
    return lambda **form: requests.post(sandbox.token_url, data=form, timeout=10)


@pytest.fixture
def ga4_token(assertion: Callable[..., str], token_reply: Callable[..., requests.Response]) -> Callable[[], str]:
    """A fresh access token for GA4."""
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return lambda: token_reply(grant_type=grant, assertion=assertion()).json()["access_token"]


@pytest.fixture
def ads_token(sandbox: SandboxServer, token_reply: Callable[..., requests.Response]) -> Callable[[], str]:
    """A fresh access token for Google Ads."""
    known = sandbox.credentials()
    return lambda: token_reply(
        grant_type="refresh_token",
        client_id=known["GOOGLE_ADS_CLIENT_ID"],
        client_secret=known["GOOGLE_ADS_CLIENT_SECRET"],
        refresh_token=known["GOOGLE_ADS_REFRESH_TOKEN"],
    ).json()["access_token"]
