"""The one transport: every vendor's way to say "slow down", "log in again" or "not today", obeyed in one place.

dlt's own client knows 429 and `Retry-After` only, cuts every wait to five minutes and then spends its attempts on a
quota that returns tomorrow. Here a dialect turns each reply into a verdict, and the session acts on it: waits what is
asked, refreshes a token once, or gives up saying when to come back. No secret leaves in a message.
"""

import base64
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

import requests

from dlt_pipelines.config import HttpSourceConfig
from dlt_pipelines.json_text import decode as decode_text
from dlt_pipelines.privacy import scrub_text

LOG = logging.getLogger(__name__)
CONNECT_TIMEOUT_SECONDS: Final = 10.0
# How often a listing that does not come out right is read before giving up.
LISTING_TRIES: Final = 3
FIRST_BACKOFF_SECONDS: Final = 1.0
STREAM_BYTES: Final = 1 << 16
USER_AGENT: Final = "attribution-platform"
HIDDEN: Final = "…"
_SECRET_PAIR = re.compile(
    r"(?i)\b(access_token|refresh_token|client_secret|developer[-_]token|api[-_]?key|hapikey|assertion|password|token)"
    r"(=|\"?\s*:\s*\"?)[^&\s\",}]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic|klaviyo-api-key)\s+[A-Za-z0-9._~+/=\-|]+")


class VendorError(RuntimeError):
    """A vendor could not be read; the message is free of secrets."""


class CredentialsRejected(VendorError):  # noqa: N818 - read as what happened
    """The vendor does not take our credentials."""


class QuotaExhausted(VendorError):  # noqa: N818 - read as what happened
    """The vendor will not serve us for longer than we wait.

    Attributes:
        retry_at: when it will, UTC.
    """

    def __init__(self, message: str, retry_at: datetime) -> None:
        super().__init__(message)
        self.retry_at = retry_at


@dataclass(frozen=True)
class Verdict:
    """What a reply means.

    Attributes:
        kind: served; retry after a pause; quota gone for `wait` seconds; credentials refused; request refused.
        wait: seconds the vendor asks for; None leaves it to our back-off.
        reason: the vendor's own words.
        floor: least pause before a retry where the vendor asks for none.
    """

    kind: Literal["ok", "retry", "quota", "credentials", "refused"]
    wait: float | None = None
    reason: str = ""
    floor: float = FIRST_BACKOFF_SECONDS


Dialect = Callable[[requests.Response], Verdict]
OK: Final = Verdict("ok")


def sleep(seconds: float) -> None:
    """Wait; tests replace it."""
    time.sleep(seconds)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Redactor:
    """Removes known secrets, and what looks like one, from text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 6}, key=len, reverse=True)

    def add(self, secret: str) -> None:
        if len(secret) >= 6 and secret not in self._secrets:
            self._secrets = sorted([*self._secrets, secret], key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _SECRET_PAIR.sub(rf"\1\2{HIDDEN}", text)
        return scrub_text(_BEARER.sub(rf"\1 {HIDDEN}", text))


class Auth(Protocol):
    """Adds credentials to a request."""

    def headers(self) -> Mapping[str, str]:
        """Headers to send; may fetch a token."""

    def refresh(self) -> bool:
        """After a 401: get new credentials; False when there are none to get."""

    def secrets(self) -> Iterable[str]:
        """Values that must never be shown."""


@runtime_checkable
class Signer(Protocol):
    """An `Auth` whose credentials depend on the request itself: OAuth 1.0a signs method, address and parameters."""

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with its signature."""


class HeaderAuth:
    """Credentials that do not change, sent in one header."""

    def __init__(self, name: str, value: str, secret: str) -> None:
        self._header, self._secret = {name: value}, secret

    def headers(self) -> Mapping[str, str]:
        return self._header

    def refresh(self) -> bool:
        return False

    def secrets(self) -> Iterable[str]:
        return (self._secret,)


class BasicAuth(HeaderAuth):
    """A user name and a password, or a key and a secret, that do not change."""

    def __init__(self, user: str, password: str) -> None:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        super().__init__("Authorization", f"Basic {token}", password)
        self._all = (password, token, user)

    def secrets(self) -> Iterable[str]:
        return self._all


