import json

import dagster as dg
import pytest

from attribution_platform import keys
from attribution_platform.transformation import (
    Translator,
    build_arguments,
    earlier_passes,
    project_fingerprint,
)


def test_variables_are_sorted_so_that_dbt_does_not_parse_again():
    command, flag, variables = build_arguments("build", {"b": 1, "a": 2})
    assert (command, flag) == ("build", "--vars")
    assert variables == json.dumps({"a": 2, "b": 1})


def test_a_model_counts_for_the_first_pass_whose_tag_it_carries():
    assert earlier_passes("base") == []
    assert earlier_passes("attribution") == ["base", "journey"]


def test_the_fingerprint_follows_files_and_variables(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "a.sql").write_text("select 1")
    first = project_fingerprint(tmp_path, {})
    (tmp_path / "target" / "b.sql").write_text("select 2")
    assert project_fingerprint(tmp_path, {}) == first
    assert project_fingerprint(tmp_path, {"x": 1}) != first
    (tmp_path / "a.sql").write_text("select 3")
    assert project_fingerprint(tmp_path, {}) != first


def test_a_source_that_is_off_leaves_no_dead_asset():
    translator = Translator(["ga4"])
    assert translator._is_off(dg.AssetKey(["raw_hubspot", "deals"]))
    assert not translator._is_off(dg.AssetKey(["raw_ga4", "events"]))
    assert not translator._is_off(dg.AssetKey(["staging", "stg_hubspot__deals"]))


def test_an_unknown_folder_is_no_group():
    assert keys.group_of_model(["staging"]) == "staging"
    with pytest.raises(ValueError, match="not a layer"):
        keys.group_of_model(["misc"])
