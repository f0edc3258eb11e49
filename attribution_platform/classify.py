"""`attribution classify`: explain any list of visits with the rules the pipeline itself uses.

Reads a CSV or Parquet file of visits, runs the SQL of dbt_attribution's channel macros on it in an in-memory DuckDB, and
writes the same rows back with the channel, the rule that decided, and what the user agent is.
"""

import csv
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from attribution_platform.channel_sql import SEEDS, ChannelMacros, ChannelRuleError
from attribution_platform.layout import DBT_PROJECT_DIR
from attribution_platform.user_agents import COLUMN_TYPES, parse_user_agents

# Canonical column -> names under which exports carry it; compared without case.
INPUT_COLUMNS: dict[str, tuple[str, ...]] = {
    "source": ("source", "utm_source"),
    "medium": ("medium", "utm_medium"),
    "campaign": ("campaign", "utm_campaign"),
    "referrer": ("referrer", "referer", "referring_domain", "referrer_domain"),
    "landing_url": ("landing_url", "landing_page", "page_url"),
    "user_agent": ("user_agent",),
}
OUTPUT_COLUMNS = ("channel", "channel_reason", "is_bot", "is_in_app_browser", "device_type")
PARQUET = (".parquet", ".pq")
DELIMITERS = (",", ";", "\t", "|")


class ClassifyInputError(ValueError):
    """A file or rule that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True)
class ClassifySummary:
    """What was classified.

    Attributes:
        rows: Visits read and written.
        channels: Visits by channel, largest first.
        reasons: Visits by (channel, rule), largest first.
        bots: Visits whose user agent is a machine's.
        in_app: Visits from a browser inside another app.
        renamed: Input columns that bore an output name, with the name they were given.
        absent: Columns the rules read that the input has none of.
        out_path: The file written.
    """

    rows: int
    channels: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]
    bots: int
    in_app: int
    renamed: Mapping[str, str]
    absent: Sequence[str] = ()
    out_path: Path | None = None

    def __str__(self) -> str:
        lines = [f"{self.rows:,} visits, {self.bots:,} by bots, {self.in_app:,} inside apps"]
        lines += [f"  {channel:<28}{reason:<32}{count:>9,}" for (channel, reason), count in self.reasons.items()]
        lines += [f"  your column {old} is kept as {new}" for old, new in self.renamed.items()]
        if self.absent:
            lines.append(f"  read as empty, for want of a column: {', '.join(self.absent)}")
        if self.out_path:
            lines.append(f"written to {self.out_path}")
        return "\n".join(lines)


def classify_file(
    in_path: Path,
    out_path: Path,
    channel_rules: Sequence[Mapping[str, str]] = (),
    own_domains: Sequence[str] = (),
) -> ClassifySummary:
    """Classify a CSV or Parquet file of visits; the rows keep their order and all their columns.

    Args:
        in_path: Columns source, medium, campaign, referrer, landing_url, user_agent and any click id; each may be missing
            or empty, every other column is carried through.
        out_path: CSV, or Parquet by its suffix. Replaced whole, or left alone on failure.
        channel_rules: Custom rules as in attribution.toml, tried first.
        own_domains: A referrer on one of these is Internal.

    Raises:
        ClassifyInputError: the file cannot be read, has none of the columns, a rule is wrong, or the result cannot be written.
    """
    if out_path.exists() and not out_path.is_file():
        raise ClassifyInputError(
            f"{out_path} is a {'folder' if out_path.is_dir() else 'device'}; name the file to write."
        )
    with duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        _read(connection, in_path)
        summary = _classify(connection, in_path.name, channel_rules, own_domains)
        _write(connection, out_path)
    return ClassifySummary(**{**summary.__dict__, "out_path": out_path})


def classify_frame(
    visits: pd.DataFrame,
    channel_rules: Sequence[Mapping[str, str]] = (),
    own_domains: Sequence[str] = (),
) -> pd.DataFrame:
    """The same on a frame: shape (rows, columns) in, (rows, columns + 5) out, order kept.

    Raises:
        ClassifyInputError: the frame has none of the columns, or a rule is wrong.
    """
    with duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    ) as connection:
        connection.register("given", visits)
        connection.execute("create table input as select row_number() over () as visit_id__, * from given")
        _classify(connection, "the frame", channel_rules, own_domains)
        return connection.sql("select * exclude (visit_id__) from classified order by visit_id__").df()


def _read(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    if path.is_dir():
        raise ClassifyInputError(f"{path} is a folder; name a CSV or Parquet file.")
    if not path.is_file():
        raise ClassifyInputError(f"{path}: no such file.")
    is_parquet = path.suffix.lower() in PARQUET
    try:
        relation = "read_parquet($path" if is_parquet else f"read_csv($path, {_csv_shape(path)}"
        connection.execute(
            f"create table input as select row_number() over () as visit_id__, * from {relation}, hive_partitioning = false)",
            # The reader takes a path for a pattern: visits[1].csv would be visits1.csv.
            {"path": re.sub(r"[*?\[]", r"[\g<0>]", str(path))},
        )
    except OSError as error:
        raise ClassifyInputError(f"{path} cannot be read: {error.strerror}.") from None
    except duckdb.Error as error:
        raise ClassifyInputError(
            f"{path.name}{_reader_complaint(str(error), 'Parquet' if is_parquet else 'CSV')}"
        ) from None


def _reader_complaint(text: str, kind: str) -> str:
    """The reader's message without its advice on options that the user cannot set."""
    line = re.search(r"CSV Error on Line: (\d+)", text)
    if line is None:
        return f" cannot be read as {kind}: {' '.join(text.split())}"
    place = f", line {line[1]}: "
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    if counts and int(counts[2]) > int(counts[1]):
        return f"{place}{counts[2]} columns where the header has {counts[1]}; quote values that hold the separator."
    if counts:
        return (
            f"{place}only {counts[2]} of the header's {counts[1]} columns; it is cut short, or a quote is never closed."
        )
    if "utf-8" in text.lower():
        return f'{place}not UTF-8. Save the file again as "CSV UTF-8" (in a spreadsheet: Save as).'
    if "quote" in text.lower():
        return f'{place}a quote (") is opened and never closed, or stands inside a value unquoted.'
    detail = text.splitlines()[2:3] if "Original Line" in text else text.splitlines()[1:2]
    return f"{place}{' '.join(detail).strip()}"


