"""Amplitude: events by the export API, a zip of gzipped JSON lines for each hour of upload.

The hours are those in which Amplitude got the events, so an event that comes late lies in a later hour and none is ever
missed; an hour's file is ready two hours after it. Whoever asks for too much is refused and asks for half.
"""

import gzip
import io
import logging
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import AmplitudeConfig, ExtractionWindow
from dlt_pipelines.dialects import amplitude
from dlt_pipelines.http import BasicAuth, VendorError, VendorSession
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.record_files import numbered_lines
from dlt_pipelines.rows import ContractViolation, moment
from dlt_pipelines.spec import Finding, SecretSpec, SourceSpec
from dlt_pipelines.web_events import events_table, first_number, first_text

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

LOG = logging.getLogger(__name__)
NAME: Final = "amplitude"
API_KEY: Final = SecretSpec("AMPLITUDE_API_KEY", "API key of the project")
SECRET_KEY: Final = SecretSpec("AMPLITUDE_SECRET_KEY", "secret key of the project")
HOUR: Final = timedelta(hours=1)
NO_DATA: Final = "no data"
TOO_MUCH: Final = "too much"
# With the query string, and without where the page sent none.
PAGE_URLS: Final = ("[Amplitude] Page Location", "[Amplitude] Page URL")
VALUES: Final = ("value", "revenue", "$revenue")

EVENTS: Final = events_table("Events of the web, apps and servers, as they were uploaded.")


def open_session(config: AmplitudeConfig) -> VendorSession:
    """A session of the project.

    Raises:
        MissingSecret: a key is not set.
    """
    return VendorSession(NAME, config, amplitude, BasicAuth(API_KEY.read(), SECRET_KEY.read()))


