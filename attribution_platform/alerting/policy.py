"""Which alert is the cause of which: one dead source is one message, not twenty."""

from collections.abc import Iterable
from datetime import timedelta

from attribution_platform.alerting.wording import SOURCE_FRESHNESS, SOURCE_LOAD
from attribution_platform.monitoring.alerts import AlertOptions, InhibitRule, Severity
from attribution_platform.monitoring.silence import FRESHNESS
from attribution_platform.settings import Alerts

# Sources of events: when one dies, every rate over visits moves with it.
EVENT_SOURCES = frozenset({"ga4", "backend", "files", "posthog", "segment", "snowplow", "matomo", "amplitude"})
# Each explains those after it, of the same source.
VOLUME = "event_volume"
CAUSES = (SOURCE_LOAD, SOURCE_FRESHNESS, FRESHNESS, VOLUME)
VISIT_RATES = frozenset(
    {
        "authenticated_visits",
        "behavioural_coverage",
        "bot_share",
        "click_id_capture",
        "click_id_capture_of_ad_clicks",
        "cookie_user_coverage",
        "direct_only_rate",
        "identity_tier_share",
        "model_divergence",
        "survey_agreement",
        "utm_completeness",
        "utm_taxonomy",
    }
)
# Cuts with many values say where a total broke; when the total speaks, they need not.
FINE_CUTS = ("landing_page", "browser", "device", "country", "channel")


def inhibitions(sources: Iterable[str]) -> list[InhibitRule]:
    """Rules in order of cause: a load that fails explains what is stale, that what is silent, that what is thin, and thin data
    explains the rates over it."""
    rules = []
    for source in sources:
        own = f"source={source}"
        for rank, cause in enumerate(CAUSES):
            later = frozenset(CAUSES[rank + 1 :])
            if later:
                rules.append(InhibitRule(cause, own, "down" if cause == VOLUME else "", later, own))
            if cause != VOLUME:
                rules.append(InhibitRule(cause, own, target_segment=f"platform={source}"))
                own_checks = frozenset({f"check/raw_{source}/*", f"check/staging/stg_{source}__*"})
                rules.append(InhibitRule(cause, own, target_metrics=own_checks))
                if source in EVENT_SOURCES:
                    rules.append(InhibitRule(cause, own, target_metrics=frozenset({VOLUME}), target_segment="all"))
            if source in EVENT_SOURCES:
                rules.append(InhibitRule(cause, own, "down" if cause == VOLUME else "", VISIT_RATES))
    rules.append(InhibitRule(VOLUME, "all", "down", VISIT_RATES))
    # Fewer visits from one platform say nothing of the others.
    rules.append(InhibitRule(VOLUME, "platform=*", "down", VISIT_RATES, same_segment=True))
    for total in ("all", "platform=*", "source=*"):
        rules += [InhibitRule("*", total, target_segment=f"{cut}=*", same_metric=True) for cut in FINE_CUTS]
    return rules


def options_of(alerts: Alerts) -> AlertOptions:
    """The state machine's options as set in attribution.toml."""
    return AlertOptions(
        fire_after=alerts.fire_after,
        resolve_after=alerts.resolve_after,
        remind_after={
            Severity.CRITICAL: timedelta(hours=alerts.remind_critical_hours),
            Severity.WARNING: timedelta(hours=alerts.remind_warning_hours),
        },
    )
