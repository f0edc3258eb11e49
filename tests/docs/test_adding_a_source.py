"""The recipe of docs/adding-a-source.md, followed to its end in a copy of the project. About 25 s of CPU, most of it dbt's."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attribution_platform.new_source import NewSourceError, new_source

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "docs" / "adding-a-source.md"
COPIED = (
    "attribution_platform",
    "dlt_pipelines",
    "dbt_attribution",
    "asset_checks",
    "tests/extraction",
    "pyproject.toml",
)
NAME = "corner_shop"


def commands():
    """The recipe's shell lines, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", RECIPE.read_text(), flags=re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", "target", "logs", "*.duckdb")
    for part in COPIED:
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, target, ignore=ignored)
        else:
            shutil.copy(ROOT / part, target)
    return folder


def test_every_command_of_the_recipe_works(checkout, tmp_path):
    binaries = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([binaries, os.environ["PATH"]]),
        "PYTHONPATH": str(checkout),
        "ATTRIBUTION_WAREHOUSE_PATH": str(tmp_path / "w.duckdb"),
        "ATTRIBUTION_LANDING_DIR": str(tmp_path / "landing"),
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    (tmp_path / "landing").mkdir()
    followed = commands()
    assert followed[0].startswith(f"attribution new-source {NAME}")
    for command in followed:
        # The console script would import the project that is installed, not the copy.
        runnable = re.sub("^attribution ", f"{sys.executable} -m attribution_platform.cli ", command)
        done = subprocess.run(
            ["bash", "-c", runnable],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
        )
        assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr)[-4000:]}"


def test_a_name_that_is_none_writes_nothing(checkout):
    before = sorted(checkout.rglob("*.py"))
    for name, why in (("My Shop", "is not a name"), ("class", "is not a name"), ("hubspot", "exists")):
        with pytest.raises(NewSourceError, match=why):
            new_source(name, checkout)
    assert sorted(checkout.rglob("*.py")) == before


def test_a_folder_that_is_no_checkout_is_said(tmp_path):
    with pytest.raises(NewSourceError, match="no checkout"):
        new_source(NAME, tmp_path)
