"""Files in, files out: order, columns, formats and messages."""

from pathlib import Path

import pandas as pd
import pytest

from attribution_platform.classify import OUTPUT_COLUMNS, ClassifyInputError, classify_file

HEADER = "visit,source,referrer,note,user_agent"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36"
)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_rows_keep_their_order_and_every_column(tmp_path):
    rows = [f'{n:05d},,https://www.google.com/,"a, ""b""\n{n}","{CHROME}"' for n in range(3000, 0, -1)]
    given = write(tmp_path / "in.csv", HEADER, *rows)
    summary = classify_file(given, tmp_path / "deep" / "out.csv")
    result, before = read(tmp_path / "deep" / "out.csv"), read(given)
    assert result.columns.tolist() == [*before.columns, *OUTPUT_COLUMNS]
    pd.testing.assert_frame_equal(result[before.columns], before)
    assert set(result["channel"]) == {"Organic Search"}
    assert set(result["device_type"]) == {"desktop"}
    assert set(result["is_bot"]) == {"false"}
    assert summary.rows == 3000
    assert summary.channels == {"Organic Search": 3000}
    assert summary.bots == 0
    assert "referrer_search" in str(summary)


def test_parquet_in_and_out_equals_csv(tmp_path):
    frame = pd.DataFrame(
        {
            "utm_source": ["google", None, "x"],
            "utm_medium": ["cpc", "", None],
            "fbclid": [None, "abc", None],
            "amount": [1.5, None, 3.0],
            "user_agent": [None, "Googlebot/2.1 (+http://www.google.com/bot.html)", CHROME],
        }
    )
    frame.to_parquet(tmp_path / "in.parquet")
    frame.to_csv(tmp_path / "in.csv", index=False)
    classify_file(tmp_path / "in.parquet", tmp_path / "out.parquet")
    classify_file(tmp_path / "in.csv", tmp_path / "out.csv")
    result = pd.read_parquet(tmp_path / "out.parquet")
    assert result["channel"].tolist() == ["Paid Search", "Organic Social", "Organic Social"]
    assert result["channel"].tolist() == read(tmp_path / "out.csv")["channel"].tolist()
    assert result["is_bot"].tolist() == [False, True, False]
    assert result["amount"].tolist()[0] == 1.5
    assert result["device_type"].tolist()[1:] == ["bot", "desktop"]


def test_a_column_named_like_an_output_is_kept_aside(tmp_path):
    given = write(tmp_path / "in.csv", "referrer,channel,is_bot", "facebook.com,mine,maybe")
    summary = classify_file(given, tmp_path / "out.csv")
    result = read(tmp_path / "out.csv")
    assert result.loc[0, ["channel_given", "is_bot_given", "channel"]].tolist() == ["mine", "maybe", "Organic Social"]
    assert "channel_given" in str(summary)


def test_its_own_output_can_be_classified_again(tmp_path):
    write(tmp_path / "in.csv", "referrer", "facebook.com")
    classify_file(tmp_path / "in.csv", tmp_path / "out.csv")
    classify_file(tmp_path / "out.csv", tmp_path / "out.csv")
    classify_file(tmp_path / "out.csv", tmp_path / "out.csv")
    assert read(tmp_path / "out.csv").loc[0, "channel"] == "Organic Social"


