"""The world's contacts, deals, pipelines and e-mail events as HubSpot keeps them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.common import (
    World,
    epoch_millis,
    iso_millis,
    on_time,
    records_of,
    text_or_none,
    whole,
    world_end,
)

VENDOR = "hubspot"
PORTAL_ID = 62515
APP = {"appId": 113, "appName": "Batch"}
KINDS = {
    "contacts": "contacts",
    "contact": "contacts",
    "0-1": "contacts",
    "deals": "deals",
    "deal": "deals",
    "0-3": "deals",
}
EVENT_TYPES = {"sent": "SENT", "open": "OPEN", "click": "CLICK", "bounce": "BOUNCE"}
EPOCH = "1970-01-01T00:00:00Z"


def object_kind(name: str) -> str | None:
    """``contacts`` or ``deals`` for any of the names and type ids HubSpot takes for them."""
    return KINDS.get(name.lower())


@dataclass(frozen=True)
class Record:
    """A CRM object; every property is text or None."""

    kind: str
    id: int
    created: str
    updated: str
    archived: bool
    properties: dict[str, str | None]


class Portal:
    """Everything the sandbox's portal holds.

    Attributes:
        now: The world's end, ISO 8601.
    """

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._end = world_end(world)
        self.now = str(iso_millis(self._end))
        self._all = {"contacts": self._contacts(), "deals": self._deals()}
        self._contacts_of = {
            int(row["deal_id"]): [int(key) for key in row["contact_ids"]] for row in records_of(world.deals)
        }
        self._deals_of: dict[int, list[int]] = {}
        for deal, contacts in self._contacts_of.items():
            for contact in contacts:
                self._deals_of.setdefault(contact, []).append(deal)

    def records(self, kind: str) -> list[Record]:
        """Objects of a kind by id, less those that are still to come while ``late_rows`` is on."""
        frame, column = (self._world.contacts, "contact_id") if kind == "contacts" else (self._world.deals, "deal_id")
        if self._faults.active(VENDOR, "late_rows") is None:
            return self._all[kind]
        kept = on_time(self._faults, VENDOR, self._end, frame[column], frame["updated_at"])
        ids = {int(key) for key in frame.loc[kept, column]}
        return [record for record in self._all[kind] if record.id in ids]

    def linked(self, kind: str, key: int, target: str) -> list[int]:
        """Ids of the objects of another kind that an object is associated with."""
        del target  # two kinds only: the other one
        return (self._contacts_of if kind == "deals" else self._deals_of).get(key, [])

    def _contacts(self) -> list[Record]:
        people = self._world.people.set_index("person_id")
        records = []
        for row in records_of(self._world.contacts):
            person = people.loc[row["person_id"]] if row["person_id"] in people.index else None
            properties = {
                "hs_object_id": str(row["contact_id"]),
                "email": text_or_none(row["email"]),
                "firstname": None if person is None else text_or_none(person["first_name"]),
                "lastname": None if person is None else text_or_none(person["last_name"]),
                "phone": None if person is None else text_or_none(person["phone"]),
                "createdate": iso_millis(row["created_at"]),
                "lastmodifieddate": iso_millis(row["updated_at"]),
                "lifecyclestage": text_or_none(row["lifecyclestage"]),
                "customer_source": text_or_none(row["customer_source"]),
                "user_id": text_or_none(row["user_id"]),
                "organisation_id": text_or_none(row["organisation_id"]),
                "hs_analytics_source": text_or_none(row["hs_analytics_source"]),
                "hs_google_click_id": text_or_none(row["hs_google_click_id"]),
                "hs_analytics_first_url": text_or_none(row["first_url"]),
            }
            records.append(_record("contacts", row["contact_id"], row, properties))
        return sorted(records, key=lambda record: record.id)

    def _deals(self) -> list[Record]:
        records = []
        for row in records_of(self._world.deals):
            properties = {
                "hs_object_id": str(row["deal_id"]),
                "dealname": text_or_none(row["name"]),
                "pipeline": text_or_none(row["pipeline"]),
                "dealstage": text_or_none(row["dealstage"]),
                "amount": text_or_none(row["amount"]),
                "deal_currency_code": text_or_none(row["currency"]),
                "createdate": iso_millis(row["created_at"]),
                "closedate": iso_millis(row["close_at"]),
                "hs_lastmodifieddate": iso_millis(row["updated_at"]),
                "product": text_or_none(row["product"]),
            }
            records.append(_record("deals", row["deal_id"], row, properties))
        return sorted(records, key=lambda record: record.id)

    def pipelines(self) -> list[dict[str, Any]]:
        """Deal pipelines with their stages; flags and probabilities are text, as HubSpot's metadata is."""
        stages = self._world.deal_stages.sort_values(["pipeline_id", "display_order", "stage_id"])
        return [
            {
                "id": str(pipeline),
                "label": f"{str(pipeline).capitalize()} pipeline",
                "displayOrder": order,
                "createdAt": EPOCH,
                "updatedAt": EPOCH,
                "archived": False,
                "stages": [
                    {
                        "id": str(row["stage_id"]),
                        "label": str(row["label"]),
                        "displayOrder": whole(row["display_order"]),
                        "metadata": {
                            "isClosed": str(bool(row["is_closed"])).lower(),
                            "probability": str(float(row["probability"])),
                        },
                        "createdAt": EPOCH,
                        "updatedAt": EPOCH,
                        "archived": False,
                    }
                    for row in records_of(rows)
                ],
            }
            for order, (pipeline, rows) in enumerate(stages.groupby("pipeline_id", sort=True))
        ]

    def email_events(self) -> list[dict[str, Any]]:
        """E-mail events, the newest first."""
        rows = self._world.email_activity
        rows = rows[rows["vendor"].eq(VENDOR)]
        rows = rows[on_time(self._faults, VENDOR, self._end, rows["activity_id"], rows["occurred_at"])]
        rows = rows.sort_values(["occurred_at", "activity_id"], ascending=False)
        return [_event(row) for row in records_of(rows)]

    def campaigns(self) -> list[dict[str, Any]]:
        """E-mail campaigns in full, by time of sending."""
        frame = self._world.email_campaigns
        frame = frame[frame["vendor"].eq(VENDOR)].sort_values(["sent_at", "campaign_id"])
        activity = self._world.email_activity
        counts = activity[activity["vendor"].eq(VENDOR)].groupby(["campaign_id", "action"]).size()
        return [
            {
                "id": _number(row["campaign_id"]),
                **APP,
                "contentId": _number(row["campaign_id"]),
                "name": text_or_none(row["title"]),
                "subject": text_or_none(row["subject_line"]),
                "numIncluded": whole(row["emails_sent"]),
                "numQueued": 0,
                "counters": {action: int(counts.get((row["campaign_id"], action), 0)) for action in EVENT_TYPES},
                "lastUpdatedTime": epoch_millis(row["sent_at"]),
                "type": "BATCH_EMAIL",
            }
            for row in records_of(frame)
        ]


def _record(kind: str, key: Any, row: dict[str, Any], properties: dict[str, str | None]) -> Record:
    created, updated = str(iso_millis(row["created_at"])), str(iso_millis(row["updated_at"]))
    return Record(kind, int(key), created, updated, bool(row["archived"]), properties)


def _number(value: Any) -> int | str:
    text = str(value)
    return int(text) if text.isdigit() else text


def _event(row: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = {
        **APP,
        # Event ids are UUIDs at HubSpot; this one is fixed by the world's activity.
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(row["activity_id"]))),
        "type": EVENT_TYPES[row["action"]],
        "created": epoch_millis(row["occurred_at"]),
        "emailCampaignId": _number(row["campaign_id"]),
        "emailCampaignGroupId": _number(row["campaign_id"]),
        "portalId": PORTAL_ID,
        "recipient": str(row["email"]),
        "filteredEvent": bool(row["is_bot"]),
    }
    if row["action"] == "click" and (url := text_or_none(row["url"])):
        event["url"] = url
    if row["action"] in ("open", "click") and (ip := text_or_none(row["ip"])):
        event["ipAddress"] = ip
    return event
