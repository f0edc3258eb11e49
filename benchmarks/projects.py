"""Whole runs on the shipped settings against a sandbox, each in a folder and a process of its own, for benchmarks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from attribution_platform.demo import prepare_sandbox
from attribution_platform.layout import PROJECT_ROOT
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import World
from tests.e2e.project import Project


@dataclass(frozen=True)
class Company:
    """A world being served: makes projects that read it."""

    world: World
    server: SandboxServer
    scratch: Path

    def project(self, name: str, **overrides: str) -> "Running":
        """A new folder with the shipped settings, what the world leaves on disk, and the variables to read it."""
        folder = self.scratch / name
        folder.mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / "attribution.toml", folder)
        backend = prepare_sandbox(self.world, folder / "data" / "sandbox")
        end = self.world.config.start_on + timedelta(days=self.world.config.days)
        return Running(
            Project(folder),
            {
                **os.environ,
                **self.server.environment(),
                "BACKEND_DATABASE_URL": backend,
                "ATTRIBUTION_ENV": "ci",
                "ATTRIBUTION_HASH_KEY": "k" * 32,
                "ATTRIBUTION__PROJECT__AS_OF": f"{end}T00:00:00Z",
                "PYTHONPATH": str(PROJECT_ROOT),
                **overrides,
            },
        )


@dataclass(frozen=True)
class Running:
    """A project and the environment its runs are started with."""

    project: Project
    environment: Mapping[str, str]

    @property
    def log(self) -> Path:
        return self.project.folder / "run.log"

    def start(self, job: str) -> subprocess.Popen[bytes]:
        """`attribution run --job …`, leading a process group of its own; its output goes to `log`."""
        command = [sys.executable, "-m", "attribution_platform", "run", "--job", job]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.project.folder,
                env=dict(self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def finish(self, job: str) -> int:
        return self.start(job).wait()

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def serve(world: World, scratch: Path) -> Iterator[Company]:
    with SandboxServer(world) as server:
        yield Company(world, server, scratch)
