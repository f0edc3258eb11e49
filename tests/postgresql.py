"""A private PostgreSQL server for tests, gone when they are."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Start one on a socket in a folder of its own, in another time zone than ours; yields its address. Skips where the server is
    not installed."""
    if not (shutil.which("initdb") and shutil.which("pg_ctl")):
        pytest.skip("PostgreSQL's server (initdb, pg_ctl) is not installed")
    # PostgreSQL refuses to run as root; then its own account runs it.
    user = "postgres" if os.getuid() == 0 else None
    memory = Path("/dev/shm")  # noqa: S108  # in memory where there is some; mkdtemp makes a folder of our own
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        if user:
            try:
                shutil.chown(folder, user)
            except LookupError:
                pytest.skip("running as root, and there is no postgres account to run the server")
        data = folder / "data"

        def run(*command: str) -> None:
            subprocess.run(command, check=True, user=user, cwd=folder, capture_output=True, timeout=60)

        run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        options = (
            f"-c listen_addresses='' -c unix_socket_directories={folder} -c timezone=America/New_York "
            "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off"
        )
        # A pipe kept open by the server would keep us waiting: it logs to a file.
        subprocess.run(
            ["pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start"],
            check=True,
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
