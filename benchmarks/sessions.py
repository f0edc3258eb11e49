"""Sessions of twenty million events against one window pass over the same rows, and again when some come late.

    python -m benchmarks.sessions [--events 20000000] [--folder DIR]

Draws events (484 thousand devices, visits of eight events on average) into a DuckDB file, times one window pass (number the
events of every device and write all their columns) and the project's own session models, built by dbt: from nothing, with nothing
new, with late events for one device in twenty. Reports seconds, the peak memory of dbt's processes and whether the incremental
table equals a full refresh. Both sides have the same memory limit.
"""

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.sessions.project import EVENTS, RESOLUTION, SessionsProject, make_sessions_project

# The default of `[warehouse] duckdb_memory_limit`.
MEMORY_LIMIT = "3GB"

NUMBERED = """
    create or replace table passed as
    select *, row_number() over (partition by device_id order by occurred_at, event_id) as n from upstream.int_events__unified
"""
DRAWN = """
    insert into upstream.int_events__unified by name
    select 'e' || i as event_id, 'ga4' as source, 'd' || (visit % {devices}) as device_id,
        case when hash(i) % 20 = 0 then 'click' else 'page_view' end as event_name,
        'https://shop.example/p' || (hash(visit) % 500) as page_url, 'shop.example' as page_host,
        '/p' || (hash(visit) % 500) as page_path,
        case when visit % 3 = 0 then 'https://google.com/' end as referrer,
        case when visit % 3 = 0 then 'google.com' end as referrer_domain,
        case when visit % 4 = 0 then 'newsletter' end as utm_source, case when visit % 4 = 0 then 'email' end as utm_medium,
        case when visit % 9 = 0 then 'g' || visit end as gclid, md5((visit % 900)::varchar) as user_agent_hash,
        'desktop' as device_category, 'Chrome' as browser, 'DE' as country, false as is_bot,
        timestamp '2026-01-01' + to_seconds((hash(visit) % 15000000)::bigint) + to_seconds((i % 8) * 60) as occurred_at
    from (select i, i // 8 as visit from range({events}) as t(i))
"""


LATE = """
    insert into upstream.int_events__unified by name
    select * replace (
        'late' || event_id as event_id, occurred_at - interval 1 day as occurred_at
    )
    from upstream.int_events__unified
    where hash(device_id) % 20 = 0 and event_id like 'e%0'
"""
EVERYTHING = "select count(*), bit_xor(hash(columns(*))) from intermediate.int_sessions__detected"


def draw(project: SessionsProject, events: int) -> float:
    """Fill the project with events; returns the seconds of one window pass over them."""
    with project.connect() as connection:
        connection.execute(f"set threads = 2; set memory_limit = '{MEMORY_LIMIT}'")
        connection.execute("create schema upstream")
        connection.execute(f"create table upstream.int_events__unified ({EVENTS})")
        connection.execute(f"create table upstream.int_identity__resolution ({RESOLUTION})")
        connection.execute("create table upstream.identity_blocklist as select 'null' as value")
        connection.execute(DRAWN.format(devices=max(1, events // 41), events=events))
        begun = time.perf_counter()
        connection.execute(NUMBERED)
        seconds = time.perf_counter() - begun
        connection.execute("drop table passed")
    return seconds


def come_late(project: SessionsProject) -> int:
    """Late events for one device in twenty; returns how many."""
    with project.connect() as connection:
        (added,) = connection.execute(LATE).fetchall()[0]
    return int(added)


def sessions(project: SessionsProject) -> tuple[object, ...]:
    with project.connect() as connection:
        return connection.execute(EVERYTHING).fetchall()[0]


def empty(project: SessionsProject) -> None:
    with project.connect() as connection:
        connection.execute("delete from upstream.int_events__unified")


def timed(project: SessionsProject, full_refresh: bool = False) -> float:
    begun = time.perf_counter()
    project.run(full_refresh)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="sessions_"))
    project = make_sessions_project(folder / "project")
    # In a process of its own: Linux counts the memory of the process that starts another into the other's peak.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        window = apart.submit(draw, project, options.events).result()
        full = timed(project)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        found = apart.submit(sessions, project).result()
        nothing_new = timed(project)
        late = apart.submit(come_late, project).result()
        incremental = timed(project)
        after = apart.submit(sessions, project).result()
        timed(project, full_refresh=True)
        same = apart.submit(sessions, project).result() == after
        apart.submit(empty, project).result()
        # dbt's own start, parsing and tests: what a build of nothing takes.
        idle = timed(project, full_refresh=True)
    print(f"{options.events:,} events, {found[0]:,} sessions; each without dbt's own {idle:.1f} s")
    print(f"one window pass, written       {window:6.1f} s")
    print(f"first build                    {full - idle:6.1f} s  {(full - idle) / window:4.2f} x, peak {peak:,.0f} MB")
    print(f"run with nothing new           {nothing_new - idle:6.1f} s  {(nothing_new - idle) / window:4.2f} x")
    print(f"run with {late:>9,} late events {incremental - idle:6.1f} s  {(incremental - idle) / window:4.2f} x")
    print(f"equal to a full refresh: {same}")


if __name__ == "__main__":
    main()
