"""Google's OAuth token endpoint: the JWT-bearer grant of service accounts and the refresh-token grant of users.

One :class:`TokenAuthority` issues and judges the tokens of both Google vendors, so a token that the sandbox
did not issue, or that has been expired, is refused by GA4 and Google Ads alike.
"""

from __future__ import annotations

import functools
import json
import secrets
import threading
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults
from dlt_pipelines.sandbox.vendors.common import JsonResponse, bearer, form_of, sandbox_secret

VENDOR = "google_oauth"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ANALYTICS_SCOPES = frozenset(
    {"https://www.googleapis.com/auth/analytics.readonly", "https://www.googleapis.com/auth/analytics"}
)
ADS_SCOPES = frozenset({"https://www.googleapis.com/auth/adwords"})
SEARCH_SCOPES = frozenset(
    {"https://www.googleapis.com/auth/webmasters.readonly", "https://www.googleapis.com/auth/webmasters"}
)
LIFETIME = 3600


class TokenAuthority:
    """Keys, clients and issued tokens of the sandbox's Google.

    Attributes:
        client_email: The one service account known.
        client_id, client_secret: The one OAuth client known.
        refresh_tokens: Refresh token of each vendor's user.
    """

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public_key = key.public_key()
        self._private_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        self.key_id = sandbox_secret("service account key id")
        self.client_email = "reader@sandbox-project.iam.gserviceaccount.com"
        self.client_id = "100000000001-sandbox.apps.googleusercontent.com"
        self.client_secret = f"GOCSPX-{sandbox_secret('client secret', 28)}"
        self.refresh_tokens = {
            vendor: f"1//0{sandbox_secret(f'{vendor} refresh', 60)}" for vendor in ("ga4", "google_ads")
        }
        self._issued: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def service_account_json(self, token_uri: str) -> str:
        """The key file a user would download for the service account."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "sandbox-project",
                "private_key_id": self.key_id,
                "private_key": self._private_pem,
                "client_email": self.client_email,
                "client_id": "100000000000000000001",
                "auth_uri": "https://accounts.google.com/o/oauth2/auth",
                "token_uri": token_uri,
                "universe_domain": "googleapis.com",
            }
        )

    def authorized_user_json(self, token_uri: str) -> str:
        """Application-default credentials of a user who may read GA4."""
        return json.dumps(
            {
                "type": "authorized_user",
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "refresh_token": self.refresh_tokens["ga4"],
                "token_uri": token_uri,
            }
        )

    def issue(self, scopes: frozenset[str]) -> str:
        """A fresh access token for these scopes."""
        token = f"ya29.{secrets.token_urlsafe(48)}"
        with self._lock:
            self._issued[token] = (time.monotonic() + LIFETIME, scopes)
        return token

    def expire_all(self) -> None:
        """Makes every token issued so far an expired one."""
        with self._lock:
            self._issued = {token: (0.0, scopes) for token, (_, scopes) in self._issued.items()}

    def objection(self, token: str | None, scopes: frozenset[str]) -> str | None:
        """Why a call with this token is refused, as Google's ErrorInfo reason; None if it is fine."""
        if token is None:
            return "CREDENTIALS_MISSING"
        with self._lock:
            known = self._issued.get(token)
        if known is None:
            return "ACCESS_TOKEN_TYPE_UNSUPPORTED" if not token.startswith("ya29.") else "ACCESS_TOKEN_EXPIRED"
        deadline, granted = known
        if time.monotonic() >= deadline:
            return "ACCESS_TOKEN_EXPIRED"
        return None if granted & scopes else "ACCESS_TOKEN_SCOPE_INSUFFICIENT"

    def claims_of(self, assertion: str, token_uri: str, skew: float) -> dict[str, Any]:
        """Verifies a signed assertion.

        Raises:
            jwt.InvalidTokenError: Signature, audience or times are wrong, or the token lives over an hour.
        """
        claims: dict[str, Any] = jwt.decode(
            assertion,
            self._public_key,
            algorithms=["RS256"],
            audience=[token_uri, "https://oauth2.googleapis.com/token"],
            options={"require": ["iss", "iat", "exp", "aud"], "verify_exp": False, "verify_iat": False},
        )
        now = time.time() + skew
        if not (claims["iat"] <= now + 60 and now < claims["exp"] <= claims["iat"] + LIFETIME + 60):
            raise jwt.InvalidIssuedAtError("times are not in a reasonable timeframe")
        return claims


@functools.cache
def shared_authority() -> TokenAuthority:
    """The authority of this process: one RSA key, generated once (about 0.1 s)."""
    return TokenAuthority()


