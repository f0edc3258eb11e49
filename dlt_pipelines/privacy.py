"""Personal data leaves here keyed-hashed or redacted. Nothing personal may be yielded to dlt before it went through.

dlt writes what it extracts to disk at once, unencrypted, so hashing later would be too late.
"""

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_plus

HASH_KEY_VARIABLE = "ATTRIBUTION_HASH_KEY"
MINIMUM_KEY_CHARACTERS = 16
REDACTED = "redacted"

# Query and parameter keys whose value names or reaches a person, or opens a door; compared without case, - and _.
_PERSONAL_WORDS = (
    "email emailaddress mail phone phonenumber tel telephone mobile name firstname lastname fullname surname "
    "givenname familyname fname lname address street streetaddress zip postcode postalcode ip ipaddress ipoverride "
    "birthdate birthday dob ssn password passwd pwd token accesstoken authtoken sessiontoken apikey secret"
)
_OWNERS = ("", "user", "customer", "contact", "billing", "shipping", "member", "lead", "recipient")
PERSONAL_KEYS: frozenset[str] = frozenset(owner + word for owner in _OWNERS for word in _PERSONAL_WORDS.split()) | {
    "em",
    "username",
}

# `@` may arrive percent-encoded any number of times inside a nested address.
_AT = r"(?:@|%(?:25)*40)"
_EMAIL = re.compile(rf"[A-Za-z0-9._%+\-]+{_AT}[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+")
_PAIR = re.compile(
    r"(?P<lead>[?&;#]|%(?:25)*(?:3[Ff]|26))"
    r"(?P<key>(?:[^=&;#?/%]|%(?!(?:25)*(?:3[DdFf]|26|2[Ff])))+)"
    r"(?P<eq>=|%(?:25)*3[Dd])"
    r"(?P<value>[^&;#]*)"
)
_USERINFO = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.\-]*:)?//[^/?#@]*@")
# One cheap test that most addresses fail, so that only suspicious ones pay for the parse.
URL_SUSPECT = (
    r"(?i)@|%(25)*40|(%(25)*(3f|26)|[?&;#])"
    r"(em|[^=&;#?/]*(mail|phone|tel|mobile|name|address|street|zip|post|ip|birth|dob|ssn|passw|pwd|token|key|secret)[^=&;#?/]*)"
    r"(=|%(25)*3d)"
)
_URL_SUSPECT = re.compile(URL_SUSPECT)


class HashKeyError(RuntimeError):
    """The hash key is missing or too short."""


@lru_cache(maxsize=10_000)
def is_personal_key(key: str) -> bool:
    """Whether a query or parameter key announces personal data, whatever its spelling."""
    return re.sub(r"[\s_\-.\[\]$]", "", unquote_plus(key)).lower() in PERSONAL_KEYS


def looks_like_email(text: str) -> bool:
    return _EMAIL.search(text) is not None


def normalise_email(value: str) -> str | None:
    """Lower-cased and trimmed; None for text that is not an address, which would join strangers as one person."""
    text = value.strip().lower().removeprefix("mailto:")
    local, at, domain = text.rpartition("@")
    return text if at and local and domain else None


def normalise_phone(value: str) -> str | None:
    """Digits with a leading + where the number says its country; None for fewer than five digits."""
    text = value.strip()
    digits = re.sub(r"\D", "", text)
    if len(digits) < 5:
        return None
    if text.startswith("+"):
        return f"+{digits}"
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def normalise_ip(value: str) -> str | None:
    """Canonical address of the client; takes the first of a forwarded list and drops a port. None if it is none."""
    text = value.split(",")[0].strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def normalise_name(value: str) -> str | None:
    return " ".join(value.split()).casefold() or None


def scrub_text(text: str) -> str:
    """Free text with every e-mail address in it replaced."""
    return _EMAIL.sub(REDACTED, text) if "@" in text or "40" in text else text


@lru_cache(maxsize=10_000)
def scrub_url(url: str) -> str:
    """An address without personal data: user info cut, personal or e-mail-like values replaced by `redacted`.

    Whatever is harmless stays byte for byte, because click ids and UTM values are compared later.
    """
    if not _URL_SUSPECT.search(url):
        return url
    return _EMAIL.sub(REDACTED, _PAIR.sub(_scrub_pair, _USERINFO.sub(r"\1//", url)))


def _scrub_pair(match: re.Match[str]) -> str:
    value = match["value"]
    if not value:
        return match[0]
    if is_personal_key(match["key"]):
        # Inside a nested, encoded address only this pair ends at the next encoded ampersand.
        kept = re.search(r"%(?:25)*26", value) if match["lead"].startswith("%") else None
        return f"{match['lead']}{match['key']}{match['eq']}{REDACTED}{_rescrub(value[kept.start() :]) if kept else ''}"
    if "%" in value or "=" in value or "?" in value:
        value = _rescrub(value)
    return f"{match['lead']}{match['key']}{match['eq']}{value}"


def _rescrub(value: str) -> str:
    return _PAIR.sub(_scrub_pair, value)


class Hasher:
    """Keyed hashing (HMAC-SHA256, hex) of normalised personal values.

    The same key must be used for every source: equal people have equal hashes only under one key.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < MINIMUM_KEY_CHARACTERS:
            raise HashKeyError(
                f"The hash key has {len(key)} characters; {HASH_KEY_VARIABLE} needs at least {MINIMUM_KEY_CHARACTERS}."
            )
        self._key = key

    def __repr__(self) -> str:
        return "Hasher(key=…)"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Hasher":
        """The hasher of ATTRIBUTION_HASH_KEY.

        Raises:
            HashKeyError: the variable is unset or too short.
        """
        value = (os.environ if environment is None else environment).get(HASH_KEY_VARIABLE, "").strip()
        if not value:
            raise HashKeyError(
                f"{HASH_KEY_VARIABLE} is not set. Personal data is hashed with it before anything is stored: set a secret "
                f"of at least {MINIMUM_KEY_CHARACTERS} characters and keep it, since a new key makes every person new."
            )
        return cls(value.encode())

    def digest(self, text: str) -> str:
        """HMAC of a text as it stands."""
        # Half an emoji, cut off by a vendor, is no valid UTF-8 and must not stop a load.
        return hmac.digest(self._key, text.encode(errors="surrogatepass"), hashlib.sha256).hex()

    def email(self, value: str) -> str | None:
        return self._of(normalise_email(value))

    def phone(self, value: str) -> str | None:
        return self._of(normalise_phone(value))

    def ip(self, value: str) -> str | None:
        return self._of(normalise_ip(value))

    def name(self, value: str) -> str | None:
        return self._of(normalise_name(value))

    def identifier(self, value: str) -> str:
        """An id as it is, unless it is really an e-mail address: then the address's hash, equal in every source."""
        if "@" not in value:
            return value
        return self.email(value) or self.digest(value)

    def _of(self, normalised: str | None) -> str | None:
        return None if normalised is None else self.digest(normalised)
