"""Access and refresh tokens of one vendor's sandbox: issue, rotate, expire, revoke.

Tokens are numbered and signed by their own text, so that a sandbox started anew still knows the refresh tokens of the
one before, as a vendor would.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.common import JsonResponse, bearer, form_of, sandbox_secret

LIFETIME = 3600


@dataclass(frozen=True)
class Grant:
    """What a refresh gives: an access token, and the refresh token to use from now on."""

    access_token: str
    refresh_token: str


class RefreshAuthority:
    """One OAuth client and its user's tokens.

    Args:
        vendor: whose; `revoked_token` of its faults refuses every refresh, `spent_refresh_token` those used before.
        rotates: each refresh gives another refresh token.
        prefix: of access tokens.
    """

    def __init__(self, vendor: str, faults: Faults, *, rotates: bool, prefix: str = "") -> None:
        self.vendor = vendor
        self.client_id = sandbox_secret(f"{vendor} client", 24)
        self.client_secret = sandbox_secret(f"{vendor} client secret")
        self._faults = faults
        self._rotates = rotates
        self._prefix = prefix
        self._newest = 0
        self._issued: dict[str, float] = {}
        self._lock = threading.Lock()

    def refresh_token(self, number: int = 0) -> str:
        """The refresh token of a generation; 0 is the one a user gets by signing in."""
        return f"{number}.{sandbox_secret(f'{self.vendor} refresh {number}', 48)}"

    def credentials(self) -> dict[str, str]:
        """What a user who has just signed in holds, by the end of the variables' names."""
        return {
            "CLIENT_ID": self.client_id,
            "CLIENT_SECRET": self.client_secret,
            "REFRESH_TOKEN": self.refresh_token(),
        }

    def knows_client(self, client_id: str | None, client_secret: str | None) -> bool:
        return (client_id, client_secret) == (self.client_id, self.client_secret)

    def redeem(self, refresh_token: str | None) -> Grant | None:
        """An access token for a refresh token; None when it is refused."""
        number = int(head) if refresh_token and (head := refresh_token.partition(".")[0]).isdigit() else -1
        if number < 0 or refresh_token != self.refresh_token(number):
            return None
        with self._lock:
            spent = number < self._newest
            if self._faults.active(self.vendor, "revoked_token") or (
                # Taken at every refresh, so that its hits tell whether anybody came.
                self._faults.take(self.vendor, "spent_refresh_token") and spent
            ):
                return None
            token = self._prefix + secrets.token_urlsafe(48)
            self._issued[token] = time.monotonic() + LIFETIME
            if self._rotates:
                number += 1
                self._newest = max(self._newest, number)
        return Grant(token, self.refresh_token(number))

    def issue(self) -> str:
        """An access token out of turn, for tests and clients that bring their own."""
        grant = self.redeem(self.refresh_token(self._newest))
        if grant is None:
            raise PermissionError(f"{self.vendor}: revoked")
        return grant.access_token

    def accepts(self, token: str | None) -> bool:
        with self._lock:
            return token is not None and self._issued.get(token, 0.0) > time.monotonic()

    def admits(self, request: Request) -> bool:
        """Whether a request carries an access token that is good."""
        return self.accepts(bearer(request)) and not self._faults.active(self.vendor, "revoked_token")

    def expire_all(self) -> None:
        """Makes every access token issued so far an expired one."""
        with self._lock:
            self._issued.clear()


def basic_pair(request: Request) -> tuple[str, str]:
    """Client id and secret of a Basic header; empty when there is none."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    try:
        pair = base64.b64decode(text, validate=True).decode() if scheme.lower() == "basic" else ""
    except ValueError:
        pair = ""
    client, _, secret = pair.partition(":")
    return client, secret


def token_route(path: str, authority: RefreshAuthority, *, basic: bool = False, described: str = "") -> Route:
    """A token endpoint that takes the refresh-token grant.

    Args:
        basic: the client shows its credentials in a header rather than in the form.
        described: the vendor's words for a refused grant.
    """

    async def token(request: Request) -> Response:
        form = await form_of(request)
        client = basic_pair(request) if basic else (form.get("client_id"), form.get("client_secret"))
        if not authority.knows_client(*client):
            error = "invalid_client"
            return JsonResponse({"error": error, "error_description": "The client credentials are invalid."}, 401)
        if form.get("grant_type") != "refresh_token":
            return JsonResponse({"error": "unsupported_grant_type"}, 400)
        grant = authority.redeem(form.get("refresh_token"))
        if grant is None:
            return JsonResponse(
                {"error": "invalid_grant", **({"error_description": described} if described else {})}, 400
            )
        return JsonResponse(
            {
                "token_type": "bearer",
                "expires_in": LIFETIME - 1,
                "access_token": grant.access_token,
                "refresh_token": grant.refresh_token,
            }
        )

    return Route(path, token, methods=["POST"])
