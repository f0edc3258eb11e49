"""Fixtures of the extraction tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlt_pipelines import http
from dlt_pipelines.privacy import Hasher
from tests.extraction.harness import KEY, Loader, Vendor, loopback_vendor


@pytest.fixture
def hasher() -> Hasher:
    return Hasher(KEY)


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits that the transport would have made, instead of making them."""
    made: list[float] = []
    monkeypatch.setattr(http, "sleep", made.append)
    return made


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with loopback_vendor() as served:
        yield served
