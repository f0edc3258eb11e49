"""Sessions of twenty million events against one window pass over the same rows.

    python -m benchmarks.sessions [--events 20000000] [--folder DIR]

Draws events (484 thousand devices, visits of eight events on average) into a DuckDB file, times one window pass (number the
events of every device and write all their columns) and the project's own `int_sessions__detected`, built by dbt. Reports seconds
and the peak memory of dbt's process.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from tests.sessions.project import EVENTS, RESOLUTION, make_sessions_project

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="sessions_"))
    project = make_sessions_project(folder / "project")
    with project.connect() as connection:
        connection.execute("set threads = 2")
        connection.execute("create schema upstream")
        connection.execute(f"create table upstream.int_events__unified ({EVENTS})")
        connection.execute(f"create table upstream.int_identity__resolution ({RESOLUTION})")
        connection.execute(DRAWN.format(devices=max(1, options.events // 41), events=options.events))
        begun = time.perf_counter()
        connection.execute(NUMBERED)
        window = time.perf_counter() - begun
        connection.execute("drop table passed")
    begun = time.perf_counter()
    project.run()
    # dbt's own start, parsing and tests are in the total; an empty run of the same project tells how much they are.
    total = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    with project.connect() as connection:
        sessions = connection.execute("select count(*) from intermediate.int_sessions__detected").fetchone()
        connection.execute("delete from upstream.int_events__unified")
    begun = time.perf_counter()
    project.run()
    model = total - (time.perf_counter() - begun)
    assert sessions is not None
    print(f"{options.events:,} events, {sessions[0]:,} sessions")
    print(f"one window pass, written {window:6.1f} s")
    print(f"int_sessions__detected   {model:6.1f} s  {model / window:4.2f} x, peak {peak:,.0f} MB")


if __name__ == "__main__":
    main()
