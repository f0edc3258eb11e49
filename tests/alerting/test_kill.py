"""A sender that is killed for real, with its message on the wire."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attribution_platform.alerting.service import Alerting, real_clock
from attribution_platform.monitoring.alerts import Health, Observation
from attribution_platform.settings import load_settings
from tests.alerting.receivers import http_receiver
from tests.alerting.test_commands import CONFIG


def test_kill_minus_nine_with_the_message_on_the_wire(tmp_path, monkeypatch):
    path = tmp_path / "attribution.toml"
    path.write_text(CONFIG)
    arrived, killed = threading.Event(), threading.Event()
    keys = []

    class Slow(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            keys.append(self.headers["Idempotency-Key"])
            arrived.set()
            killed.wait(60)

        def log_message(self, *args):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("TEST_HOOK", f"http://127.0.0.1:{server.server_port}/x")
    monkeypatch.setenv("TEST_HOOK_KEY", "k")
    alerting = Alerting(load_settings(path))
    alerting.evaluate("run:1", [Observation("event_volume", "all", Health.BAD)])
    command = [sys.executable, "-m", "attribution_platform.cli", "alerts", "send", "--config", str(path)]
    sender = subprocess.Popen([*command], env={**os.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert arrived.wait(60)
        sender.send_signal(signal.SIGKILL)
        assert sender.wait(60) == -signal.SIGKILL
    finally:
        sender.kill()
        sender.wait()
        killed.set()
        server.shutdown()
        thread.join()
        server.server_close()

    with http_receiver() as inbox:
        monkeypatch.setenv("TEST_HOOK", f"http://127.0.0.1:{inbox.port}/x")
        assert alerting.send().delivered == [], "it may still be at work, for all we know"
        later = Alerting(alerting.settings, clock=lambda: real_clock() + timedelta(minutes=6))
        assert later.send().delivered == keys
        [request] = inbox.requests
        assert request.headers["Idempotency-Key"] == keys[0]
        assert b'"may_repeat":true' in request.body
