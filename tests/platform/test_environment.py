import pytest

from attribution_platform import environment


def test_unset_means_local(monkeypatch):
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    assert environment.current_environment() == "local"


def test_unknown_environment_refuses_to_start(monkeypatch):
    monkeypatch.setenv(environment.VARIABLE, "prod")
    with pytest.raises(environment.UnknownEnvironmentError, match="local, ci, production"):
        environment.current_environment()


def test_a_map_must_name_every_environment():
    with pytest.raises(environment.UnknownEnvironmentError, match="production"):
        environment.resolve({"local": 1, "ci": 2}, "limits", "local")


def test_automation_runs_in_production_only():
    assert [environment.resolve(environment.AUTOMATION_IS_ON, "x", name) for name in ("local", "ci", "production")] == [
        False,
        False,
        True,
    ]
