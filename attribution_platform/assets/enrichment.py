"""Distinct user agents, parsed once."""

import dagster as dg

from attribution_platform import keys
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.transformation import WAREHOUSE_POOL
from attribution_platform.user_agents import COLUMN_TYPES, parse_user_agents

AGENTS = "select user_agent from intermediate.int_events__user_agents"


def build_enrichment_assets() -> list[dg.AssetsDefinition]:
    @dg.asset(
        key=[keys.ENRICHMENT, "dim_user_agent"],
        deps=[["intermediate", "int_events__user_agents"]],
        group_name="events",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="Every distinct user agent with its device type, browser, whether it is a bot, and which in-app browser it is.",
    )
    def dim_user_agent(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        parsed = parse_user_agents(warehouse.query(AGENTS)["user_agent"])
        warehouse.replace_table(keys.ENRICHMENT, "dim_user_agent", parsed, COLUMN_TYPES)
        counts = parsed.groupby("device_type").size().to_dict()
        return dg.MaterializeResult(metadata={"dagster/row_count": len(parsed), "device_types": counts})

    return [dim_user_agent]
