"""OAuth 2.0 access tokens: fetched when first needed, renewed before they die, and refresh tokens that rotate kept safe.

Several vendors answer each refresh with another refresh token and, sooner or later, refuse the old one. The environment
holds the first; what came after it is sealed in a file that is useless without that first token.
"""

import base64
import fcntl
import hashlib
import hmac
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dlt_pipelines.config import HttpSourceConfig, RotatingTokenConfig
from dlt_pipelines.dialects import oauth
from dlt_pipelines.http import CredentialsRejected, VendorError, VendorSession
from dlt_pipelines.spec import SecretSpec

LIFETIME_SECONDS: Final = 3600
# A token that dies within this time is renewed before a request rather than after its refusal.
MARGIN_SECONDS: Final = 120
NONCE_BYTES: Final = 12


class TokenFile:
    """The latest refresh token of a vendor, sealed with a key drawn from the one in the environment.

    A new token in the environment wins over whatever the file holds: somebody signed in again.

    Args:
        path: file to keep it in; its folder is made.
        first: refresh token in the environment.
        variable: name of its variable, for messages.
    """

    def __init__(self, path: Path, first: str, variable: str) -> None:
        self.path = path
        self._first = first
        self._variable = variable
        self._key = HKDF(SHA256(), 32, None, b"attribution-platform/refresh-token").derive(first.encode())
        self._mark = hmac.new(self._key, b"mark", hashlib.sha256).hexdigest()[:16]

    def read(self) -> str:
        """The token to use now.

        Raises:
            CredentialsRejected: the file is damaged.
        """
        try:
            kept = json.loads(self.path.read_text())
            if kept["mark"] != self._mark:
                return self._first
            sealed = base64.b64decode(kept["sealed"])
            return AESGCM(self._key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()
        except FileNotFoundError:
            return self._first
        except (ValueError, KeyError, TypeError, InvalidTag):
            raise CredentialsRejected(
                f"{self.path} is damaged, and with it the last refresh token. Delete the file, sign in again and set "
                f"{self._variable} to the new refresh token."
            ) from None

    def write(self, token: str) -> None:
        """Keep a token: the old file stands until the new one is wholly on the disk; readable by its owner only."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + AESGCM(self._key).encrypt(nonce, token.encode(), None)
        content = json.dumps({"mark": self._mark, "sealed": base64.b64encode(sealed).decode()})
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold other processes off: two refreshes at once would each spend the other's token."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class FetchedToken:
    """A bearer token that a subclass fetches by `ask`.

    Args:
        session: to the token endpoint, without credentials of its own.
        headers: sent besides the token, such as a developer token.
    """

    def __init__(self, session: VendorSession, headers: Mapping[str, str] | None = None) -> None:
        self.session = session
        self._extra = dict(headers or {})
        self._token = ""
        self._expires = 0.0

    def ask(self) -> Any:
        """The token endpoint's reply."""
        raise NotImplementedError

    def headers(self) -> Mapping[str, str]:
        if time.monotonic() > self._expires - MARGIN_SECONDS:
            self._fetch()
        return {"Authorization": f"Bearer {self._token}", **self._extra}

    def refresh(self) -> bool:
        self._fetch()
        return True

    def secrets(self) -> Iterable[str]:
        return [self._token, *self._extra.values()]

    def _fetch(self) -> None:
        reply = self.ask()
        token = reply.get("access_token") if isinstance(reply, dict) else None
        if not token:
            raise VendorError(f"{self.session.vendor}: the token endpoint sent no access_token.")
        self._token = str(token)
        self._expires = time.monotonic() + float(reply.get("expires_in", LIFETIME_SECONDS))


class RefreshTokenAuth(FetchedToken):
    """The refresh-token grant, with the client's credentials in the form or, for some vendors, in a Basic header.

    Args:
        token_file: where a rotated refresh token is kept; None for vendors whose refresh token stays.
        form: fields sent besides the grant, such as `scope`.
    """

    def __init__(
        self,
        vendor: str,
        config: HttpSourceConfig,
        *,
        token_url: str,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        token_file: TokenFile | None = None,
        basic: bool = False,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(VendorSession(f"{vendor} sign-in", config, oauth), headers)
        self._url = token_url
        self._client = (client_id, client_secret)
        self._refresh_token = refresh_token
        self._file = token_file
        self._basic = basic
        self._form = dict(form or {})
        for secret in self.secrets():
            self.session.redact.add(secret)

    def secrets(self) -> Iterable[str]:
        return [*super().secrets(), self._client[1], self._refresh_token]

    def ask(self) -> Any:
        with self._file.locked() if self._file else nullcontext():
            if self._file:
                self._refresh_token = self._file.read()
                self.session.redact.add(self._refresh_token)
            form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token, **self._form}
            request: dict[str, Any] = {"data": form}
            if self._basic:
                pair = base64.b64encode(":".join(self._client).encode()).decode()
                request["headers"] = {"Authorization": f"Basic {pair}"}
            else:
                form |= {"client_id": self._client[0], "client_secret": self._client[1]}
            reply = self.session.call("POST", self._url, **request)
            rotated = reply.get("refresh_token") if isinstance(reply, dict) else None
            if rotated and rotated != self._refresh_token:
                self._refresh_token = str(rotated)
                self.session.redact.add(self._refresh_token)
                if self._file:
                    # Before the first use of what came with it: a crash after this line loses nothing.
                    self._file.write(self._refresh_token)
            return reply


def rotating_auth(
    source: str,
    config: RotatingTokenConfig,
    client_id: SecretSpec,
    client_secret: SecretSpec,
    refresh_token: SecretSpec,
    **more: Any,
) -> RefreshTokenAuth:
    """Sign-in of a source by secrets from the environment, its latest refresh token kept in the settings' folder."""
    first = refresh_token.read()
    return RefreshTokenAuth(
        source,
        config,
        token_url=config.token_url,
        client_id=client_id.read(),
        client_secret=client_secret.read(),
        refresh_token=first,
        token_file=TokenFile(config.token_folder / f"{source}.token", first, refresh_token.env),
        **more,
    )
