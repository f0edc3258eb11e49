"""LinkedIn's session, the same for ads and for pages."""

from dlt_pipelines.config import LinkedinConfig
from dlt_pipelines.dialects import linkedin
from dlt_pipelines.http import VendorSession
from dlt_pipelines.oauth import rotating_auth
from dlt_pipelines.spec import SecretSpec


def linkedin_session(
    source: str, config: LinkedinConfig, client_id: SecretSpec, client_secret: SecretSpec, refresh_token: SecretSpec
) -> VendorSession:
    """A session that signs in with rotating refresh tokens and asks for the configured month's version.

    Raises:
        MissingSecret: a credential is not set.
    """
    headers = {"LinkedIn-Version": config.api_version, "X-Restli-Protocol-Version": "2.0.0"}
    return VendorSession(
        source, config, linkedin, rotating_auth(source, config, client_id, client_secret, refresh_token), headers
    )
