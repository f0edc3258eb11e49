"""Refresh tokens that rotate: stored before use, sealed, and never lost to a crash, a second process or a new sign-in."""

import stat
import threading

import pytest

from dlt_pipelines.config import HttpSourceConfig
from dlt_pipelines.dialects import plain
from dlt_pipelines.http import CredentialsRejected, VendorSession
from dlt_pipelines.oauth import RefreshTokenAuth, TokenFile
from tests.extraction.harness import Asked, Reply

FIRST = "the first refresh token"


@pytest.fixture
def kept(tmp_path):
    return TokenFile(tmp_path / "tokens" / "vendor.token", FIRST, "VENDOR_REFRESH_TOKEN")


def sign_in(vendor, kept, **more):
    return RefreshTokenAuth(
        "vendor",
        HttpSourceConfig(base_url=vendor.url, attempts=2),
        token_url=f"{vendor.url}/token",
        client_id="client",
        client_secret="client secret",
        refresh_token=FIRST,
        token_file=kept,
        **more,
    )


def rotating(asked: Asked) -> Reply:
    """Each refresh token works once; the next one has one more `+`."""
    if asked.path != "/token":
        return Reply(401 if rotating.expired else 200, {})
    sent = dict(pair.split("=") for pair in asked.body.decode().split("&"))["refresh_token"].replace("%2B", "+")
    if sent != rotating.valid:
        return Reply(400, {"error": "invalid_grant"})
    rotating.valid, rotating.expired = sent + "+", False
    return Reply(200, {"access_token": f"access {len(rotating.valid)}", "refresh_token": rotating.valid})


@pytest.fixture
def rotating_vendor(vendor):
    rotating.valid, rotating.expired = FIRST.replace(" ", "+"), True
    vendor.answer = rotating
    return vendor


def test_a_rotated_token_outlives_the_process(rotating_vendor, kept):
    for generation in range(1, 4):
        assert sign_in(rotating_vendor, kept).headers()["Authorization"].startswith("Bearer access")
        assert kept.read().endswith("+" * generation)
    content = kept.path.read_bytes()
    assert b"refresh token" not in content
    assert FIRST.replace(" ", "+").encode() not in content
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700


def test_a_new_sign_in_wins_over_the_file(tmp_path, kept):
    kept.path.parent.mkdir()
    kept.write("rotated")
    assert kept.read() == "rotated"
    assert TokenFile(kept.path, "signed in again", "V").read() == "signed in again"


def test_a_crash_while_writing_leaves_the_old_token(kept, monkeypatch):
    kept.path.parent.mkdir()
    kept.write("second")
    monkeypatch.setattr("dlt_pipelines.oauth.os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        kept.write("third")
    assert kept.read() == "second"


def test_a_damaged_file_says_what_to_do(kept):
    kept.path.parent.mkdir()
    kept.write("second")
    kept.path.write_text(kept.path.read_text()[:-8] + '"}')
    with pytest.raises(CredentialsRejected, match=r"Delete the file, sign in again and set VENDOR_REFRESH_TOKEN"):
        kept.read()


def test_two_at_once_do_not_spend_each_others_token(rotating_vendor, kept):
    failures = []

    def go():
        try:
            sign_in(rotating_vendor, kept).headers()
        except CredentialsRejected as error:
            failures.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert kept.read().endswith("++++")


def test_one_refresh_on_401_and_no_secret_in_the_refusal(rotating_vendor, kept):
    auth = sign_in(rotating_vendor, kept, basic=True)
    config = HttpSourceConfig(base_url=rotating_vendor.url)
    auth.headers()
    rotating.expired = True
    with VendorSession("vendor", config, plain, auth) as session:
        assert session.get("/data") == {}
    assert [asked.path for asked in rotating_vendor.asked] == ["/token", "/data", "/token", "/data"]
    assert all(asked.headers["Authorization"].startswith("Basic") for asked in rotating_vendor.asked[::2])
    rotating.valid = "something else"
    with pytest.raises(CredentialsRejected) as caught:
        auth.refresh()
    assert "secret" not in str(caught.value)


def test_a_download_carries_no_credentials(vendor, kept):
    vendor.answer = lambda asked: Reply(200, {"access_token": "a"} if asked.path == "/token" else b"PK whole")
    with VendorSession("vendor", HttpSourceConfig(base_url=vendor.url), plain, sign_in(vendor, kept)) as session:
        session.call("GET", "/file", decode=bytes)
        assert session.download(f"{vendor.url}/signed", bytes) == b"PK whole"
    assert "Authorization" in vendor.asked[1].headers
    assert "Authorization" not in vendor.asked[2].headers


def test_a_download_that_is_not_whole_is_asked_for_again(vendor, pauses):
    def whole(content: bytes) -> bytes:
        if not content.endswith(b"!"):
            raise ValueError
        return content

    vendor.script(Reply(200, b"half"), Reply(200, b"whole!"))
    with VendorSession("vendor", HttpSourceConfig(base_url=vendor.url), plain) as session:
        assert session.download(f"{vendor.url}/file", whole) == b"whole!"
    assert len(pauses) == 1
