"""The part of SOQL that readers of whole objects use: fields, comparisons joined by AND, order, limit, COUNT()."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_QUERY = re.compile(
    r"^\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+(?P<order>.+?))?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*$",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"^\s*(\w+)\s*(=|!=|<=|>=|<|>)\s*('(?:[^'\\]|\\.)*'|[^\s']+)\s*$")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class QueryError(Exception):
    """A query that Salesforce refuses.

    Attributes:
        code: its errorCode.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Query:
    """A parsed query; `fields` is empty for COUNT()."""

    object: str
    fields: tuple[str, ...]
    conditions: tuple[tuple[str, str, Any], ...]
    order: tuple[tuple[str, bool], ...]
    limit: int | None


def stamp(moment: datetime) -> str:
    """A time as Salesforce writes it, in whole seconds: `2026-09-01T10:00:00.000+0000`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def parse(text: str) -> Query:
    """A query.

    Raises:
        QueryError: it is not SOQL as far as it is spoken here.
    """
    found = _QUERY.match(text)
    if found is None:
        raise QueryError("MALFORMED_QUERY", f"unexpected token: {text[:40]!r}")
    fields = tuple(name.strip() for name in found["fields"].split(","))
    if fields == ("COUNT()",):
        fields = ()
    conditions = []
    for part in re.split(r"\s+AND\s+", found["where"] or "", flags=re.IGNORECASE):
        if not part.strip():
            continue
        condition = _CONDITION.match(part)
        if condition is None:
            raise QueryError("MALFORMED_QUERY", f"unexpected token: {part.strip()!r}")
        conditions.append((condition[1], condition[2], _literal(condition[3])))
    order = []
    for part in (found["order"] or "").split(","):
        if part.strip():
            name, _, direction = part.strip().partition(" ")
            order.append((name, direction.strip().upper() == "DESC"))
    limit = int(found["limit"]) if found["limit"] else None
    return Query(found["object"], fields, tuple(conditions), tuple(order), limit)


def answer(query: Query, records: list[dict[str, Any]], known: frozenset[str]) -> list[dict[str, Any]]:
    """The records that a query selects, in its order, with the fields it names.

    Raises:
        QueryError: it names a field that the object does not have.
    """
    named = [*query.fields, *(name for name, _, _ in query.conditions), *(name for name, _ in query.order)]
    for name in named:
        if name not in known:
            raise QueryError(
                "INVALID_FIELD",
                f"\nSELECT {name} FROM {query.object}\n       ^\nERROR at Row:1:Column:8\nNo such column '{name}' on "
                f"entity '{query.object}'. If you are attempting to use a custom field, be sure to append the '__c' "
                "after the custom field name.",
            )
    found = [record for record in records if all(_passes(record[name], sign, v) for name, sign, v in query.conditions)]
    for name, descending in reversed(query.order):
        # Nulls first, as Salesforce sorts them.
        found.sort(key=lambda record, name=name: (record[name] is not None, record[name]), reverse=descending)  # type: ignore[misc]
    found = found[: query.limit] if query.limit is not None else found
    return [{name: record[name] for name in query.fields} for record in found] if query.fields else found


def _passes(value: Any, sign: str, wanted: Any) -> bool:
    if sign not in ("=", "!=") and (value is None or wanted is None):
        return False
    return _COMPARE[sign](value, wanted)


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.lower() in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text.lower()]
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise QueryError("MALFORMED_QUERY", f"unexpected token: {text!r}") from None
    if "T" not in text:
        return text
    if moment.tzinfo is None:
        raise QueryError("INVALID_FIELD", f"value of filter criterion must be of type dateTime: {text}")
    return stamp(moment.astimezone(UTC))
