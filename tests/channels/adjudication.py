"""Where the sources of the published cases disagree, what we hold to be right. Reasons: docs/decisions/channel-taxonomy.md."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

# The same channel under another name.
NAMES = {"Cross Network": "Cross-network", "Affiliate": "Affiliates"}

# Written by hand. Case id -> (our channel, why), where it is not the channel the case's own project expects; every other case
# must come out as its project says.
DECIDED = {
    "posthog-013": ("Unassigned", "tags nobody can read and no referrer: somebody tagged a link, so it is not Direct"),
    "posthog-014": ("Direct", "no evidence; that project tells unset from $direct, a list of visits cannot"),
    "posthog-017": ("Direct", "no evidence; that project tells unset from $direct, a list of visits cannot"),
    "posthog-018": ("Direct", "no evidence; that project tells unset from $direct, a list of visits cannot"),
    "posthog-022": ("Display", "googlesyndication.com serves Google's display network"),
    "posthog-030": ("Paid Shopping", "GA4's text asks the campaign name before the source"),
    "velir-005": ("Organic Shopping", "no paid medium; the upstream test compares sets and cannot see it"),
}

# The same for the in-app browsers: case id -> (the app we name, none for a plain browser; why).
DECIDED_APPS = {
    "inapp-002": ("none", "Telegram leaves no mark: the agent is the plain browser's, letter for letter"),
    "inapp-048": ("none", "Telegram leaves no mark: the agent is the plain browser's, letter for letter"),
    "inapp-005": ("facebook", "Messenger writes the Facebook app's own mark; both are Organic Social"),
    "inapp-039": ("facebook", "Messenger writes the Facebook app's own mark; both are Organic Social"),
    "inapp-040": ("facebook", "Messenger writes the Facebook app's own mark; both are Organic Social"),
}

MATOMO_KINDS = {"ai": "AI Assistant", "social": "Organic Social"}
DOMAIN_TYPES = {
    "$direct": "Direct",
    "Search": "Organic Search",
    "Shopping": "Organic Shopping",
    "Social": "Organic Social",
}


def published_visits(cases: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """All 101 cases as one input of `classify`, with case_id, native (their answer) and expected (ours)."""
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
    everything["expected"] = (
        everything["case_id"]
        .map({case: channel for case, (channel, _) in DECIDED.items()})
        .fillna(everything["native"])
    )
    return everything
