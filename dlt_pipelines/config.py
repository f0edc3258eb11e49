"""Settings of each source, as they stand under `[sources.<name>]`. Strict: an unknown key is an error.

Secrets are not here: a source names them (`SecretSpec`) and reads them from the environment when it runs.
"""

import re
import zoneinfo
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Days = Annotated[int, Field(ge=0, le=400)]
PageFigure = Literal["impressions", "reach", "engagements", "clicks", "followers"]


class SourceConfig(BaseModel):
    """What every source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = False

    def anchored(self, base: Path) -> Self:
        """A copy whose relative paths are read from `base`, the folder of the settings file."""
        paths = {name: base / value for name, value in self if isinstance(value, Path) and not value.is_absolute()}
        return self.model_copy(update=paths) if paths else self


class HttpSourceConfig(SourceConfig):
    """A source behind HTTP: where it is and how patient we are with it."""

    base_url: str
    timeout_seconds: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=6, ge=1, le=20)
    # A vendor that asks for a longer pause has run out of quota; the run gives up and says when to come back.
    max_wait_seconds: float = Field(default=300.0, ge=0)

    @field_validator("base_url", "token_url", check_fields=False)
    @classmethod
    def _is_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")


class Ga4Config(HttpSourceConfig):
    """Google Analytics 4: reports from the Data API, events from BigQuery export files."""

    base_url: str = "https://analyticsdata.googleapis.com"
    api_version: str = "v1beta"
    # Empty: the address that the credentials name.
    token_url: str = ""
    property_id: str = Field(default="", description="numeric property id; empty: no Data API reports")
    export_path: Path | None = Field(default=None, description="folder of events_YYYYMMDD files; empty: no events")
    # Google rewrites a day's table for up to three days.
    settling_days: Days = 3
    page_size: int = Field(default=100_000, ge=1, le=250_000)

    @field_validator("property_id", mode="before")
    @classmethod
    def _bare_property(cls, value: object) -> str:
        text = str(value).removeprefix("properties/")
        if text and not text.isdigit():
            raise ValueError("must be the numeric property id, such as 123456789 (not the G-… measurement id)")
        return text


class GoogleAdsConfig(HttpSourceConfig):
    """Google Ads: campaign days and clicks."""

    base_url: str = "https://googleads.googleapis.com"
    api_version: str = "v26"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    customer_ids: tuple[str, ...] = ()
    login_customer_id: str = ""
    # Conversions are credited to the click's day for up to the conversion window; two weeks catch most of them.
    settling_days: Days = 14
    # click_view answers one day per query and no further back than 90 days.
    click_days_back: int = Field(default=90, ge=0, le=90)
    clicks: bool = True

    @field_validator("customer_ids", mode="before")
    @classmethod
    def _without_dashes(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return tuple(_customer_id(item) for item in value)
        return value

    @field_validator("login_customer_id", mode="before")
    @classmethod
    def _login_without_dashes(cls, value: object) -> str:
        return _customer_id(value) if value else ""


class MetaAdsConfig(HttpSourceConfig):
    """Meta (Facebook, Instagram) ads: ad days."""

    base_url: str = "https://graph.facebook.com"
    api_version: str = "v26.0"
    account_ids: tuple[str, ...] = ()
    settling_days: Days = 28
    # Longer spans are asked for as report jobs: long synchronous insights calls are what Meta throttles first.
    sync_days: int = Field(default=7, ge=0, le=90)
    page_size: int = Field(default=500, ge=1, le=5000)
    # Meta keeps 37 months; asking for more is an error of the whole call.
    history_days: int = Field(default=1100, ge=1, le=1125)
    purchase_actions: tuple[str, ...] = ("omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase")

    @field_validator("account_ids", mode="before")
    @classmethod
    def _prefixed(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return tuple(f"act_{str(item).removeprefix('act_')}" for item in value)
        return value


class TiktokAdsConfig(HttpSourceConfig):
    """TikTok ads: ad days."""

    base_url: str = "https://business-api.tiktok.com"
    api_version: str = "v1.3"
    advertiser_ids: tuple[str, ...] = ()
    settling_days: Days = 7
    page_size: int = Field(default=1000, ge=1, le=1000)


class RotatingTokenConfig(HttpSourceConfig):
    """A source whose sign-in may answer with another refresh token: the latest is kept, sealed, in a folder."""

    token_url: str
    token_folder: Path = Field(
        default=Path("data/tokens"),
        description="folder of sealed refresh tokens; every process that reads must share it",
    )


class MicrosoftAdsConfig(RotatingTokenConfig):
    """Microsoft Ads: campaign days and clicks, from reports that are built on demand."""

    base_url: str = "https://reporting.api.bingads.microsoft.com"
    api_version: str = "v13"
    token_url: str = "https://login.microsoftonline.com/common/oauth2/v2.0/token"  # noqa: S105 - an address
    customer_id: str = Field(default="", description="manager account (customer) id, sent with every request")
    account_ids: tuple[str, ...] = ()
    # Left to itself Microsoft takes the day of the Pacific coast.
    report_time_zone: str = Field(
        default="GreenwichMeanTimeDublinEdinburghLisbonLondon", description="Microsoft's own name of a time zone"
    )
    settling_days: Days = 30
    clicks: bool = True
    click_days_back: int = Field(default=90, ge=0, le=180)


class LinkedinConfig(RotatingTokenConfig):
    """What LinkedIn's ads and pages share: ids may be given bare or as the URN that LinkedIn shows."""

    base_url: str = "https://api.linkedin.com"
    # Each month's version is served for a year.
    api_version: str = Field(default="202610", pattern=r"^20\d{4}$")
    token_url: str = "https://www.linkedin.com/oauth/v2/accessToken"  # noqa: S105 - an address

    @field_validator("account_ids", "organisation_ids", mode="before", check_fields=False)
    @classmethod
    def _bare_ids(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return tuple(re.sub(r"^urn:li:(sponsoredAccount|organization):", "", str(item)) for item in value)
        return value


class LinkedinAdsConfig(LinkedinConfig):
    """LinkedIn Ads: campaign days, in UTC."""

    account_ids: tuple[str, ...] = ()
    settling_days: Days = 7
    page_size: int = Field(default=1000, ge=1, le=1000)


class RedditAdsConfig(RotatingTokenConfig):
    """Reddit Ads: campaign days."""

    base_url: str = "https://ads-api.reddit.com"
    api_version: str = "v3"
    token_url: str = "https://www.reddit.com/api/v1/access_token"  # noqa: S105 - an address
    account_ids: tuple[str, ...] = ()
    settling_days: Days = 7
    page_size: int = Field(default=500, ge=1, le=1000)


class XAdsConfig(HttpSourceConfig):
    """X Ads: campaign days."""

    base_url: str = "https://ads-api.x.com"
    api_version: str = "12"
    account_ids: tuple[str, ...] = ()
    # Spend is final after three days; credits arrive for up to fourteen.
    settling_days: Days = 14
    # Longer spans are asked for as jobs, of up to 90 days each; a call answers for seven.
    sync_days: int = Field(default=14, ge=0, le=400)
    page_size: int = Field(default=1000, ge=1, le=1000)


class MailchimpConfig(HttpSourceConfig):
    """Mailchimp: campaigns and what each recipient did."""

    base_url: str = Field(default="", description="empty: the data centre named by the key's suffix")
    api_version: str = "3.0"
    settling_days: Days = 7
    # Campaigns older than this are not asked for activity again: each costs a full page walk.
    activity_days: int = Field(default=60, ge=1)
    page_size: int = Field(default=1000, ge=1, le=1000)


class KlaviyoConfig(HttpSourceConfig):
    """Klaviyo: metrics, events of some of them, profiles and campaigns."""

    base_url: str = "https://a.klaviyo.com"
    # A revision is served for two years.
    revision: str = Field(default="2026-07-15", pattern=r"^\d{4}-\d{2}-\d{2}(\..+)?$")
    metrics: tuple[str, ...] = Field(
        default=(
            "Received Email",
            "Opened Email",
            "Clicked Email",
            "Bounced Email",
            "Unsubscribed from Email Marketing",
        ),
        description="names of the metrics whose events are pulled; integrations' own (orders, visits) may be added",
    )
    settling_days: Days = 3
    # The reference says both 200 and 1000.
    page_size: int = Field(default=200, ge=1, le=1000)

    @field_validator("revision")
    @classmethod
    def _is_read(cls, value: str) -> str:
        if value >= "2026-10-15":
            raise ValueError(
                "campaigns changed their shape with revision 2026-10-15; 2026-07-15 is the newest that is read"
            )
        return value


class PosthogConfig(HttpSourceConfig):
    """PostHog: events and persons, from the query API or from batch-export files."""

    # EU projects live at https://eu.posthog.com; the …i.posthog.com hosts only take events in.
    base_url: str = "https://us.posthog.com"
    project_id: str = Field(default="", description="numeric project id; empty: files only")
    events_path: Path | None = Field(default=None, description="folder of the events export; set: no API")
    persons_path: Path | None = Field(default=None, description="folder of the persons export")
    events: tuple[str, ...] = Field(default=(), description="names of the events to pull from the API; empty: all")
    email_properties: tuple[str, ...] = ("email", "$email")
    # Phones send what they recorded offline up to days later.
    settling_days: Days = 3
    page_size: int = Field(default=10_000, ge=1, le=50_000)

    @field_validator("project_id", mode="before")
    @classmethod
    def _number(cls, value: object) -> str:
        text = str(value)
        if text and not text.isdigit():
            raise ValueError("must be the numeric project id, such as 12345 (not the phc_… token)")
        return text

    @model_validator(mode="after")
    def _events_with_persons(self) -> Self:
        if self.persons_path is not None and self.events_path is None:
            raise ValueError("persons_path is read together with events_path; set that too, or neither")
        return self


class MixpanelConfig(HttpSourceConfig):
    """Mixpanel: events by raw export, profiles by the query API."""

    # EU: https://data-eu.mixpanel.com and https://eu.mixpanel.com; India: -in and in.
    base_url: str = "https://data.mixpanel.com"
    query_url: str = "https://mixpanel.com"
    project_id: str = Field(default="", description="numeric project id")
    time_zone: str = Field(
        default="UTC",
        description="the project's zone, for projects made before 2023: their days and times are told in it",
    )
    profiles: bool = True
    events: tuple[str, ...] = Field(default=(), description="names of the events to export; empty: all")
    email_properties: tuple[str, ...] = ("$email", "email")
    # Phones send what they recorded offline up to days later.
    settling_days: Days = 5
    # Sixty exports an hour are allowed; a reply is read while it arrives, however long.
    days_per_request: int = Field(default=7, ge=1, le=100)

    @field_validator("query_url")
    @classmethod
    def _query_is_http(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("project_id", mode="before")
    @classmethod
    def _number(cls, value: object) -> str:
        text = str(value)
        if text and not text.isdigit():
            raise ValueError("must be the numeric project id, such as 1234567 (not the project token)")
        return text

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone, e.g. Europe/Berlin")
        return value


class AmplitudeConfig(HttpSourceConfig):
    """Amplitude: events by the export API."""

    # EU: https://analytics.eu.amplitude.com
    base_url: str = "https://amplitude.com"
    email_properties: tuple[str, ...] = ("email", "$email")
    # An hour's file is ready two hours after the hour at the earliest; Amplitude promises no latest.
    ready_hours: int = Field(default=2, ge=0, le=48)
    settling_hours: int = Field(default=24, ge=0, le=720)
    hours_per_request: int = Field(default=24, ge=1, le=720)
    # An archive is held in memory while it is read; a longer one is asked for in halves, down to an hour.
    max_archive_mb: int = Field(default=256, ge=1, le=4096)


class HubspotConfig(HttpSourceConfig):
    """HubSpot: contacts, deals, their stages and marketing e-mail events."""

    base_url: str = "https://api.hubapi.com"
    api_version: str = "v3"
    # Search lags behind writes.
    settling_days: Days = 1
    page_size: int = Field(default=100, ge=1, le=100)
    # The portal's own property names; an empty one is not asked for.
    user_id_property: str = "user_id"
    organisation_id_property: str = "organisation_id"
    customer_source_property: str = "customer_source"
    product_property: str = "product"
    first_url_property: str = "hs_analytics_first_url"


class SalesforceConfig(HttpSourceConfig):
    """Salesforce: contacts, leads, opportunities and the stages they passed."""

    base_url: str = Field(default="", description="the org's own address, such as https://company.my.salesforce.com")
    api_version: str = Field(default="v66.0", pattern=r"^v\d+\.0$")
    # Rows get their stamp when they are saved and are seen when their transaction ends.
    settling_days: Days = 1
    page_size: int = Field(default=2000, ge=1, le=2000)
    # From so many rows on an object is read by a bulk job: each page of a query is one of the day's requests.
    bulk_rows: int = Field(default=20_000, ge=1)
    # The org's own field names; an empty one, or one the org lacks, is not asked for.
    user_id_field: str = "User_Id__c"
    organisation_id_field: str = "Organisation_Id__c"
    customer_source_field: str = "Customer_Source__c"
    gclid_field: str = "GCLID__c"
    first_url_field: str = "First_URL__c"
    product_field: str = "Product__c"


class PipedriveConfig(HttpSourceConfig):
    """Pipedrive: persons, deals, stages and the moves of deals between them."""

    base_url: str = Field(default="", description="the company's address, such as https://company.pipedrive.com")
    token_url: str = "https://oauth.pipedrive.com/oauth/token"  # noqa: S105 - an address
    settling_days: Days = 1
    page_size: int = Field(default=500, ge=1, le=500)
    # One request a changed deal.
    stage_history: bool = True
    # Names of the account's own fields as people see them; one that is empty or not there is not read.
    user_id_field: str = "User id"
    organisation_id_field: str = "Organisation id"
    customer_source_field: str = "Customer source"
    gclid_field: str = "GCLID"
    first_url_field: str = "First URL"
    product_field: str = "Product"


class SearchConsoleConfig(HttpSourceConfig):
    """Google Search Console: searches that showed the site, by day."""

    base_url: str = "https://searchconsole.googleapis.com"
    api_version: str = "v3"
    # Empty: the address that the credentials name.
    token_url: str = ""
    site_urls: tuple[str, ...] = Field(
        default=(),
        description='properties as Search Console names them: "sc-domain:shop.example", "https://shop.example/"',
    )
    search_type: Literal["web", "image", "video", "news", "discover", "googleNews"] = "web"
    # Final data come two to three days late.
    settling_days: Days = 5
    page_size: int = Field(default=25_000, ge=1, le=25_000)

    @field_validator("site_urls")
    @classmethod
    def _is_property(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for site in value:
            if not site.startswith("sc-domain:") and not (
                site.startswith(("http://", "https://")) and site.endswith("/")
            ):
                raise ValueError(f'{site!r} is no property: write "sc-domain:shop.example" or "https://shop.example/"')
        return value


class LinkedinPagesConfig(LinkedinConfig):
    """LinkedIn pages: organic figures by day and posts."""

    organisation_ids: tuple[str, ...] = ()
    settling_days: Days = 3
    # Posts gather figures for weeks.
    post_days: Days = 28
    page_size: int = Field(default=100, ge=1, le=100)


class MetaPagesConfig(HttpSourceConfig):
    """Facebook pages and Instagram accounts: organic figures by day and posts."""

    base_url: str = "https://graph.facebook.com"
    api_version: str = "v26.0"
    page_ids: tuple[str, ...] = ()
    instagram_ids: tuple[str, ...] = ()
    # Meta's name of a metric -> our column. Meta withdraws and renames them every year.
    # Kept as pairs, since settings are hashed.
    page_metrics: tuple[tuple[str, PageFigure], ...] = (
        ("page_media_view", "impressions"),
        ("page_total_media_view_unique", "reach"),
        ("page_post_engagements", "engagements"),
        ("page_follows", "followers"),
    )
    instagram_metrics: tuple[tuple[str, PageFigure], ...] = (
        ("views", "impressions"),
        ("reach", "reach"),
        ("total_interactions", "engagements"),
        ("website_clicks", "clicks"),
    )
    settling_days: Days = 3
    post_days: Days = 28
    page_size: int = Field(default=50, ge=1, le=100)

    @field_validator("page_metrics", "instagram_metrics", mode="before")
    @classmethod
    def _as_pairs(cls, value: object) -> object:
        return tuple(value.items()) if isinstance(value, dict) else value


class XPostsConfig(HttpSourceConfig):
    """X: an account's own posts and what they bring."""

    base_url: str = "https://api.x.com"
    user_id: str = Field(default="", description="numeric id of the account", pattern=r"^\d*$")
    settling_days: Days = 3
    post_days: Days = 28
    page_size: int = Field(default=100, ge=1, le=100)


class BackendConfig(SourceConfig):
    """The product's own relational database, read through SQLAlchemy (SQLite, PostgreSQL)."""

    database_schema: str = Field(default="", description="schema that holds the tables; empty: the connection's own")
    # Rows are committed a little after the time they carry.
    lag_minutes: int = Field(default=60, ge=0)
    batch_rows: int = Field(default=20_000, ge=1)


class FilesConfig(SourceConfig):
    """CSV or Parquet files that a team drops into one folder."""

    path: Path = Path("inbox")


class SourcesConfig(BaseModel):
    """The whole `[sources]` table. A source that is absent is off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ga4: Ga4Config = Ga4Config()
    posthog: PosthogConfig = PosthogConfig()
    mixpanel: MixpanelConfig = MixpanelConfig()
    amplitude: AmplitudeConfig = AmplitudeConfig()
    google_ads: GoogleAdsConfig = GoogleAdsConfig()
    meta_ads: MetaAdsConfig = MetaAdsConfig()
    microsoft_ads: MicrosoftAdsConfig = MicrosoftAdsConfig()
    linkedin_ads: LinkedinAdsConfig = LinkedinAdsConfig()
    reddit_ads: RedditAdsConfig = RedditAdsConfig()
    x_ads: XAdsConfig = XAdsConfig()
    tiktok_ads: TiktokAdsConfig = TiktokAdsConfig()
    mailchimp: MailchimpConfig = MailchimpConfig()
    klaviyo: KlaviyoConfig = KlaviyoConfig()
    hubspot: HubspotConfig = HubspotConfig()
    salesforce: SalesforceConfig = SalesforceConfig()
    pipedrive: PipedriveConfig = PipedriveConfig()
    search_console: SearchConsoleConfig = SearchConsoleConfig()
    linkedin_pages: LinkedinPagesConfig = LinkedinPagesConfig()
    meta_pages: MetaPagesConfig = MetaPagesConfig()
    x_posts: XPostsConfig = XPostsConfig()
    backend: BackendConfig = BackendConfig()
    files: FilesConfig = FilesConfig()

    def enabled(self) -> dict[str, SourceConfig]:
        """The sources that are on, by name, in declaration order."""
        return {name: config for name, config in self if config.enabled}

    def anchored(self, base: Path) -> Self:
        """A copy whose relative paths are read from `base`."""
        return self.model_copy(update={name: config.anchored(base) for name, config in self})


class ExtractionWindow(BaseModel):
    """Which days a run is asked to hold, and what time it is.

    A source remembers which days it already holds. It pulls what is missing plus its settling window, so the same
    `start` can be given every day. With `refresh` it pulls exactly the window again, whatever it remembers: that is
    how a backfill of old days is asked for.

    Attributes:
        start: first day, in each account's own time zone.
        end: the day after the last one.
        now: the moment of the run, UTC.
        refresh: pull the whole window again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: date
    end: date
    now: datetime
    refresh: bool = False

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"window ends {self.end} before it begins {self.start}; end is exclusive")
        if self.now.tzinfo is None:
            raise ValueError("window.now must carry its time zone (UTC)")
        return self

    def days(self) -> list[date]:
        return [self.start + timedelta(days=offset) for offset in range((self.end - self.start).days)]


def _customer_id(value: object) -> str:
    text = str(value).replace("-", "").strip()
    if not text.isdigit():
        raise ValueError(f"{value!r} is not a customer id; it has ten digits, such as 123-456-7890")
    return text
