"""Alerting as the sensors, `attribution run` and `attribution alerts` use it: evaluate, then send."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from attribution_platform.alerting.message import Links, Message, build_message, headline_of
from attribution_platform.alerting.policy import inhibitions, options_of
from attribution_platform.alerting.render import as_text
from attribution_platform.alerting.routes import DeliveryError, RouteError, deliver
from attribution_platform.alerting.store import AlertStore, Outcome, Outgoing
from attribution_platform.monitoring.alerts import Evaluation, Notification, Observation, Severity
from attribution_platform.operations import database_engine
from attribution_platform.settings import Route, Settings

LOG = logging.getLogger(__name__)
SENT_AT_ONCE = 200
Clock = Callable[[], datetime]


def real_clock() -> datetime:
    """Now. Not `Settings.now()`, which may be frozen for repeatable data: reminders and retries live in real time."""
    return datetime.now(UTC)


@dataclass
class Sent:
    """What one round of sending did: message keys by what became of them."""

    delivered: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)


class Alerting:
    """Alerts of one platform."""

    def __init__(self, settings: Settings, store: AlertStore | None = None, clock: Clock = real_clock) -> None:
        """The store defaults to the platform's own database."""
        self.settings = settings
        self.store = store or AlertStore(database_engine(settings))
        self.clock = clock

    @property
    def routes(self) -> tuple[Route, ...]:
        return self.settings.alerts.routes

    def route(self, name: str) -> Route:
        """A route by name.

        Raises:
            RouteError: there is none of that name.
        """
        for each in self.routes:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.routes) or "none; add [[alerts.routes]] to attribution.toml"
        raise RouteError(f"{name!r} is not a route. Known: {known}.")

    def evaluate(
        self,
        evaluation_id: str,
        observations: Iterable[Observation],
        run_id: str | None = None,
        *,
        dry_run: bool = False,
        log: Any = LOG,
    ) -> Outcome:
        """Decide what has to be said, and put it into the outbox. Nothing is sent yet.

        Args:
            evaluation_id: The second evaluation of that name does nothing.
            run_id: Of the Dagster run that was looked at, for the link.
            dry_run: Keep nothing, only return it.
            log: Told what would be sent where nothing is: without routes, or in dry-run mode.
        """
        now, alerts = self.clock(), self.settings.alerts
        links = Links(alerts.dagster_url, alerts.data_docs_url, run_id)
        is_silent = alerts.dry_run or not self.routes

        def compose(result: Evaluation) -> Sequence[Outgoing]:
            return [] if is_silent and not dry_run else self._compose(result.notifications, now, links)

        outcome = self.store.evaluate(
            evaluation_id,
            observations,
            now,
            options_of(alerts),
            inhibitions(self.settings.enabled_sources),
            compose,
            lambda step, state, details: headline_of(step.metric, step.segment, state.direction, details),
            dry_run=dry_run,
        )
        if is_silent and outcome.evaluation.notifications and not dry_run:
            reason = "dry run" if alerts.dry_run else "no route is configured"
            message = build_message(outcome.evaluation.notifications, now, links)
            log.warning(f"alert, not sent ({reason}): {as_text(message, evaluation_id)}")
        return outcome

    def _compose(self, notifications: Sequence[Notification], now: datetime, links: Links) -> list[Outgoing]:
        found = []
        for route in self.routes:
            own = [each for each in notifications if _takes(route, each)]
            # PagerDuty opens and closes one incident an alert; everybody else reads one message a run.
            groups = [[each] for each in own] if route.kind == "pagerduty" else [own] if own else []
            for group in groups:
                message = build_message(group, now, links)
                found.append(Outgoing(route.name, message.to_record(), tuple(each.idempotency_key for each in group)))
        return found

    def send(self, log: Any = LOG, limit: int = SENT_AT_ONCE) -> Sent:
        """Send what is due. A route that fails keeps its messages, in order, and does not hold up the others.

        A process that dies on the way leaves its message claimed; after five minutes another one sends it again under the same
        key and says that it may be a repeat.
        """
        done, by_name = Sent(), {route.name: route for route in self.routes}
        for _ in range(limit):
            claimed = self.store.claim(self.clock(), by_name)
            if claimed is None:
                break
            try:
                message = Message.from_record(claimed.message)
                deliver(by_name[claimed.route], message, claimed.key, self.clock(), claimed.may_have_arrived)
            except (RouteError, DeliveryError) as error:
                gave_up = self.store.mark_failed(
                    claimed,
                    self.clock(),
                    str(error),
                    refused=getattr(error, "refused", False),
                    may_have_arrived=getattr(error, "may_have_arrived", False),
                )
                (done.given_up if gave_up else done.failed).append(claimed.key)
                what = "given up" if gave_up else f"attempt {claimed.attempts}, will be tried again"
                log.error(f"alert not delivered ({what}): {error}")
            else:
                self.store.mark_sent(claimed, self.clock())
                done.delivered.append(claimed.key)
        return done


def _takes(route: Route, notification: Notification) -> bool:
    if route.severity == "critical" and notification.severity is not Severity.CRITICAL:
        return False
    return not route.metrics or any(fnmatchcase(notification.metric, pattern) for pattern in route.metrics)
