"""Every published case, against the written adjudication."""

import csv
import re

import pandas as pd

from attribution_platform.classify import classify_frame
from attribution_platform.layout import DBT_PROJECT_DIR
from tests.channels.adjudication import DECIDED, DECIDED_APPS, SHARED, published_visits

TAXONOMY = {
    "Direct", "Cross-network", "Paid Shopping", "Paid Search", "Paid Social", "Paid Video", "Display", "Paid Other",
    "Organic Shopping", "Organic Social", "Organic Video", "Organic Search", "Referral", "Email", "Affiliates", "Audio", "SMS",
    "Mobile Push Notifications", "AI Assistant", "Unassigned", "Internal",
}  # fmt: skip


def test_every_published_case_is_decided_as_adjudicated(cases):
    result = classify_frame(published_visits(cases))
    assert len(result) == 43 + 30 + 18 + 10
    assert result["case_id"].is_unique
    wrong = result[result["channel"] != result["expected"]]
    assert wrong.empty, wrong[["case_id", "expected", "channel", "channel_reason"]].to_string()
    assert set(result["channel"]) <= TAXONOMY


def test_only_the_adjudicated_cases_differ_from_their_source(cases):
    result = classify_frame(published_visits(cases))
    assert set(result.loc[result["channel"] != result["native"], "case_id"]) == set(DECIDED)


def test_every_source_google_publishes_keeps_its_category(cases):
    cases("velir_ga4_cases.csv")  # skips where the published data are absent
    listed = pd.read_csv(SHARED / "referrers" / "ga4_source_categories.csv", dtype=str)
    expected = "Organic " + listed["source_category"].str.rsplit("_", n=1).str[-1].str.title()
    result = classify_frame(listed)
    # Three mailboxes that the list calls search engines, two tills that it calls shops.
    assert set(result.loc[result["channel"] != expected, "source"]) == {
        "email.seznam.cz", "mail.rambler.ru", "mail.yandex.ru", "checkout.shopify.com", "checkout.stripe.com",
    }  # fmt: skip


def test_the_decision_record_lists_every_overruled_case_with_our_answer_and_a_reason():
    record = (DBT_PROJECT_DIR.parent / "docs" / "decisions" / "channel-taxonomy.md").read_text(encoding="utf-8")
    listed = {}
    for line in filter(lambda line: line.startswith("|"), record.splitlines()):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for case in re.findall(r"(?:posthog|velir|matomo|phdom|inapp)-\d+", cells[0]):
            assert len(cells) == 5, line
            assert cells[4], line
            listed[case] = cells[3]
    decided = {case: answer for case, (answer, _) in {**DECIDED, **DECIDED_APPS}.items()}
    assert listed == decided


def test_no_listed_domain_is_hit_by_a_name_that_only_ends_like_it():
    with (DBT_PROJECT_DIR / "seeds" / "referrer_domain_mapping.csv").open(encoding="utf-8") as file:
        domains = [row["domain"] for row in csv.DictReader(file)]
    # "t.co" -> "microsoft.co", "x.com" -> "dropbox.com" and so on; deeper names would fall to their own parent domain.
    glued = [f"zz{domain}" for domain in domains if domain.count(".") == 1 and "*" not in domain]
    names = [*glued, "microsoft.com", "dropbox.com", "xxt.co", "netflix.com.example", "chatgpt.com.example"]
    assert set(classify_frame(pd.DataFrame({"referrer": names}))["channel"]) == {"Referral"}
    assert set(classify_frame(pd.DataFrame({"source": names}))["channel"]) == {"Unassigned"}
