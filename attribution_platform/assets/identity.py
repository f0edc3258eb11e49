"""How far to trust who is who: the rules asked about logins they were not shown, the shape of the clusters, and what changed."""

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.charts import as_markdown, identity_accuracy_chart, identity_tiers_chart
from attribution_platform.identity.report import COLUMN_TYPES, MIN_HELD_OUT, quality_report
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.transformation import WAREHOUSE_POOL

SNAPSHOT = "last_resolution"
# A share from so many held-out devices is exact to half a point; more would only cost memory.
MOST_HELD_OUT = 200_000

ITEMS = f"""
    with held_out as (
        select * from intermediate.int_identity__holdout order by device_id limit {MOST_HELD_OUT}
    ),
    touched as (
        select known_user_id as person from held_out union select inferred_user_id from held_out
    )
    select known_user_id, inferred_user_id, match_tier, true as is_held_out from held_out
    union all
    select logins.canonical_user_id, logins.canonical_user_id, logins.tier, false
    from intermediate.int_identity__device_logins as logins
    inner join touched on logins.canonical_user_id = touched.person
    left join intermediate.int_identity__holdout as hidden on logins.device_id = hidden.device_id
    where logins.tier = 'cookie_single_user' and not logins.is_refused and hidden.device_id is null
"""
TIERS = """
    select resolution.match_tier, count(*) as devices,
        sum(case when persons.user_id is not null then 1 else 0 end) as of_users
    from (select distinct identifier, match_tier, canonical_user_id from intermediate.int_identity__resolution
        where identifier_type = 'device_id' and valid_to is null) as resolution
    left join intermediate.int_identity__persons as persons
        on resolution.canonical_user_id = persons.canonical_user_id
    group by resolution.match_tier order by resolution.match_tier
"""
CLUSTERS = """
    select max(identifiers) as largest, sum(case when users > 1 then 1 else 0 end) as several_users, count(*) as persons
    from (
        select canonical_user_id, count(distinct identifier_type || ':' || identifier) as identifiers,
            count(distinct case when identifier_type = 'user_id' then identifier end) as users
        from intermediate.int_identity__resolution where match_tier <> 'blocked' group by canonical_user_id
    ) as persons
"""
CURRENT = """
    select identifier_type, identifier, canonical_user_id, match_tier
    from intermediate.int_identity__resolution where valid_to is null and match_tier <> 'blocked'
"""
CHURN = f"""
    select count(*) as compared,
        sum(case when was_named and is_named and before_id <> now_id then 1 else 0 end) as moved,
        sum(case when is_named and not was_named then 1 else 0 end) as found,
        sum(case when was_named and not is_named then 1 else 0 end) as separated
    from (
        select past.canonical_user_id as before_id, present.canonical_user_id as now_id,
            past.match_tier not like 'unresolved%' as was_named, present.match_tier not like 'unresolved%' as is_named
        from {keys.IDENTITY}.{SNAPSHOT} as past
        inner join ({CURRENT}) as present
            on past.identifier_type = present.identifier_type and past.identifier = present.identifier
    ) as compared
"""


def measure_identity(warehouse: Warehouse) -> pd.DataFrame:
    """Compute the report and write it as identity.identity_quality; keep the resolution for the next run's churn."""
    items = warehouse.query(ITEMS)
    items["is_held_out"] = items["is_held_out"].astype(bool)
    known = warehouse.row_count(keys.IDENTITY, SNAPSHOT)
    report = quality_report(
        items,
        warehouse.query(TIERS),
        warehouse.query(CLUSTERS),
        warehouse.query(CHURN) if known else pd.DataFrame(),
    )
    warehouse.replace_table(keys.IDENTITY, "identity_quality", report, COLUMN_TYPES)
    warehouse.replace_from_query(keys.IDENTITY, SNAPSHOT, CURRENT)
    return report


def metadata_of(report: pd.DataFrame) -> dict[str, dg.MetadataValue | str | int]:
    """Table, charts and a verdict for the asset's page."""
    shown = report[report["match_tier"] == "all"].round(4)
    accuracy = report[(report["measure"] == "held_out_accuracy") & (report["n"] > 0)]
    held_out = int(report.loc[report["measure"] == "held_out_coverage", "n"].iloc[0])
    metadata: dict[str, dg.MetadataValue | str | int] = {
        "dagster/row_count": len(report),
        "held_out_logins": held_out,
        "figures": dg.MetadataValue.md(shown.drop(columns="match_tier").to_markdown(index=False)),
    }
    if held_out < MIN_HELD_OUT:
        metadata["verdict"] = f"insufficient data: {held_out} logins held out, {MIN_HELD_OUT} are needed"
    if len(accuracy):
        metadata["accuracy"] = dg.MetadataValue.md(
            as_markdown(identity_accuracy_chart(accuracy), "accuracy by tier on held-out logins")
        )
    tiers = report[report["measure"] == "tier_share"]
    if len(tiers):
        metadata["tiers"] = dg.MetadataValue.md(as_markdown(identity_tiers_chart(tiers), "devices by tier"))
    return metadata


def build_identity_assets() -> list[dg.AssetsDefinition]:
    @dg.asset(
        key=[keys.IDENTITY, "identity_quality"],
        deps=[
            ["intermediate", "int_identity__resolution"],
            ["intermediate", "int_identity__persons"],
            ["intermediate", "int_identity__holdout"],
        ],
        group_name="identity",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description=(
            "Precision and recall of identity on held-out logins, coverage, accuracy by tier, largest cluster, persons with "
            "two users, and the identifiers whose person changed since the last run."
        ),
    )
    def identity_quality(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=metadata_of(measure_identity(warehouse)))

    return [identity_quality]
