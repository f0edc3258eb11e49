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


def peer_table(paths: Paths) -> pd.DataFrame:
    """Distinct paths as peers want them: path, won, value, lost."""
    distinct = paths.distinct()[0]
    return pd.DataFrame(
        {"path": distinct.strings(), "won": distinct.conversions, "value": distinct.revenue, "lost": distinct.nulls}
    )


def channel_attribution_markov(module: Any, order: int, table: pd.DataFrame) -> pd.Series:
    """Conversions by channel of ChannelAttribution 2.2's Markov model: default precision, fixed seed, one thread."""
    quiet: dict[str, Any] = {"seed": 1, "verbose": False, "flg_pro": False}
    found = module.markov_model(table, "path", "won", var_value="value", var_null="lost", order=order, **quiet)
    credit = found if isinstance(found, pd.DataFrame) else found["result"]
    return credit.set_index("channel_name")["total_conversions"]


def mam_credit(module: Any, method: str, table: pd.DataFrame) -> pd.Series:
    """Conversions by channel of a model of MAM 2.1 over grouped journeys, e.g. `run_markov`."""
    parts = [
        table.loc[table[side] > 0, ["path"]].assign(
            seen=table.loc[table[side] > 0, side].astype(int), conversion=side == "won"
        )
        for side in ("won", "lost")
    ]
    model = module.MAM(
        pd.concat(parts, ignore_index=True),
        format_type="grouped_journey",
        channels_colname="path",
        journey_with_conv_colname="conversion",
        occurrences_colname="seen",
    )
    return getattr(model, method)().to_pandas().set_index("channels")["attribution"]


def _contender(work: Callable[[pd.DataFrame], pd.Series], paths: Paths) -> Floats:
    return work(peer_table(paths)).reindex(list(paths.channels)).fillna(0.0).to_numpy(np.float64)


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
                work = partial(channel_attribution_markov, module, order)
                contenders[f"ChannelAttribution_markov_{order}"] = partial(_contender, work)
        else:
            contenders["MAM_markov"] = partial(_contender, partial(mam_credit, module, "run_markov"))
            contenders["MAM_shapley"] = partial(_contender, partial(mam_credit, module, "run_shapley"))
    return contenders, missing
