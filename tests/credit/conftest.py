"""Published data of the credit tests, read from beside the project and never copied."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution_platform.credit.paths import Paths, parse_paths

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"published data are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def path_data_file(shared_data: Path) -> Path:
    return shared_data / "paths" / "PathData.csv"


@pytest.fixture(scope="session")
def path_data(path_data_file: Path) -> Paths:
    frame = pd.read_csv(path_data_file)
    numbers = frame[["total_conversions", "total_conversion_value", "total_null"]].to_numpy(np.float64)
    parsed = parse_paths(frame["path"].tolist(), numbers[:, 0], numbers[:, 1], numbers[:, 2])
    return parsed.distinct()[0]
