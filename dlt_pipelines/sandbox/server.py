"""The sandbox: every vendor's API on one local port, in its own dialect, serving one simulated world.

``GET /`` lists the base addresses; ``/_faults`` and ``/_requests`` switch and inspect what no vendor would show.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dlt_pipelines.sandbox.faults import Faults, RequestRecord
from dlt_pipelines.sandbox.vendors import (
    amplitude,
    ga4,
    google_ads,
    google_oauth,
    hubspot,
    klaviyo,
    linkedin_ads,
    linkedin_pages,
    mailchimp,
    meta_ads,
    meta_pages,
    microsoft_ads,
    mixpanel,
    oauth,
    pipedrive,
    posthog,
    reddit_ads,
    salesforce,
    search_console,
    tiktok_ads,
    x_ads,
    x_posts,
)
from dlt_pipelines.sandbox.vendors.common import (
    DEVELOPER_TOKEN,
    HUBSPOT_TOKEN,
    MAILCHIMP_KEY,
    META_TOKEN,
    World,
    json_of,
)

# One vendor a line: the name of its source, which is its path, and the app that speaks for it.
MOUNTED: dict[str, Callable[[World, Faults], ASGIApp]] = {
    "ga4": ga4.create_app,
    "google_ads": google_ads.create_app,
    "meta_ads": meta_ads.create_app,
    "microsoft_ads": microsoft_ads.create_app,
    "linkedin_ads": linkedin_ads.create_app,
    "reddit_ads": reddit_ads.create_app,
    "x_ads": x_ads.create_app,
    "tiktok_ads": tiktok_ads.create_app,
    "mailchimp": mailchimp.create_app,
    "klaviyo": klaviyo.create_app,
    "hubspot": hubspot.create_app,
    "posthog": posthog.create_app,
    "mixpanel": mixpanel.create_app,
    "amplitude": amplitude.create_app,
    "salesforce": salesforce.create_app,
    "pipedrive": pipedrive.create_app,
    "search_console": search_console.create_app,
    "linkedin_pages": linkedin_pages.create_app,
    "meta_pages": meta_pages.create_app,
    "x_posts": x_posts.create_app,
}
# Vendors whose refresh tokens rotate: path of the token endpoint.
TOKEN_PATHS: dict[str, str] = {
    "microsoft_ads": microsoft_ads.TOKEN_PATH,
    "linkedin_ads": linkedin_ads.TOKEN_PATH,
    "linkedin_pages": linkedin_pages.TOKEN_PATH,
    "reddit_ads": reddit_ads.TOKEN_PATH,
}
START_SECONDS = 30.0


class _TransportInScope:
    """Hands the connection to the fault middleware, the only one who may have to drop it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # uvicorn's send is a method of its request cycle; below this point it is wrapped beyond recognition.
        scope["sandbox.transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await self.app(scope, receive, send)


def create_app(world: World, faults: Faults) -> ASGIApp:
    """All vendors under one root, with the switchboard of faults."""
    apps = {name: create(world, faults) for name, create in MOUNTED.items()}

    async def index(request: Request) -> Response:
        return JSONResponse({name: f"{request.base_url}{name}" for name in (*apps, "google_oauth/token")})

    async def switch(request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(faults.listing())
        if request.method == "DELETE":
            faults.clear(request.query_params.get("vendor"), request.query_params.get("kind"))
            return JSONResponse(faults.listing())
        try:
            asked = await json_of(request)
            faults.switch(asked.pop("vendor", ""), asked.pop("kind", ""), **asked)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(faults.listing())

    async def seen(_request: Request) -> Response:
        return JSONResponse([vars(record) for record in list(faults.requests)])

    return _TransportInScope(
        Starlette(
            routes=[
                Route("/", index),
                Route("/_faults", switch, methods=["GET", "POST", "DELETE"]),
                Route("/_requests", seen),
                Mount("/google_oauth", google_oauth.create_app(faults)),
                *(Mount(f"/{name}", app) for name, app in apps.items()),
            ]
        )
    )


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, so that nobody has to look again and again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class SandboxServer:
    """Serves a world on a loopback port for the length of a ``with`` block.

    Args:
        world: What to serve.
        port: 0 takes a free one.
        faults: A switchboard to share; a fresh one by default.

    Attributes:
        url: Root address.
        faults: The switchboard; also ``POST /_faults``.
    """

    def __init__(self, world: World, port: int = 0, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(world, self.faults),
            # h11 comes with uvicorn; the faster parsers do not, and a fault must look the same everywhere.
            http="h11",
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="critical",
            date_header=False,  # the fault middleware sets it: clocks may be skewed
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="sandbox", daemon=True
        )

    @property
    def base_urls(self) -> dict[str, str]:
        """Base address of each vendor, by source name."""
        return {name: f"{self.url}/{name}" for name in MOUNTED}

    @property
    def token_url(self) -> str:
        """Google's token endpoint."""
        return f"{self.url}/google_oauth/token"

    @property
    def token_urls(self) -> dict[str, str]:
        """Token endpoint of each vendor that has one, by source name."""
        google = dict.fromkeys(("ga4", "google_ads", "search_console"), self.token_url)
        return {**google, **{name: f"{self.url}/{name}{path}" for name, path in TOKEN_PATHS.items()}}

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request to a vendor so far."""
        return self.faults.requests

    def credentials(self) -> dict[str, str]:
        """What the sandbox accepts, by the environment names the product reads."""
        authority = google_oauth.shared_authority()
        org = salesforce.client(self.faults)
        signed_in = {
            f"{name.upper()}_{part}": value
            for name in TOKEN_PATHS
            for part, value in oauth.RefreshAuthority(name, self.faults, rotates=False).credentials().items()
        }
        return {
            **signed_in,
            "MICROSOFT_ADS_DEVELOPER_TOKEN": microsoft_ads.DEVELOPER_TOKEN,
            **x_ads.CREDENTIALS,
            **x_posts.CREDENTIALS,
            "X_POSTS_BEARER_TOKEN": x_posts.BEARER,
            "META_PAGES_ACCESS_TOKEN": meta_pages.TOKEN,
            "GA4_CREDENTIALS_JSON": authority.service_account_json(self.token_url),
            "SEARCH_CONSOLE_CREDENTIALS_JSON": authority.service_account_json(self.token_url),
            "GOOGLE_ADS_DEVELOPER_TOKEN": DEVELOPER_TOKEN,
            "GOOGLE_ADS_CLIENT_ID": authority.client_id,
            "GOOGLE_ADS_CLIENT_SECRET": authority.client_secret,
            "GOOGLE_ADS_REFRESH_TOKEN": authority.refresh_tokens["google_ads"],
            "META_ADS_ACCESS_TOKEN": META_TOKEN,
            "TIKTOK_ADS_ACCESS_TOKEN": tiktok_ads.TOKEN,
            "MAILCHIMP_API_KEY": MAILCHIMP_KEY,
            "HUBSPOT_ACCESS_TOKEN": HUBSPOT_TOKEN,
            "KLAVIYO_API_KEY": klaviyo.KEY,
            "POSTHOG_API_KEY": posthog.KEY,
            "PIPEDRIVE_API_TOKEN": pipedrive.TOKEN,
            "MIXPANEL_USERNAME": mixpanel.USERNAME,
            "MIXPANEL_SECRET": mixpanel.SECRET,
            "AMPLITUDE_API_KEY": amplitude.API_KEY,
            "AMPLITUDE_SECRET_KEY": amplitude.SECRET_KEY,
            "SALESFORCE_CLIENT_ID": org.client_id,
            "SALESFORCE_CLIENT_SECRET": org.client_secret,
            "SALESFORCE_REFRESH_TOKEN": org.refresh_token(),
        }

    def user_credentials_json(self) -> str:
        """GA4 credentials of a user instead of a service account."""
        return google_oauth.shared_authority().authorized_user_json(self.token_url)

    def environment(self) -> dict[str, str]:
        """Everything to export so that the product reads this sandbox: addresses and credentials."""
        addresses = {f"ATTRIBUTION__SOURCES__{name.upper()}__BASE_URL": url for name, url in self.base_urls.items()}
        tokens = {f"ATTRIBUTION__SOURCES__{name.upper()}__TOKEN_URL": url for name, url in self.token_urls.items()}
        return {**addresses, **tokens, **self.credentials()}

    def wait(self) -> None:
        """Blocks until the server ends."""
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._server.ready.wait(START_SECONDS):
            self._server.should_exit = True
            raise RuntimeError(f"the sandbox did not start within {START_SECONDS:.0f} s on {self.url}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(START_SECONDS)
        self._socket.close()
