"""Bots, in-app browsers and devices. The agents of people and machines below are our own sample, not a published list."""

import hashlib

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.channel_sql import ChannelMacros
from attribution_platform.user_agents import COLUMN_TYPES, parse_user_agents
from tests.channels.adjudication import DECIDED_APPS

KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
CHROME = f"{KIT} Chrome/138.0.0.0 Safari/537.36"
PHONE = f"{KIT} Chrome/138.0.0.0 Mobile Safari/537.36"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"

PEOPLE = {
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME}": "desktop",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Edg/138.0.0.0": "desktop",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0": "desktop",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Version/18.5 Safari/605.1.15": "desktop",
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME}": "desktop",
    f"Mozilla/5.0 (Linux; Android 10; K) {PHONE}": "mobile",
    f"Mozilla/5.0 (Linux; Android 13; CUBOT KINGKONG 9) {PHONE}": "mobile",
    f"Mozilla/5.0 (Linux; Android 9; Cubot_P20 Build/PPR1.180610.011) {PHONE}": "mobile",
    f"Mozilla/5.0 (Linux; Android 12; moto g(50) 5G Build/S1RSS32.38-20-9-13; wv) {PHONE} CamScanner/4.5.0": "mobile",
    "Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0": "mobile",
    f"{IPHONE} Version/18.6 Mobile/15E148 Safari/604.1": "mobile",
    f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {SAFARI} Version/17.6 Mobile/15E148 Safari/604.1": "tablet",
    f"Mozilla/5.0 (Linux; Android 14; SM-X616B) {CHROME}": "tablet",
    f"Mozilla/5.0 (Linux; Android 9; AFTSSS Build/PS7234) {PHONE}": "other",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18": "desktop",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; .NET CLR 2.0.50727)": "desktop",
    f"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 650) {PHONE} Edge/15.15063": "mobile",
}  # fmt: skip
# What the SQL stand-in need not know: keypad phones, televisions, watches, phones with a robot's name.
RARE = {
    f"Mozilla/5.0 (Linux; Android 12; M Bot 90 PRO) {PHONE}": "mobile",
    f"Mozilla/5.0 (Linux; Android 11; de-de; GLX Spider2) {PHONE}": "mobile",
    "Mozilla/5.0 (Phone; OpenHarmony 5.1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 ArkWeb/5.1.0.7 Mobile": "mobile",
    "LG-F2410 UP.Browser/6.2.3 (GUI) MMP/2.0": "other",
    "EXPLAY-B240 (MRE/3.1.00;MAUI/B240_S117;LCD/240320;WAP Browser/MAUI (HTTP PGDL;HTTPS)": "other",
    "HbbTV/1.5.1 (+DRM;Sample;TV55Q;2.001;0001;wired)": "other",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} InspectBrowser/3.1": "desktop",
    f"Mozilla/5.0 (X11; Linux x86_64) {KIT} Chrome/120.0 Not_A Brand/8 Safari/537.36": "desktop",
    "atc/1.0 watchOS/10.4 model/Watch6,14 hwp/t8301 build/21T216 (6; dt:300)": "other",
}  # fmt: skip
MACHINES = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {PHONE} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"Mozilla/5.0 {KIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "WhatsApp/2.23.20.0",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    f"Mozilla/5.0 (X11; Linux x86_64) {KIT} HeadlessChrome/138.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "okhttp/4.12.0",
    "Java/17.0.2",
    "node",
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible)",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} somebody@example.com",
    "Mozilla/5.0 (Windows; U; Windows NT 5.1) W3C_Validator/1.3",
    "Feedfetcher-Google; (+http://www.google.com/feedfetcher.html; 1 subscribers)",
    "ExampleReader 1.0",
    f"Mozilla/5.0 (Linux; Android 9; Pixel 3; SampleBot/1.0) {PHONE}",
    f"Mozilla/5.0 (Linux; Android 4.4; Catchpoint) {PHONE}",
    f"Mozilla/5.0 {KIT}; compatible; Sample-User/0.1) Chrome/119.0.6045.214 Safari/537.36",
)


@pytest.mark.parametrize(("agent", "device"), [*PEOPLE.items(), *RARE.items()])
def test_people_are_not_bots_and_have_their_device(agent, device):
    row = parse_user_agents([agent]).iloc[0]
    assert (row["is_bot"], row["device_type"]) == (False, device)


@pytest.mark.parametrize("agent", MACHINES)
def test_machines_are_bots(agent):
    row = parse_user_agents([agent]).iloc[0]
    assert (row["is_bot"], row["device_type"], row["is_in_app_browser"]) == (True, "bot", False)


