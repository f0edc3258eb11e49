"""OAuth 1.0a (RFC 5849): each request signed by itself with HMAC-SHA1, which X's ads still ask for."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import requests

# A server that refuses a signature while its clock is this far from ours refuses the timestamp.
SKEW_SECONDS: Final = 60.0
FORM: Final = "application/x-www-form-urlencoded"


def escaped(text: str) -> str:
    """Percent-encoding of section 3.6: all but letters, digits, `-._~`."""
    return quote(text, safe="~")


def signature(
    method: str, url: str, parameters: Iterable[tuple[str, str]], consumer_secret: str, token_secret: str
) -> str:
    """HMAC-SHA1 signature of section 3.4, base64.

    Args:
        url: its query is left out; give its parameters with the others.
        parameters: of query, form body and `oauth_*`, decoded.
    """
    split = urlsplit(url)
    host = (split.hostname or "").lower()
    if split.port and (split.scheme, split.port) not in (("http", 80), ("https", 443)):
        host = f"{host}:{split.port}"
    address = f"{split.scheme.lower()}://{host}{split.path or '/'}"
    pairs = sorted((escaped(name), escaped(value)) for name, value in parameters)
    base = "&".join(map(escaped, (method.upper(), address, "&".join(f"{name}={value}" for name, value in pairs))))
    key = f"{escaped(consumer_secret)}&{escaped(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()


class OAuth1Auth:
    """Signs every request; when a signature is refused and the server's clock is not ours, signs by the server's.

    Attributes:
        skew: seconds by which the server is ahead, as its last reply said; set it to the session's `clock_skew`.
    """

    def __init__(self, consumer_key: str, consumer_secret: str, token: str, token_secret: str) -> None:
        self._consumer = (consumer_key, consumer_secret)
        self._token = (token, token_secret)
        self._offset = 0.0
        self.skew: Callable[[], float] = lambda: 0.0

    def headers(self) -> Mapping[str, str]:
        return {}

    def refresh(self) -> bool:
        skew = self.skew()
        if abs(skew - self._offset) < SKEW_SECONDS:
            return False
        self._offset = skew
        return True

    def secrets(self) -> Iterable[str]:
        return (*self._consumer, *self._token)

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        own = {
            "oauth_consumer_key": self._consumer[0],
            "oauth_nonce": secrets.token_hex(16),
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time() + self._offset)),
            "oauth_token": self._token[0],
            "oauth_version": "1.0",
        }
        url = str(request.url)
        sent = parse_qsl(urlsplit(url).query, keep_blank_values=True)
        if str(request.headers.get("Content-Type", "")).startswith(FORM) and request.body:
            body = request.body if isinstance(request.body, str) else request.body.decode()
            sent += parse_qsl(body, keep_blank_values=True)
        own["oauth_signature"] = signature(
            str(request.method), url, [*sent, *own.items()], self._consumer[1], self._token[1]
        )
        fields = ", ".join(f'{name}="{escaped(value)}"' for name, value in sorted(own.items()))
        request.headers["Authorization"] = f"OAuth {fields}"
        return request
