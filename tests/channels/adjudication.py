"""Where the sources of the published cases disagree, what we hold to be right. Reasons: docs/decisions/channel-taxonomy.md."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

# The same channel under another name.
NAMES = {"Cross Network": "Cross-network", "Affiliate": "Affiliates"}

# Case id -> our channel, where it is not the channel the case's own project expects.
DECIDED = {
    "posthog-013": "Unassigned",  # tags nobody can read and no referrer: someone tagged a link, so it is not Direct
    "posthog-014": "Direct",  # no evidence at all; PostHog tells "unset" from "$direct", a list of visits cannot
    "posthog-017": "Direct",
    "posthog-018": "Direct",
    "posthog-022": "Display",  # "Paid Unknown" there; googlesyndication.com is Google's display network
    "posthog-030": "Paid Shopping",  # GA4's text asks the campaign name before the source
    "velir-005": "Organic Shopping",  # no paid medium; the upstream test compares sets and cannot see it
}

MATOMO_KINDS = {"ai": "AI Assistant", "social": "Organic Social"}
DOMAIN_TYPES = {
    "$direct": "Direct",
    "Search": "Organic Search",
    "Shopping": "Organic Shopping",
    "Social": "Organic Social",
}


def published_visits(cases: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """All 102 cases as one input of `classify`, with case_id, native (their answer) and expected (ours)."""
    posthog = cases("posthog_channel_cases.csv").rename(
        columns={
            "referring_domain": "referrer",
            "utm_source": "source",
            "utm_medium": "medium",
            "utm_campaign": "campaign",
        }
    )
    posthog["native"] = posthog["expected_native"]
    velir = cases("velir_ga4_cases.csv")
    velir["native"] = velir["expected_native"]
    matomo = cases("matomo_referrer_cases.csv")
    matomo["native"] = matomo["kind"].map(MATOMO_KINDS).where(matomo["expected_source"] != "Unknown", "Referral")
    domains = cases("posthog_domain_type_cases.csv").rename(columns={"referring_domain": "referrer"})
    domains["native"] = domains["expected_domain_type"].map(DOMAIN_TYPES)
    columns = [
        "case_id",
        "native",
        "source",
        "medium",
        "campaign",
        "referrer",
        "gclid",
        "gad_source",
        "msclkid",
        "fbclid",
    ]
    everything = pd.concat([posthog, velir, matomo, domains], ignore_index=True).reindex(columns=columns).fillna("")
    everything["native"] = everything["native"].replace(NAMES)
    everything["expected"] = everything["case_id"].map(DECIDED).fillna(everything["native"])
    return everything
