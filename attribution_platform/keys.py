"""The one place where asset keys, groups and kinds are made.

Keys are `[schema, table]`, lower case, equal for a dlt resource, the dbt source that reads it and the dbt model built on it;
that equality is what joins the lineage, and no `meta` has to repeat it.
"""

from collections.abc import Sequence

RAW_PREFIX = "raw_"

# Warehouse schemas written by Python assets.
ENRICHMENT = "enrichment"
CREDIT = "credit"
IDENTITY = "identity"
ALERTS = "alerts"
MONITORING = "monitoring"
SERVING = "serving"


def raw_dataset(source: str) -> str:
    """Dataset and schema of one source's raw tables."""
    return f"{RAW_PREFIX}{source}"


def raw_key(source: str, resource: str) -> list[str]:
    return [raw_dataset(source), resource]


def table_key(schema: str, table: str) -> list[str]:
    return [schema.lower(), table.lower()]


# Graph groups, in the order of the flow. A dbt model's folder decides its group.
GROUPS: tuple[str, ...] = (
    "ingestion",
    "staging",
    "events",
    "crm",
    "organic",
    "identity",
    "sessions",
    "channels",
    "conversions",
    "touchpoints",
    "attribution",
    "coverage",
    "marts",
    "serving",
)


def group_of_model(folders: Sequence[str]) -> str:
    """Group of a dbt node by the first folder under models/ or seeds/.

    Raises:
        ValueError: the folder is not a known layer, so the graph would grow a stray group.
    """
    if folders and folders[0] in GROUPS:
        return folders[0]
    raise ValueError(f"dbt folder {'/'.join(folders) or '(top)'} is not a layer; known: {', '.join(GROUPS)}.")
