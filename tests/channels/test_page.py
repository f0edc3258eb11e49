"""docs/channels.md says what the program does: its rules, its example, its settings."""

import re

import pytest

from attribution_platform.channel_sql import ChannelMacros
from attribution_platform.classify import classify_file
from attribution_platform.layout import DBT_PROJECT_DIR
from attribution_platform.settings import load_settings

PAGE = (DBT_PROJECT_DIR.parent / "docs" / "channels.md").read_text(encoding="utf-8")


def block(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_every_rule_is_listed_in_its_order():
    sql = ChannelMacros().render("classify_channels", "visits", "hosts")
    rules = re.findall(r"when '(\w+)' then '[A-Z][^']*'", sql.split("placed as")[1].split("end as channel,")[0])
    table = PAGE.split("| `channel_reason`")[1].split("\n\n")[0]
    listed = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert listed == rules


def test_the_example_prints_what_the_page_shows(tmp_path):
    (tmp_path / "visits.csv").write_text(block("csv"), encoding="utf-8")
    (tmp_path / "attribution.toml").write_text(block("toml"), encoding="utf-8")
    settings = load_settings(tmp_path / "attribution.toml")
    summary = classify_file(
        tmp_path / "visits.csv",
        tmp_path / "explained.csv",
        [rule.model_dump(exclude_none=True) for rule in settings.channel_rules],
        list(settings.project.own_domains),
    )
    shown = str(summary).replace(str(tmp_path / "explained.csv"), "explained.csv")
    assert shown.splitlines() == block("text").splitlines()[: len(shown.splitlines())]


@pytest.mark.parametrize("answer", re.findall(r"\| ([A-Z][\w ]+), `(\w+)` \|", PAGE))
def test_the_table_of_answers_is_that_of_the_example(answer):
    assert re.search(rf"^  {answer[0]} +{answer[1]} ", block("text"), re.MULTILINE)
