"""What every CRM of the sandbox makes of the world's one set of contacts and deals: who is a lead, which stages were passed.

The world keeps a deal's present stage; the way there is drawn from the deal itself, so that all CRMs tell one story.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from dlt_pipelines.sandbox.vendors.common import World, records_of, share_of


def contacts_with_deals(world: World) -> set[str]:
    """Ids of contacts that stand on a deal; the others are leads where a CRM tells them apart."""
    return {str(contact) for listed in world.deals["contact_ids"] for contact in listed}


def stage_entries(world: World) -> pd.DataFrame:
    """When each deal entered each stage it passed: deal_id, pipeline, stage_id, entered_at (whole seconds), in time order.

    A deal begins in its pipeline's first stage when it is created. A won one passed every open stage, a lost one some of
    them; between creation and the last entry the others lie at even distances.
    """
    stages = records_of(world.deal_stages.sort_values(["pipeline_id", "display_order"]))
    rows: list[dict[str, Any]] = []
    for deal in records_of(world.deals):
        path = _path(deal, [stage for stage in stages if stage["pipeline_id"] == deal["pipeline"]])
        first = pd.Timestamp(deal["created_at"]).floor("s")
        closed = bool(path[-1]["is_closed"])
        last = pd.Timestamp(deal["close_at"] if closed and pd.notna(deal["close_at"]) else deal["updated_at"])
        step = (max(last.floor("s"), first) - first) / max(len(path) - 1, 1)
        rows += [
            {
                "deal_id": str(deal["deal_id"]),
                "pipeline": str(deal["pipeline"]),
                "stage_id": str(stage["stage_id"]),
                "entered_at": (first + step * number).floor("s"),
            }
            for number, stage in enumerate(path)
        ]
    table = pd.DataFrame(rows, columns=["deal_id", "pipeline", "stage_id", "entered_at"])
    return table.sort_values(["deal_id", "entered_at"], kind="stable", ignore_index=True)


def _path(deal: dict[str, Any], stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    (present,) = [stage for stage in stages if stage["stage_id"] == deal["dealstage"]]
    open_stages = [stage for stage in stages if not stage["is_closed"]]
    if present["is_won"]:
        return [*open_stages, present]
    if present["is_closed"]:
        return [*open_stages[: 1 + share_of(str(deal["deal_id"]), len(open_stages))], present]
    return open_stages[: open_stages.index(present) + 1]
