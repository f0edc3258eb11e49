"""Where a notification goes: the log by default, a webhook when its URL is in the environment."""

import os
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
import requests

TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Notification:
    """One thing a person should know. `fingerprint` lets a receiver fold repeats of the same fault."""

    title: str
    severity: str
    fingerprint: str
    run_id: str
    lines: tuple[str, ...]


class DeliveryError(RuntimeError):
    """The receiver did not take the message. Never carries the URL: it is a secret."""


class Notifier(dg.ConfigurableResource):
    """Sends to the webhook named by `url_variable`, or writes to the log when that variable is unset."""

    url_variable: str = "ATTRIBUTION_WEBHOOK_URL"

    def send(self, notification: Notification, log: Any) -> str:
        """Deliver and return the route taken.

        Raises:
            DeliveryError: the webhook refused or could not be reached; the caller's tick fails and is retried.
        """
        url = os.environ.get(self.url_variable)
        if not url:
            log.warning("\n".join((f"[{notification.severity}] {notification.title}", *notification.lines)))
            return "log"
        try:
            response = requests.post(url, json=asdict(notification), timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise DeliveryError(
                f"webhook in ${self.url_variable} could not be reached: {type(error).__name__}"
            ) from None
        if response.status_code >= 300:
            raise DeliveryError(f"webhook in ${self.url_variable} answered {response.status_code}")
        return "webhook"
