"""Routes: from a message to a receiver. Slack, Teams, e-mail and PagerDuty go through Apprise; the signed webhook is ours,
because Apprise rewrites bodies and a signature covers every byte.

An address is a secret. Apprise and urllib3 name addresses in their logs, so these are shut while we send, and what we say of a
failure is made of words chosen here and an HTTP status.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import requests

from attribution_platform.alerting.message import Message
from attribution_platform.alerting.render import as_html, as_page, as_slack, as_teams, as_webhook, subject
from attribution_platform.monitoring.alerts import Kind
from attribution_platform.settings import Route

TIMEOUT_SECONDS = 20
# The receiver has read the message and does not want it; sending it again will not help.
REFUSALS = frozenset({400, 413, 422})
HINTS: Mapping[str, str] = {
    "slack": "slack://TokenA/TokenB/TokenC or the webhook's own https://hooks.slack.com/services/…",
    "teams": "the workflow's own https://…/workflows/…?…&sig=…",
    "email": "mailtos://user:password@smtp.example.com?from=alerts@example.com&to=team@example.com",
    "pagerduty": "pagerduty://IntegrationKey@ApiKey",
    "webhook": "https://…",
}


class RouteError(ValueError):
    """A route cannot be used as it is set up; the message says which variable and what to write."""


class DeliveryError(RuntimeError):
    """A receiver did not take a message. Never carries an address.

    Attributes:
        refused: It looked at the message and did not want it.
        may_have_arrived: It fell silent after the message had been sent.
    """

    def __init__(self, message: str, *, refused: bool = False, may_have_arrived: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
        self.may_have_arrived = may_have_arrived


def address_of(route: Route, variable: str | None = None) -> str:
    """The secret a route's variable holds.

    Raises:
        RouteError: it is unset or empty.
    """
    name = variable or route.url_env
    value = os.environ.get(name, "").strip()
    if not value:
        raise RouteError(f"route {route.name!r}: ${name} is not set. Put there {HINTS[route.kind]}.")
    return value


class _Ear(logging.Filter):
    """Keeps what the libraries log from every handler, however deep the log is set, and listens for the HTTP status in it."""

    LOGGERS = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")

    def __init__(self) -> None:
        super().__init__()
        self._heard: list[str] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        if record.name == "apprise":
            self._heard.append(record.getMessage())
        return False

    def status(self) -> int | None:
        """The HTTP status of the last answer, if one came."""
        found = re.findall(r"error=(\d{3})\b", " ".join(self._heard))
        return int(found[-1]) if found else None


@contextmanager
def _discreet() -> Iterator[_Ear]:
    ear = _Ear()
    for name in _Ear.LOGGERS:
        logging.getLogger(name).addFilter(ear)
    try:
        yield ear
    finally:
        for name in _Ear.LOGGERS:
            logging.getLogger(name).removeFilter(ear)


def check_route(route: Route) -> None:
    """Raise what `deliver` would raise of a route's set-up, without sending.

    Raises:
        RouteError: a variable is missing or is no address of this kind.
    """
    with _discreet():
        if route.kind == "webhook":
            _webhook_target(route)
        else:
            _plugin(route)


def deliver(route: Route, message: Message, key: str, now: datetime, may_repeat: bool = False) -> None:
    """Send one message.

    Args:
        key: Equal when the same message is sent again; receivers that can, fold by it.
        now: For the signature of a webhook.
        may_repeat: Say that it may have come before.

    Raises:
        RouteError: the route cannot be used.
        DeliveryError: the receiver did not take it.
    """
    with _discreet() as ear:
        if route.kind == "webhook":
            _post_signed(route, message, key, now, may_repeat)
        else:
            _send(route, message, key, may_repeat, ear)


# ---- the signed webhook ----------------------------------------------------------------------------------------------


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over `<timestamp>.<body>`, hexadecimal. The timestamp is signed too, so that an old message cannot be played
    back later."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def _webhook_target(route: Route) -> tuple[str, str]:
    address = address_of(route)
    if not re.fullmatch(r"https?://[^\s/]+\S*", address):
        raise RouteError(f"route {route.name!r}: ${route.url_env} is not a web address. Put there {HINTS['webhook']}.")
    assert route.secret_env is not None
    secret = os.environ.get(route.secret_env, "").strip()
    if not secret:
        raise RouteError(
            f"route {route.name!r}: ${route.secret_env} is not set. Put there the key both sides know, 32 random bytes or more."
        )
    return address, secret


def _post_signed(route: Route, message: Message, key: str, now: datetime, may_repeat: bool) -> None:
    address, secret = _webhook_target(route)
    body = json.dumps(as_webhook(message, key, may_repeat), ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(now.timestamp())
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "attribution-platform",
        "Idempotency-Key": key,
        "X-Attribution-Timestamp": str(timestamp),
        "X-Attribution-Signature": f"v1={sign(secret, timestamp, body)}",
    }
    where = f"route {route.name!r}: the webhook"
    try:
        # A redirect would carry the message to somebody else.
        response = requests.post(address, data=body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    except requests.ConnectTimeout:
        raise DeliveryError(f"{where} could not be reached") from None
    except requests.Timeout:
        raise DeliveryError(f"{where} did not answer within {TIMEOUT_SECONDS} s", may_have_arrived=True) from None
    except (requests.RequestException, ValueError) as error:
        # Its text holds the address.
        raise DeliveryError(f"{where} could not be reached ({type(error).__name__})") from None
    if not 200 <= response.status_code < 300:
        raise DeliveryError(f"{where} answered {response.status_code}", refused=response.status_code in REFUSALS)


# ---- Apprise ---------------------------------------------------------------------------------------------------------


def _apprise() -> Any:
    """Apprise, imported here because it costs a second."""
    import apprise

    # Louder would be dropped by `_discreet` anyway; quieter would keep the status from it.
    logging.getLogger("apprise").setLevel(logging.WARNING)
    return apprise


def _plugin(route: Route) -> Any:
    """Apprise's plugin for a route's address.

    Raises:
        RouteError: no address, or of another kind.
    """
    address = address_of(route)
    apprise = _apprise()
    # No pictures: receivers would fetch them from Apprise's own site. No store: the outbox remembers.
    asset = apprise.AppriseAsset(
        app_id="Attribution Platform",
        app_desc="Attribution Platform",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        storage_mode="memory",
        async_mode=False,
        http_redirects=False,
    )
    found = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    wanted = {
        "slack": "NotifySlack",
        "teams": "NotifyWorkflows",
        "email": "NotifyEmail",
        "pagerduty": "NotifyPagerDuty",
    }
    if type(found).__name__ != wanted[route.kind]:
        raise RouteError(
            f"route {route.name!r}: ${route.url_env} is no address of kind {route.kind!r}. Put there {HINTS[route.kind]}."
        )
    if route.kind == "email" and not found.targets:
        raise RouteError(
            f"route {route.name!r}: ${route.url_env} names nobody to write to. Put there {HINTS['email']}."
        )
    # A mail must not be cut into parts.
    found.body_maxlen = max(found.body_maxlen, 1_000_000) if route.kind == "email" else found.body_maxlen
    found.socket_connect_timeout = found.socket_read_timeout = TIMEOUT_SECONDS
    return found


def _send(route: Route, message: Message, key: str, may_repeat: bool, ear: _Ear) -> None:
    plugin = _plugin(route)
    apprise = _apprise()
    kind = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}[message.severity]
    kind = apprise.NotifyType.SUCCESS if message.kind == Kind.RESOLVED else kind
    title, body, form = subject(message), subject(message), apprise.NotifyFormat.TEXT
    if route.kind == "slack":
        _fix_payload(plugin, as_slack(message, key, may_repeat))
        plugin.use_blocks, plugin.template = True, True
    elif route.kind == "teams":
        _fix_payload(plugin, as_teams(message, key, may_repeat))
    elif route.kind == "email":
        body, form = as_html(message, key, may_repeat), apprise.NotifyFormat.HTML
        # Mails of one episode form a thread, and a mail that comes twice bears the same key.
        plugin.headers.update(
            {"X-Attribution-Key": key, "References": f"<{message.items[0].dedup_key}@attribution.invalid>"}
        )
    else:
        body, details = as_page(message, key, may_repeat)
        title = ""
        plugin.include_image = False
        plugin.action = "resolve" if message.kind == Kind.RESOLVED else "trigger"
        plugin.dedup, plugin.details = message.items[0].dedup_key, details
        plugin.source, plugin.class_id = "Attribution Platform", message.items[0].metric
        plugin.component = message.items[0].segment
        plugin.click = next((address for _, address in (*message.items[0].links, *message.links)), None)
    try:
        sent = plugin.notify(body=body, title=title, notify_type=kind, body_format=form)
    except Exception as error:
        # Its text may hold the address.
        raise DeliveryError(f"route {route.name!r}: {route.kind} failed ({type(error).__name__})") from None
    if not sent:
        status = ear.status()
        if status is None:
            # Apprise does not tell a refused connection from one cut after the message.
            raise DeliveryError(f"route {route.name!r}: {route.kind} could not be reached", may_have_arrived=True)
        raise DeliveryError(f"route {route.name!r}: {route.kind} answered {status}", refused=status in REFUSALS)


def _fix_payload(plugin: Any, payload: dict[str, Any]) -> None:
    # Apprise builds a payload of its own or from a template file; ours is made already.
    plugin.gen_payload = lambda *args, **kwargs: payload