def _csv_shape(path: Path) -> str:
    """Reader options fixed by the header. Left to guess, the reader takes a ragged file for one of a single column.

    Every cell is text; an empty one reads as null and is written back empty.
    """
    with path.open("rb") as raw:
        start = raw.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ClassifyInputError(f'{path.name} is UTF-16. Save it again as "CSV UTF-8".')
    if start[:2] == b"PK" or start[:4] == b"PAR1":
        kind = "a spreadsheet or archive" if start[:2] == b"PK" else "Parquet under another suffix"
        raise ClassifyInputError(f'{path.name} is {kind}, not CSV. Save it as "CSV UTF-8", or name it .parquet.')
    if start[:2] == b"\x1f\x8b":
        raise ClassifyInputError(f"{path.name} is compressed. Unpack it first.")
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            first = re.sub(r'"[^"]*"', "", file.readline())
            delimiter = max(DELIMITERS, key=first.count)
            file.seek(0)
            header = [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]
    except csv.Error as error:
        raise ClassifyInputError(f"{path.name}, line 1: no header that can be read ({error}).") from None
    if any("\udc80" <= letter <= "\udcff" for name in header for letter in name):
        raise ClassifyInputError(
            f'{path.name}, line 1: not UTF-8. Save the file again as "CSV UTF-8" (in a spreadsheet: Save as).'
        )
    if not any(header):
        raise ClassifyInputError(f"{path.name}, line 1: no column names; it needs some of {', '.join(INPUT_COLUMNS)}.")
    unnamed = [place for place, name in enumerate(header, start=1) if not name]
    if unnamed:
        raise ClassifyInputError(f"{path.name}, line 1: column {unnamed[0]} has no name; name it or take it out.")
    lowered = [name.lower() for name in header]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    if twice:
        raise ClassifyInputError(f"{path.name}, line 1: column {', '.join(twice)} occurs twice; rename one of them.")
    columns = ", ".join(f"{_literal(name)}: 'varchar'" for name in header)
    return (
        f"auto_detect = false, header = true, delim = {_literal(delimiter)}, quote = '\"', escape = '\"', "
        f"columns = {{{columns}}}"
    )


