"""Checks that dbt cannot express: judgements over metrics, and Great Expectations suites."""

import dagster as dg

from asset_checks.contracts import build_contract_checks
from asset_checks.drift import build_drift_checks
from asset_checks.suites import build_suite_checks
from asset_checks.tracking import build_tracking_checks
from attribution_platform.settings import Settings


def build_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    return [
        *build_tracking_checks(settings),
        *build_drift_checks(),
        *build_contract_checks(settings),
        *build_suite_checks(settings),
    ]
