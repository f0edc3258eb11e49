"""What every vendor's source must do, said once: refuse without changing a row, settle, let the doctor object to credentials."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dlt_pipelines.config import ExtractionWindow, SourceConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from tests.extraction.harness import Loader


def refusals(
    loader: Loader,
    config: SourceConfig,
    server: SandboxServer,
    window: ExtractionWindow,
    vendor: str,
    faults: Iterable[tuple[str, Mapping[str, Any]]],
) -> dict[str, str]:
    """What a source says under each fault that it must not survive. It changes no row then, nor afterwards, and tells no secret."""
    spec, whole = SOURCES[vendor], window.model_copy(update={"refresh": True})
    loader.load(spec, config, window)
    before = loader.stored(vendor)
    told: dict[str, str] = {}
    for kind, options in faults:
        server.faults.switch(vendor, kind, **{"times": None, **options})
        with pytest.raises(ExtractionFailed) as caught:
            loader.load(spec, config, whole)
        told[kind] = str(caught.value)
        server.faults.clear()
        assert loader.stored(vendor) == before, kind
        for secret in server.credentials().values():
            assert secret not in told[kind]
    loader.load(spec, config, window)
    assert loader.stored(vendor) == before, "once the fault is gone, a run changes no row"
    return told


def late_rows_arrive(
    loader: Loader, config: SourceConfig, server: SandboxServer, window: ExtractionWindow, vendor: str, fresh: Path
) -> None:
    """What the vendor did not show at first is there after the next run, as in a folder that is read for the first time."""
    server.faults.switch(vendor, "late_rows", days=1)
    loader.load(SOURCES[vendor], config, window)
    server.faults.clear()
    loader.load(SOURCES[vendor], config, window)
    untouched = Loader(fresh)
    untouched.load(SOURCES[vendor], config, window)
    assert loader.stored(vendor, load_ids=False) == untouched.stored(vendor, load_ids=False)


def the_doctor_objects(
    configs: Mapping[str, SourceConfig], vendors: Iterable[str], server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong credentials are one error with a remedy that does not repeat them, missing ones errors."""
    for name in server.credentials():
        monkeypatch.setenv(name, "wrong-credential-us21")
    for vendor in vendors:
        (finding,) = SOURCES[vendor].check(configs[vendor])
        assert finding.level == "error"
        assert "wrong-credential" not in finding.message
        assert finding.remedy
    for name in server.credentials():
        monkeypatch.delenv(name)
    for vendor in vendors:
        assert {finding.level for finding in SOURCES[vendor].check(configs[vendor])} == {"error"}
