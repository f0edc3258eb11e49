"""Checks the OAuth 1.0a signature of a request, as X does for its ads and for posts read in a user's name."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request

from dlt_pipelines.oauth1 import FORM, signature

TIMESTAMP_SECONDS = 300
_FIELD = re.compile(r'(oauth_\w+)="([^"]*)"')


async def objection(request: Request, credentials: Sequence[str], skew: float) -> str:
    """Why a request's signature is refused; empty when it is good.

    Args:
        credentials: consumer key and secret, access token and its secret.
        skew: seconds by which the vendor's clock is ahead.
    """
    key, secret, token, token_secret = credentials
    sent = {name: unquote(value) for name, value in _FIELD.findall(request.headers.get("authorization", ""))}
    given = sent.pop("oauth_signature", "")
    if (sent.get("oauth_consumer_key"), sent.get("oauth_token")) != (key, token):
        return "This request is not properly authenticated"
    if abs(time.time() + skew - float(sent.get("oauth_timestamp", "0"))) > TIMESTAMP_SECONDS:
        return "Timestamp out of bounds"
    pairs = parse_qsl(request.url.query, keep_blank_values=True)
    if request.headers.get("content-type", "").startswith(FORM):
        pairs += parse_qsl((await request.body()).decode(), keep_blank_values=True)
    right = signature(request.method, str(request.url), [*pairs, *sent.items()], secret, token_secret)
    return "" if hmac.compare_digest(given, right) else "This request is not properly authenticated"
