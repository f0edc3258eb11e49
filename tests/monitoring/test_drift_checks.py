"""When a metric's drift check is a warning: an alarm of a total lasts, or nobody could look."""

import pandas as pd
import pytest

from asset_checks.drift import judge_metric


def signals(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["segment", "status", "recovered_on"])
    return table.assign(
        recovered_on=pd.to_datetime(table["recovered_on"]), first_bad_on=pd.Timestamp("2026-05-04"), direction="down"
    )


@pytest.mark.parametrize(
    ("rows", "passed", "words"),
    [
        ([("all", "ok", None)], True, ""),
        ([("all", "alarm", None), ("platform=a", "ok", None)], False, "down since 2026-05-04: all"),
        ([("all", "alarm", "2026-05-20")], True, ""),
        ([("all", "ok", None), ("browser=Safari", "alarm", None)], True, ""),
        ([("all", "insufficient volume", None)], False, "insufficient volume"),
        ([("all", "insufficient history", None)], False, "insufficient history"),
        ([], True, "no data"),
    ],
)
def test_judgement(rows, passed, words):
    assert judge_metric(signals(*rows)) == (passed, words)
