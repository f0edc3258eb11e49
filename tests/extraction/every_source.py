"""Settings of every source against one sandbox, the backend's database and the folders of files included."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlt_pipelines.config import BackendConfig, FilesConfig, SourceConfig
from dlt_pipelines.sandbox.server import MOUNTED, SandboxServer
from dlt_pipelines.sandbox.vendors.ga4_export import write_export
from dlt_pipelines.sandbox.world import World
from tests.extraction.fault_matrix import case_of


def every_source(
    world: World, server: SandboxServer, folder: Path
) -> tuple[dict[str, SourceConfig], Mapping[str, str]]:
    """Settings by source, and the variables that they are read with. The world's files are written under `folder`.

    The matrix reads in tiny pages to have several; here each vendor's own size counts requests as they would be.
    """
    write_export(world, folder / "export", dialect="extract")
    backend = f"sqlite:///{folder}/backend.sqlite"
    world.to_backend(backend)
    world.to_files(folder / "inbox")
    found: dict[str, Any] = {name: case_of(name).config(server, folder / "tokens") for name in MOUNTED}
    found["ga4"] = found["ga4"].model_copy(update={"export_path": folder / "export"})
    found["google_ads"] = found["google_ads"].model_copy(update={"click_days_back": 90})
    found["backend"] = BackendConfig(enabled=True)
    found["files"] = FilesConfig(enabled=True, path=folder / "inbox")
    for name, config in found.items():
        default = type(config).model_fields.get("page_size")
        if default is not None:
            found[name] = config.model_copy(update={"page_size": default.default})
    return found, {**server.credentials(), "BACKEND_DATABASE_URL": backend}
