"""What became of every alert, as a table beside the others: one row a state that a series was in, from when until when.

The platform's own database stays what counts: it decides and sends while a run holds the warehouse. This is a copy, as of the last
run, so that alerts can be joined with the figures they were about.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from attribution_platform.monitoring.alert_model import Status

__all__ = ["ALERT_HISTORY", "ALERT_HISTORY_TYPES", "alert_history"]

ALERT_HISTORY = "alert_history"
ALERT_HISTORY_TYPES = {
    "event_id": "varchar",
    "metric": "varchar",
    "segment": "varchar",
    "episode": "bigint",
    "state": "varchar",
    "since_at": "timestamp",
    "until_at": "timestamp",
    "duration_hours": "double",
    "is_current": "boolean",
    "severity": "varchar",
    "direction": "varchar",
    "first_bad_on": "date",
    "muted": "varchar",
    "message": "varchar",
    "evaluation_id": "varchar",
}
# One evaluation may pass through several states at one moment.
ORDER = {str(status): place for place, status in enumerate((Status.PENDING, Status.FIRING, Status.RESOLVED, Status.OK))}


def alert_history(events: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """States with their beginning and end.

    Args:
        events: rows of `alert_events`, in any order.

    Returns:
        Columns of ALERT_HISTORY_TYPES, one row an event, by metric, segment and time. `until_at` and `duration_hours` are null
        while the state lasts. Times are UTC.
    """
    table = pd.DataFrame([dict(event) for event in events])
    if table.empty:
        return pd.DataFrame(columns=list(ALERT_HISTORY_TYPES))
    table["since_at"] = pd.to_datetime(table["occurred_at"], utc=True).dt.tz_localize(None)
    table["place"] = table["state"].map(ORDER)
    table = table.sort_values(
        ["metric", "segment", "since_at", "episode", "place", "event_id"], kind="stable", ignore_index=True
    )
    table["until_at"] = table.groupby(["metric", "segment"], sort=False)["since_at"].shift(-1)
    table["duration_hours"] = (table["until_at"] - table["since_at"]).dt.total_seconds() / 3600
    table["is_current"] = table["until_at"].isna()
    table["first_bad_on"] = pd.to_datetime(table["first_bad_on"])
    return table[list(ALERT_HISTORY_TYPES)]
