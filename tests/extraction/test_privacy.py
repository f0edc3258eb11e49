"""Nothing personal survives, nothing else is touched, and equal people stay equal."""

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlt_pipelines.json_text import decode, encode
from dlt_pipelines.privacy import (
    Hasher,
    HashKeyError,
    normalise_email,
    normalise_ip,
    normalise_phone,
    scrub_text,
    scrub_url,
)
from dlt_pipelines.rows import scrub_params

WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
EMAIL = st.builds("{}@{}.com".format, WORD, WORD)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/?utm_source=google&utm_medium=cpc&gclid=Cj0K_-x",
        "https://shop.example/a/b?q=running+shoes&page=2#top",
        "https://shop.example/?utm_campaign=name-your-price&utm_content=phone%20cases&fbclid=IwAR0",
        "https://shop.example/?utm_term=%E2%82%AC&empty=&utm_id=7",
        "/relative/path?ref=news",
        "",
    ],
)
def test_harmless_urls_stay_byte_for_byte(url):
    assert scrub_url(url) == url


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://s.example/?email=a@b.de&utm_source=x", "https://s.example/?email=redacted&utm_source=x"),
        ("https://s.example/?e=a%40b.de", "https://s.example/?e=redacted"),
        ("https://s.example/?EMail-Address=nobody", "https://s.example/?EMail-Address=redacted"),
        ("https://s.example/?user%5Bphone%5D=0301234&x=1", "https://s.example/?user%5Bphone%5D=redacted&x=1"),
        ("https://s.example/?first_name=Ada&last_name=L", "https://s.example/?first_name=redacted&last_name=redacted"),
        ("https://s.example/u/a@b.de/edit", "https://s.example/u/redacted/edit"),
        ("https://ada:secret@s.example/x", "https://s.example/x"),
        ("https://s.example/#access_token=abc&state=1", "https://s.example/#access_token=redacted&state=1"),
        (
            "https://s.example/login?next=https%3A%2F%2Fs.example%2F%3Femail%3Dx%26utm_source%3Dg&z=1",
            "https://s.example/login?next=https%3A%2F%2Fs.example%2F%3Femail%3Dredacted%26utm_source%3Dg&z=1",
        ),
        # An encoded address cannot be told from what is encoded before it, so that goes too.
        ("https://s.example/?r=%252Fu%253Fe%253Da%2540b.de&x=1", "https://s.example/?r=redacted&x=1"),
    ],
)
def test_personal_values_are_redacted(url, clean):
    assert scrub_url(url) == clean


@given(
    EMAIL,
    WORD,
    st.integers(0, 3),
    st.sampled_from(["https://s.example/?{}={}&utm_source=g", "/p/{1}?x=1", "/?a=1#{0}={1}"]),
)
def test_no_email_survives_a_url_at_any_depth_of_encoding(email, key, depth, template):
    encoded = email
    for _ in range(depth):
        encoded = quote(encoded, safe="")
    scrubbed = scrub_url(template.format(key, encoded))
    assert encoded not in scrubbed
    assert email not in scrubbed


@given(EMAIL, st.text(max_size=30))
def test_no_email_survives_free_text(email, text):
    assert email not in scrub_text(f"{text} {email} {text}")


@given(EMAIL)
def test_an_address_is_the_same_person_however_it_is_written(email):
    hasher = Hasher(b"a key for tests only")
    assert hasher.email(f"  {email.upper()} ") == hasher.email(email) == hasher.identifier(email)
    assert hasher.email(email) != Hasher(b"another key, just as long").email(email)
    assert email not in str(hasher.email(email))


def test_what_is_no_address_is_nobody():
    assert [normalise_email(text) for text in ("", "n/a", "@", "a@", "@b.de", "unknown")] == [None] * 6
    assert [normalise_ip(text) for text in ("", "localhost", "1.2.3", "999.1.1.1")] == [None] * 4
    assert [normalise_phone(text) for text in ("", "n/a", "123")] == [None] * 3


def test_addresses_and_numbers_have_one_form():
    assert (
        normalise_ip("203.0.113.7:443") == normalise_ip("::ffff:203.0.113.7") == normalise_ip("203.0.113.7, 10.0.0.1")
    )
    assert normalise_ip("[2001:DB8::1]:80") == normalise_ip("2001:db8:0:0:0:0:0:1") == "2001:db8::1"
    assert normalise_phone("+49 (30) 123-456") == normalise_phone("004930123456") == "+4930123456"


def test_ids_that_are_addresses_are_hashed_and_others_are_not():
    hasher = Hasher(b"a key for tests only")
    assert hasher.identifier("GA1.1.123.456") == "GA1.1.123.456"
    assert hasher.identifier("A@b.de") == hasher.email("a@B.de")


def test_parameters_are_redacted_by_key_and_by_content():
    text = scrub_params({"email": "x", "note": "mail a@b.de", "page_location": "https://s.example/?phone=1", "n": 3})
    assert (
        text == '{"email":"redacted","n":3,"note":"mail redacted","page_location":"https://s.example/?phone=redacted"}'
    )


def test_parameters_are_redacted_at_any_depth():
    nested = {"$set": {"$email": "a@b.de", "plan": "pro", "$ip": "198.51.100.1"}, "to": [{"$name": "Ada"}, "a@b.de"]}
    assert (
        scrub_params(nested)
        == '{"$set":{"$email":"redacted","plan":"pro","$ip":"redacted"},"to":[{"$name":"redacted"},"redacted"]}'
    )


def test_the_key_must_be_there_and_long_enough():
    with pytest.raises(HashKeyError, match="ATTRIBUTION_HASH_KEY is not set"):
        Hasher.from_environment({})
    with pytest.raises(HashKeyError, match="at least 16"):
        Hasher.from_environment({"ATTRIBUTION_HASH_KEY": "short"})
    assert "tests only" not in repr(Hasher(b"a key for tests only"))


WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = WHOLE | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.none() | st.booleans() | NUMBER | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_json_is_read_and_written_as_the_standard_library_does(value):
    assert json.loads(encode(value)) == decode(json.dumps(value)) == value


def test_json_that_the_fast_reader_refuses():
    assert decode(b'{"half": "\\ud83d"}') == {"half": "\ud83d"}
    assert json.loads(encode({"half": "\ud83d", "long": 10**30})) == {"half": "\ud83d", "long": 10**30}
    assert decode("\ufeff{}".encode()) == {}
    with pytest.raises(ValueError, match="Expecting"):
        decode(b"<html>")
