"""Messages to look at: every kind of alert, with a segment that a stranger wrote."""

from datetime import UTC, date, datetime, timedelta

from attribution_platform.alerting.message import Links, Message, build_message
from attribution_platform.monitoring.alerts import Kind, Notification, Severity, fingerprint_of

AT = datetime(2026, 3, 5, 6, 41, tzinfo=UTC)
LINKS = Links(
    "https://dagster.shop.example", "https://docs.shop.example/index.html", "0f4c9d0e-1111-2222-3333-444455556666"
)
CAPTURE = {
    "expected": 0.803,
    "observed": 0.652,
    "size": -0.151,
    "size_low": -0.183,
    "size_high": -0.119,
    "n": 412,
    "z": -6.2,
    "where": ["landing_page=/spring-sale", "browser=Safari"],
    "upstream": "web release 2026.9 on 2 Mar; landing page /spring-sale first seen that day",
}
HOSTILE = "landing_page=/a?utm=<script>alert(1)</script><!channel>[x](https://evil.example)<at>everyone</at>*b*"


def notification(metric, segment="all", kind=Kind.FIRING, severity=Severity.WARNING, days=3.0, **more) -> Notification:
    key = f"{fingerprint_of(metric, segment)}-1"
    return Notification(
        kind=kind,
        metric=metric,
        segment=segment,
        severity=severity,
        direction=more.pop("direction", "down"),
        dedup_key=key,
        idempotency_key=f"{key}-{kind}",
        at=AT,
        started_at=AT - timedelta(days=days),
        duration=timedelta(days=days),
        first_bad_on=more.pop("first_bad_on", date(2026, 3, 2)),
        details=more.pop("details", {}),
    )


CAPTURE_FELL = notification("click_id_capture", "platform=google_ads", severity=Severity.CRITICAL, details=CAPTURE)
EXAMPLES = [
    CAPTURE_FELL,
    notification(
        "event_volume",
        "source=ga4",
        Kind.REMINDER,
        Severity.CRITICAL,
        days=2.2,
        details={
            "expected": 18423.0,
            "observed": 9120.0,
            "size": -0.505,
            "size_low": -0.53,
            "size_high": -0.48,
            "n": 3,
        },
    ),
    notification(
        "check/marts/mart_attribution__channel_daily/spend_equals_raw",
        severity=Severity.CRITICAL,
        first_bad_on=None,
        details={"what": "spend in the mart is 12,431.20, in raw 12,980.10", "facts": {"Platforms off": "1"}},
    ),
    notification(
        "source_load",
        "source=meta_ads",
        severity=Severity.CRITICAL,
        first_bad_on=None,
        details={"error": "401: token expired"},
    ),
    notification("utm_completeness", HOSTILE, details={"expected": 0.97, "observed": 0.4, "where": [HOSTILE]}),
    notification("cookie_user_coverage", kind=Kind.RESOLVED, days=6.5, details={"expected": 0.31, "observed": 0.22}),
]


def one() -> Message:
    return build_message([CAPTURE_FELL], AT, LINKS)


def many() -> Message:
    return build_message(EXAMPLES, AT, LINKS)
