"""`attribution credit` on files: the contract, conservation, and errors that name file, line and column."""

from math import fsum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution_platform.credit.registry import CREDIT_COLUMNS, DEFAULT_MODELS
from attribution_platform.credit_files import CreditInputError, credit_command, main

TOUCHES = """user_id,occurred_at,channel,campaign,cost
u1,2026-01-01 10:00:00,Paid Search,brand,2.5
u1,2026-01-03T10:00:00Z,Email,,
u2,2026-01-02 9:05:00,Display,spring,1.5
u2,2026-01-05 00:00:00+02:00,Direct,,
u3,2026-01-04,Paid Search,brand,2.5
"""
CONVERSIONS = """user_id,converted_at,revenue,conversion_type
u1,2026-01-04 10:00:00,100.5,signup
u2,2026-01-05 12:00:00,,deal
u2,2026-01-20 12:00:00,49.5,deal
u9,2026-01-07 00:00:00,10,signup
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    touches, conversions = tmp_path / "touches.csv", tmp_path / "conversions.csv"
    touches.write_text(TOUCHES)
    conversions.write_text(CONVERSIONS)
    return touches, conversions, tmp_path / "out"


def run(files: tuple[Path, Path, Path], **options) -> pd.DataFrame:
    options.setdefault("replicates", 50)
    credit_command(touchpoints=files[0], conversions=files[1], out=files[2], **options)
    return pd.read_csv(files[2] / "credit.csv")


def test_credit_table_has_the_contracted_columns_and_adds_up(files):
    credit = run(files, min_conversions=1)
    assert tuple(credit.columns) == CREDIT_COLUMNS
    assert list(dict.fromkeys(credit["model"])) == list(DEFAULT_MODELS)
    for _, rows in credit.groupby("model"):
        assert fsum(rows["conversions"]) == pytest.approx(4, abs=1e-12)
        assert fsum(rows["revenue"]) == pytest.approx(160, abs=1e-12)
        assert fsum(rows["share"]) == pytest.approx(1, abs=1e-12)
        assert (rows["n_conversions"] == 4).all()
        assert (rows["status"] == "ok").all()


def test_journeys_windows_and_conversions_without_touches(files):
    credit = run(files).set_index(["model", "channel"])["conversions"]
    assert credit["first_touch"].to_dict() == {"Direct": 1, "Display": 2, "Email": 0, "Paid Search": 1}
    assert credit["last_touch"].to_dict() == {"Direct": 3, "Display": 0, "Email": 1, "Paid Search": 0}
    assert credit["last_non_direct"].to_dict() == {"Direct": 1, "Display": 2, "Email": 1, "Paid Search": 0}
    detail = pd.read_parquet(files[2] / "credit_touchpoints.parquet")
    assert detail.groupby("conversion_row")["credit_linear"].sum().tolist() == [1, 1, 1, 1]
    nobody = detail[detail["conversion_row"] == 4]
    assert nobody["channel"].tolist() == ["Direct"]
    assert nobody["touchpoint_row"].isna().all()
    assert "user_id" not in detail.columns
    short = run(files, lookback_days=2).set_index(["model", "channel"])["conversions"]
    assert short["first_touch"].to_dict() == {"Direct": 3, "Display": 0, "Email": 1, "Paid Search": 0}


def test_direct_gets_no_row_where_nobody_needs_it(files):
    files[0].write_text("user_id,occurred_at,channel\nu1,2026-01-01,Email\nu1,2026-01-02,Zoo\nu2,2026-01-02,Ads\n")
    files[1].write_text("user_id,converted_at,conversion_type\nu1,2026-01-03,x\nu1,2026-01-04,y\n")
    credit = run(files).set_index(["model", "channel"])["conversions"]
    assert credit["linear"].to_dict() == {"Ads": 0, "Email": 1, "Zoo": 1}
    by_type = pd.read_csv(files[2] / "credit_by_type.csv")
    assert set(by_type["channel"]) == {"Ads", "Email", "Zoo"}


def test_time_decay_uses_real_days(files):
    run(files, half_life_days=2.0)
    detail = pd.read_parquet(files[2] / "credit_touchpoints.parquet").set_index(["conversion_row", "position"])
    # Three days and one day before the conversion: two half-lives of a day apart, so one halving.
    assert detail.loc[(1, 1), "credit_time_decay"] == pytest.approx(1 / 3)
    assert detail.loc[(1, 2), "credit_time_decay"] == pytest.approx(2 / 3)


def test_credit_by_type_sums_to_each_type(files):
    run(files)
    by_type = pd.read_csv(files[2] / "credit_by_type.csv")
    linear = by_type[by_type["model"] == "linear"].groupby("conversion_type")[["conversions", "revenue"]].sum()
    assert linear.to_dict("index") == {
        "deal": {"conversions": 2, "revenue": 49.5},
        "signup": {"conversions": 2, "revenue": 110.5},
    }


def test_order_of_rows_and_ties_in_time_do_not_matter(files, tmp_path):
    first = run(files, min_conversions=1)
    touches = pd.concat([pd.read_csv(files[0]), pd.read_csv(files[0]).assign(channel="Email", campaign="z")])
    results = []
    for seed in (1, 2):
        touches.sample(frac=1, random_state=seed).to_csv(files[0], index=False)
        conversions = pd.read_csv(files[1]).sample(frac=1, random_state=seed)
        conversions.to_csv(files[1], index=False)
        results.append(run(files, min_conversions=1))
    pd.testing.assert_frame_equal(results[0], results[1])
    assert not first.equals(results[0])


def test_a_second_run_writes_the_same_bytes_and_stale_results_go(files, tmp_path):
    run(files)
    names = {"credit.csv", "roi.csv", "model_details.csv", "credit_touchpoints.parquet"}
    names |= {"credit_by_type.csv", "credit_by_place.csv"}
    assert {p.name for p in files[2].iterdir()} == names
    before = {p.name: p.read_bytes() for p in files[2].iterdir()}
    run(files)
    assert {p.name: p.read_bytes() for p in files[2].iterdir()} == before
    paths = tmp_path / "paths.csv"
    paths.write_text("path,total_conversions\na > b,3\n")
    credit_command(paths=paths, out=files[2], replicates=0)
    assert {p.name for p in files[2].iterdir()} == {
        "credit.csv", "credit_by_place.csv", "model_details.csv", "credit_paths.parquet",
    }  # fmt: skip


def test_parquet_gives_what_csv_gives(files, tmp_path):
    from_csv = run(files)
    touches, conversions = pd.read_csv(files[0]), pd.read_csv(files[1])
    touches["occurred_at"] = pd.to_datetime(touches["occurred_at"], utc=True, format="mixed")
    conversions["converted_at"] = pd.to_datetime(conversions["converted_at"])
    given = (tmp_path / "t.parquet", tmp_path / "c.parquet", tmp_path / "out2")
    touches.to_parquet(given[0])
    conversions.to_parquet(given[1])
    pd.testing.assert_frame_equal(run(given), from_csv)


def test_spend_is_placed_by_channel_campaign_or_medium_and_never_lost(files, tmp_path):
    spend = tmp_path / "spend.csv"
    spend.write_text(
        "date,channel,utm_campaign,utm_medium,cost\n"
        "2026-01-01,Display,,,10\n2026-01-01,,brand,cpc,20\n2026-01-01,,,paid_search,5\n2026-01-01,,other,tv,7\n"
    )
    run(files, spend=spend)
    roi = pd.read_csv(files[2] / "roi.csv")
    first = roi[roi["model"] == "first_touch"].set_index("channel")
    assert first["cost"].to_dict() == {
        "(unmatched spend)": 7,
        "Direct": 0,
        "Display": 10,
        "Email": 0,
        "Paid Search": 25,
    }
    assert first.loc["Display", "cost_per_conversion"] == 5
    assert first.loc["Paid Search", "roas"] == pytest.approx(100.5 / 25)
    assert (roi.groupby("model")["cost"].sum() == 42).all()


def test_costs_in_the_touchpoints_are_spend_too(files):
    run(files)
    roi = pd.read_csv(files[2] / "roi.csv").set_index(["model", "channel"])["cost"]
    assert roi["linear"].to_dict() == {"Direct": 0, "Display": 1.5, "Email": 0, "Paid Search": 5}


@pytest.mark.parametrize(
    ("target", "old", "new", "message"),
    [
        (0, "2026-01-03T10:00:00Z", "yesterday", r"touches.csv, line 3, column occurred_at: 'yesterday' is not a time"),
        (0, "u2,2026-01-02 9:05:00,Display", "u2,2026-01-02 9:05:00,", "touches.csv, line 4, column channel: is empty"),
        (0, "u3,", ",", "touches.csv, line 6, column user_id: is empty"),
        (0, "spring,1.5", "spring,abc", "touches.csv, line 4, column cost: 'abc' is not a number"),
        (0, "spring,1.5", "spring,-1", "touches.csv, line 4, column cost: '-1' is below 0"),
        (0, "spring,1.5", "spring,1.5,x", "touches.csv, line 4, column 6: the row has 6 values, the header names 5"),
        (0, "Email,,", "Email,", "touches.csv, line 3, column cost: missing"),
        (0, "Email,,", '"Em\n\nail",,\nu5,never,Email,,', "touches.csv, line 6, column occurred_at: 'never'"),
        (0, "user_id,occurred_at", "user,occurred_at", "touches.csv: missing column user_id; the file has user, occ"),
        (1, "converted_at", "when", "conversions.csv: missing column converted_at"),
        (1, "100.5", "nan", "conversions.csv, line 2, column revenue: 'nan' is not a number"),
        (1, "2026-01-20 12:00:00", "", "conversions.csv, line 4, column converted_at: '' is not a time"),
        (1, "2026-01-20 12:00:00", "infinity", "conversions.csv, line 4, column converted_at: 'infinity'"),
        (1, "u9", '"u9', "conversions.csv, line 5: broken quotes"),
        (1, "conversion_type", "revenue", "conversions.csv, line 1: column revenue appears twice"),
    ],
)
def test_a_malformed_file_is_named_by_line_and_column_and_nothing_is_written(files, target, old, new, message):
    file = files[target]
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(CreditInputError) as error:
        run(files)
    assert message in str(error.value)
    assert not files[2].exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,total_conversions\na > b,1\na >  > b,1\n", "paths.csv, line 3, column path: has an empty step"),
        ("path,total_conversions\na,1\n\n,2\n", "paths.csv, line 4, column path: is empty"),
        ("path,total_conversions\na,1\nb,-2\n", "paths.csv, line 3, column total_conversions: '-2' is below 0"),
        ("path,total_conversions\na,\n", "paths.csv, line 2, column total_conversions: is empty"),
        ("path,total_conversions,total_conversion_value\na,0,5\n", "line 2, column total_conversion_value: 5 of value"),
        ("path\na\n", "missing column total_conversions"),
        ("path,total_conversions\n", "paths.csv: has no rows"),
        ("", "paths.csv, line 1: the file is empty"),
    ],
)
def test_malformed_paths(tmp_path, text, message):
    file = tmp_path / "paths.csv"
    file.write_text(text)
    with pytest.raises(CreditInputError) as error:
        credit_command(paths=file, out=tmp_path / "out")
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_other_ways_to_write_a_csv(tmp_path):
    file = tmp_path / "paths.csv"
    file.write_bytes('\ufeffPath;Total_Conversions;total_null\r\n"a > b";2;1\r\n a ;1;0\r\n'.encode())
    credit_command(paths=file, out=tmp_path / "out", replicates=0)
    credit = pd.read_csv(tmp_path / "out" / "credit.csv").set_index(["model", "channel"])["conversions"]
    assert credit["last_touch"].to_dict() == {"a": 1, "b": 2}
    file.write_bytes(b"path,total_conversions\na,1\n\xff\xfe,2\n")
    with pytest.raises(CreditInputError, match="line 3, column path: not UTF-8"):
        credit_command(paths=file, out=tmp_path / "out")


def test_missing_files_and_wrong_combinations(tmp_path, files):
    with pytest.raises(CreditInputError, match="no such file"):
        credit_command(paths=tmp_path / "none.csv", out=files[2])
    with pytest.raises(CreditInputError, match="not both"):
        credit_command(paths=files[0], touchpoints=files[0], out=files[2])
    with pytest.raises(CreditInputError, match="give --touchpoints and --conversions"):
        credit_command(touchpoints=files[0], out=files[2])
    with pytest.raises(CreditInputError, match="no credit model 'magic'"):
        run(files, models=["magic"])
    with pytest.raises(SystemExit) as left:
        main(["--paths", str(tmp_path / "none.csv"), "--out", str(files[2])])
    assert left.value.code == 2


def test_no_conversions_at_all_is_an_answer(files):
    files[1].write_text("user_id,converted_at\n")
    credit = run(files)
    assert set(credit["status"]) >= {"insufficient data: needs 1 conversions, has 0"}
    assert credit["conversions"].isna().all()


def test_path_data_through_the_command(path_data_file, tmp_path, capsys):
    assert main(["--paths", str(path_data_file), "--out", str(tmp_path), "--replicates", "100"]) == 0
    assert "conversion probability 0.223845135597" in capsys.readouterr().out
    credit = pd.read_csv(tmp_path / "credit.csv")
    for _, rows in credit.groupby("model"):
        assert fsum(rows["conversions"]) == pytest.approx(19785, abs=1e-9)
        assert fsum(rows["revenue"]) == pytest.approx(74802.971587, abs=1e-6)
    markov = credit[credit["model"] == "markov"].set_index("channel")
    assert markov.loc["alpha", "conversions"] == pytest.approx(5344.947682, abs=1e-6)
    low, high = markov.loc["alpha", ["ci_low", "ci_high"]].to_numpy(float)
    assert low < 5344.9 < high
    detail = pd.read_parquet(tmp_path / "credit_paths.parquet")
    placed = (detail["credit_shapley"] * detail["conversions"]).groupby(detail["channel"]).sum()
    shapley = credit[credit["model"] == "shapley"].set_index("channel")["conversions"]
    np.testing.assert_allclose(placed, shapley, rtol=0.02, atol=0.1)


def test_playbook_sessions_through_the_command(shared_data, tmp_path):
    source = shared_data / "playbook"
    sessions = pd.read_csv(source / "sessions.csv")
    medium = {"paid_social": "Paid Social", "paid_search": "Paid Search", "email": "Email", "search": "Organic Search"}
    touches = pd.DataFrame(
        {
            "user_id": sessions["customer_id"],
            "occurred_at": sessions["started_at"],
            "channel": sessions["utm_medium"].map(medium).fillna("Direct"),
            "campaign": sessions["utm_campaign"],
        }
    )
    touches.to_csv(tmp_path / "touches.csv", index=False)
    conversions = pd.read_csv(source / "customer_conversions.csv").rename(columns={"customer_id": "user_id"})
    conversions.to_csv(tmp_path / "conversions.csv", index=False)
    given = (tmp_path / "touches.csv", tmp_path / "conversions.csv", tmp_path / "out")
    credit = run(given, spend=source / "ad_spend.csv")
    assert (credit[credit["model"] == "markov"]["status"].str.startswith("insufficient data")).all()
    credit = run(given, spend=source / "ad_spend.csv", min_conversions=1)
    for _, rows in credit.groupby("model"):
        assert fsum(rows["conversions"]) == pytest.approx(21, abs=1e-12)
        assert fsum(rows["revenue"]) == pytest.approx(275, abs=1e-9)
    roi = pd.read_csv(tmp_path / "out" / "roi.csv")
    spent = pd.read_csv(source / "ad_spend.csv")["spend"].sum()
    assert (roi.groupby("model")["cost"].sum() == spent).all()
    assert set(roi[roi["cost"] > 0]["channel"]) == {"Paid Social", "Paid Search"}
