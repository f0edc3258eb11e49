"""What an alert is called and what to do about it, metric by metric. Words only."""

from collections.abc import Mapping
from dataclasses import dataclass

from attribution_platform.monitoring.silence import FRESHNESS

# Metrics that the platform watches beside those of coverage.
SOURCE_LOAD = "source_load"
SOURCE_FRESHNESS = "source_freshness"
CHECK_PREFIX = "check/"
RUN_PREFIX = "run/"
SCHEDULE_PREFIX = "schedule/"


@dataclass(frozen=True)
class Words:
    """Attributes:
    name: In a headline.
    advice: First thing to do, in one or two sentences.
    is_count: Figures are daily counts and their relative change, not rates.
    """

    name: str
    advice: str
    is_count: bool = False


_LANDING = (
    "Open an ad's final URL in that browser and see whether the click id is still in the address when the page has loaded. Look "
    "for a redirect, a new landing page or a consent tool deployed around the first bad day."
)
_UTM = "Compare the tags of the campaigns that started around the first bad day with the naming rules; mend them at the platform."
_IDENTITY = (
    "See whether login events still carry the user id, and whether a deploy changed the cookie or the fingerprint."
)

WORDS: Mapping[str, Words] = {
    "click_id_capture_of_ad_clicks": Words("Ad clicks that arrive with a click id", _LANDING),
    "click_id_capture": Words("Click-id capture", _LANDING),
    "utm_completeness": Words("UTM completeness", _UTM),
    "utm_taxonomy": Words("UTM tags that the channel rules know", _UTM),
    "cookie_user_coverage": Words("Devices with a known user", _IDENTITY),
    "identity_tier_share": Words("Identity tier share", _IDENTITY),
    "behavioural_coverage": Words(
        "Conversions with a touch before them",
        "Look at event volume and click-id capture of the same days first: without visits, conversions have no touch.",
    ),
    "direct_only_rate": Words(
        "Conversions with nothing but direct visits",
        "Tags or referrers are being lost on the way: look at UTM completeness, redirects and the referrer policy.",
    ),
    "bot_share": Words(
        "Share of bot events", "See which user agents grew (enrichment.dim_user_agent), and filter them at the edge."
    ),
    "event_volume": Words(
        "Event volume",
        "Check that the tag still fires and that the consent banner has not changed, then the source's own reports for that day.",
        is_count=True,
    ),
    FRESHNESS: Words(
        "Source is silent", "It has sent nothing while others did. Check its tag, export or credentials.", is_count=True
    ),
    "authenticated_visits": Words("Visits that say who is logged in", _IDENTITY),
    "spend_reconciliation": Words(
        "Spend in the marts over spend as loaded",
        "Some spend fell out or counts twice: see the campaign mapping of that day.",
    ),
    "cost_per_click": Words(
        "Cost per click", "Compare with the platform's own report: currency, a doubled load, or a new campaign."
    ),
    "model_divergence": Words(
        "Divergence of the credit models",
        "Models disagree more than they used to: look at the channel mix of new paths.",
    ),
    "survey_agreement": Words(
        "Agreement of what people say with what was seen",
        "Look at the answers that became more frequent in the survey mart.",
    ),
    SOURCE_LOAD: Words(
        "Source could not be loaded", "Read the error in the run, mend credentials or settings, then run the job again."
    ),
    SOURCE_FRESHNESS: Words(
        "Source is stale",
        "Nothing was loaded for too long. See whether the schedule runs and whether its runs reach this source.",
    ),
}


def words_of(metric: str) -> Words:
    """The words of a metric; one nobody wrote words for goes by its own name."""
    if metric in WORDS:
        return WORDS[metric]
    if metric.startswith(CHECK_PREFIX):
        table, _, check = metric.removeprefix(CHECK_PREFIX).rpartition("/")
        return Words(
            f"Check {check} of {table}",
            "Open the check in Dagster: its metadata shows the rows or figures that broke it.",
        )
    if metric.startswith(RUN_PREFIX):
        return Words(
            f"Job {metric.removeprefix(RUN_PREFIX)}",
            "Read the failed step's error, mend its cause, and run the job again: it repeats nothing that is already stored.",
        )
    if metric.startswith(SCHEDULE_PREFIX):
        return Words(
            f"Schedule {metric.removeprefix(SCHEDULE_PREFIX)}",
            "See in Dagster whether the schedule is on, the daemon runs and no earlier run blocks the queue.",
        )
    return Words(metric.replace("_", " ").capitalize(), "Look at the chart of this metric around the first bad day.")
