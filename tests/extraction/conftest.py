"""Fixtures of the extraction tests."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dlt_pipelines import http
from dlt_pipelines.config import ExtractionWindow
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import World, WorldConfig, build_world
from tests.extraction.harness import KEY, Loader, Vendor, loopback_vendor, make_window


@pytest.fixture(scope="module")
def world() -> World:
    """The company that most sources' tests read; a module that needs another has its own."""
    return build_world(WorldConfig(people=250, days=30))


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[SandboxServer]:
    with SandboxServer(world) as running:
        yield running


@pytest.fixture(scope="module")
def window(world: World) -> ExtractionWindow:
    """All of the world's days."""
    times = world.events["occurred_at"]
    return make_window(times.min().date(), times.max().date() + timedelta(days=1))


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
