"""No cell untested: every vendor of the sandbox under every fault. About 0.5 s a cell."""

import pytest

from dlt_pipelines import http
from dlt_pipelines.sandbox.faults import KINDS
from dlt_pipelines.sandbox.server import MOUNTED, SandboxServer
from dlt_pipelines.sandbox.vendors import google_ads
from dlt_pipelines.sandbox.world import build_world
from tests.extraction.fault_matrix import CASES, FAULTS, WORLD, Bench


@pytest.fixture(scope="module")
def server():
    with SandboxServer(build_world(WORLD)) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.credentials().items():
            patch.setenv(name, value)
        # Google's pages hold 10,000 rows; with fewer the small world has several.
        patch.setattr(google_ads, "PAGE", 30)
        yield running


@pytest.fixture(scope="module")
def waits():
    made: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "sleep", made.append)
        yield made


@pytest.fixture(scope="module")
def benches(server, waits, tmp_path_factory):
    made: dict[str, Bench] = {}

    def bench(vendor):
        if vendor not in made:
            made[vendor] = Bench(vendor, server, tmp_path_factory.mktemp(vendor), waits)
        return made[vendor]

    return bench


def test_no_vendor_and_no_fault_is_left_out():
    assert CASES.keys() == MOUNTED.keys()
    assert {fault.kind for fault in FAULTS.values()} == set(KINDS)
    for vendor, case in CASES.items():
        assert case.differs.keys() <= FAULTS.keys(), vendor


def judge(bench, fault, credentials):
    expected, _ = bench.expected(fault)
    if expected == "no such thing":
        return
    cell = bench.run(fault)
    assert cell.outcome == expected, cell.message
    if cell.outcome == "failed":
        assert cell.message.startswith(f"{bench.spec.name}: ")
        assert not [secret for secret in credentials.values() if secret in cell.message]
        # Whoever reads it must know what to do next.
        assert len(cell.message) > 40
    if fault == "throttled for hours":
        assert "Run again after" in cell.message
        assert cell.waited < 60, "a quota is not waited for"
    if fault == "revoked token":
        assert "credentials refused" in cell.message
    assert cell.requests < 400, "never hammers"


def row_of_the_matrix(vendor):
    @pytest.mark.parametrize("fault", FAULTS)
    def test_cell(self, benches, server, fault):
        judge(benches(vendor), fault, server.credentials())

    return type(f"Test_{vendor}", (), {"test_cell": test_cell})


# A class a vendor: classes may run side by side, the cells of one stay together and share what was read first.
for _vendor in CASES:
    globals()[f"Test_{_vendor}"] = row_of_the_matrix(_vendor)
