"""Published cases of the channel tests, read from beside the project, and one way to ask for a channel."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

from attribution_platform.classify import classify_frame
from tests.channels.adjudication import SHARED


@pytest.fixture(scope="session")
def cases() -> Callable[[str], pd.DataFrame]:
    """Reads one file of channel_cases, all text, empty cells as empty text."""
    folder = SHARED / "channel_cases"
    if not folder.is_dir():
        pytest.skip(f"published channel cases are not at {folder}")
    return lambda name: pd.read_csv(folder / name, dtype=str, keep_default_na=False)


@pytest.fixture(scope="session")
def channels_of() -> Callable[..., list[tuple[str, str]]]:
    """(channel, rule) of each visit given as a mapping of input columns."""

    def ask(*visits: Mapping[str, str], **options: Any) -> list[tuple[str, str]]:
        columns = ["source", "medium", "campaign", "referrer", "landing_url", "user_agent"]
        frame = pd.DataFrame([{column: visit.get(column) for column in columns} for visit in visits], dtype=object)
        result = classify_frame(frame, **options)
        return list(zip(result["channel"], result["channel_reason"], strict=True))

    return ask