class VendorSession:
    """HTTP to one vendor. Retries what may be retried, and nothing else.

    Args:
        vendor: name for messages.
        config: base address, timeout, attempts, longest wait.
        dialect: how this vendor says that something is wrong.
        auth: adds credentials; None for none.
        headers: sent with every request besides credentials.

    Attributes:
        last_headers: headers of the last reply, where a vendor tells more than in its body.
    """

    def __init__(
        self,
        vendor: str,
        config: HttpSourceConfig,
        dialect: Dialect,
        auth: Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.vendor = vendor
        self._config = config
        self._dialect = dialect
        self._auth = auth
        self.redact = Redactor(auth.secrets() if auth else ())
        self._session = requests.Session()
        # A ~/.netrc entry for the host would replace our Authorization header; proxies still come from the environment.
        self._session.auth = _unsigned
        self._session.headers.update({"User-Agent": USER_AGENT, **(headers or {})})
        self._skew = 0.0
        self.last_headers: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._session.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET, decoded from JSON."""
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """POST a JSON body, reply decoded from JSON."""
        return self.call("POST", path, params=params, json=body)

    def download(self, url: str, decode: Callable[[bytes], Any]) -> Any:
        """GET a file that the vendor announced, without our credentials: the address may lie on a host of somebody else.

        Args:
            decode: turns the bytes into what is returned; a `ValueError` of it means that they are not whole.
        """
        return self.call("GET", url, decode=decode, anonymous=True)

    def call(
        self,
        method: str,
        path: str,
        *,
        decode: Callable[[bytes], Any] | None = decode_text,
        anonymous: bool = False,
        meaning: Mapping[int, Any] | None = None,
        **request: Any,
    ) -> Any:
        """Send until served, and decode the reply.

        Args:
            decode: turns the body into what is returned; a `ValueError` of it counts as a reply that is not whole. None
                returns the response itself, for `stream`.
            anonymous: send no credentials.
            meaning: statuses that are answers here, and what is returned for them.

        Raises:
            CredentialsRejected: 401 again after one refresh.
            QuotaExhausted: the vendor asks for a longer wait than allowed.
            VendorError: refused, or attempts used up.
        """
        url = path if path.startswith("http") else f"{self._config.base_url}{path}"
        extra = request.pop("headers", {})
        auth = None if anonymous else self._auth
        refreshed, attempt, backoff, verdict = False, 0, 0.0, OK
        while attempt < self._config.attempts:
            attempt += 1
            body, verdict = self._once(method, url, auth, decode, meaning or {}, {**request, "headers": extra})
            if verdict.kind == "ok":
                if verdict.wait:
                    LOG.info("%s: %s; pausing %.0f s", self.vendor, self.redact(verdict.reason), verdict.wait)
                    sleep(verdict.wait)
                return body
            if verdict.kind == "credentials" and not refreshed and auth is not None and auth.refresh():
                self._note_secrets()
                refreshed, attempt = True, attempt - 1
                continue
            if verdict.kind != "retry":
                break
            backoff = max(verdict.floor, backoff * 2)
            wait = backoff if verdict.wait is None else verdict.wait
            if wait > self._config.max_wait_seconds:
                verdict = Verdict("quota", wait, verdict.reason)
                break
            if attempt < self._config.attempts:
                LOG.info("%s: %s; trying again in %.0f s", self.vendor, self.redact(verdict.reason), wait)
                sleep(wait)
        raise self._problem(method, url, verdict, attempt) from None

    def stream(
        self,
        method: str,
        path: str,
        parse: Callable[[Iterator[bytes]], Iterator[Any]],
        *,
        meaning: Mapping[int, Any] | None = None,
        **request: Any,
    ) -> Iterator[Any]:
        """What `parse` makes of a long reply while it arrives, in bounded memory.

        After a break the reply is asked for again from its beginning: what came before the break comes again, and telling
        that apart is the caller's.

        Args:
            parse: takes blocks of the body; a `ValueError` of it says that the body is not whole.

        Raises:
            VendorError: as `call`, or the reply broke off as often as is allowed.
        """
        url = path if path.startswith("http") else f"{self._config.base_url}{path}"
        wait = FIRST_BACKOFF_SECONDS
        for attempt in range(1, self._config.attempts + 1):
            reply = self.call(method, path, decode=None, meaning=meaning, stream=True, **request)
            if not isinstance(reply, requests.Response):
                yield reply
                return
            try:
                with reply:
                    yield from parse(reply.iter_content(STREAM_BYTES))
                return
            except (requests.RequestException, ValueError) as error:
                broken = isinstance(error, requests.RequestException)
                reason = _connection_problem(error) if broken else f"the reply is not whole: {error}"
            if attempt < self._config.attempts:
                LOG.info("%s: %s; trying again in %.0f s", self.vendor, self.redact(reason), wait)
                sleep(wait)
                wait *= 2
        raise self._problem(method, url, Verdict("retry", None, reason), self._config.attempts)

    def _once(
        self,
        method: str,
        url: str,
        auth: Auth | None,
        decode: Callable[[bytes], Any] | None,
        meaning: Mapping[int, Any],
        request: dict[str, Any],
    ) -> tuple[Any, Verdict]:
        headers = {**(auth.headers() if auth else {}), **request.pop("headers")}
        self._note_secrets()
        try:
            response = self._session.request(
                method,
                url,
                headers=headers,
                auth=auth.sign if isinstance(auth, Signer) else None,
                timeout=(min(CONNECT_TIMEOUT_SECONDS, self._config.timeout_seconds), self._config.timeout_seconds),
                allow_redirects=False,
                **request,
            )
        except requests.Timeout:
            return None, Verdict("retry", None, "no answer in time")
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            return None, Verdict("retry", None, _connection_problem(error))
        except requests.RequestException as error:
            return None, Verdict("refused", None, type(error).__name__)
        self._note_clock(response)
        self.last_headers = response.headers
        if response.status_code in meaning:
            return meaning[response.status_code], OK
        verdict = self._dialect(response)
        if verdict.kind != "ok":
            return None, verdict
        if decode is None:
            return response, verdict
        try:
            return decode(response.content), verdict
        except ValueError:
            form = "JSON" if decode is decode_text else "as announced"
            return None, Verdict("retry", None, f"the reply ({len(response.content)} bytes) is not whole {form}")

    def clock_skew(self) -> float:
        """Seconds by which the vendor's clock was ahead of ours in its last reply."""
        return self._skew

    def _note_clock(self, response: requests.Response) -> None:
        try:
            self._skew = (parsedate_to_datetime(response.headers["Date"]) - utc_now()).total_seconds()
        except (KeyError, TypeError, ValueError):
            self._skew = 0.0

    def _note_secrets(self) -> None:
        for secret in self._auth.secrets() if self._auth else ():
            self.redact.add(secret)

    def _problem(self, method: str, url: str, verdict: Verdict, attempts: int) -> VendorError:
        split = urlsplit(url)
        where = f"{self.vendor}: {method} {split.scheme}://{split.netloc}{split.path}"
        reason = self.redact(verdict.reason)
        if verdict.kind == "quota":
            retry_at = utc_now() + timedelta(seconds=verdict.wait or 0)
            return QuotaExhausted(
                f"{self.redact(where)}: quota used up ({reason}). Run again after {retry_at:%Y-%m-%d %H:%M} UTC; what is "
                "stored is complete as it stands.",
                retry_at,
            )
        if verdict.kind == "credentials":
            return CredentialsRejected(
                f"{self.redact(where)}: credentials refused ({reason}). Renew them, set them in the environment, run again."
            )
        tries = f" after {attempts} attempts" if verdict.kind == "retry" else ""
        return VendorError(f"{self.redact(where)}: failed{tries} ({reason}).")


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _connection_problem(error: Exception) -> str:
    text = str(error)
    if "IncompleteRead" in text or "Connection broken" in text:
        return "the connection broke in the middle of the reply"
    if "refused" in text:
        return "the connection was refused"
    if "resolve" in text or "getaddrinfo" in text:
        return "the host name was not found"
    return "the connection failed"


def excerpt(response: requests.Response) -> str:
    """Status and the start of the body, for messages; the session redacts it."""
    text = " ".join(response.text[:600].split())
    return f"HTTP {response.status_code}" + (f": {text[:300]}" if text else "")


def document(response: requests.Response) -> dict[str, Any]:
    """The body as an object, unwrapping Google's arrays of one error; empty when it is none."""
    try:
        body = decode_text(response.content)
    except ValueError:
        return {}
    if isinstance(body, list) and body:
        body = body[0]
    return body if isinstance(body, dict) else {}


def retry_after(response: requests.Response) -> float | None:
    """Seconds of the Retry-After header, given as a number or as a date."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - utc_now()).total_seconds())
    except (TypeError, ValueError):
        return None


def until_midnight() -> float:
    """Seconds until daily quotas are commonly reset (midnight UTC)."""
    now = utc_now()
    return ((now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - now).total_seconds()


def poll(check: Callable[[], Any], *, first: float = 0.25, longest: float = 30.0, limit: float = 3600.0) -> Any:
    """Ask again, less and less often, until the answer is not None; None when there was none within `limit` seconds."""
    waited, pause = 0.0, first
    while (found := check()) is None and waited < limit:
        sleep(pause)
        waited += pause
        pause = min(pause * 2, longest)
    return found


def walk(vendor: str, fetch: Callable[[str | None], tuple[Any, str | None]]) -> Iterator[Any]:
    """Pages of a listing read by cursor; `fetch` gives a page and the next cursor, None on the last page.

    A cursor that was seen before would be read in circles: the page is asked for again, then given up.

    Raises:
        VendorError: the vendor keeps sending a cursor it sent before.
    """
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        for _ in range(LISTING_TRIES):
            page, following = fetch(cursor)
            if following is None or following not in seen:
                break
            LOG.warning("%s sent a page cursor for the second time; asking again", vendor)
        else:
            raise VendorError(
                f"{vendor}: the same page cursor came again and again. Nothing was written; run again later."
            )
        yield page
        if following is None:
            return
        seen.add(following)
        cursor = following


def read_to_the_end(
    vendor: str,
    fetch: Callable[[int], Sequence[Any]],
    size: int,
    key: Callable[[Any], Any],
) -> list[Any]:
    """A whole listing read by offset whose vendor states no total: it ends with a page that is not full.

    An empty page is asked for twice, since nothing tells it from one that came back empty by mistake. A row that comes
    twice means that the listing moved, or that the offset was ignored: then others are missing, and it is read again.

    Raises:
        VendorError: rows kept coming twice.
    """
    for _ in range(LISTING_TRIES):
        rows: dict[Any, Any] = {}
        offset = 0
        while True:
            page = fetch(offset) or fetch(offset)
            before = len(rows)
            rows.update((key(row), row) for row in page)
            if len(rows) != before + len(page):
                break
            if len(page) < size:
                return list(rows.values())
            offset += size
        LOG.warning("%s sent rows twice; reading the listing again", vendor)
    raise VendorError(f"{vendor}: the same rows came again and again. Nothing was written; run again later.")


def read_by_offset(
    vendor: str,
    fetch: Callable[[int], tuple[Sequence[Any], int]],
    size: int,
    key: Callable[[Any], Any],
) -> list[Any]:
    """A whole listing read by offset; `fetch` gives the rows from an offset and the total the vendor states.

    Rows that arrive or move while the listing is read make it skip and repeat others. It counts as read only when as
    many distinct rows came as the vendor says there are; otherwise it is read again.

    Raises:
        VendorError: it never came out even.
    """
    held = total = 0
    for _ in range(LISTING_TRIES):
        rows: dict[Any, Any] = {}
        offset, total = 0, 1
        while offset < total:
            page, total = fetch(offset)
            rows.update((key(row), row) for row in page)
            offset += size
        held = len(rows)
        if held == total:
            return list(rows.values())
        LOG.warning("%s announced %d rows and sent %d; reading the listing again", vendor, total, held)
    raise VendorError(f"{vendor}: announced {total} rows but sent {held}. Nothing was written; run again later.")
