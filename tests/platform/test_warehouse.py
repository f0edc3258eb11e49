import threading

import duckdb
import pandas as pd
import pytest

from attribution_platform.resources.warehouse import DuckDBWarehouse


@pytest.fixture
def warehouse(tmp_path):
    return DuckDBWarehouse(path=str(tmp_path / "w.duckdb"), landing_dir=str(tmp_path / "landing"))


TYPES = {"id": "varchar", "n": "bigint"}


def test_a_table_is_replaced_whole(warehouse):
    warehouse.replace_table("credit", "t", pd.DataFrame({"n": [1, 2], "id": ["a", "b"], "ignored": [0, 0]}), TYPES)
    warehouse.replace_table("credit", "t", pd.DataFrame({"n": [3], "id": ["c"]}), TYPES)
    assert warehouse.query("select * from credit.t").to_dict("list") == {"id": ["c"], "n": [3]}


def test_an_empty_frame_still_makes_a_typed_table(warehouse):
    warehouse.replace_table("credit", "t", pd.DataFrame({"id": [], "n": []}), TYPES)
    assert warehouse.table_facts([("credit", "t")])["credit", "t"].columns == {"id": "varchar", "n": "bigint"}


def test_a_failed_replacement_keeps_the_old_rows(warehouse):
    warehouse.replace_table("credit", "t", pd.DataFrame({"id": ["a"], "n": [1]}), TYPES)
    with pytest.raises(duckdb.ConversionException):
        warehouse.replace_table("credit", "t", pd.DataFrame({"id": ["b"], "n": ["many"]}), TYPES)
    assert warehouse.row_count("credit", "t") == 1


def test_the_file_is_free_after_an_error(warehouse):
    with pytest.raises(duckdb.CatalogException):
        warehouse.query("select * from nothing.here")
    assert len(warehouse.query("select 1 as one")) == 1


def test_raw_tables_are_read_from_their_landing_file(warehouse, tmp_path):
    assert warehouse.sample("raw_ga4", "events", ["event_id"], 5) is None
    assert warehouse.row_count("raw_ga4", "events") == 0
    (tmp_path / "landing").mkdir()
    with duckdb.connect(str(tmp_path / "landing" / "landing_ga4.duckdb")) as connection:
        connection.execute("create schema raw_ga4")
        connection.execute("create table raw_ga4.events as select 'e' || range as event_id from range(7)")
    assert warehouse.row_count("raw_ga4", "events") == 7
    assert len(warehouse.sample("raw_ga4", "events", ["event_id"], 5)) == 5


def test_a_reader_keeps_its_copy_while_a_new_one_is_published(warehouse, tmp_path):
    serving = tmp_path / "serving.duckdb"
    warehouse.replace_table("credit", "t", pd.DataFrame({"id": ["a"], "n": [1]}), TYPES)
    warehouse.publish(serving)
    with duckdb.connect(str(serving), read_only=True) as reader:
        warehouse.replace_table("credit", "t", pd.DataFrame({"id": ["a", "b"], "n": [1, 2]}), TYPES)
        publisher = threading.Thread(target=warehouse.publish, args=(serving,))
        publisher.start()
        publisher.join()
        assert reader.sql("select count(*) from credit.t").fetchall() == [(1,)]
    with duckdb.connect(str(serving), read_only=True) as reader:
        assert reader.sql("select count(*) from credit.t").fetchall() == [(2,)]
    assert [path.name for path in tmp_path.glob(".serving*")] == []


def test_a_name_that_is_no_identifier_is_refused(warehouse):
    with pytest.raises(ValueError, match="not a table or schema name"):
        warehouse.row_count("credit", "t; drop table t")
