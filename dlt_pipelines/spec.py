"""What a source is, said without network, secrets or dlt: resources, columns, keys, secrets, findings.

Dagster builds its assets from these, the doctor its questions, and `dlt_pipelines.rows` the Arrow schemas.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dlt_pipelines.config import ExtractionWindow, SourceConfig

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.privacy import Hasher

DataType = Literal["text", "bigint", "double", "bool", "timestamp", "date", "decimal"]
# How a column's value is made safe before the first write; `dlt_pipelines.rows` is the only place that applies it.
Treatment = Literal["plain", "email", "ip", "phone", "name", "url", "free_text", "identifier", "params"]

MONEY_PRECISION = 20
MONEY_SCALE = 6


@dataclass(frozen=True)
class ColumnSpec:
    """One raw column: its type, its meaning, and how personal data in it is treated."""

    name: str
    data_type: DataType = "text"
    description: str = ""
    treatment: Treatment = "plain"


@dataclass(frozen=True)
class ResourceSpec:
    """One raw table of a source."""

    name: str
    primary_key: tuple[str, ...]
    description: str
    columns: tuple[ColumnSpec, ...]

    def __post_init__(self) -> None:
        if "__" in self.name:
            raise ValueError(f"Resource {self.name!r}: dlt reads a double underscore as a child table.")
        unknown = set(self.primary_key) - set(self.column_names)
        if unknown:
            raise ValueError(f"Resource {self.name!r}: key columns {sorted(unknown)} are not among its columns.")

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnSpec:
        return next(column for column in self.columns if column.name == name)

    def dlt_columns(self) -> dict[str, dict[str, Any]]:
        """Column hints for dlt; key columns are not nullable, times are UTC without a zone."""
        hints: dict[str, dict[str, Any]] = {}
        for column in self.columns:
            hint: dict[str, Any] = {"name": column.name, "data_type": column.data_type}
            if column.data_type == "decimal":
                hint |= {"precision": MONEY_PRECISION, "scale": MONEY_SCALE}
            elif column.data_type == "timestamp":
                hint |= {"timezone": False, "precision": 6}
            if column.name in self.primary_key:
                hint |= {"primary_key": True, "nullable": False}
            if column.description:
                hint["description"] = column.description
            hints[column.name] = hint
        return hints


class MissingSecret(RuntimeError):  # noqa: N818 - named by the interface
    """An environment variable that a source needs is not set."""


@dataclass(frozen=True)
class SecretSpec:
    """A credential a source reads from the environment, at the moment it is used and not before."""

    env: str
    purpose: str
    required: bool = True

    def read(self) -> str:
        """The secret's value; an optional one that is unset reads as an empty string.

        Raises:
            MissingSecret: it is required and unset, with the variable's name and purpose.
        """
        value = os.environ.get(self.env, "").strip()
        if not value and self.required:
            raise MissingSecret(f"{self.env} is not set: {self.purpose}. Set it in the environment and run again.")
        return value


@dataclass(frozen=True)
class Finding:
    """One thing the doctor found: what was looked at, how it is, what to do."""

    level: Literal["ok", "warning", "error"]
    subject: str
    message: str
    remedy: str = ""


def looked_at(
    source: str, setting: str, ids: Iterable[str], what: str, look: Callable[[str], str]
) -> Iterator[Finding]:
    """A finding for each account that a source's settings name: what looking at it says. An error where none is named.

    Args:
        what: the accounts in words.
    """
    named = False
    for named_id in ids:
        named = True
        yield Finding("ok", f"{source}: {named_id}", look(named_id))
    if not named:
        yield Finding("error", f"{source}: {setting}", "empty", f"Name the {what} under [sources.{source}].")


@dataclass(frozen=True)
class SourceSpec:
    """A source: what it promises, what it needs, and how it is built."""

    name: str
    title: str
    config_model: type[SourceConfig]
    resources: tuple[ResourceSpec, ...]
    secrets: tuple[SecretSpec, ...]
    build: Callable[[Any, ExtractionWindow, "Hasher"], "DltSource"]
    probe: Callable[[Any], Iterable[Finding]] = field(default=lambda config: ())

    def resource(self, name: str) -> ResourceSpec:
        return next(resource for resource in self.resources if resource.name == name)

    @property
    def secret_names(self) -> tuple[str, ...]:
        return tuple(secret.env for secret in self.secrets)

    def check(self, config: Any) -> list[Finding]:
        """Cheap questions for the doctor: settings, secrets present, and whether the vendor takes them.

        Never raises: whatever goes wrong is a finding with a remedy.
        """
        missing = [secret for secret in self.secrets if secret.required and not os.environ.get(secret.env, "").strip()]
        if missing:
            return [
                Finding("error", f"{self.name}: {secret.env}", f"not set ({secret.purpose})", f"Set {secret.env}.")
                for secret in missing
            ]
        try:
            return list(self.probe(config))
        except Exception as error:  # a doctor that crashes helps nobody
            said = str(error).removeprefix(f"{self.name}: ")
            return [
                Finding("error", self.name, said, f"Credentials it reads: {', '.join(self.secret_names) or 'none'}.")
            ]
