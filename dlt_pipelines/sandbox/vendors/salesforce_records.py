"""The world's contacts and deals as a Salesforce org keeps them: contacts, leads, opportunities, their roles and history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.common import World, on_time, records_of, text_or_none, whole, world_end
from dlt_pipelines.sandbox.vendors.crm_facts import contacts_with_deals, stage_entries
from dlt_pipelines.sandbox.vendors.salesforce_soql import stamp

VENDOR = "salesforce"
OWNER = "005000000000001AAA"
PREFIXES = {
    "Contact": "003",
    "Lead": "00Q",
    "Opportunity": "006",
    "OpportunityContactRole": "00K",
    "OpportunityHistory": "008",
    "OpportunityStage": "01J",
}
# Types as `describe` names them; what is not listed is a string.
TYPES = {
    "Amount": "currency",
    "DefaultProbability": "percent",
    "SortOrder": "int",
    "Email": "email",
    "CloseDate": "date",
    "Id": "id",
}
BOOLEANS = frozenset({"IsDeleted", "IsConverted", "IsClosed", "IsWon", "IsPrimary", "IsActive"})


def record_id(kind: str, number: Any) -> str:
    """An 18-character id; its last three letters say which of the first fifteen are capitals, and digits are not."""
    return f"{PREFIXES[kind]}{int(number):012d}AAA"


def type_of(field: str) -> str:
    """A field's type as `describe` names it."""
    if field in BOOLEANS:
        return "boolean"
    if field.endswith(("Date", "Modstamp")) and field != "CloseDate":
        return "datetime"
    return TYPES.get(field, "reference" if field.endswith("Id") else "string")


