"""The order of the rules, and what each kind of evidence proves."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.classify import ClassifyInputError, classify_frame
from attribution_platform.layout import DBT_PROJECT_DIR

SHOP = "https://shop.example/"
INSTAGRAM = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 "
    "Instagram 354.0.0.29.90 (iPhone12,8; iOS 18_1; en_US)"
)
SEARCH_APP = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/334.0.674067880 "
    "Mobile/15E148 Safari/604.1"
)
WEBVIEW = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/AP2A.240905.003; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/130.0.6723.58 Mobile Safari/537.36"
)


def check(channels_of, table, **options):
    visits = [visit for visit, _ in table]
    assert [channel for channel, _ in channels_of(*visits, **options)] == [channel for _, channel in table]


def test_ad_only_ids_prove_a_paid_click_that_referrer_and_tags_refine(channels_of):
    check(
        channels_of,
        [
            ({"landing_url": f"{SHOP}?gclid=a"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?x=1&wbraid=a#top"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?gad_source=1"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?gclid=a", "referrer": "https://www.youtube.com/"}, "Paid Video"),
            (
                {"landing_url": f"{SHOP}?gclid=a&utm_source=google&utm_medium=cpc", "referrer": "youtube.com"},
                "Paid Video",
            ),
            ({"landing_url": f"{SHOP}?gclid=a", "referrer": "https://x.safeframe.googlesyndication.com"}, "Display"),
            ({"landing_url": f"{SHOP}?gclid=a&utm_medium=display&utm_source=google"}, "Display"),
            ({"landing_url": f"{SHOP}?gclid=a&utm_campaign=de-shopping-all"}, "Paid Shopping"),
            ({"landing_url": f"{SHOP}?gclid=a", "campaign": "PMax cross-network"}, "Cross-network"),
            ({"landing_url": f"{SHOP}?gclid=a&utm_source=newsletter&utm_medium=email"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?dclid=a"}, "Display"),
            ({"landing_url": f"{SHOP}?msclkid=a", "referrer": "https://www.bing.com/"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?ttclid=a"}, "Paid Social"),
            ({"landing_url": f"{SHOP}?li_fat_id=a", "referrer": "https://www.linkedin.com/"}, "Paid Social"),
            ({"landing_url": f"{SHOP}?twclid=a"}, "Paid Social"),
            ({"landing_url": f"{SHOP}?rdt_cid=a"}, "Paid Social"),
            ({"landing_url": f"{SHOP}?gclid="}, "Direct"),
            ({"landing_url": f"{SHOP}?notgclid=a"}, "Direct"),
        ],
    )


def test_decorating_ids_prove_the_platform_and_not_payment(channels_of):
    check(
        channels_of,
        [
            ({"landing_url": f"{SHOP}?fbclid=a"}, "Organic Social"),
            ({"landing_url": f"{SHOP}?fbclid=a", "referrer": "https://l.facebook.com/"}, "Organic Social"),
            ({"landing_url": f"{SHOP}?fbclid=a&utm_source=facebook&utm_medium=cpc"}, "Paid Social"),
            ({"landing_url": f"{SHOP}?fbclid=a&utm_source=campaign_7&utm_medium=paid"}, "Paid Social"),
            ({"landing_url": f"{SHOP}?fbclid=a&utm_source=news&utm_medium=email"}, "Email"),
            ({"landing_url": f"{SHOP}?fbclid=a&utm_source=who&utm_medium=knows"}, "Organic Social"),
            ({"landing_url": f"{SHOP}?srsltid=a", "referrer": "https://www.google.com/"}, "Organic Shopping"),
            ({"landing_url": f"{SHOP}?gclid=a&fbclid=b"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?mc_cid=1&mc_eid=2"}, "Email"),
        ],
    )


def test_tags_follow_the_default_channel_group(channels_of):
    check(
        channels_of,
        [
            ({"source": "google", "medium": "cpc"}, "Paid Search"),
            ({"source": "Facebook", "medium": "Paid_Social"}, "Paid Social"),
            ({"source": "somewhere", "medium": "ppc"}, "Paid Other"),
            ({"source": "somewhere", "medium": "cpm"}, "Display"),
            ({"source": "somewhere", "medium": "banner"}, "Display"),
            ({"source": "chatgpt.com"}, "AI Assistant"),
            ({"source": "x", "medium": "ai-assistant"}, "AI Assistant"),
            ({"medium": "anything", "campaign": "(ai-assistant)"}, "AI Assistant"),
            ({"source": "gemini.google.com", "medium": "referral"}, "AI Assistant"),
            ({"source": "google", "medium": "organic"}, "Organic Search"),
            ({"source": "https://news.ycombinator.com/item?id=1"}, "Organic Social"),
            ({"source": "m.youtube.com"}, "Organic Video"),
            ({"source": "partner.example", "medium": "referral"}, "Referral"),
            ({"source": "autumn", "medium": "newsletter"}, "Email"),
            ({"source": "adwords"}, "Paid Search"),
            ({"source": "fb_ads", "medium": "whatever"}, "Paid Social"),
            ({"source": "stripe.com.evil", "medium": "x"}, "Unassigned"),
            ({"campaign": "summer"}, "Unassigned"),
            ({"source": "(direct)", "medium": "(none)"}, "Direct"),
            ({"source": "undefined", "medium": "null", "campaign": "(not set)"}, "Direct"),
        ],
    )


def test_tags_come_from_the_landing_page_when_the_columns_are_empty(channels_of):
    check(
        channels_of,
        [
            ({"landing_url": f"{SHOP}?utm_source=google&utm_medium=cpc"}, "Paid Search"),
            ({"landing_url": f"{SHOP}?utm_source=news+letter&utm_medium=e%20mail", "source": "null"}, "Email"),
            (
                {"landing_url": f"{SHOP}?utm_source=google&utm_medium=cpc", "source": "bing", "medium": "organic"},
                "Organic Search",
            ),
            ({"landing_url": "/pricing?utm_source=facebook"}, "Organic Social"),
        ],
    )


def test_referrers_in_every_spelling(channels_of):
    direct = ["$direct", "(direct)", "null", "", "about:blank", "  "]
    table = [({"referrer": text}, "Direct") for text in direct]
    table += [
        ({"referrer": "https://www.google.co.uk/"}, "Organic Search"),
        ({"referrer": "HTTPS://WWW.GOOGLE.DE:443/search?q=x"}, "Organic Search"),
        ({"referrer": "google.com."}, "Organic Search"),
        ({"referrer": "//www.bing.com/x"}, "Organic Search"),
        ({"referrer": "amazon.de"}, "Organic Shopping"),
        ({"referrer": "https://smile.amazon.com.br"}, "Organic Shopping"),
        ({"referrer": "https://mail.google.com/"}, "Email"),
        ({"referrer": "https://docs.google.com/document/d/1"}, "Referral"),
        ({"referrer": "https://gemini.google.com/app"}, "AI Assistant"),
        ({"referrer": "https://x.com/i/grok?conversation=1"}, "AI Assistant"),
        ({"referrer": "https://mobile.x.com/i/grok"}, "AI Assistant"),
        ({"referrer": "https://x.com/i/grokking"}, "Organic Social"),
        ({"referrer": "https://x.com/someone/status/1"}, "Organic Social"),
        ({"referrer": "https://www.bing.com/chat?q=1"}, "AI Assistant"),
        ({"referrer": "android-app://com.google.android.gm/"}, "Email"),
        ({"referrer": "com.google.android.gm"}, "Email"),
        ({"referrer": "android-app://com.google.android.googlequicksearchbox"}, "Organic Search"),
        ({"referrer": "android-app://com.linkedin.android"}, "Organic Social"),
        ({"referrer": "android-app://com.some.game"}, "Referral"),
        ({"referrer": "https://chatgpt.com.custom.org/"}, "Referral"),
        ({"referrer": "https://user@facebook.com@evil.example/"}, "Referral"),
        ({"referrer": "https://ad.doubleclick.net/x"}, "Display"),
        ({"referrer": "https://www.awin1.com/cread.php"}, "Affiliates"),
    ]
    check(channels_of, table)


def test_own_site_payment_and_sign_on_start_no_attribution(channels_of):
    check(
        channels_of,
        [
            ({"referrer": "https://blog.shop.example/x"}, "Internal"),
            ({"referrer": "https://shop.example/", "landing_url": f"{SHOP}?gclid=a&utm_source=google"}, "Internal"),
            ({"referrer": "https://myshop.example/"}, "Referral"),
            ({"referrer": "https://other.example/a", "landing_url": "https://www.other.example/b"}, "Internal"),
            ({"referrer": "https://other.example/a", "landing_url": "https://app.other.example/b"}, "Internal"),
            ({"referrer": "https://other.example/a", "landing_url": "https://another.example/b"}, "Referral"),
            ({"referrer": "https://checkout.stripe.com/c/pay"}, "Internal"),
            ({"referrer": "https://www.paypal.com/"}, "Internal"),
            ({"referrer": "https://accounts.google.com/"}, "Internal"),
            ({"referrer": "https://login.microsoftonline.com/"}, "Internal"),
            # What brought the visitor survives the sign-on page in between.
            ({"referrer": "https://accounts.google.com/", "landing_url": f"{SHOP}?gclid=a"}, "Paid Search"),
            ({"referrer": "https://www.klarna.com/", "source": "klarna", "medium": "affiliate"}, "Affiliates"),
        ],
        own_domains=["shop.example"],
    )


def test_the_app_around_the_browser_speaks_last(channels_of):
    check(
        channels_of,
        [
            ({"user_agent": INSTAGRAM}, "Organic Social"),
            ({"user_agent": SEARCH_APP}, "Organic Search"),
            ({"user_agent": WEBVIEW}, "Direct"),
            ({"user_agent": INSTAGRAM, "referrer": "https://www.google.com/"}, "Organic Search"),
            ({"user_agent": INSTAGRAM, "source": "what", "medium": "who"}, "Unassigned"),
            ({"user_agent": INSTAGRAM, "landing_url": f"{SHOP}?gclid=a"}, "Paid Search"),
        ],
    )


def test_custom_rules_come_first_in_their_order_and_must_match_in_full(channels_of):
    rules = [
        {"id": "podcast", "channel": "Audio", "campaign": "^PODCAST"},
        {"id": "it's", "channel": "Partner's", "source": "o'hara", "medium": "cpc"},
        {"id": "late", "channel": "SMS", "campaign": "podcast"},
        {
            "id": "page",
            "channel": "Affiliates",
            "landing_path": "^/partners/",
            "referrer_domain": r"(^|[.])example[.]org$",
        },
    ]
    answers = channels_of(
        {"campaign": "podcast-7", "landing_url": f"{SHOP}?gclid=a", "referrer": SHOP},
        {"source": "O'Hara", "medium": "cpc"},
        {"source": "O'Hara", "medium": "email"},
        {"referrer": "https://www.example.org/x", "landing_url": f"{SHOP}partners/a?x=1"},
        {"referrer": "https://www.example.org/x", "landing_url": SHOP},
        channel_rules=rules,
        own_domains=["shop.example"],
    )
    assert answers == [
        ("Audio", "custom:podcast"),
        ("Partner's", "custom:it's"),
        ("Email", "utm_email"),
        ("Affiliates", "custom:page"),
        ("Referral", "referrer_unlisted"),
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"id": "a", "channel": "Audio", "utm_campaign": "x"}, ["'a'", "utm_campaign", "campaign"]),
        ({"id": "a", "channel": "Audio"}, ["'a'", "at least one of"]),
        ({"id": "a", "campaign": "x"}, ["'a'", "channel"]),
        ({"id": "a", "channel": "Audio", "campaign": "("}, ["channel_rules", "regular expression"]),
    ],
)
def test_a_rule_that_cannot_work_is_refused_by_name(rule, words):
    with pytest.raises(ClassifyInputError) as error:
        classify_frame(pd.DataFrame({"source": ["x"], "campaign": ["y"]}), channel_rules=[rule])
    assert all(word in str(error.value) for word in words), error.value


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(LABEL, LABEL, st.sampled_from(["com", "de", "co.uk", "io", "t.co.invalid"])), min_size=20, max_size=60
    )
)
def test_a_subdomain_never_changes_an_unlisted_site(names):
    bare = [f"qq{site}zz.{ending}" for _, site, ending in names]
    deeper = [f"{label}.qq{site}zz.{ending}" for label, site, ending in names]
    assert set(classify_frame(pd.DataFrame({"referrer": bare + deeper}))["channel"]) == {"Referral"}


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(LABEL, st.integers(0, 10_000)), min_size=20, max_size=60))
def test_an_unlisted_subdomain_inherits_from_the_domain_above(names):
    seeds = pd.read_csv(DBT_PROJECT_DIR / "seeds" / "referrer_domain_mapping.csv", dtype=str, keep_default_na=False)
    domains = seeds.loc[~seeds["domain"].str.contains("*", regex=False), "domain"].tolist()
    chosen = [domains[index % len(domains)] for _, index in names]
    above = classify_frame(pd.DataFrame({"referrer": chosen}))
    below = classify_frame(
        pd.DataFrame({"referrer": [f"qq{label}zz.{name}" for (label, _), name in zip(names, chosen, strict=True)]})
    )
    assert below["channel"].tolist() == above["channel"].tolist()


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=12), st.text(max_size=12), st.text(max_size=30), st.text(max_size=30)),
        min_size=1,
        max_size=40,
    )
)
def test_any_text_gets_exactly_one_channel(rows):
    # A NUL ends a string in some databases; no CSV carries one.
    frame = pd.DataFrame(rows, columns=["source", "medium", "referrer", "landing_url"]).map(
        lambda text: text.replace("\0", "")
    )
    result = classify_frame(frame)
    assert len(result) == len(frame)
    assert result["channel"].notna().all()
    assert result["channel_reason"].notna().all()
    assert result["referrer"].tolist() == frame["referrer"].tolist()
