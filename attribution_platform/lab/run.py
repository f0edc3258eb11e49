"""`attribution lab`: run the worlds, keep every score, say what they mean together."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from attribution_platform.credit.registry import MODELS
from attribution_platform.lab.peers import HOW_TO_INSTALL, Contender, installed_peers
from attribution_platform.lab.score import LabOptions, score_frame, score_world
from attribution_platform.lab.worlds import LabError, World, choose_worlds

PLOTS = (".png", ".html")
DEFAULT_OPTIONS = LabOptions()


def run_lab(
    *,
    worlds: Sequence[str] = (),
    models: Sequence[str] = (),
    unseen: bool = False,
    peers: bool = False,
    options: LabOptions = DEFAULT_OPTIONS,
    out: Path | None = None,
    plot: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Score models on worlds.

    Args:
        worlds: Names; by default the seen ones.
        models: Registered names; by default all whose credit adds up.
        unseen: Also the worlds no model was developed on.
        peers: Also other libraries that are installed.
        options: How to measure.
        out: CSV of the scores; rewritten after every world, so that an interrupted run keeps what it has.
        plot: PNG, or HTML that needs no network.
        say: Receives progress.

    Returns:
        One row a world, draw and model.

    Raises:
        LabError: A name is unknown, a file cannot be written, or no peer is installed.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        raise LabError(f"no credit model {unknown[0]!r}; there are: {', '.join(MODELS)}")
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise LabError(f"--plot {plot}: write to a file ending in {' or '.join(PLOTS)}")
    for path in (out, plot):
        if path is not None and not path.parent.is_dir():
            raise LabError(f"cannot write {path}: there is no folder {path.parent}")
    chosen = choose_worlds(worlds, unseen)
    contenders = _peers(say) if peers else {}
    rows: list[dict[str, object]] = []
    turns = [(world, draw) for world in chosen for draw in range(options.draws)]
    for number, (world, draw) in enumerate(turns, 1):
        found = list(score_world(world, draw, models or list(MODELS), options, contenders))
        rows += found
        say(f"{number}/{len(turns)} {world.name}{f' draw {draw}' if draw else ''}: {_best(found)}")
        if out is not None:
            write_scores(stamped(score_frame(rows), options), out)
    scores = stamped(score_frame(rows), options)
    if plot is not None:
        write_plot(scores, plot)
    return scores


def _peers(say: Callable[[str], None]) -> dict[str, Contender]:
    contenders, missing = installed_peers()
    if not contenders:
        raise LabError(f"--peers: none of {', '.join(missing)} is installed. To compare: {HOW_TO_INSTALL}")
    if missing:
        say(f"not installed, left out: {', '.join(missing)} ({HOW_TO_INSTALL})")
    return contenders


def _best(found: list[dict[str, object]]) -> str:
    scored = [(float(str(row["half_l1"])), str(row["model"])) for row in found if row.get("half_l1") is not None]
    if not scored:
        return "no model had enough data"
    distance, name = min(scored)
    return f"nearest to the truth {name} at {distance:.3f}"


def stamped(scores: pd.DataFrame, options: LabOptions) -> pd.DataFrame:
    """Scores with where they come from, rounded to what the simulation can tell."""
    rounded = scores.round(dict.fromkeys(scores.select_dtypes("number").columns, 5))
    return rounded.assign(
        level=options.level,
        replicates=options.replicates,
        version=version("attribution-platform"),
        measured_on=datetime.now(UTC).date().isoformat(),
    )


def write_scores(scores: pd.DataFrame, path: Path) -> None:
    """Whole or not at all.

    Raises:
        LabError: The file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scores.to_csv(draft, index=False, lineterminator="\n")
        os.replace(draft, path)
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror or error}") from None


def lab_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Models by worlds: half-L1 distance, mean and largest, and how often intervals hold the truth; best mean first."""
    table = scores.pivot_table(index="model", columns="world", values="half_l1", aggfunc="mean", sort=False)
    by_model = scores.groupby("model")
    table.insert(0, "mean", by_model["half_l1"].mean())
    table.insert(1, "max", by_model["half_l1"].max())
    table.insert(2, "coverage", by_model["coverage"].mean())
    return table.sort_values(["mean", "max"], kind="stable")


def withheld(scores: pd.DataFrame) -> list[str]:
    """Reasons of the models that gave no number anywhere."""
    silent = scores[scores["half_l1"].isna()]
    return sorted({f"{row.model} in {row.world}: {row.status}" for row in silent.itertuples()})


def write_plot(scores: pd.DataFrame, path: Path) -> None:
    """A chart as PNG, or as HTML with everything it needs inside.

    Raises:
        LabError: The file cannot be written.
    """
    import vl_convert

    from attribution_platform.charts import lab_chart

    specification = lab_chart(scores).to_dict()
    content = (
        vl_convert.vegalite_to_png(specification, scale=1.5)
        if path.suffix.lower() == ".png"
        else vl_convert.vegalite_to_html(specification, bundle=True).encode()
    )
    try:
        path.write_bytes(content)
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror or error}") from None


__all__ = ["LabError", "World", "lab_table", "run_lab", "withheld", "write_scores"]