def test_no_rows_give_no_rows(tmp_path):
    summary = classify_file(write(tmp_path / "in.csv", HEADER), tmp_path / "out.csv")
    assert summary.rows == 0
    assert read(tmp_path / "out.csv").columns.tolist()[-5:] == list(OUTPUT_COLUMNS)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["id,url", "1,x"], ["in.csv", "landing_url", "id, url"]),
        (["referrer,Referrer", "a,b"], ["in.csv", "line 1", "referrer", "twice"]),
        (["referrer,source", "a,b", "c,d,e", "f,g"], ["in.csv", "line 3", "3 columns", "quote"]),
        (["referrer,source", "a,b", "c"], ["in.csv", "line 3", "only 1", "cut short"]),
        (["referrer,source", '"a,b', "c,d"], ["in.csv", "line 2", "quote", "never closed"]),
        (["referrer,,source", "a,,b"], ["in.csv", "line 1", "column 2", "no name"]),
        (["", "referrer,source"], ["in.csv", "line 1", "no column names"]),
        (["referrer,visit_id__", "a,b"], ["in.csv", "visit_id__", "rename"]),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(tmp_path, lines, words):
    out = tmp_path / "out.csv"
    with pytest.raises(ClassifyInputError) as error:
        classify_file(write(tmp_path / "in.csv", *lines), out)
    assert all(word.lower() in str(error.value).lower() for word in words), error.value
    assert not out.exists()


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ClassifyInputError, match="nowhere"):
        classify_file(tmp_path / "nowhere.csv", tmp_path / "out.csv")
    with pytest.raises(ClassifyInputError, match=r"broken\.parquet cannot be read as Parquet"):
        classify_file(write(tmp_path / "broken.parquet", "no"), tmp_path / "out.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("source\nFrühling\n".encode("latin-1"), ["in.csv", "line 2", "UTF-8"]),
        ("source\ngoogle\n".encode("utf-16"), ["in.csv", "UTF-16", "CSV UTF-8"]),
        (b"PK\x03\x04 a spreadsheet", ["in.csv", "spreadsheet", "CSV UTF-8"]),
        (b"", ["in.csv", "line 1", "no column names"]),
    ],
)
def test_other_encodings_and_formats_are_told_by_name(tmp_path, content, words):
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(ClassifyInputError) as error:
        classify_file(tmp_path / "in.csv", tmp_path / "out.csv")
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_byte_order_mark_windows_line_ends_and_any_separator(tmp_path, separator):
    text = f"Source{separator}Medium\r\ngoogle{separator}cpc\r\n"
    (tmp_path / "in.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    summary = classify_file(tmp_path / "in.csv", tmp_path / "out.csv")
    assert summary.channels == {"Paid Search": 1}
    assert "campaign, referrer, landing_url, user_agent" in str(summary)


def test_what_cannot_be_written_is_said_and_leaves_no_trace(tmp_path):
    given = write(tmp_path / "in.csv", "referrer", "facebook.com")
    (tmp_path / "folder").mkdir()
    for out, word in ((tmp_path / "folder", "folder"), (given / "out.csv", "cannot be written")):
        with pytest.raises(ClassifyInputError, match=word):
            classify_file(given, out)
    with pytest.raises(ClassifyInputError, match="is a folder"):
        classify_file(tmp_path, tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "in.csv"]
    assert given.read_text(encoding="utf-8") == "referrer\nfacebook.com\n"


def test_the_file_that_was_named_is_read_and_nothing_of_its_folder(tmp_path):
    """Paths are no patterns: browsers name a second download visits[1].csv."""
    folder = tmp_path / "source=facebook"
    folder.mkdir()
    named, other = folder / "visits[1].csv", folder / "visits1.csv"
    named.write_text("source,medium\ngoogle,cpc\n", encoding="utf-8")
    other.write_text("source,medium\nbing,organic\n", encoding="utf-8")
    classify_file(named, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv")
    assert (found["source"].tolist(), found["channel"].tolist()) == (["google"], ["Paid Search"])


def test_a_second_name_of_a_column_fills_what_the_first_leaves_empty(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text(
        "source,utm_source,medium,utm_medium,page_url,landing_url\n"
        ",google,,cpc,,\nbing,google,organic,cpc,,\n,,,,https://shop.example/?gclid=EAIaIQobChMI123456,\n",
        encoding="utf-8",
    )
    classify_file(path, tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["channel"].tolist() == ["Paid Search", "Organic Search", "Paid Search"]


def test_any_click_id_may_be_a_column(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text(
        "yclid,mc_cid,landing_url\n123456789,,\n,abc123def4,https://shop.example/a?b=1#top\n,,https://shop.example/\n",
        encoding="utf-8",
    )
    classify_file(path, tmp_path / "columns.csv")
    path.write_text(
        "landing_url\n/?yclid=123456789\nhttps://shop.example/a?b=1&mc_cid=abc123def4\nhttps://shop.example/\n",
        encoding="utf-8",
    )
    classify_file(path, tmp_path / "addresses.csv")
    as_columns, in_addresses = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("columns", "addresses"))
    assert as_columns["channel_reason"].tolist() == in_addresses["channel_reason"].tolist()
    assert as_columns["channel_reason"].nunique() == 3


def test_a_header_in_another_encoding_or_without_end_is_told(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_bytes("source,München\ngoogle,x\n".encode("latin-1"))
    with pytest.raises(ClassifyInputError, match="line 1: not UTF-8"):
        classify_file(path, tmp_path / "out.csv")
    path.write_text("source," + "x" * 200_000, encoding="utf-8")
    with pytest.raises(ClassifyInputError, match="line 1: no header that can be read"):
        classify_file(path, tmp_path / "out.csv")
