"""A made-up alert and its all-clear, for `attribution alerts test`."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from attribution_platform.alerting.message import Links, Message, build_message
from attribution_platform.monitoring.alerts import Kind, Notification, Severity, fingerprint_of

METRIC, SEGMENT = "click_id_capture", "platform=google_ads"


def sample_messages(now: datetime, links: Links) -> Iterator[tuple[str, Message]]:
    """Key and message of a fault three days old and of its end. Each test is an episode of its own, or a receiver that folds
    would swallow the second one."""
    episode = f"{fingerprint_of('test', 'test')}-{now:%Y%m%d%H%M%S%f}"
    details = {
        "expected": 0.803,
        "observed": 0.652,
        "size": -0.151,
        "size_low": -0.183,
        "size_high": -0.119,
        "n": 412,
        "where": ["landing_page=/spring-sale", "browser=Safari"],
        "advice": "Nothing: this is a test of the route, and the figures are made up.",
    }
    began = now - timedelta(days=3)
    for kind in (Kind.FIRING, Kind.RESOLVED):
        notification = Notification(
            kind=kind,
            metric=METRIC,
            segment=SEGMENT,
            severity=Severity.CRITICAL,
            direction="down",
            dedup_key=episode,
            idempotency_key=f"{episode}-{kind}",
            at=now,
            started_at=began,
            duration=now - began,
            first_bad_on=began.date(),
            details=details,
        )
        message = build_message([notification], now, links)
        item = message.items[0]
        title = f"Test: {item.title}"
        key = hashlib.sha256(notification.idempotency_key.encode()).hexdigest()[:24]
        yield key, replace(message, title=title, items=(replace(item, title=title),))