def test_published_in_app_browsers(cases):
    published = cases("inapp_spy_cases.csv")
    assert len(published) == 84
    # One agent is filed twice, under two apps; parsing is per distinct text.
    parsed = parse_user_agents(published["user_agent"]).set_index("user_agent")
    assert not published["user_agent"].map(parsed["is_bot"]).any()
    names = published["app"].str.lower().replace({"gsa": "google"}).where(published["section"] == "inapp", "none")
    expected = published["case_id"].map({case: app for case, (app, _) in DECIDED_APPS.items()}).fillna(names)
    app = published["user_agent"].map(parsed["in_app_browser"]).fillna("none")
    assert dict(zip(published["case_id"], app, strict=True)) == dict(zip(published["case_id"], expected, strict=True))
    assert ((app != "none") == (published["section"] == "inapp")).mean() >= 0.97
    assert (app != "none")[published["section"] == "inapp"].mean() >= 0.95


@pytest.mark.parametrize(
    ("agent", "app"),
    [
        # WebView of Android 4.4, which has no `wv` yet, and of today
        (
            f"Mozilla/5.0 (Linux; Android 4.4.2; GT-I9505) {KIT} Version/4.0 Chrome/30.0.0.0 Mobile Safari/537.36",
            "webview",
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) {KIT} Version/4.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            "webview",
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KIT} Notes/4.2.0 Chrome/116.0.0.0 Electron/26.6.1 Safari/537.36",
            "webview",
        ),
        (f"{IPHONE} Mobile/15E148", "webview"),
        (f"{IPHONE} Mobile/15E148 LinkedInApp/9.30", "linkedin"),
        # whole browsers on the same engine say who they are
        (
            f"Mozilla/5.0 (Linux; U; Android 14; SM-A546B; wv) {KIT} Version/4.0 Chrome/128.0 Mobile Safari/537.36 OPR/83.1",
            None,
        ),
        (
            f"Mozilla/5.0 (Linux; Android 13; V2145; wv) {KIT} Version/4.0 Chrome/87.0 Mobile Safari/537.36 VivoBrowser/12.4",
            None,
        ),
        (f"Mozilla/5.0 (Linux; Android 10; K) {PHONE}", None),
        (f"{IPHONE} CriOS/138.0 Mobile/15E148 Safari/604.1", None),
    ],
)
def test_views_inside_apps_are_told_from_browsers_built_on_them(agent, app):
    row = parse_user_agents([agent]).iloc[0]
    assert (row["is_bot"], row["in_app_browser"]) == (False, app)


def test_the_frame_has_one_row_a_text_with_its_md5():
    agents = [None, "", "curl/8", "Mozilla/5.0 (X11; Linux x86_64) Ünïcode", "curl/8", "  "]
    parsed = parse_user_agents(agents)
    assert parsed.columns.tolist() == list(COLUMN_TYPES)
    assert parsed["user_agent"].tolist() == ["curl/8", "Mozilla/5.0 (X11; Linux x86_64) Ünïcode"]
    assert parsed["user_agent_hash"].tolist() == [
        hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() for text in parsed["user_agent"]
    ]
    assert parsed["parser_version"].nunique() == 1
    assert "ua-parser" in parsed["parser_version"][0]
    assert parse_user_agents([]).columns.tolist() == list(COLUMN_TYPES)


def test_families_come_from_the_library():
    row = parse_user_agents([f"{IPHONE} Mobile/22B83 Instagram 354.0.0.29.90 (iPhone12,8; iOS 18_1)"]).iloc[0]
    assert (row["browser"], row["operating_system"], row["in_app_browser"]) == ("Instagram", "iOS", "instagram")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_parsed(text):
    parsed = parse_user_agents([text])
    assert len(parsed) == (1 if text.strip() else 0)
    assert set(parsed["device_type"]) <= {"desktop", "mobile", "tablet", "bot", "other"}
    assert (parsed["is_in_app_browser"] == parsed["in_app_browser"].notna()).all()


def test_the_sql_stand_in_agrees_on_the_plain_cases():
    macros = ChannelMacros()
    sql = (
        f"select {macros.render('user_agent_looks_like_bot', 'text')}, {macros.render('user_agent_device_type', 'text')}, "
        f"coalesce({macros.render('user_agent_in_app_browser', 'text')}, '') from (select lower($agent) as text)"
    )
    agents = [
        *[agent for agent in PEOPLE if "AFTSSS" not in agent],
        *MACHINES[:7],
        "curl/8.5.0",
        f"{IPHONE} Mobile/22B83 Instagram 354.0.0.29.90 (iPhone12,8; iOS 18_1)",
        f"{IPHONE} GSA/334.0.674067880 Mobile/15E148 Safari/604.1",
    ]
    parsed = parse_user_agents(agents)
    expected = list(zip(parsed["is_bot"], parsed["device_type"], parsed["in_app_browser"].fillna(""), strict=True))
    with duckdb.connect() as connection:
        found = [connection.execute(sql, {"agent": agent}).fetchall()[0] for agent in agents]
    assert found == expected


def test_of_a_very_long_agent_the_beginning_is_read():
    """Unread, 300,000 characters took more than a minute: the rules' time grows with the square."""
    long = (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0.0.0 Safari/537.36 " + "Qa9" * 100_000
    )
    (found,) = parse_user_agents([long]).to_dict("records")
    assert (found["user_agent"], found["device_type"], found["is_bot"]) == (long, "desktop", False)
