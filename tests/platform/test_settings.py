import stat
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from attribution_platform.settings import SettingsError, load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "attribution.toml"
    path.write_text(text)
    return path


def test_the_file_shipped_with_the_project_is_valid():
    settings = load_settings(Path(__file__).parents[2] / "attribution.toml")
    assert settings.enabled_sources == ("ga4", "google_ads", "meta_ads", "mailchimp", "hubspot", "backend", "files")


def test_every_wrong_key_is_named_with_the_file(tmp_path):
    path = write(tmp_path, '[project]\nreporting_time_zone = "Mars"\n[sources.ga5]\nenabled = true\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)
    assert "project.reporting_time_zone" in str(caught.value)
    assert "sources.ga5" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('[[conversions]]\nname = "a"\nkind = "event"\n', "event_name"),
        ('[[conversions]]\nname = "a"\nkind = "file"\n[[conversions]]\nname = "a"\nkind = "file"\n', "named twice"),
        ('[[channel_rules]]\nid = "x"\nchannel = "Audio"\n', "at least one of"),
        ('[[channel_rules]]\nid = "x"\nchannel = "Audio"\ncampaign = "("\n', "not a regular expression"),
        ('[[channel_rules]]\nid = "x"\nchannel = "Audio"\ncampaign = "(?!a)b"\n', "back-references"),
        (2 * '[[channel_rules]]\nid = "x"\nchannel = "Audio"\ncampaign = "a"\n', "id used twice: x"),
        ('[project]\nown_domains = ["https://shop.example"]\n', "bare lower-case domain"),
        ("[project\n", "not valid TOML"),
        ("[sources.hubspot]\nenabled = true\n[sources.salesforce]\nenabled = true\n", "name the one whose deals count"),
        ('[crm]\nprimary = "hubspot"\n', "sources.hubspot is not enabled"),
    ],
)
def test_wrong_settings_say_what_is_wrong(tmp_path, text, part):
    with pytest.raises(SettingsError, match=part):
        load_settings(write(tmp_path, text))


def test_own_domains_are_compared_without_www(tmp_path):
    path = write(tmp_path, '[project]\nown_domains = ["www.shop.example", "xn--80ak6aa92e.xn--p1ai"]\n')
    assert load_settings(path).project.own_domains == ("shop.example", "xn--80ak6aa92e.xn--p1ai")


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match="no such settings file"):
        load_settings(tmp_path / "nowhere.toml")


def test_the_environment_overrides_one_key(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTRIBUTION__SOURCES__GA4__BASE_URL", "http://127.0.0.1:1/ga4")
    settings = load_settings(write(tmp_path, '[sources.ga4]\nenabled = true\nproperty_id = "7"\n'))
    assert settings.sources.ga4.base_url == "http://127.0.0.1:1/ga4"
    assert settings.sources.ga4.property_id == "7"


def test_folders_are_relative_to_the_file(tmp_path):
    settings = load_settings(write(tmp_path, '[sources.files]\nenabled = true\npath = "inbox"\n'))
    assert settings.data_dir == tmp_path / "data"
    assert settings.source_config("files").path == tmp_path / "inbox"


def test_the_window_covers_history_up_to_and_including_today(tmp_path):
    settings = load_settings(write(tmp_path, "[project]\nhistory_start = 2026-01-01\nas_of = 2026-02-10T08:00:00Z\n"))
    window = settings.extraction_window()
    assert (window.start, window.end) == (date(2026, 1, 1), date(2026, 2, 11))
    assert window.now == datetime(2026, 2, 10, 8, tzinfo=UTC)
    assert settings.extraction_window(recent_days=7, refresh=True).start == date(2026, 2, 3)


def test_a_hash_key_is_made_once_and_kept_private(tmp_path, monkeypatch):
    monkeypatch.delenv("ATTRIBUTION_HASH_KEY", raising=False)
    monkeypatch.setenv("ATTRIBUTION_ENV", "local")
    settings = load_settings(write(tmp_path, ""))
    key = settings.hash_key()
    assert key == settings.hash_key()
    assert stat.S_IMODE((settings.data_dir / "hash_key").stat().st_mode) == 0o600


def test_production_never_makes_a_hash_key(tmp_path, monkeypatch):
    monkeypatch.delenv("ATTRIBUTION_HASH_KEY", raising=False)
    monkeypatch.setenv("ATTRIBUTION_ENV", "production")
    with pytest.raises(SettingsError, match="ATTRIBUTION_HASH_KEY"):
        load_settings(write(tmp_path, "")).hash_key()


def test_web_sources_are_ranked_once_each(tmp_path):
    chosen = load_settings(write(tmp_path, '[attribution]\nweb_source_priority = ["mixpanel", "ga4"]\n'))
    assert chosen.dbt_vars()["web_source_priority"] == ["mixpanel", "ga4", "posthog", "amplitude"]
    with pytest.raises(SettingsError, match="named twice"):
        load_settings(write(tmp_path, '[attribution]\nweb_source_priority = ["ga4", "ga4"]\n'))