def google_error(code: int, status: str, message: str, details: list[Any] | None = None, **headers: str) -> Response:
    """An error in the form every Google API shares."""
    error: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        error["details"] = details
    return JsonResponse({"error": error}, code, headers=headers)


def refusal(request: Request, authority: TokenAuthority, scopes: frozenset[str]) -> Response | None:
    """The 401 or 403 for a call whose token is missing, unknown, expired or too narrow."""
    reason = authority.objection(bearer(request), scopes)
    return None if reason is None else token_error(reason)


def token_error(reason: str) -> Response:
    """Google's answer to an unusable access token."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
    }
    if reason == "ACCESS_TOKEN_SCOPE_INSUFFICIENT":
        message = "Request had insufficient authentication scopes."
        return google_error(403, "PERMISSION_DENIED", message, [info])
    lacking = "is missing required" if reason == "CREDENTIALS_MISSING" else "had invalid"
    message = (
        f"Request {lacking} authentication credential{'' if lacking.startswith('is') else 's'}. Expected OAuth 2 "
        "access token, login cookie or other valid authentication credential."
    )
    challenge = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    return google_error(401, "UNAUTHENTICATED", message, [info], **{"www-authenticate": challenge})


def google_dialect(
    authority: TokenAuthority, throttle: str = "Resource has been exhausted (e.g. check quota)."
) -> Dialect:
    """The faults of a Google API that has nothing special to say about them."""

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return token_error("ACCESS_TOKEN_EXPIRED")

    return Dialect(
        throttle=lambda _request, _fault: google_error(429, "RESOURCE_EXHAUSTED", throttle),
        server_error=lambda _request, _fault: google_error(503, "UNAVAILABLE", "The service is currently unavailable."),
        expired_token=expired,
        revoked_token=lambda _request, _fault: token_error("ACCESS_TOKEN_EXPIRED"),
    )


def _grant_error(error: str, description: str, status: int = 400) -> Response:
    return JsonResponse({"error": error, "error_description": description}, status)


def create_app(faults: Faults, authority: TokenAuthority | None = None) -> Starlette:
    """The token endpoint, at ``/token``."""
    authority = authority or shared_authority()

    def revoked(vendor: str) -> bool:
        return faults.active(vendor, "revoked_token") is not None

    def by_assertion(form: dict[str, str], token_uri: str) -> Response:
        skew = faults.active(VENDOR, "clock_skew") or faults.active("ga4", "clock_skew")
        try:
            claims = authority.claims_of(form.get("assertion", ""), token_uri, skew.seconds if skew else 0.0)
        except jwt.InvalidSignatureError:
            return _grant_error("invalid_grant", "Invalid JWT Signature.")
        except jwt.InvalidTokenError as error:
            return _grant_error(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                f"Check your iat and exp values in the JWT claim. ({error})",
            )
        reader = "search_console" if SEARCH_SCOPES & set(str(claims.get("scope", "")).split()) else "ga4"
        if claims["iss"] != authority.client_email or revoked(reader):
            return _grant_error("invalid_grant", "Invalid grant: account not found")
        scope = str(claims.get("scope", ""))
        if not scope:
            return _grant_error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        token = authority.issue(frozenset(scope.split()))
        return JsonResponse({"access_token": token, "expires_in": LIFETIME - 1, "token_type": "Bearer"})

    def by_refresh_token(form: dict[str, str]) -> Response:
        if form.get("client_id") != authority.client_id:
            return _grant_error("invalid_client", "The OAuth client was not found.", 401)
        if form.get("client_secret") != authority.client_secret:
            return _grant_error("invalid_client", "The provided client secret is invalid.", 401)
        sent = form.get("refresh_token")
        vendor = next((name for name, known in authority.refresh_tokens.items() if known == sent), None)
        if vendor is None or revoked(vendor):
            return _grant_error("invalid_grant", "Token has been expired or revoked.")
        scopes = ANALYTICS_SCOPES if vendor == "ga4" else ADS_SCOPES
        return JsonResponse(
            {
                "access_token": authority.issue(scopes),
                "expires_in": LIFETIME - 1,
                "scope": sorted(scopes)[-1],
                "token_type": "Bearer",
            }
        )

    async def token(request: Request) -> Response:
        form = await form_of(request)
        if form.get("grant_type") == JWT_GRANT:
            return by_assertion(form, str(request.url))
        if form.get("grant_type") == "refresh_token":
            return by_refresh_token(form)
        return _grant_error("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")

    return Starlette(
        routes=[Route("/token", token, methods=["POST"])],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=google_dialect(authority))],
    )
