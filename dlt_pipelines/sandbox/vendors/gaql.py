"""The part of the Google Ads query language that reports are written in.

``SELECT field, … FROM resource [WHERE condition AND …] [ORDER BY field [ASC|DESC], …] [LIMIT n] [PARAMETERS …]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][\w.]*)|(?P<number>-?\d[\d.]*)"""
    r"""|(?P<operator><=|>=|!=|=|<|>)|(?P<mark>[(),]))"""
)
_CLAUSES = ("WHERE", "ORDER", "LIMIT", "PARAMETERS")


class QueryError(ValueError):
    """A query that Google Ads refuses.

    Attributes:
        family: Member of ``errorCode``, e.g. ``queryError``.
        code: Its value, e.g. ``UNRECOGNIZED_FIELD``.
    """

    def __init__(self, code: str, message: str, family: str = "queryError") -> None:
        super().__init__(message)
        self.code, self.family = code, family


@dataclass(frozen=True)
class Condition:
    """``field operator values``; ``values`` is empty for IS NULL and IS NOT NULL."""

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A parsed query; ``order`` holds (field, descending)."""

    fields: tuple[str, ...]
    resource: str
    conditions: tuple[Condition, ...]
    order: tuple[tuple[str, bool], ...]
    limit: int | None


class _Tokens:
    def __init__(self, text: str) -> None:
        self._items: list[tuple[str, str]] = []
        position, text = 0, text.strip().rstrip(";").rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise QueryError("BAD_SYMBOL", f"Error in query: unexpected input {text[position:][:20]}.")
            kind = str(match.lastgroup)
            self._items.append((kind, match[kind]))
            position = match.end()
        self._next = 0

    def peek(self) -> str:
        return self._items[self._next][1] if self._next < len(self._items) else ""

    def keyword(self) -> str:
        return self.peek().upper()

    def take(self, *kinds: str) -> str:
        if self._next >= len(self._items):
            raise QueryError("UNEXPECTED_END_OF_QUERY", "Error in query: unexpected end of query.")
        kind, value = self._items[self._next]
        if kinds and kind not in kinds:
            raise QueryError("UNEXPECTED_INPUT", f"Error in query: unexpected input {value}.")
        self._next += 1
        return value

    def demand(self, word: str, code: str) -> None:
        if self.keyword() != word:
            raise QueryError(code, f"Error in query: expected {word} but found '{self.peek()}'.")
        self.take()

    def value(self) -> str:
        text = self.take("text", "word", "number")
        return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] in "'\"" else text


def parse(text: str) -> Query:
    """Parses one query.

    Raises:
        QueryError: With the code Google Ads gives for that mistake.
    """
    tokens = _Tokens(text)
    tokens.demand("SELECT", "EXPECTED_SELECT")
    fields = [tokens.take("word")]
    while tokens.peek() == ",":
        tokens.take()
        fields.append(tokens.take("word"))
    tokens.demand("FROM", "EXPECTED_FROM")
    resource = tokens.take("word")
    conditions: list[Condition] = []
    order: list[tuple[str, bool]] = []
    limit: int | None = None
    while tokens.peek():
        clause = tokens.keyword()
        if clause not in _CLAUSES:
            raise QueryError("UNEXPECTED_INPUT", f"Error in query: unexpected input {tokens.peek()}.")
        tokens.take()
        if clause == "WHERE":
            conditions.append(_condition(tokens))
            while tokens.keyword() == "AND":
                tokens.take()
                conditions.append(_condition(tokens))
        elif clause == "ORDER":
            tokens.demand("BY", "EXPECTED_BY")
            order = _order(tokens)
        elif clause == "LIMIT":
            number = tokens.take()
            if not number.isdigit() or int(number) == 0:
                raise QueryError("BAD_LIMIT_VALUE", f"Error in query: invalid limit value {number}.")
            limit = int(number)
        else:
            while tokens.peek():
                tokens.take()
    return Query(tuple(fields), resource, tuple(conditions), tuple(order), limit)


def _order(tokens: _Tokens) -> list[tuple[str, bool]]:
    order = []
    while True:
        name = tokens.take("word")
        descending = tokens.keyword() == "DESC"
        if tokens.keyword() in ("ASC", "DESC"):
            tokens.take()
        order.append((name, descending))
        if tokens.peek() != ",":
            return order
        tokens.take()


def _condition(tokens: _Tokens) -> Condition:
    field = tokens.take("word")
    operator = tokens.take("operator", "word").upper()
    if operator == "NOT":
        operator = f"NOT {tokens.take('word').upper()}"
    if operator == "IS":
        operator = "IS NOT NULL" if tokens.keyword() == "NOT" else "IS NULL"
        while tokens.keyword() in ("NOT", "NULL"):
            tokens.take()
        return Condition(field, operator, ())
    if operator == "BETWEEN":
        low = tokens.value()
        tokens.demand("AND", "EXPECTED_AND")
        return Condition(field, operator, (low, tokens.value()))
    if operator in ("IN", "NOT IN"):
        tokens.demand("(", "EXPECTED_LIST")
        values = [tokens.value()]
        while tokens.peek() == ",":
            tokens.take()
            values.append(tokens.value())
        tokens.demand(")", "EXPECTED_LIST")
        return Condition(field, operator, tuple(values))
    if operator not in ("=", "!=", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "DURING"):
        raise QueryError("BAD_OPERATOR", f"Error in query: invalid operator {operator}.")
    return Condition(field, operator, (tokens.value(),))


def during(literal: str, today: date) -> tuple[date, date]:
    """First and last day of a date-range literal.

    Raises:
        QueryError: The literal is not one of Google's.
    """
    word = literal.upper()
    yesterday = today - timedelta(days=1)
    if word == "TODAY":
        return today, today
    if word == "YESTERDAY":
        return yesterday, yesterday
    if match := re.fullmatch(r"LAST_(7|14|30)_DAYS", word):
        return today - timedelta(days=int(match[1])), yesterday
    if word == "THIS_MONTH":
        return today.replace(day=1), today
    if word == "LAST_MONTH":
        last = today.replace(day=1) - timedelta(days=1)
        return last.replace(day=1), last
    raise QueryError("INVALID_VALUE_WITH_DURING_OPERATOR", f"Invalid value '{literal}' used with DURING operator.")


def date_bounds(query: Query, today: date) -> tuple[date | None, date | None]:
    """The range that the conditions on ``segments.date`` leave; None where it is open.

    Raises:
        QueryError: A value is not a date.
    """
    low: date | None = None
    high: date | None = None
    for condition in query.conditions:
        if condition.field != "segments.date":
            continue
        first: date | None = None
        last: date | None = None
        if condition.operator == "DURING":
            first, last = during(condition.values[0], today)
        else:
            days = [_day(value) for value in condition.values]
            if condition.operator in ("=", "BETWEEN", "IN"):
                first, last = min(days), max(days)
                if condition.operator == "BETWEEN" and days[0] > days[1]:
                    raise QueryError(
                        "DATE_RANGE_TOO_NARROW",
                        f"The start date {days[0]} is after the end date {days[1]}.",
                    )
            elif condition.operator in (">", ">="):
                first = days[0] + timedelta(days=condition.operator == ">")
            elif condition.operator in ("<", "<="):
                last = days[0] - timedelta(days=condition.operator == "<")
        low = first if low is None or (first is not None and first > low) else low
        high = last if high is None or (last is not None and last < high) else high
    return low, high


def _day(text: str) -> date:
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError:
        raise QueryError("INVALID_DATE_FORMAT", f"Invalid date '{text}'. Expected 'YYYY-MM-DD'.") from None


def keeps(condition: Condition, value: Any, today: date) -> bool:
    """Whether a row with this value (None when unset) satisfies the condition."""
    operator = condition.operator
    if operator in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (operator == "IS NULL")
    if value is None:
        return operator in ("!=", "NOT IN", "NOT LIKE")
    if operator == "DURING":
        first, last = during(condition.values[0], today)
        return first.isoformat() <= str(value) <= last.isoformat()
    if operator in ("LIKE", "NOT LIKE"):
        pattern = re.escape(condition.values[0]).replace("%", ".*").replace("_", ".")
        return bool(re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL)) == (operator == "LIKE")
    kind = type(value) if isinstance(value, (int, float)) else str
    try:
        wanted = [kind(item) for item in condition.values]
    except ValueError:
        raise QueryError("BAD_NUMBER", f"Error in query: {condition.values[0]} is not a number.") from None
    if operator in ("IN", "NOT IN"):
        return (value in wanted) == (operator == "IN")
    if operator == "BETWEEN":
        return bool(wanted[0] <= value <= wanted[1])
    other = wanted[0]
    return bool(
        {
            "=": value == other,
            "!=": value != other,
            "<": value < other,
            "<=": value <= other,
            ">": value > other,
            ">=": value >= other,
        }[operator]
    )
