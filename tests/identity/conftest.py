"""One identity project for the folder: a dbt start costs five seconds, so the scenarios of a build share one world."""

import pytest

from tests.identity.project import IdentityProject, make_identity_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> IdentityProject:
    return make_identity_project(tmp_path_factory.mktemp("identity") / "project")
