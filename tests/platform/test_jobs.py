"""Every job resolves with every source on: the dbt passes and the Python assets between them form no circle."""

from attribution_platform.definitions import build_defs
from attribution_platform.jobs import DESCRIPTIONS
from attribution_platform.settings import load_settings


def test_every_job_resolves(tmp_path):
    path = tmp_path / "attribution.toml"
    path.write_text('[project]\ndata_dir = "data"\n[sources.ga4]\nenabled = true\nproperty_id = "1"\n')
    definitions = build_defs(load_settings(path))
    for job in DESCRIPTIONS:
        assert definitions.resolve_job_def(job).name == job