def _classify(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    channel_rules: Sequence[Mapping[str, str]],
    own_domains: Sequence[str],
) -> ClassifySummary:
    """Turn the table `input` into the table `classified`, with `visit_id__` in input order."""
    columns = [str(row[0]) for row in connection.execute("describe input").fetchall() if row[0] != "visit_id__"]
    if any(column.lower().startswith("visit_id__") for column in columns):
        raise ClassifyInputError(f"{name}: rename column visit_id__; the command numbers its rows under that name.")
    given = _known_columns(columns, name)
    macros = ChannelMacros(channel_rules, own_domains)
    for seed in SEEDS:
        connection.execute(
            f"create table {seed} as select * from read_csv($path, header = true, all_varchar = true)",
            {"path": str(DBT_PROJECT_DIR / "seeds" / f"{seed}.csv")},
        )
    known = connection.execute(
        "select parameter, is_event_column = 'true' from click_ids order by parameter"
    ).fetchall()
    ids, url_ids = ([str(row[0]) for row in known if row[1] is own] for own in (True, False))
    try:
        statements = _statements(macros, given, columns, ids, url_ids)
    except ChannelRuleError as error:
        raise ClassifyInputError(str(error)) from None
    agents = parse_user_agents(row[0] for row in connection.execute(statements["agents"]).fetchall())
    connection.register("parsed_agents", agents.astype({column: "object" for column in COLUMN_TYPES if agents.empty}))
    try:
        for step in ("visits", "mentions", "hosts", "channels"):
            connection.execute(statements[step])
    except duckdb.InvalidInputException as error:
        raise ClassifyInputError(f"channel_rules: not a regular expression: {error}") from None
    renamed = {column: f"{column}_given" for column in columns if column.lower() in OUTPUT_COLUMNS}
    kept = ", ".join(f"input.{_quoted(column)} as {_quoted(renamed.get(column, column))}" for column in columns)
    connection.execute(
        # A view: a copy of a million rows costs half a gigabyte.
        f"create view classified as select input.visit_id__, {kept}, channels.channel, channels.channel_reason, "
        "visits.is_bot, visits.is_in_app_browser, visits.device_type "
        "from input join channels on channels.visit_id = input.visit_id__ join visits on visits.visit_id = input.visit_id__"
    )
    counted = connection.execute(
        "select channel, channel_reason, count(*), count(*) filter (is_bot), count(*) filter (is_in_app_browser) "
        "from classified group by all order by 3 desc, 1, 2"
    ).fetchall()
    channels: dict[str, int] = {}
    for channel, _, count, _, _ in counted:
        channels[channel] = channels.get(channel, 0) + count
    return ClassifySummary(
        rows=sum(row[2] for row in counted),
        channels=dict(sorted(channels.items(), key=lambda item: (-item[1], item[0]))),
        reasons={(row[0], row[1]): row[2] for row in counted},
        bots=sum(row[3] for row in counted),
        in_app=sum(row[4] for row in counted),
        renamed=renamed,
        absent=[canonical for canonical in INPUT_COLUMNS if canonical not in given],
    )


def _known_columns(columns: Sequence[str], name: str) -> dict[str, list[str]]:
    """Canonical name to the names in the file, in the order in which they are believed."""
    by_lower = {column.strip().lower(): column for column in columns}
    known = {
        canonical: [by_lower[alias] for alias in aliases if alias in by_lower]
        for canonical, aliases in INPUT_COLUMNS.items()
        if any(alias in by_lower for alias in aliases)
    }
    if not known:
        raise ClassifyInputError(
            f"{name} has none of the columns {', '.join(INPUT_COLUMNS)}; its columns are {', '.join(columns)}."
        )
    return known


