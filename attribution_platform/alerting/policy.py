"""Which alert is the cause of which: one dead source is one message, not twenty."""

from collections.abc import Iterable
from datetime import timedelta

from attribution_platform.alerting.wording import SOURCE_FRESHNESS, SOURCE_LOAD
from attribution_platform.monitoring.alerts import AlertOptions, InhibitRule, Severity
from attribution_platform.settings import Alerts

# Sources of events: when one dies, every rate over visits moves with it.
EVENT_SOURCES = frozenset({"ga4", "backend", "files", "posthog", "segment", "snowplow", "matomo", "amplitude"})
VISIT_RATES = frozenset(
    {
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
    """Rules in order of cause: a load that fails explains what is stale, silent or thin, and that explains the rates."""
    rules = []
    for source in sources:
        own = f"source={source}"
        own_checks = frozenset({f"check/raw_{source}/*", f"check/staging/stg_{source}__*"})
        for cause in (SOURCE_LOAD, SOURCE_FRESHNESS):
            symptoms = frozenset(
                {"event_volume", "silent_days"} | ({SOURCE_FRESHNESS} if cause == SOURCE_LOAD else set())
            )
            rules.append(InhibitRule(cause, own, target_metrics=symptoms, target_segment=own))
            rules.append(InhibitRule(cause, own, target_segment=f"platform={source}"))
            rules.append(InhibitRule(cause, own, target_metrics=own_checks))
            if source in EVENT_SOURCES:
                volume = frozenset({"event_volume"})
                rules.append(InhibitRule(cause, own, target_metrics=volume, target_segment="all"))
                rules.append(InhibitRule(cause, own, target_metrics=VISIT_RATES))
    rules.append(InhibitRule("silent_days", direction="up", target_metrics=VISIT_RATES | {"event_volume"}))
    rules.append(InhibitRule("event_volume", direction="down", target_metrics=VISIT_RATES))
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
