"""How far a run's answers are from a simulated world's known truth. Frames in, figures out."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class IdentityScore:
    """Devices of people who ever registered, and those people.

    Attributes:
        devices: such devices seen in the data.
        coverage: share of them that were given to some registered person.
        accuracy: share of those that were given to the right one.
        people: registered people with at least one such device.
        people_correct: share of them who were given all of their devices and nobody else's.
    """

    devices: int
    coverage: float
    accuracy: float
    people: int
    people_correct: float


def score_identity(resolution: pd.DataFrame, truth: pd.DataFrame) -> IdentityScore:
    """Compare resolved devices with their owners.

    Args:
        resolution: identifier_type, identifier, canonical_user_id; a shared device may stand in several rows.
        truth: identifier_type, identifier, person_id.
    """
    owners = truth[truth["identifier_type"] == "device_id"].rename(columns={"person_id": "owner"})
    users = truth[truth["identifier_type"] == "user_id"].rename(columns={"identifier": "canonical_user_id"})
    registered = set(users["person_id"])
    seen = resolution[resolution["identifier_type"] == "device_id"]
    devices = seen.merge(owners[["identifier", "owner"]], on="identifier")
    devices = devices.merge(users[["canonical_user_id", "person_id"]], on="canonical_user_id", how="left")
    owned = devices[devices["owner"].isin(registered)]
    total = owned["identifier"].nunique()
    resolved = owned.dropna(subset=["person_id"])
    right = resolved["person_id"] == resolved["owner"]
    # A person is right when every device of theirs went to them and no device of another did.
    missed = set(owned.loc[owned["person_id"] != owned["owner"], "owner"])
    invaded = set(devices.loc[devices["person_id"].notna() & (devices["person_id"] != devices["owner"]), "person_id"])
    people = set(owned["owner"])
    return IdentityScore(
        devices=total,
        coverage=resolved["identifier"].nunique() / total if total else float("nan"),
        accuracy=float(right.mean()) if len(resolved) else float("nan"),
        people=len(people),
        people_correct=len(people - missed - invaded) / len(people) if people else float("nan"),
    )


def half_l1(shares: pd.Series, true_shares: pd.Series) -> float:
    """Half the L1 distance of two share vectors indexed by channel: 0 the same, 1 disjoint."""
    both = pd.concat([shares, true_shares], axis=1).fillna(0.0)
    return float((both.iloc[:, 0] - both.iloc[:, 1]).abs().sum() / 2)


def score_models(credit: pd.DataFrame, true_shares: pd.Series) -> pd.Series:
    """Distance of every model to the truth.

    Args:
        credit: model_type, channel, conversions.
        true_shares: Shapley shares of the world's counterfactual game, indexed by channel.

    Returns:
        Half-L1 distance by model_type, best first.
    """
    by_model = credit.pivot_table(
        index="channel", columns="model_type", values="conversions", aggfunc="sum", fill_value=0.0
    )
    shares = by_model / by_model.sum()
    return pd.Series({name: half_l1(shares[name], true_shares) for name in shares}, dtype=float).sort_values()
