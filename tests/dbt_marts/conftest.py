"""One dbt project of this layer alone, shared by the tests of the folder: a dbt start costs five seconds."""

import pytest

from tests.dbt_marts.upstream import Layer, make_layer


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Layer:
    return make_layer(tmp_path_factory.mktemp("marts") / "project")
