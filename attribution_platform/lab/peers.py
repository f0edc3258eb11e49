"""Other libraries as contenders, where they are installed. Nothing of theirs is imported before it is asked for.

Both read aggregated paths. What they report is taken as it is: their credit, not what it could be made into.
"""

import contextlib
import importlib
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from attribution_platform.credit.paths import Floats, Paths

Contender = Callable[[Paths], Floats]
PACKAGES = {"ChannelAttribution": "ChannelAttribution", "mam": "marketing-attribution-models"}
HOW_TO_INSTALL = "pip install ChannelAttribution matplotlib marketing-attribution-models"


def _table(paths: Paths) -> pd.DataFrame:
    distinct = paths.distinct()[0]
    return pd.DataFrame(
        {"path": distinct.strings(), "won": distinct.conversions, "value": distinct.revenue, "lost": distinct.nulls}
    )


def _by_channel(found: pd.Series, paths: Paths) -> Floats:
    return found.reindex(list(paths.channels)).fillna(0.0).to_numpy(np.float64)


def channel_attribution_markov(module: Any, order: int, paths: Paths, **settings: Any) -> Floats:
    """Credited conversions of ChannelAttribution 2.2's Markov model: default precision, fixed seed, one thread."""
    quiet: dict[str, Any] = {"seed": 1, "verbose": False, "flg_pro": False}
    found = module.markov_model(
        _table(paths), "path", "won", var_value="value", var_null="lost", order=order, **quiet, **settings
    )
    table = found if isinstance(found, pd.DataFrame) else found["result"]
    return _by_channel(table.set_index("channel_name")["total_conversions"], paths)


def mam_model(module: Any, paths: Paths) -> Any:
    """A MAM 2.1 object over grouped journeys."""
    table = _table(paths)
    parts = [
        table.loc[table[side] > 0, ["path"]].assign(seen=table[side].astype(int), conversion=side == "won")
        for side in ("won", "lost")
    ]
    return module.MAM(
        pd.concat(parts, ignore_index=True),
        format_type="grouped_journey",
        channels_colname="path",
        journey_with_conv_colname="conversion",
        occurrences_colname="seen",
    )


def mam_credit(module: Any, method: str, paths: Paths, **settings: Any) -> Floats:
    """Credited conversions of one of MAM's models, e.g. `run_markov` or `run_shapley`."""
    found = getattr(mam_model(module, paths), method)(**settings).to_pandas()
    return _by_channel(found.set_index("channels")["attribution"], paths)


def load_peer(module_name: str) -> Any:
    """Import a peer quietly: some print advertising when they load.

    Raises:
        ImportError: It, or something it needs, is not installed.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(module_name)


def installed_peers() -> tuple[dict[str, Contender], list[str]]:
    """Contenders by name, and the packages that cannot be imported here."""
    contenders: dict[str, Contender] = {}
    missing = []
    for module_name, package in PACKAGES.items():
        try:
            module = load_peer(module_name)
        except ImportError:
            missing.append(package)
            continue
        if module_name == "ChannelAttribution":
            for order in (1, 2, 3):
                contenders[f"ChannelAttribution_markov_{order}"] = partial(channel_attribution_markov, module, order)
        else:
            contenders["MAM_markov"] = partial(mam_credit, module, "run_markov")
            contenders["MAM_shapley"] = partial(mam_credit, module, "run_shapley")
    return contenders, missing
