"""`attribution alerts …` as a user types it."""

from datetime import timedelta

import pytest
from typer.testing import CliRunner

from attribution_platform.alert_commands import duration_of
from attribution_platform.alerting.service import Alerting
from attribution_platform.cli import app
from attribution_platform.monitoring.alerts import Health, Observation, Severity
from attribution_platform.settings import SettingsError, load_settings
from tests.alerting.receivers import http_receiver

CONFIG = """
[project]
data_dir = "data"
[[alerts.routes]]
name = "hook"
kind = "webhook"
url_env = "TEST_HOOK"
secret_env = "TEST_HOOK_KEY"
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.delenv("ATTRIBUTION_DATABASE_URL", raising=False)
    path = tmp_path / "attribution.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def hook(monkeypatch):
    with http_receiver() as inbox:
        monkeypatch.setenv("TEST_HOOK", f"http://127.0.0.1:{inbox.port}/x")
        monkeypatch.setenv("TEST_HOOK_KEY", "k")
        yield inbox


def alerts(config, *words):
    result = CliRunner().invoke(app, ["alerts", *words, "--config", str(config)])
    return result.exit_code, result.output


@pytest.fixture
def broken(config):
    """A platform with one open alert, whose segment a stranger wrote."""
    alerting = Alerting(load_settings(config))
    details = {"expected": 0.8, "observed": 0.65}
    observed = Observation(
        "click_id_capture", "landing_page=/[red]x", Health.BAD, Severity.CRITICAL, "down", None, details
    )
    alerting.evaluate("run:1", [observed])
    return alerting


def test_an_alert_from_first_sight_to_delivery(config, broken, hook):
    code, said = alerts(config, "list")
    assert code == 0
    assert "Click-id capture · landing_page=/[red]x fell from 80.0 % to 65.0 %" in said
    assert "Messages not delivered" in said
    assert alerts(config, "send", "--dry-run")[1].endswith("1 messages wait; nothing was sent.\n")
    assert alerts(config, "send") == (0, "1 sent, 0 to be tried again, 0 given up.\n")
    assert len(hook.requests) == 1
    assert "Messages not delivered" not in alerts(config, "list")[1]
    assert "pending" in alerts(config, "history")[1]


def test_a_failed_send_says_why_and_can_be_pressed(config, broken, hook):
    hook.status = 503
    code, said = alerts(config, "send")
    assert code == 1
    assert "route 'hook': the webhook answered 503" in said
    hook.status = 200
    assert alerts(config, "send")[1].startswith("0 sent"), "its next attempt is a minute away"
    assert alerts(config, "send", "--again")[1].startswith("1 sent")


def test_acknowledging_takes_the_start_of_an_id(config, broken):
    name = broken.store.open_alerts()[0]["fingerprint"]
    code, said = alerts(config, "ack", name[:6], "--for", "2d", "--by", "ana")
    assert code == 0
    assert "acknowledged by ana until" in said
    assert "ana until" in alerts(config, "list")[1]
    for wrong in (name[:3], "zzzz"):
        code, said = alerts(config, "ack", wrong)
        assert code == 2
        assert "Give an id of `attribution alerts list`" in said


def test_silences_are_made_and_lifted(config, broken):
    code, said = alerts(config, "silence", "--metric", "click*", "--for", "8h", "--reason", "deploy")
    assert code == 0
    assert "it covers 1 of the alerts known so far" in said
    assert "deploy" in alerts(config, "list")[1]
    assert alerts(config, "lift", "1") == (0, "Silence 1 has ended.\n")
    assert alerts(config, "lift", "1")[0] == 2
    assert alerts(config, "silence", "--for", "8h")[0] == 2
    assert "Write a number and a unit" in alerts(config, "silence", "--metric", "x", "--for", "soon")[1]


def test_a_route_is_tried_with_an_alert_and_its_end(config, hook):
    assert alerts(config, "test", "hook", "--dry-run")[1].endswith("route hook is set up; nothing was sent.\n")
    assert hook.requests == []
    code, said = alerts(config, "test", "hook")
    assert (code, said) == (0, "route hook works: Webhook took an alert and its all-clear.\n")
    assert len(hook.requests) == 2
    hook.status = 401
    code, said = alerts(config, "test", "hook")
    assert code == 2
    assert "answered 401" in said


def test_nothing_to_show_is_said(config):
    assert alerts(config, "list") == (0, "No alert is open.\n")
    assert alerts(config, "history") == (0, "Nothing has happened yet.\n")


def test_evaluating_an_instance_without_runs(config, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    assert (
        alerts(config, "evaluate", "--dry-run")[1] == "0 runs evaluated, 0 changes; 0 messages would wait to be sent.\n"
    )


def test_a_database_that_is_not_there_is_named_without_its_address(config, monkeypatch):
    monkeypatch.setenv("ATTRIBUTION_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/x")
    code, said = alerts(config, "list")
    assert code == 2
    assert "$ATTRIBUTION_DATABASE_URL" in said
    assert "hunter2" not in said
    assert "127.0.0.1" not in said


@pytest.mark.parametrize(("text", "hours"), [("30m", 0.5), ("8h", 8), ("2d", 48), ("1w", 168)])
def test_durations(text, hours):
    assert duration_of(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "2", "d", "-1d", "0h", "1 day", "99999h"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="is not a duration"):
        duration_of(text)


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ('kind = "slack"\nurl_env = "https://hooks.slack.com/x"', "alerts.routes.0.url_env"),
        ('kind = "webhook"\nurl_env = "X"', "a webhook needs `secret_env`"),
        ('kind = "slack"\nurl_env = "X"\nsecret_env = "Y"', "`secret_env` is for webhooks, not for slack"),
        ('kind = "fax"\nurl_env = "X"', "alerts.routes.0.kind"),
    ],
)
def test_a_wrong_route_in_the_file_is_named(tmp_path, lines, part):
    path = tmp_path / "attribution.toml"
    path.write_text(f'[[alerts.routes]]\nname = "a"\n{lines}\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert part in str(caught.value)
