"""The sources there are. Importing this touches no network, no secret and builds no source."""

from typing import Final

from dlt_pipelines.sources import (
    amplitude,
    backend,
    files,
    ga4,
    google_ads,
    hubspot,
    klaviyo,
    linkedin_ads,
    linkedin_pages,
    mailchimp,
    meta_ads,
    meta_pages,
    microsoft_ads,
    mixpanel,
    pipedrive,
    posthog,
    reddit_ads,
    salesforce,
    search_console,
    tiktok_ads,
    x_ads,
    x_posts,
)
from dlt_pipelines.spec import ColumnSpec, Finding, MissingSecret, ResourceSpec, SecretSpec, SourceSpec

__all__ = ["SOURCES", "ColumnSpec", "Finding", "MissingSecret", "ResourceSpec", "SecretSpec", "SourceSpec"]

SOURCES: Final[dict[str, SourceSpec]] = {
    spec.name: spec
    for spec in (
        ga4.SPEC,
        posthog.SPEC,
        mixpanel.SPEC,
        amplitude.SPEC,
        google_ads.SPEC,
        meta_ads.SPEC,
        microsoft_ads.SPEC,
        linkedin_ads.SPEC,
        reddit_ads.SPEC,
        x_ads.SPEC,
        tiktok_ads.SPEC,
        mailchimp.SPEC,
        klaviyo.SPEC,
        hubspot.SPEC,
        salesforce.SPEC,
        pipedrive.SPEC,
        search_console.SPEC,
        linkedin_pages.SPEC,
        meta_pages.SPEC,
        x_posts.SPEC,
        backend.SPEC,
        files.SPEC,
    )
}