def _statements(
    macros: ChannelMacros,
    given: Mapping[str, Sequence[str]],
    columns: Sequence[str],
    ids: Sequence[str],
    url_ids: Sequence[str],
) -> dict[str, str]:
    by_lower = {column.strip().lower(): column for column in columns}

    def cell(canonical: str) -> str:
        texts = [f"cast(input.{_quoted(column)} as varchar)" for column in given.get(canonical, ())]
        if len(texts) > 1:
            texts = [*(f"nullif(trim({text}), '')" for text in texts[:-1]), texts[-1]]
            return f"coalesce({', '.join(texts)})"
        return texts[0] if texts else "cast(null as varchar)"

    url = cell("landing_url")

    def tagged(canonical: str) -> str:
        # The column, else the landing page's own tag, else the column as it stood: "(direct)" is a statement too.
        parameter = macros.render("utm_value", macros.render("url_parameter", url, f"utm_{canonical}"))
        return f"coalesce({macros.render('stated_label', cell(canonical))}, {parameter}, {cell(canonical)})"

    def click_id(parameter: str) -> str:
        value = macros.render("click_id_value", macros.render("url_parameter", url, parameter))
        if parameter in by_lower:
            column = f"cast(input.{_quoted(by_lower[parameter])} as varchar)"
            return f"coalesce({macros.render('click_id_value', column)}, {value})"
        return value

    # The rules read the other click ids from the page's address alone.
    written = ", ".join(
        f"'{parameter}=' || nullif(trim(cast(input.{_quoted(by_lower[parameter])} as varchar)), '')"
        for parameter in url_ids
        if parameter in by_lower
    )
    page_url = url
    if written:
        sign = f"case when position('?' in {url}) > 0 then '&' else '?' end"
        page_url = (
            f"case when concat_ws('&', {written}) = '' then {url} "
            f"else concat(split_part({url}, '#', 1), coalesce({sign}, '?'), concat_ws('&', {written})) end"
        )
    page_host = f"case when position('/' in {url}) <> 1 then {macros.render('channel_host', url)} end"
    click_ids = ", ".join(f"{click_id(parameter)} as {parameter}" for parameter in ids)
    return {
        "agents": f"select distinct {cell('user_agent')} from input where {cell('user_agent')} <> '' order by 1",
        "visits": (
            "create table visits as select input.visit_id__ as visit_id, "
            f"{tagged('source')} as source, {tagged('medium')} as medium, {tagged('campaign')} as campaign, "
            f"{macros.render('channel_host', cell('referrer'))} as referrer_host, {page_url} as page_url, "
            f"{page_host} as page_host, {macros.render('page_path', url)} as page_path, {click_ids}, "
            "agents.in_app_browser, coalesce(agents.is_bot, false) as is_bot, "
            "coalesce(agents.is_in_app_browser, false) as is_in_app_browser, agents.device_type "
            f"from input left join parsed_agents as agents on agents.user_agent = {cell('user_agent')}"
        ),
        "mentions": (
            "create table mentions as select distinct referrer_host as host from visits union "
            f"select distinct {macros.render('channel_host', 'source')} as host from visits where position('.' in source) > 0"
        ),
        "hosts": f"create table hosts as {macros.render('classify_hosts', 'mentions')}",
        "channels": f"create table channels as {macros.render('classify_channels', 'visits', 'hosts')}",
    }


def _write(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    kind = "parquet" if path.suffix.lower() in PARQUET else "csv, header true"
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        connection.execute(
            f"copy (select * exclude (visit_id__) from classified order by visit_id__) to {_literal(temporary)} (format {kind})"
        )
        # mkstemp makes the file private; the user's own umask decides for what they asked to be written.
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except (OSError, duckdb.IOException) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ClassifyInputError(f"{path} cannot be written: {reason}. Name a place you may write to.") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
