"""What the doctor says of every credential of every sandbox vendor, missing, wrong, expired and revoked.

    python -m benchmarks.doctor_table [--write]

Prints the table of docs/sources.md; exits 1 when a missing, wrong or revoked credential passes as good,
or a message holds a secret.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path

from benchmarks.page import PAGE, replace_section
from dlt_pipelines.config import SourceConfig
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import MOUNTED, SandboxServer
from dlt_pipelines.spec import SourceSpec
from tests.extraction.fault_matrix import case_of, running_sandbox

ADDRESS = re.compile(r"https?://127\.0\.0\.1:\d+")
WRONG = "wrong-credential-0123456789-us21"


def said(spec: SourceSpec, config: SourceConfig, server: SandboxServer) -> tuple[str, str]:
    """Level and words of the doctor, as its command prints them.

    Raises:
        SystemExit: a secret stands in them.
    """
    findings = spec.check(config)
    worst = next((level for level in ("error", "warning") if any(found.level == level for found in findings)), "ok")
    text = " ".join(f"{found.subject}: {found.message} {found.remedy}".strip() for found in findings)
    for secret in (*server.credentials().values(), WRONG):
        if secret in text:
            raise SystemExit(f"{spec.name}: a secret stands in what the doctor says")
    return worst, " ".join(ADDRESS.sub("", text).replace("|", "\\|").split())


def rows_of(spec: SourceSpec, server: SandboxServer, folder: Path) -> tuple[list[str], list[str]]:
    """Table rows of one source, and what passed that should not have."""
    lines, wrong = [], []

    def note(what: str, state: str, may_pass: bool) -> None:
        # A folder of its own each time: a kept refresh token must not stand in for the one that is tested.
        fresh = folder / f"{spec.name} {what} {state}"
        level, text = said(spec, case_of(spec.name).config(server, fresh), server)
        lines.append(f"| {spec.name} | {what} | {state} | {level} | {text[:260]} |")
        if level == "ok" and not may_pass:
            wrong.append(f"{spec.name} {what} {state}")

    note("all", "right", True)
    for secret in spec.secrets:
        kept = os.environ.get(secret.env, "")
        os.environ.pop(secret.env, None)
        note(f"`{secret.env}`", "missing", not secret.required)
        os.environ[secret.env] = WRONG
        # One of several ways to sign in may stand unused.
        note(f"`{secret.env}`", "wrong", not secret.required)
        os.environ[secret.env] = kept
    for state, kind in (("expired", "expired_token"), ("revoked", "revoked_token")):
        server.faults.switch(spec.name, kind, times=1 if state == "expired" else None)
        note("the token", state, state == "expired")
        server.faults.clear()
    return lines, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    chosen = parser.parse_args()
    lines = ["| source | credential | state | level | what the doctor says |", "|---|---|---|---|---|"]
    wrong: list[str] = []
    with running_sandbox([]) as server, tempfile.TemporaryDirectory() as folder:
        for name in MOUNTED:
            found, passed = rows_of(SOURCES[name], server, Path(folder))
            print(*found, sep="\n", flush=True)
            lines += found
            wrong += passed
    if chosen.write:
        replace_section("doctor", "\n".join(lines))
    for what in wrong:
        print(f"passed as good: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
