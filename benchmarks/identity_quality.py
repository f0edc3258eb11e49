"""Identity resolution against the truth, on a world of a hundred thousand people, and what forty kiosks do to it.

    python -m benchmarks.identity_quality [--people 100000] [--folder DIR]

Draws the world of `benchmarks/identity_world.py`, builds the project's own identity models on it with dbt, and compares the
person of every presence (one person on one cookie) at the time of its visits with the truth: pairwise and B-cubed precision and
recall, cookie-to-user coverage, accuracy of what is covered by tier, largest cluster, clusters with two authenticated users.
Then once more without kiosks.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd

from attribution_platform.identity.quality import b_cubed, pairwise
from benchmarks.identity_world import IdentityWorld, IdentityWorldConfig, draw_identity_world
from tests.identity.project import IdentityProject, make_identity_project

RESOLVED = """
    select visits.presence, visits.person, resolution.canonical_user_id, resolution.match_tier, count(*) as visits
    from visits
    inner join intermediate.int_identity__resolution as resolution
        on resolution.identifier_type = 'device_id' and visits.device_id = resolution.identifier
        and visits.occurred_at + interval 60 seconds >= resolution.valid_from
        and (resolution.valid_to is null or visits.occurred_at + interval 60 seconds < resolution.valid_to)
    group by visits.presence, visits.person, resolution.canonical_user_id, resolution.match_tier
    qualify row_number() over (
        partition by visits.presence
        order by count(*) desc, resolution.match_tier like 'unresolved%', min(visits.occurred_at),
            resolution.canonical_user_id
    ) = 1
"""
CLUSTERS = """
    select max(identifiers) as largest, sum((users > 1)::int) as several_users
    from (
        select canonical_user_id, count(distinct identifier_type || identifier) as identifiers,
            count(distinct case when identifier_type = 'user_id' then identifier end) as users
        from intermediate.int_identity__resolution group by canonical_user_id
    )
"""


def resolve(project: IdentityProject, world: IdentityWorld) -> pd.DataFrame:
    """Build identity on the world; one row a presence: person, canonical_user_id, match_tier, on_kiosk."""
    project.fill({"int_events__unified": world.events, "stg_backend__users": world.users})
    project.build()
    with duckdb.connect(str(project.warehouse), read_only=True) as connection:
        connection.register("visits", world.visits)
        found = connection.execute(RESOLVED).df()
    return found.merge(world.presences[["presence", "device_id", "on_kiosk"]], on="presence")


def of_cookies(found: pd.DataFrame) -> pd.DataFrame:
    """One row a cookie with its main user, as a tracker would count; on a kiosk nobody is that, and each presence stays."""
    item = found["device_id"].where(~found["on_kiosk"], found["presence"])
    order = found.assign(item=item).sort_values(["item", "visits", "presence"], ascending=[True, False, True])
    return order.drop_duplicates("item")


def scores(found: pd.DataFrame) -> dict[str, float]:
    """The measures of one resolution."""
    pairs = pairwise(found["person"], found["canonical_user_id"])
    cubed = b_cubed(found["person"], found["canonical_user_id"])
    covered = found["canonical_user_id"].str.startswith("u")
    right = found["person"] == found["canonical_user_id"]
    return {
        "items": len(found),
        "pairwise precision": pairs.precision,
        "pairwise recall": pairs.recall,
        "pairwise F1": pairs.f1,
        "B-cubed precision": cubed.precision,
        "B-cubed recall": cubed.recall,
        "B-cubed F1": cubed.f1,
        "coverage": float(covered.mean()),
        "accuracy": float(right[covered].mean()),
    }


def by_tier(found: pd.DataFrame) -> pd.DataFrame:
    """Cookies, and how many are right, by tier."""
    covered = found[found["canonical_user_id"].str.startswith("u")]
    judged = covered.assign(right=covered["person"] == covered["canonical_user_id"])
    return judged.groupby("match_tier", as_index=False).agg(cookies=("right", "size"), accuracy=("right", "mean"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="identity_quality_"))
    config = IdentityWorldConfig(people=options.people, seed=options.seed)
    project = make_identity_project(folder / "project")
    columns: dict[str, dict[str, float]] = {}
    for name, chosen in (("with 40 kiosks", config), ("without", replace(config, kiosks=0))):
        world = draw_identity_world(chosen)
        begun = time.perf_counter()
        found = resolve(project, world)
        cookies = of_cookies(found)
        columns[name] = scores(cookies)
        columns[name]["largest cluster"], columns[name]["clusters with two users"] = project.query(CLUSTERS).iloc[0]
        columns[name]["seconds"] = time.perf_counter() - begun
        if name == "with 40 kiosks":
            tiers = by_tier(cookies)
            columns["kiosks not counted"] = scores(cookies[~cookies["on_kiosk"]])
            columns["by presence"] = scores(found)
    print(pd.DataFrame(columns).to_string(float_format=lambda value: f"{value:,.4f}"))
    print(tiers.to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main()
