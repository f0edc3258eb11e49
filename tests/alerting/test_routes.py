"""Every route, from the platform's own code to a receiver on the loopback."""

import json
import logging

import pytest

from attribution_platform.alerting.message import Message, build_message
from attribution_platform.alerting.routes import DeliveryError, RouteError, check_route, deliver, sign
from attribution_platform.monitoring.alerts import Kind
from attribution_platform.settings import Route
from tests.alerting.examples import AT, CAPTURE_FELL, HOSTILE, LINKS, many, notification, one
from tests.alerting.receivers import http_receiver, mail_receiver

KEY = "0123456789abcdef01234567"
ADDRESSES = {
    "slack": "https://hooks.slack.com/services/T0AAAAAAA/B0BBBBBBB/sEcReTtOkEnOfSlack00000000",
    "teams": "https://flows.example.com:443/workflows/0123456789abcdef/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=sEcReTsIgNaTuRe",
    "pagerduty": "pagerduty://sEcReTkEy@sEcReTaPi",
}
HOSTS = {"slack": "hooks.slack.com", "teams": "flows.example.com", "pagerduty": "events.pagerduty.com"}


def route(kind, **more):
    return Route(name=f"to-{kind}", kind=kind, url_env="TEST_ROUTE", **more)


@pytest.fixture
def web(tmp_path, monkeypatch):
    """Stands for every vendor: https requests reach it by their own names and are answered with a certificate we trust."""
    with http_receiver(tmp_path) as inbox:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{inbox.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        yield inbox


@pytest.fixture
def hook(monkeypatch):
    with http_receiver() as inbox:
        monkeypatch.setenv("TEST_ROUTE", f"http://127.0.0.1:{inbox.port}/hook/sEcReTpAtH")
        monkeypatch.setenv("TEST_SECRET", "shared key")
        yield inbox


@pytest.fixture
def mailbox(monkeypatch):
    with mail_receiver() as mailbox:
        address = f"mailto://ana:sEcReTpAsS@127.0.0.1:{mailbox.port}?from=alerts@shop.example&to=team@shop.example"
        monkeypatch.setenv("TEST_ROUTE", address)
        yield mailbox


def sent_to(web, monkeypatch, kind, message: Message, **more):
    monkeypatch.setenv("TEST_ROUTE", ADDRESSES[kind])
    deliver(route(kind), message, KEY, AT, **more)
    [request] = web.requests
    assert request.host == HOSTS[kind]
    return json.loads(request.body)


def test_slack_takes_blocks(web, monkeypatch):
    payload = sent_to(web, monkeypatch, "slack", one())
    [attachment] = payload["attachments"]
    text = json.dumps(attachment["blocks"], ensure_ascii=False)
    for part in ("fell from 80.3 % to 65.2 %", "Mon 2 Mar 2026", "−15.1 points (95 % interval −18.3 to −11.9)", "412"):
        assert part in text
    assert "landing_page=/spring-sale" in text
    assert "web release 2026.9" in text
    assert "https://dagster.shop.example/runs/0f4c9d0e" in text
    assert KEY[:12] in text
    assert web.requests[0].path == "/services/T0AAAAAAA/B0BBBBBBB/sEcReTtOkEnOfSlack00000000"
    assert "image" not in text, "nothing is fetched from anywhere when a message is read"


def test_slack_stays_within_its_limits(web, monkeypatch):
    message = build_message([notification("m" * 400, f"landing_page=/{i}") for i in range(60)], AT, LINKS)
    blocks = sent_to(web, monkeypatch, "slack", message)["attachments"][0]["blocks"]
    assert len(blocks) <= 50
    assert all(len(block.get("text", {}).get("text", "")) <= 3000 for block in blocks)
    assert len(blocks[0]["text"]["text"]) <= 150
    assert "and 50 more" in json.dumps(blocks)


def test_teams_takes_an_adaptive_card(web, monkeypatch):
    payload = sent_to(web, monkeypatch, "teams", many())
    card = payload["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    text = json.dumps(card, ensure_ascii=False)
    assert "6 alerts: 4 new, 1 still open, 1 resolved" in text
    assert "fell by 50 %" in text
    assert "sig=sEcReTsIgNaTuRe" in web.requests[0].path
    assert "<at>" not in text


def test_pagerduty_opens_and_closes_one_incident(web, monkeypatch):
    opened = sent_to(web, monkeypatch, "pagerduty", one())
    assert opened["event_action"] == "trigger"
    assert opened["payload"]["severity"] == "critical"
    assert opened["payload"]["custom_details"]["First bad day"] == "Mon 2 Mar 2026"
    assert opened["routing_key"] == "sEcReTkEy"
    web.requests.clear()
    over = build_message([notification("click_id_capture", "platform=google_ads", Kind.RESOLVED)], AT, LINKS)
    closed = sent_to(web, monkeypatch, "pagerduty", over)
    assert closed["event_action"] == "resolve"
    assert closed["dedup_key"] == opened["dedup_key"] == CAPTURE_FELL.dedup_key


def test_mail_is_one_html_message_with_a_text_beside_it(mailbox):
    deliver(route("email"), many(), KEY, AT)
    [mail] = mailbox.mails
    assert mail["Subject"] == "[Critical] 6 alerts: 4 new, 1 still open, 1 resolved"
    assert mail["X-Attribution-Key"] == KEY
    assert mail["To"] == "team@shop.example"
    page = mail.get_body(("html",)).get_content().replace("&nbsp;%", " %").replace("\xa0%", " %")
    assert "fell from 80.3 % to 65.2 %" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "fell from 80.3 % to 65.2 %" in mail.get_body(("plain",)).get_content()
    assert mailbox.credentials == ["ana sEcReTpAsS"]


def test_a_webhook_is_signed_over_time_and_body(hook):
    target = route("webhook", secret_env="TEST_SECRET")
    deliver(target, one(), KEY, AT, may_repeat=True)
    [request] = hook.requests
    timestamp = int(request.headers["X-Attribution-Timestamp"])
    assert timestamp == int(AT.timestamp())
    assert request.headers["X-Attribution-Signature"] == f"v1={sign('shared key', timestamp, request.body)}"
    assert request.headers["X-Attribution-Signature"] != f"v1={sign('shared key', timestamp + 1, request.body)}"
    assert request.headers["Idempotency-Key"] == KEY
    payload = json.loads(request.body)
    assert (payload["key"], payload["may_repeat"], payload["version"]) == (KEY, True, 1)
    assert Message.from_record({k: v for k, v in payload.items() if k not in ("version", "key", "may_repeat")}) == one()


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty"])
@pytest.mark.parametrize(("status", "refused"), [(500, False), (400, True), (404, False), (429, False)])
def test_a_receiver_that_does_not_take_it_is_named_without_its_address(
    web, monkeypatch, caplog, capsys, kind, status, refused
):
    web.status = status
    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryError) as caught:
        sent_to(web, monkeypatch, kind, one())
    assert str(caught.value) == f"route 'to-{kind}': {kind} answered {status}"
    assert caught.value.refused is refused
    assert "sEcReT" not in caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("kind", ["slack", "teams", "pagerduty", "email", "webhook"])
def test_a_receiver_that_is_not_there_is_named_without_its_address(monkeypatch, caplog, capsys, kind):
    with http_receiver() as gone:
        port = gone.port
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    addresses = {
        **ADDRESSES,
        "email": f"mailto://ana:sEcReTpAsS@127.0.0.1:{port}?from=a@shop.example&to=b@shop.example",
        "webhook": f"http://127.0.0.1:{port}/sEcReT",
    }
    monkeypatch.setenv("TEST_ROUTE", addresses[kind])
    monkeypatch.setenv("TEST_SECRET", "sEcReT")
    target = route(kind, secret_env="TEST_SECRET" if kind == "webhook" else None)
    with caplog.at_level(logging.DEBUG), pytest.raises(DeliveryError) as caught:
        deliver(target, one(), KEY, AT)
    assert "could not be reached" in str(caught.value)
    assert caught.value.__cause__ is None
    assert "sEcReT" not in str(caught.value) + caplog.text + "".join(capsys.readouterr())


def test_mail_that_the_server_turns_down_is_tried_again(mailbox):
    mailbox.refuse = "451 try later"
    with pytest.raises(DeliveryError):
        deliver(route("email"), one(), KEY, AT)


def test_a_redirect_is_not_followed(hook):
    hook.status = 302
    with pytest.raises(DeliveryError, match="answered 302"):
        deliver(route("webhook", secret_env="TEST_SECRET"), one(), KEY, AT)
    assert len(hook.requests) == 1


@pytest.mark.parametrize(
    ("kind", "value", "part"),
    [
        ("slack", None, "$TEST_ROUTE is not set. Put there slack://"),
        ("slack", "pagerduty://sEcReT@sEcReT", "is no address of kind 'slack'"),
        ("teams", "https://sEcReT.example.com/x", "is no address of kind 'teams'"),
        ("email", "nonsense sEcReT", "is no address of kind 'email'"),
        ("pagerduty", "pagerduty://", "is no address of kind 'pagerduty'"),
        ("webhook", "ftp://sEcReT", "is not a web address"),
    ],
)
def test_a_wrong_set_up_is_explained_and_no_secret_repeated(monkeypatch, kind, value, part):
    if value is None:
        monkeypatch.delenv("TEST_ROUTE", raising=False)
    else:
        monkeypatch.setenv("TEST_ROUTE", value)
    monkeypatch.setenv("TEST_SECRET", "k")
    with pytest.raises(RouteError) as caught:
        check_route(route(kind, secret_env="TEST_SECRET" if kind == "webhook" else None))
    assert part in str(caught.value)
    assert "sEcReT" not in str(caught.value)


def test_a_webhook_without_a_key_is_not_sent(hook, monkeypatch):
    monkeypatch.delenv("TEST_SECRET")
    with pytest.raises(RouteError, match=r"\$TEST_SECRET is not set"):
        deliver(route("webhook", secret_env="TEST_SECRET"), one(), KEY, AT)
    assert hook.requests == []


def test_what_strangers_write_calls_nobody(web, monkeypatch):
    slack = json.dumps(sent_to(web, monkeypatch, "slack", many()), ensure_ascii=False)
    assert "<!channel>" not in slack
    assert "&lt;!channel&gt;" in slack
    assert "*b*" not in slack
    assert HOSTILE not in slack
