"""Where the dbt project and the deployment files lie: in a clone beside this package, in a built wheel inside it."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_BUNDLED = _PACKAGE / "_project"
IS_CLONE = not _BUNDLED.is_dir()
PROJECT_ROOT = _PACKAGE.parent if IS_CLONE else _BUNDLED
DBT_PROJECT_DIR = PROJECT_ROOT / "dbt_attribution"
