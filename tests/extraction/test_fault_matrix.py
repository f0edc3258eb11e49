"""A fifth of the matrix of vendors and faults, every vendor and every fault in it; `benchmarks/fault_matrix.py` runs it whole.

About 0.6 s a cell on one core.
"""

from pathlib import Path

import pytest

from dlt_pipelines.sandbox.faults import KINDS
from dlt_pipelines.sandbox.server import MOUNTED
from tests.extraction.fault_matrix import CASES, FAULTS, REASONS, Bench, running_sandbox

ONE_IN = 5
PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
SAMPLE = {
    vendor: [name for at, name in enumerate(FAULTS) if (at + number) % ONE_IN == 0]
    for number, vendor in enumerate(sorted(MOUNTED))
}


@pytest.fixture(scope="module")
def waits():
    made: list[float] = []
    return made


@pytest.fixture(scope="module")
def server(waits):
    with running_sandbox(waits) as running:
        yield running


@pytest.fixture(scope="module")
def benches(server, waits, tmp_path_factory):
    made: dict[str, Bench] = {}

    def bench(vendor):
        if vendor not in made:
            made[vendor] = Bench(vendor, server, tmp_path_factory.mktemp(vendor), waits)
        return made[vendor]

    return bench


def test_no_vendor_and_no_fault_is_left_out():
    assert CASES.keys() <= MOUNTED.keys()
    assert {fault.kind for fault in FAULTS.values()} == set(KINDS)
    for vendor, case in CASES.items():
        assert case.differs.keys() <= FAULTS.keys(), vendor
        nothing = {name for name, outcome in case.differs.items() if outcome == "no such thing"}
        assert nothing <= REASONS.keys(), vendor
    assert {name for names in SAMPLE.values() for name in names} == set(FAULTS)


def judge(bench, fault, credentials):
    cell = bench.run(fault)
    assert bench.right(fault, cell), (cell.outcome, cell.message)
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
    @pytest.mark.parametrize("fault", SAMPLE[vendor])
    def test_cell(self, benches, server, fault):
        judge(benches(vendor), fault, server.credentials())

    return type(f"Test_{vendor}", (), {"test_cell": test_cell})


# A class a vendor: classes may run side by side, the cells of one stay together and share what was read first.
for _vendor in SAMPLE:
    globals()[f"Test_{_vendor}"] = row_of_the_matrix(_vendor)