class Org:
    """Everything the sandbox's org holds, object by object."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._end = world_end(world)
        self._with_deals = contacts_with_deals(world)
        self._labels = {str(row["stage_id"]): str(row["label"]) for row in records_of(world.deal_stages)}
        made: dict[str, Callable[[], list[dict[str, Any]]]] = {
            "Contact": lambda: [self._person(row, lead=False) for row in self._people(leads=False)],
            "Lead": lambda: [self._person(row, lead=True) for row in self._people(leads=True)],
            "Opportunity": self._opportunities,
            "OpportunityContactRole": self._roles,
            "OpportunityHistory": self._history,
            "OpportunityStage": self._stages,
        }
        self._all = {kind: make() for kind, make in made.items()}
        self.fields = {kind: frozenset(rows[0]) if rows else frozenset() for kind, rows in self._all.items()}

    def records(self, kind: str, *, deleted: bool) -> list[dict[str, Any]]:
        """Records of an object, less those that are still to come while ``late_rows`` is on."""
        rows = [row for row in self._all[kind] if deleted or not row.get("IsDeleted", False)]
        if self._faults.active(VENDOR, "late_rows") is None or not rows or kind == "OpportunityStage":
            return rows
        times = pd.to_datetime(pd.Series([row["SystemModstamp"] for row in rows])).dt.tz_localize(None)
        ids = pd.Series([row["Id"] for row in rows])
        kept = on_time(self._faults, VENDOR, self._end, ids, times)
        return [row for row, keep in zip(rows, kept, strict=True) if keep]

    def _people(self, *, leads: bool) -> list[dict[str, Any]]:
        rows = records_of(self._world.contacts)
        return [row for row in rows if (str(row["contact_id"]) in self._with_deals) != leads]

    def _person(self, row: dict[str, Any], *, lead: bool) -> dict[str, Any]:
        people = self._world.people.set_index("person_id")
        person = people.loc[row["person_id"]] if row["person_id"] in people.index else None
        shared = {
            "Id": record_id("Lead" if lead else "Contact", row["contact_id"]),
            "IsDeleted": bool(row["archived"]),
            "Email": text_or_none(row["email"]),
            "FirstName": None if person is None else text_or_none(person["first_name"]),
            "LastName": "-" if person is None else str(person["last_name"]),
            "Phone": None if person is None else text_or_none(person["phone"]),
            "LeadSource": text_or_none(row["hs_analytics_source"]),
            "OwnerId": OWNER,
            "CreatedDate": stamp(pd.Timestamp(row["created_at"])),
            "LastModifiedDate": stamp(pd.Timestamp(row["updated_at"])),
            "SystemModstamp": stamp(pd.Timestamp(row["updated_at"])),
            "User_Id__c": text_or_none(row["user_id"]),
            "Organisation_Id__c": text_or_none(row["organisation_id"]),
            "Customer_Source__c": text_or_none(row["customer_source"]),
            "GCLID__c": text_or_none(row["hs_google_click_id"]),
            "First_URL__c": text_or_none(row["first_url"]),
            "MasterRecordId": None,
        }
        if not lead:
            return shared | {"AccountId": None}
        conversion = {"IsConverted": False, "ConvertedContactId": None, "ConvertedOpportunityId": None}
        return shared | conversion | {"Status": "Open - Not Contacted", "Company": "-"}

    def _opportunities(self) -> list[dict[str, Any]]:
        stages = {str(row["stage_id"]): row for row in records_of(self._world.deal_stages)}
        return [
            {
                "Id": record_id("Opportunity", row["deal_id"]),
                "IsDeleted": bool(row["archived"]),
                "Name": text_or_none(row["name"]),
                "StageName": self._labels[str(row["dealstage"])],
                "Amount": None if pd.isna(row["amount"]) else float(row["amount"]),
                "CurrencyIsoCode": text_or_none(row["currency"]),
                "CloseDate": _day(row["close_at"] if pd.notna(row["close_at"]) else self._end),
                "IsClosed": bool(stages[str(row["dealstage"])]["is_closed"]),
                "IsWon": bool(stages[str(row["dealstage"])]["is_won"]),
                "ForecastCategory": "Pipeline",
                "OwnerId": OWNER,
                "CreatedDate": stamp(pd.Timestamp(row["created_at"])),
                "LastModifiedDate": stamp(pd.Timestamp(row["updated_at"])),
                "SystemModstamp": stamp(pd.Timestamp(row["updated_at"])),
                "Product__c": text_or_none(row["product"]),
            }
            for row in records_of(self._world.deals)
        ]

    def _roles(self) -> list[dict[str, Any]]:
        return [
            {
                "Id": record_id("OpportunityContactRole", int(row["deal_id"]) * 10 + number),
                "IsDeleted": bool(row["archived"]),
                "OpportunityId": record_id("Opportunity", row["deal_id"]),
                "ContactId": record_id("Contact", contact),
                "IsPrimary": number == 0,
                "Role": "Decision Maker" if number == 0 else "Influencer",
                "CreatedDate": stamp(pd.Timestamp(row["created_at"])),
                "SystemModstamp": stamp(pd.Timestamp(row["updated_at"])),
            }
            for row in records_of(self._world.deals)
            for number, contact in enumerate(row["contact_ids"])
        ]

    def _history(self) -> list[dict[str, Any]]:
        archived = {str(row["deal_id"]): bool(row["archived"]) for row in records_of(self._world.deals)}
        rows = []
        for number, row in enumerate(records_of(stage_entries(self._world))):
            rows.append(
                {
                    "Id": record_id("OpportunityHistory", number + 1),
                    "IsDeleted": archived[row["deal_id"]],
                    "OpportunityId": record_id("Opportunity", row["deal_id"]),
                    "StageName": self._labels[row["stage_id"]],
                    "CreatedDate": stamp(row["entered_at"]),
                    "SystemModstamp": stamp(row["entered_at"]),
                }
            )
        return rows

    def _stages(self) -> list[dict[str, Any]]:
        stages = self._world.deal_stages.sort_values(["display_order", "stage_id"]).drop_duplicates("label")
        return [
            {
                "Id": record_id("OpportunityStage", number + 1),
                "MasterLabel": str(row["label"]),
                "ApiName": str(row["label"]),
                "SortOrder": whole(row["display_order"]) + 1,
                "DefaultProbability": float(row["probability"]) * 100,
                "IsActive": True,
                "IsClosed": bool(row["is_closed"]),
                "IsWon": bool(row["is_won"]),
                "SystemModstamp": stamp(self._world.events["occurred_at"].min()),
            }
            for number, row in enumerate(records_of(stages))
        ]


def _day(value: Any) -> str:
    return str(pd.Timestamp(value).strftime("%Y-%m-%d"))