def build(config: AmplitudeConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of one project."""
    from dlt_pipelines.extraction import make_source

    return make_source(NAME, [_events(config, window, hasher)])


def upload_hours(
    config: AmplitudeConfig, window: ExtractionWindow, state: Mapping[str, str]
) -> tuple[datetime, datetime] | None:
    """Hours of upload to read, from and to (exclusive), UTC; None when none is ready.

    An upsert by upload time holds what it holds: a run reads on where the last one ended, some hours earlier because a
    file may have been completed since. The window's first day bounds a first run only.
    """
    begin = datetime.combine(window.start, time(), UTC)
    ready = window.now.astimezone(UTC) - timedelta(hours=config.ready_hours)
    end = min(ready, datetime.combine(window.end, time(), UTC) + timedelta(days=1)).replace(
        minute=0, second=0, microsecond=0
    )
    if "through" in state and not window.refresh and begin >= datetime.fromisoformat(state["from"]):
        begin = max(begin, datetime.fromisoformat(state["through"]) - timedelta(hours=config.settling_hours))
    return (begin, end) if begin < end else None


def _events(config: AmplitudeConfig, window: ExtractionWindow, hasher: Hasher) -> "DltResource":
    import dlt

    from dlt_pipelines.extraction import guard_key, hinted, make_resource
    from dlt_pipelines.rows import Shaper

    def generate() -> Iterator[Any]:
        state = dlt.current.resource_state()
        guard_key(state, hasher)
        hours = upload_hours(config, window, state)
        if hours is None:
            return
        begin, end = hours
        LOG.info("%s.events: uploads from %s to %s", NAME, begin, end)
        shaper = Shaper(NAME, EVENTS, hasher)
        yield from hinted(EVENTS, None, shaper.batches(_uploaded(config, begin, end, hasher)), shaper.empty())
        state["through"] = max(end.isoformat(), state.get("through", ""))
        state["from"] = min(begin.isoformat(), state.get("from", begin.isoformat()))

    return make_resource(EVENTS, generate)


def _uploaded(config: AmplitudeConfig, begin: datetime, end: datetime, hasher: Hasher) -> Iterator[Mapping[str, Any]]:
    step = timedelta(hours=config.hours_per_request)
    with open_session(config) as session:
        while begin < end:
            until = min(begin + step, end)
            for archive in archives(session, config, begin, until):
                yield from _rows(archive, config, hasher)
            begin = until


def archives(session: VendorSession, config: AmplitudeConfig, begin: datetime, end: datetime) -> Iterator[bytes]:
    """Archives of the uploads of some hours: one, none, or those of both halves where one would be too long.

    Raises:
        VendorError: a single hour is too long for the export API.
    """
    hours = round((end - begin) / HOUR)
    divisible = hours > 1
    limit = config.max_archive_mb << 20

    def whole(blocks: Iterator[bytes]) -> Iterator[Any]:
        body = bytearray()
        for block in blocks:
            body += block
            if divisible and len(body) > limit:
                yield TOO_MUCH
                return
        if not zipfile.is_zipfile(io.BytesIO(body)):
            raise ValueError("it is no zip archive")
        yield bytes(body)

    params = {"start": f"{begin:%Y%m%dT%H}", "end": f"{end - HOUR:%Y%m%dT%H}"}
    meaning = {404: NO_DATA, 400: TOO_MUCH, **({504: TOO_MUCH} if divisible else {})}
    for found in session.stream("GET", "/api/2/export", whole, params=params, meaning=meaning):
        if found == TOO_MUCH and not divisible:
            raise VendorError(
                f"{NAME}: the export of {begin:%Y-%m-%d %H}:00 UTC alone was refused (HTTP 400), as Amplitude does above "
                "4 GB. Have Amplitude write to a bucket of yours instead; nothing of this run was stored."
            )
        if found == TOO_MUCH:
            middle = begin + (hours // 2) * HOUR
            LOG.info("%s: %d hours are too much for one archive; asking for halves", NAME, hours)
            yield from archives(session, config, begin, middle)
            yield from archives(session, config, middle, end)
        elif found != NO_DATA:
            yield found


def _rows(archive: bytes, config: AmplitudeConfig, hasher: Hasher) -> Iterator[Mapping[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        for name in sorted(files.namelist()):
            if not name.endswith(".json.gz"):
                continue
            for record in _members_records(files, name):
                yield event_row(record, config, hasher)


def _members_records(files: zipfile.ZipFile, name: str) -> Iterator[Mapping[str, Any]]:
    try:
        with files.open(name) as packed, gzip.open(packed, "rb") as lines:
            for _, record in numbered_lines(lines):
                yield record
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ContractViolation(f"{NAME}: {name} is not whole lines of JSON ({type(error).__name__}).") from None


def event_row(record: Mapping[str, Any], config: AmplitudeConfig, hasher: Hasher) -> dict[str, Any]:
    """One event in the contract's columns; values still plain where a column is treated."""
    occurred_at = moment(_time(record, "event_time"))
    properties = record.get("event_properties") or {}
    person = record.get("user_properties") or {}
    device_id, user_id, insert_id = record.get("device_id"), record.get("user_id"), record.get("$insert_id")
    web = record.get("platform") == "Web"
    return {
        # Amplitude takes an insert id of a device once within seven days; what came twice after that is one event here.
        "event_id": hasher.digest(f"{device_id or user_id}\x1f{insert_id}")[:32] if insert_id else record["uuid"],
        "event_date": occurred_at.date(),
        "occurred_at": occurred_at,
        "received_at": moment(_time(record, "server_upload_time")),
        "event_name": record["event_type"],
        "device_id": device_id,
        "user_id": user_id,
        "distinct_id": None,
        "person_id": str(record["amplitude_id"]),
        "merged_id": None,
        "email_hash": first_text(properties, config.email_properties) or first_text(person, config.email_properties),
        "page_url": first_text(properties, PAGE_URLS),
        # The property of the person of the same name is the last campaign's and stays there for visits to come.
        "referrer": first_text(properties, ("referrer", "[Amplitude] Page Referrer")),
        "user_agent": record.get("user_agent"),
        "ip_hash": record.get("ip_address"),
        "device_category": None,
        # On the web the place of the system's name holds the browser's, and the family the system's.
        "browser": record.get("os_name") if web else None,
        "operating_system": record.get("device_family") if web else record.get("os_name"),
        "country": record.get("country"),
        "event_value": first_number(properties, VALUES),
        "properties": properties,
    }


def _time(record: Mapping[str, Any], name: str) -> str:
    value = record[name]
    if not isinstance(value, str):
        raise ContractViolation(
            f"{NAME}.events: {name} is a time, but the vendor sent {type(value).__name__}. Nothing of this source was "
            "written; its format changed."
        )
    return value


def probe(config: AmplitudeConfig) -> Iterator[Finding]:
    """Whether the keys are accepted; asks for an hour so long ago that it is empty."""
    with open_session(config) as session:
        params = {"start": "20150101T00", "end": "20150101T00"}
        session.call("GET", "/api/2/export", decode=len, params=params, meaning={404: NO_DATA})
    yield Finding("ok", NAME, "the keys are accepted")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Amplitude",
    config_model=AmplitudeConfig,
    resources=(EVENTS,),
    secrets=(API_KEY, SECRET_KEY),
    build=build,
    probe=probe,
)
