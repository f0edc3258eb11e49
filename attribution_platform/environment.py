"""Where we run. One variable, three values, exhaustive maps; an unknown value refuses to start.

Nothing falls through to production: a map that lacks an environment is an error at import, not a surprise at night.
"""

import os
from collections.abc import Mapping
from typing import Literal, TypeVar, get_args

Environment = Literal["local", "ci", "production"]
ENVIRONMENTS: tuple[str, ...] = get_args(Environment)
VARIABLE = "ATTRIBUTION_ENV"

T = TypeVar("T")


class UnknownEnvironmentError(ValueError):
    """ATTRIBUTION_ENV holds something we do not know."""


def current_environment() -> Environment:
    """The environment this process runs in; `local` when the variable is unset."""
    value = os.environ.get(VARIABLE, "local")
    if value not in ENVIRONMENTS:
        raise UnknownEnvironmentError(
            f"{VARIABLE}={value!r} is not an environment. Set it to one of: {', '.join(ENVIRONMENTS)}."
        )
    return value  # type: ignore[return-value]


def resolve(choices: Mapping[Environment, T], what: str, environment: Environment | None = None) -> T:
    """Pick one environment's choice from a map that must name all of them."""
    missing = set(ENVIRONMENTS) - set(choices)
    if missing:
        raise UnknownEnvironmentError(f"{what} has no choice for: {', '.join(sorted(missing))}.")
    return choices[environment or current_environment()]


# Schedules and sensors start themselves only where nobody watches a terminal.
AUTOMATION_IS_ON: Mapping[Environment, bool] = {"local": False, "ci": False, "production": True}
# On a laptop a missing hash key is made once and kept beside the data; in production it must be given.
HASH_KEY_MAY_BE_MADE: Mapping[Environment, bool] = {"local": True, "ci": True, "production": False}

# Every library's telemetry switch. Set before any of them is imported, and inherited by every child process.
TELEMETRY_OFF: Mapping[str, str] = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


def switch_telemetry_off() -> None:
    for name, value in TELEMETRY_OFF.items():
        os.environ[name] = value
