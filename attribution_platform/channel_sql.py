"""The channel rules of dbt_attribution as plain SQL, rendered from the very macro files that dbt compiles.

Only what those macros ask of dbt is provided here (var, ref, adapter.dispatch, target, errors). Rendering takes 0.1 s;
`dbt compile` takes over 5 s and needs a warehouse. A test holds the two renderings equal.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, StrictUndefined
from jinja2.environment import TemplateModule

from attribution_platform.layout import DBT_PROJECT_DIR

MACRO_FILES = ("dialect.sql", "events", "channels")
SEEDS = ("referrer_domain_mapping", "channel_sources", "click_ids")


class ChannelRuleError(ValueError):
    """A custom channel rule that cannot be used; the message names the rule."""


def _raise(message: str) -> None:
    raise ChannelRuleError(message)


@cache
def _macro_text() -> str:
    folder = DBT_PROJECT_DIR / "macros"
    files: list[Path] = []
    for name in MACRO_FILES:
        path = folder / name
        files.extend(sorted(path.glob("*.sql")) if path.is_dir() else [path])
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


class ChannelMacros:
    """The macros, callable by name, for one set of custom rules and own domains.

    Relations named by `ref` are bare table names: load the seeds of `SEEDS` under their own names. `dialect` is duckdb or
    snowflake.

    Raises:
        ChannelRuleError: when a rendered macro refuses a custom rule.
    """

    def __init__(
        self, channel_rules: Sequence[Mapping[str, str]] = (), own_domains: Sequence[str] = (), dialect: str = "duckdb"
    ) -> None:
        self._dialect = dialect
        variables: dict[str, Any] = {
            "channel_rules": [dict(rule) for rule in channel_rules],
            "own_domains": list(own_domains),
        }
        environment = Environment(extensions=["jinja2.ext.do"], undefined=StrictUndefined, autoescape=False)  # noqa: S701
        environment.globals.update(
            var=variables.__getitem__,
            ref=lambda name: name,
            target=SimpleNamespace(type=dialect),
            adapter=SimpleNamespace(dispatch=self._dispatch),
            exceptions=SimpleNamespace(raise_compiler_error=_raise),
        )
        self._module: TemplateModule = environment.from_string(_macro_text()).module

    def _dispatch(self, name: str, _package: str) -> Callable[..., str]:
        return getattr(self._module, f"{self._dialect}__{name}")

    def render(self, macro: str, *arguments: Any) -> str:
        """The SQL text of one macro call."""
        return str(getattr(self._module, macro)(*arguments)).strip()
