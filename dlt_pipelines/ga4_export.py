"""Files of GA4's BigQuery export: which lie in a folder, and their rows in one shape whatever their dialect.

`bq extract` leaves nulls out, the console writes every null, Parquet keeps numbers; integers are text in JSON, floats
now and then; a parameter changes its type between rows (`session_engaged` is "1" here and 1 there).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from dlt_pipelines.privacy import Hasher
from dlt_pipelines.record_files import read_records
from dlt_pipelines.rows import ContractViolation

_FILE: Final = re.compile(
    r"^events_(?P<intraday>intraday_)?(?P<day>\d{8})(?:[^.]*)\.(?P<kind>json|jsonl|ndjson|parquet)(?P<gz>\.gz)?$"
)
_ENCODE: Final = json.JSONEncoder().encode
# Written as text in some rows and as a number in others of the same export.
_FLIPPING: Final = frozenset({"session_engaged"})


@dataclass(frozen=True)
class ExportDay:
    """The files of one day: those of the finished table, or of the intraday one as long as there is no other."""

    day: date
    files: tuple[Path, ...]
    intraday: bool

    def stamps(self) -> dict[str, list[int]]:
        return {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in self.files}


def export_days(folder: Path) -> list[ExportDay]:
    """Days that lie in the folder, oldest first. A finished day supersedes its intraday files."""
    found: dict[date, dict[bool, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.match(path.name)
        if match is None:
            continue
        digits = match["day"]
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        found.setdefault(day, {}).setdefault(match["intraday"] is not None, []).append(path)
    return [
        ExportDay(day, tuple(kinds.get(False) or kinds[True]), False not in kinds)
        for day, kinds in sorted(found.items())
    ]


def read_day(export: ExportDay, hasher: Hasher) -> Iterator[dict[str, Any]]:
    """Rows of a day by column name; values still plain where the column is a treated one.

    Raises:
        ContractViolation: a file is not what it says, by file and line.
    """
    for path in export.files:
        for number, record in read_records(path):
            try:
                yield event_row(record, export.day, hasher)
            except (AttributeError, TypeError, ValueError, KeyError) as error:
                raise ContractViolation(
                    f"{path.name}, row {number}: not an event of the GA4 export ({type(error).__name__})."
                ) from None


def event_row(record: Mapping[str, Any], day: date, hasher: Hasher) -> dict[str, Any]:
    """One event in the contract's columns."""
    params = parameters(record.get("event_params"))
    collected = record.get("collected_traffic_source") or {}
    device = record.get("device") or {}
    web = device.get("web_info") or {}
    timestamp = int(record["event_timestamp"])
    natural = (
        record.get("stream_id"),
        record.get("user_pseudo_id"),
        record["event_name"],
        timestamp,
        _ENCODE({key: str(value) for key, value in sorted(params.items())}),
    )
    return {
        # Keyed, because parameters and device ids are guessable.
        "event_id": hasher.digest(hashlib.sha256("\x1f".join(map(str, natural)).encode()).hexdigest())[:32],
        "event_date": day,
        "event_timestamp": timestamp,
        "event_name": record["event_name"],
        "user_pseudo_id": record.get("user_pseudo_id"),
        "user_id": record.get("user_id"),
        "stream_id": record.get("stream_id"),
        "platform": record.get("platform"),
        "ga_session_id": params.get("ga_session_id"),
        "page_location": params.get("page_location"),
        "page_referrer": params.get("page_referrer"),
        **{
            name: collected.get(name)
            for name in (
                "manual_source",
                "manual_medium",
                "manual_campaign_name",
                "manual_term",
                "manual_content",
                "gclid",
                "dclid",
                "srsltid",
            )
        },
        "device_category": device.get("category"),
        "browser": web.get("browser") or device.get("browser"),
        "operating_system": device.get("operating_system"),
        "country": (record.get("geo") or {}).get("country"),
        "event_value": params.get("value"),
        "event_params": params,
    }


def parameters(listed: Any) -> dict[str, Any]:
    """Event parameters by key. Integers are integers and floats floats, in whatever form the export wrote them."""
    if isinstance(listed, dict):
        # Some Parquet writers wrap every list.
        listed = [item.get("element", item) for item in listed.get("list", [])]
    return {
        item["key"]: str(value) if item["key"] in _FLIPPING else value
        for item in listed or ()
        if (value := _value(item.get("value") or {})) is not None
    }


def _value(value: Mapping[str, Any]) -> Any:
    if value.get("string_value") is not None:
        return str(value["string_value"])
    if value.get("int_value") is not None:
        return int(value["int_value"])
    for name in ("double_value", "float_value"):
        if value.get(name) is not None:
            return float(value[name])
    return None


def newer_days(days: Sequence[ExportDay], held: Mapping[str, Mapping[str, Sequence[int]]]) -> list[ExportDay]:
    """Days whose files are not the ones that were read."""
    return [
        export
        for export in days
        if {name: list(stamp) for name, stamp in held.get(export.day.isoformat(), {}).items()} != export.stamps()
    ]
