"""Receivers on the loopback, reached by the product's own code and the vendors' own addresses: a proxy that answers for every
https host with a certificate of a test authority, a plain HTTP server, and a mail server."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOSTS = ("hooks.slack.com", "events.pagerduty.com", "flows.example.com")


@dataclass
class Request:
    host: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Inbox:
    """What arrived, and what the next requests are answered: `answers` first, then `status`."""

    status: int = 200
    answers: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        server = cast(Any, self.server)
        self.send_response(200)
        self.end_headers()
        self.host = self.path.partition(":")[0]
        self.connection = server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_POST(self) -> None:
        inbox: Inbox = cast(Any, self.server).inbox
        body = self.rfile.read(int(self.headers["Content-Length"]))
        host = getattr(self, "host", "127.0.0.1")
        inbox.requests.append(Request(host, self.path, dict(self.headers.items()), body))
        status = inbox.answers.pop(0) if inbox.answers else inbox.status
        answer = b"ok"
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        return


@contextmanager
def _running(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def http_receiver(folder: Path | None = None) -> Iterator[Inbox]:
    """A web server; with a folder for its certificates also a proxy that answers for `HOSTS` over TLS."""
    server = cast(Any, ThreadingHTTPServer(("127.0.0.1", 0), _Handler))
    server.daemon_threads = True
    server.inbox = Inbox(port=server.server_port)
    if folder is not None:
        certificate, key = make_certificates(folder)
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate, key)
    with _running(server):
        yield server.inbox


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """A certificate for `HOSTS` that is its own authority (`authority.pem`), and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback receiver of the tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    own, secret = folder / "authority.pem", folder / "key.pem"
    own.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return own, secret


@dataclass
class Mailbox:
    """`refuse`: answer the message itself with this line. `credentials`: user names and passwords that were shown."""

    port: int = 0
    refuse: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        mailbox: Mailbox = cast(Any, self.server).mailbox
        self._say("220 loopback")
        while line := self.rfile.readline():
            verb = line[:4].upper().strip()
            if verb == b"EHLO":
                self._say("250-loopback\r\n250-AUTH PLAIN\r\n250 SIZE 10000000")
            elif verb == b"AUTH":
                mailbox.credentials.append(base64.b64decode(line.split()[-1]).decode().replace("\0", " ").strip())
                self._say("235 fine")
            elif verb == b"DATA":
                self._say("354 go on")
                lines = []
                while (each := self.rfile.readline()) != b".\r\n":
                    lines.append(each[1:] if each.startswith(b"..") else each)
                if mailbox.refuse:
                    self._say(mailbox.refuse)
                    continue
                mailbox.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
                self._say("250 kept")
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mail_receiver() -> Iterator[Mailbox]:
    """A mail server that keeps what it is given."""
    server = cast(Any, socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail))
    server.daemon_threads = True
    server.mailbox = Mailbox(port=server.server_address[1])
    with _running(server):
        yield server.mailbox
