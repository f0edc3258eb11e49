"""Whole runs as a user starts them, in folders and processes of their own. Nine runs, about four minutes on one core."""

import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.project import Project, make_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """After one uninterrupted run."""
    made = make_project(tmp_path_factory.mktemp("whole") / "project")
    done = made.run("run", "--job", "full")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def wanted(project: Project) -> dict[str, tuple[int, int]]:
    return project.digest()


def test_files_alone_give_credit_and_everything_a_reader_opens(project, wanted):
    for table in (
        "core.fct_attribution_credit",
        "marts.mart_attribution__roi",
        "marts.mart_attribution__coverage_daily",
    ):
        assert wanted[table][0] > 0, table
    for made in ("serving.duckdb", "reports/attribution.html", "data_docs/index.html"):
        assert (project.data / made).stat().st_size > 1000


def test_a_second_run_changes_no_row(project, wanted):
    assert project.run("run", "--job", "full").returncode == 0
    assert project.digest() == wanted


# Where a process dies at once, as by kill -9: nothing is cleaned up, no buffer is written, a dbt it started lives on.
DEATHS = {
    "after a file was extracted and before it was merged": """
import os, dlt
dlt.Pipeline.load = lambda *given, **named: os._exit(9)
""",
    "while dbt builds": """
import os
import attribution_platform.transformation as t
seen = []
def die(events, *rest):
    for event in events:
        seen.append(event)
        if len(seen) == 40:
            os._exit(9)
        yield event
t.with_table_facts = die
""",
    "between the two tables of the credit models": """
import os
from attribution_platform.resources.warehouse import DuckDBWarehouse
write = DuckDBWarehouse.replace_table
def die(self, schema, table, *rest):
    if table == "credit_path_weights":
        os._exit(9)
    write(self, schema, table, *rest)
DuckDBWarehouse.replace_table = die
""",
    "before the finished copy takes its place": """
import os
from pathlib import Path
rename = os.replace
def die(source, target, *rest):
    if str(target).endswith("serving.duckdb"):
        os._exit(9)
    rename(source, target, *rest)
os.replace = die
Path.replace = lambda self, target: die(self, target)
""",
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Dies once at each of the moments, one after the other in the same folder."""
    made = make_project(tmp_path_factory.mktemp("killed") / "project")
    for moment, death in DEATHS.items():
        done = made.run("run", "--job", "full", before=death)
        assert done.returncode == 9, f"{moment}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    yield made
    shutil.rmtree(made.folder)


def test_killed_runs_leave_nothing_that_the_next_run_does_not_mend(killed, wanted):
    done = killed.run("run", "--job", "full")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert killed.digest() == wanted
    assert not list(killed.data.glob("*.tmp")), "a copy that was never finished"


def test_a_vendor_that_fails_is_named_and_the_others_are_built(tmp_path, wanted):
    made = make_project(tmp_path / "project")
    settings = made.folder / "attribution.toml"
    # Nobody listens on port 9 of the loopback.
    settings.write_text(
        settings.read_text() + '\n[sources.mailchimp]\nenabled = true\nbase_url = "http://127.0.0.1:9"\n'
    )
    done = made.run("run", "--job", "full", MAILCHIMP_API_KEY="abc-us21")
    assert done.returncode == 1
    assert "extract_mailchimp" in done.stdout
    assert "abc-us21" not in done.stdout + done.stderr
    found = made.digest()
    for table in (
        "core.fct_touchpoints",
        "core.fct_conversions",
        "core.fct_attribution_credit",
        "marts.mart_attribution__roi",
    ):
        assert found[table] == wanted[table], table


def test_definitions_load_in_a_fresh_interpreter_without_data_or_secrets(tmp_path):
    made = make_project(tmp_path / "project")
    shutil.rmtree(made.folder / "inbox")
    loads = (
        "from attribution_platform.definitions import defs\n"
        "repository = defs().get_repository_def()\n"
        "print(len(repository.asset_graph.get_all_asset_keys()), sorted(repository.job_names))\n"
        "raise SystemExit\n"
    )
    done = made.run(before=loads)
    assert done.returncode == 0, done.stderr
    for job in ("daily", "monthly", "full", "fast", "rebuild"):
        assert job in done.stdout
