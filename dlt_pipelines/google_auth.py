"""Google access tokens: a service account's signed assertion or a user's refresh token, fetched when first needed."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dlt_pipelines.config import HttpSourceConfig
from dlt_pipelines.dialects import google
from dlt_pipelines.http import CredentialsRejected, Redactor, VendorSession
from dlt_pipelines.oauth import LIFETIME_SECONDS, FetchedToken

JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DEFAULT_TOKEN_URL: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class GoogleAuth(FetchedToken):
    """Bearer tokens from Google's token endpoint.

    Args:
        grant: credentials in the form of Google's JSON files: `type` service_account or authorized_user.
        scope: what a service account asks for.
        token_url: overrides the address in the credentials.
        headers: sent besides the token, such as Google Ads' developer token.
    """

    def __init__(
        self,
        vendor: str,
        config: HttpSourceConfig,
        grant: Mapping[str, Any],
        scope: str,
        token_url: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(VendorSession(f"{vendor} sign-in", config, google), headers)
        self._grant = grant
        self._scope = scope
        self._url = token_url or str(grant.get("token_uri") or DEFAULT_TOKEN_URL)
        for secret in self.secrets():
            self.session.redact.add(secret)

    @classmethod
    def from_json(
        cls, vendor: str, config: HttpSourceConfig, text: str, variable: str, scope: str, token_url: str = ""
    ) -> "GoogleAuth":
        """From a credentials file's content.

        Raises:
            CredentialsRejected: the text is not such a file.
        """
        try:
            grant = json.loads(text)
            kind = grant["type"]
            needed = (
                ("client_email", "private_key")
                if kind == "service_account"
                else ("client_id", "client_secret", "refresh_token")
            )
            missing = [name for name in needed if not grant.get(name)]
        except (ValueError, TypeError, KeyError):
            raise CredentialsRejected(
                f"{variable} is not the JSON of a service account or of an authorized user. Put the file's content there."
            ) from None
        if missing or kind not in ("service_account", "authorized_user"):
            raise CredentialsRejected(
                f"{variable}: type {kind!r} lacks {', '.join(missing) or 'nothing, but is not supported'}."
            )
        return cls(vendor, config, grant, scope, token_url)

    def secrets(self) -> Iterable[str]:
        named = ("private_key", "client_secret", "refresh_token")
        return [*super().secrets(), *(str(self._grant.get(name) or "") for name in named)]

    def ask(self) -> Any:
        if self._grant.get("type") == "service_account":
            return self._by_assertion()
        return self.session.call(
            "POST",
            self._url,
            data={
                "grant_type": "refresh_token",
                "client_id": self._grant["client_id"],
                "client_secret": self._grant["client_secret"],
                "refresh_token": self._grant["refresh_token"],
            },
        )

    def _by_assertion(self) -> Any:
        try:
            return self.session.call("POST", self._url, data=self._assertion(0))
        except CredentialsRejected as refused:
            if "iat" not in str(refused) and "timeframe" not in str(refused):
                raise
            # Our clock is off, or Google's: sign again by the time Google itself states in its replies.
            skew = self.session.clock_skew()
            if abs(skew) < 30:
                raise
            return self.session.call("POST", self._url, data=self._assertion(skew))

    def _assertion(self, skew: float) -> dict[str, str]:
        import jwt

        now = int(time.time() + skew)
        claims = {
            "iss": self._grant["client_email"],
            "scope": self._scope,
            "aud": self._url,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        key_id = self._grant.get("private_key_id")
        try:
            signed = jwt.encode(
                claims, str(self._grant["private_key"]), algorithm="RS256", headers={"kid": key_id} if key_id else None
            )
        except ValueError as error:
            message = Redactor([str(self._grant["private_key"])])(str(error))[:120]
            raise CredentialsRejected(
                f"{self.session.vendor}: the service account's private key is unusable ({message})."
            ) from None
        return {"grant_type": JWT_GRANT, "assertion": signed}
