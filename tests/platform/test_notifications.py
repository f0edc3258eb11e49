import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from attribution_platform.resources.notifier import DeliveryError, Notification, Notifier
from attribution_platform.sensors import build_sensors, compose, failed_checks

NOTE = Notification("daily: 1 failed check(s)", "warning", "run-1", "run-1", ("marts/x · y",))


@pytest.fixture
def receiver():
    """A real HTTP receiver on the loopback; answers with the status in `server.status`."""
    received: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(self.server.status)
            self.end_headers()

        def log_message(self, *args):
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200
    server.received = received
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_url_it_goes_to_the_log(monkeypatch, caplog):
    monkeypatch.delenv("HOOK", raising=False)
    with caplog.at_level(logging.WARNING):
        assert Notifier(url_variable="HOOK").send(NOTE, logging.getLogger("t")) == "log"
    assert "daily: 1 failed check(s)" in caplog.text


def test_with_a_url_it_reaches_the_receiver(monkeypatch, receiver):
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.server_port}/secret-path")
    assert Notifier(url_variable="HOOK").send(NOTE, logging.getLogger("t")) == "webhook"
    assert receiver.received[0]["fingerprint"] == "run-1"


def test_a_refusal_fails_without_naming_the_secret_url(monkeypatch, receiver):
    receiver.status = 500
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.server_port}/secret-path")
    with pytest.raises(DeliveryError) as caught:
        Notifier(url_variable="HOOK").send(NOTE, logging.getLogger("t"))
    assert "secret-path" not in str(caught.value)
    assert "500" in str(caught.value)


def run_with_checks(passed: bool, severity: dg.AssetCheckSeverity):
    @dg.asset
    def table() -> None:
        return None

    @dg.asset_check(asset=table)
    def is_fine() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, severity=severity, description="3 rows are not")

    instance = dg.DagsterInstance.ephemeral()
    definitions = dg.Definitions(assets=[table], asset_checks=[is_fine])
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    return instance, result


def test_a_failed_check_of_a_green_run_is_told(monkeypatch, receiver):
    instance, result = run_with_checks(passed=False, severity=dg.AssetCheckSeverity.WARN)
    assert result.success
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{receiver.server_port}/x")
    sensor = build_sensors(None)[0]
    event = next(event for event in result.all_events if event.event_type_value == "PIPELINE_SUCCESS")
    context = dg.build_run_status_sensor_context(
        sensor_name=sensor.name, dagster_instance=instance, dagster_run=result.dagster_run, dagster_event=event
    )
    sensor(context, notifier=Notifier(url_variable="HOOK"))
    assert receiver.received[0]["severity"] == "warning"
    assert "table · is_fine" in receiver.received[0]["lines"][0]
    assert "3 rows are not" in receiver.received[0]["lines"][0]


def test_a_green_run_with_green_checks_says_nothing():
    instance, result = run_with_checks(passed=True, severity=dg.AssetCheckSeverity.WARN)
    failures = failed_checks(instance, result.run_id)
    assert failures == []
    assert compose(result.dagster_run, failures, failed=False) is None


def test_a_failed_run_is_told_even_without_failed_checks():
    _, result = run_with_checks(passed=True, severity=dg.AssetCheckSeverity.WARN)
    notification = compose(result.dagster_run, [], failed=True)
    assert notification is not None
    assert notification.severity == "error"
