"""How each vendor says that something is wrong, as verdicts for `dlt_pipelines.http`.

Shapes were read in the vendors' specifications, client libraries and issue threads; nearly each differs.
"""

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final

import requests

from dlt_pipelines.http import OK, Dialect, Verdict, document, excerpt, retry_after, until_midnight

HOUR: Final = 3600.0
# Meta's throttling codes: app, user, page, custom and the business use cases 80000 to 80008.
META_THROTTLE: Final = frozenset({4, 17, 32, 613, *range(80000, 80007), 80008})
META_TRANSIENT: Final = frozenset({1, 2})
META_CREDENTIALS: Final = frozenset({102, 190})
META_BUSY_PERCENT: Final = 90
# InvalidCredentials, AuthenticationTokenExpired; CallRateExceeded, ConcurrentRequestOverLimit; InternalError.
MICROSOFT_CREDENTIALS: Final = frozenset({105, 109})
MICROSOFT_THROTTLE: Final = frozenset({117, 207})
MICROSOFT_INTERNAL: Final = 0


def plain(response: requests.Response) -> Verdict:
    """Vendors that mean what HTTP says."""
    status = response.status_code
    if status < 300:
        return OK
    if status == 401:
        return Verdict("credentials", reason=excerpt(response))
    if status == 429 or status >= 500 or status == 408:
        return Verdict("retry", retry_after(response), excerpt(response))
    return Verdict("refused", reason=excerpt(response))


def google(response: requests.Response) -> Verdict:
    """GA4 and Google Ads: no Retry-After; the wait stands in the error's details or between the lines."""
    if response.status_code < 300:
        return OK
    error = document(response).get("error")
    if isinstance(error, str):
        return oauth(response)
    error = error if isinstance(error, dict) else {}
    message = str(error.get("message", "")) or excerpt(response)
    reasons = "; ".join(_google_reasons(error)) or message
    if response.status_code == 401:
        return Verdict("credentials", reason=reasons)
    if response.status_code == 403 and "DEVELOPER_TOKEN" in response.text:
        return Verdict("credentials", reason=reasons)
    if response.status_code != 429:
        return (
            plain(response)
            if response.status_code >= 500
            else Verdict("refused", reason=f"HTTP {response.status_code}: {reasons}")
        )
    delay = _google_delay(error)
    if delay is not None:
        return Verdict("retry", delay, reasons)
    if "per day" in message:
        return Verdict("quota", 24 * HOUR, message)
    if "per hour" in message:
        return Verdict("quota", HOUR, message)
    return Verdict("retry", retry_after(response), message, floor=30.0 if "concurrent" in message else 5.0)


def search_console(response: requests.Response) -> Verdict:
    """Search Console: a quota is a 403 with a reason; the load of ten minutes is gone for a quarter of an hour."""
    if response.status_code != 403:
        return google(response)
    error = document(response).get("error")
    listed = error.get("errors") if isinstance(error, dict) else None
    reasons = {str(item.get("reason")) for item in listed or [] if isinstance(item, dict)}
    told = str(error.get("message", "")) if isinstance(error, dict) else excerpt(response)
    if reasons & {"rateLimitExceeded", "userRateLimitExceeded"}:
        return Verdict("retry", retry_after(response), told, floor=10.0)
    if "quotaExceeded" in reasons:
        return Verdict("quota", HOUR / 4, told)
    if "dailyLimitExceeded" in reasons:
        return Verdict("quota", 24 * HOUR, told)
    return google(response)


def oauth(response: requests.Response) -> Verdict:
    """Token endpoints (RFC 6749, section 5.2): a refused grant is a 400 with a code; only the server's own trouble passes."""
    if response.status_code < 300:
        return OK
    body = document(response)
    error = body.get("error")
    if response.status_code == 429 or response.status_code >= 500 or not isinstance(error, str):
        return plain(response)
    # Microsoft's description ends in lines of trace ids; the first one says it.
    said = str(body.get("error_description") or "").strip().partition("\r\n")[0]
    described = f"{error}: {said}".rstrip(": ")
    if error == "temporarily_unavailable":
        return Verdict("retry", retry_after(response), described)
    return Verdict("credentials", reason=described)


def _google_details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        inner
        for detail in error.get("details", [])
        if isinstance(detail, dict)
        for inner in detail.get("errors", [detail])
        if isinstance(inner, dict)
    ]


def _google_reasons(error: Mapping[str, Any]) -> list[str]:
    """The specific codes and messages inside a GoogleAdsFailure."""
    return [
        f"{'/'.join(map(str, detail['errorCode'].values()))}: {detail.get('message', '')}"
        for detail in _google_details(error)
        if isinstance(detail.get("errorCode"), dict)
    ]


def _google_delay(error: Mapping[str, Any]) -> float | None:
    for detail in _google_details(error):
        quota = (
            (detail.get("details") or {}).get("quotaErrorDetails", {})
            if isinstance(detail.get("details"), dict)
            else {}
        )
        delay = str(quota.get("retryDelay") or detail.get("retryDelay") or "").removesuffix("s")
        if delay.replace(".", "", 1).isdigit():
            return float(delay)
        said = re.search(r"[Rr]etry in (\d+) seconds", str(detail.get("message", "")))
        if said:
            return float(said[1])
    return None


def meta(response: requests.Response) -> Verdict:
    """Meta: throttling is a 400 or 403 with a code; how long it lasts stands in a usage header, in minutes."""
    if response.status_code < 300:
        return _meta_usage(response)
    error = document(response).get("error")
    if not isinstance(error, dict):
        return plain(response)
    code, reason = error.get("code"), f"code {error.get('code')}: {error.get('message', '')}"
    if code in META_CREDENTIALS or response.status_code == 401:
        return Verdict("credentials", reason=reason)
    if code in META_THROTTLE or response.status_code == 429:
        return Verdict("retry", _meta_minutes(response), reason, floor=15.0)
    if code in META_TRANSIENT or error.get("is_transient") or response.status_code >= 500:
        return Verdict("retry", None, reason)
    return Verdict("refused", reason=f"HTTP {response.status_code}, {reason}")


def _meta_headers(response: requests.Response, name: str) -> dict[str, Any]:
    try:
        value = json.loads(response.headers.get(name, "{}"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _meta_minutes(response: requests.Response) -> float | None:
    cases = [
        case
        for listed in _meta_headers(response, "x-business-use-case-usage").values()
        if isinstance(listed, list)
        for case in listed
    ]
    minutes = max((float(case.get("estimated_time_to_regain_access", 0)) for case in cases), default=0.0)
    return minutes * 60 or None


def _meta_usage(response: requests.Response) -> Verdict:
    """A served call; near the limit it asks for a pause, before the limit says no."""
    used = [
        float(value)
        for name in ("x-fb-ads-insights-throttle", "x-ad-account-usage")
        for key, value in _meta_headers(response, name).items()
        if key.endswith("_util_pct") and isinstance(value, (int, float))
    ]
    if max(used, default=0.0) >= META_BUSY_PERCENT:
        return Verdict("ok", 5.0, f"{max(used):.0f} % of the rate limit used")
    return OK


def hubspot(response: requests.Response) -> Verdict:
    """HubSpot: one status, several policies; the daily one is not worth waiting for."""
    if response.status_code != 429:
        return plain(response)
    body = document(response)
    policy = str(body.get("policyName", "")).upper()
    reason = f"{policy or 'rate limit'}: {body.get('message', '')}"
    if "DAILY" in policy:
        return Verdict("quota", retry_after(response) or until_midnight(), reason)
    floor = 10.0 if policy.startswith("TEN_SECONDLY") else 1.0
    return Verdict("retry", retry_after(response), reason, floor=floor)


def klaviyo(response: requests.Response) -> Verdict:
    """Klaviyo: a burst and a steady window, the latter counted down in headers; most of a day in Retry-After is a quota."""
    if response.status_code == 200 and response.headers.get("RateLimit-Remaining") == "0":
        reset = response.headers.get("RateLimit-Reset", "")
        return Verdict("ok", float(reset) if reset.isdigit() else 1.0, "the minute's requests are used up")
    return plain(response)


def posthog(response: requests.Response) -> Verdict:
    """PostHog: the wait stands in a sentence; a key without the scope is a 403."""
    body = document(response)
    detail = str(body.get("detail") or "")
    reason = f"{body.get('code')}: {detail}" if detail else excerpt(response)
    if response.status_code == 429:
        said = re.search(r"available in (\d+) second", detail)
        wait = retry_after(response)
        return Verdict("retry", float(said[1]) if wait is None and said else wait, reason, floor=10.0)
    if response.status_code in (401, 403):
        return Verdict("credentials", reason=reason)
    return plain(response)


def mixpanel(response: requests.Response) -> Verdict:
    """Mixpanel: two limits under one status, three a second and sixty an hour, told in words at best."""
    if response.status_code != 429:
        return plain(response)
    wait = retry_after(response)
    if wait is None and "hour" in response.text.lower():
        return Verdict("quota", HOUR, excerpt(response))
    return Verdict("retry", wait, excerpt(response), floor=10.0)


def amplitude(response: requests.Response) -> Verdict:
    """Amplitude: 403 is a key of another project, 429 says nothing but itself."""
    if response.status_code in (401, 403):
        return Verdict("credentials", reason=excerpt(response))
    if response.status_code == 429:
        return Verdict("retry", retry_after(response), excerpt(response), floor=30.0)
    return plain(response)


def tiktok(response: requests.Response) -> Verdict:
    """TikTok: always HTTP 200; the code is in the body."""
    if response.status_code != 200:
        return plain(response)
    body = document(response)
    code, reason = body.get("code"), f"code {body.get('code')}: {body.get('message', '')}"
    # A body that is broken has no code; the session then finds that it is no JSON and asks again.
    if code == 0 or "code" not in body:
        return OK
    if code == 40100 and "daily" in reason.lower():
        return Verdict("quota", until_midnight(), reason)
    if code in (40100, 50000, 50002):
        return Verdict("retry", retry_after(response), reason, floor=5.0)
    if code in (40102, 40104, 40105):
        return Verdict("credentials", reason=reason)
    return Verdict("refused", reason=reason)


def x_ads(response: requests.Response) -> Verdict:
    """X: the moment of reset, epoch seconds, the account's own before the app's."""
    if response.status_code != 429:
        return plain(response)
    reset = response.headers.get("x-account-rate-limit-reset") or response.headers.get("x-rate-limit-reset")
    if not reset:
        return plain(response)
    return Verdict("retry", max(1.0, float(reset) - time.time() + 1.0), excerpt(response))


def pipedrive(response: requests.Response) -> Verdict:
    """Pipedrive: seconds until reset; abuse is a 403 page of its shield."""
    if response.status_code == 429:
        reset = response.headers.get("x-ratelimit-reset")
        wait = retry_after(response)
        return Verdict("retry", float(reset) if wait is None and reset else wait, excerpt(response))
    if response.status_code == 403 and "html" in response.headers.get("Content-Type", ""):
        return Verdict("quota", HOUR, "blocked for too many requests")
    return plain(response)


def salesforce(response: requests.Response) -> Verdict:
    """Salesforce: the day's requests are used up with a 403; too many at once and slow queries pass."""
    text = response.text if response.status_code in (400, 403) else ""
    if "REQUEST_LIMIT_EXCEEDED" in text and "Concurrent" not in text:
        return Verdict("quota", until_midnight(), "REQUEST_LIMIT_EXCEEDED")
    if "REQUEST_LIMIT_EXCEEDED" in text or "QUERY_TIMEOUT" in text:
        return Verdict("retry", None, excerpt(response), floor=10.0)
    return plain(response)


def linkedin(response: requests.Response) -> Verdict:
    """LinkedIn: no headers at all; the data volume limit is a window of five minutes."""
    if response.status_code != 429:
        return plain(response)
    text = response.text
    if "metric values" in text:
        return Verdict("retry", 330.0, excerpt(response))
    if "day" in text.lower():
        return Verdict("quota", until_midnight(), excerpt(response))
    return Verdict("retry", retry_after(response), excerpt(response), floor=30.0)


def microsoft(response: requests.Response) -> Verdict:
    """Microsoft Ads: numbered errors, under one of three names; a minute's pause after too many calls."""
    if response.status_code < 300:
        return OK
    body = document(response)
    listed = [body.get(name) for name in ("Errors", "OperationErrors", "BatchErrors")]
    errors = [error for errors in listed if isinstance(errors, list) for error in errors if isinstance(error, dict)]
    codes = {error.get("Code") for error in errors}
    reason = "; ".join(
        f"{error.get('ErrorCode')} ({error.get('Code')}): {error.get('Message', '')}" for error in errors
    )
    reason = reason or excerpt(response)
    if codes & MICROSOFT_CREDENTIALS or response.status_code == 401:
        return Verdict("credentials", reason=reason)
    if codes & MICROSOFT_THROTTLE or response.status_code == 429:
        return Verdict("retry", retry_after(response), reason, floor=60.0)
    if MICROSOFT_INTERNAL in codes or response.status_code >= 500:
        return Verdict("retry", retry_after(response), reason)
    return Verdict("refused", reason=f"HTTP {response.status_code}, {reason}")


def reddit(response: requests.Response) -> Verdict:
    """Reddit: seconds until the window begins anew, in a header of its own."""
    if response.status_code != 429:
        return plain(response)
    reset = response.headers.get("x-ratelimit-reset", "")
    wait = retry_after(response)
    if wait is None and reset.replace(".", "", 1).isdigit():
        wait = float(reset)
    return Verdict("retry", wait, excerpt(response), floor=5.0)


# Mailchimp says it in HTTP.
DIALECTS: Final[Mapping[str, Dialect]] = {
    "ga4": google,
    "google_ads": google,
    "google_oauth": google,
    "search_console": search_console,
    "meta_ads": meta,
    "mailchimp": plain,
    "klaviyo": klaviyo,
    "hubspot": hubspot,
    "posthog": posthog,
    "mixpanel": mixpanel,
    "amplitude": amplitude,
    "tiktok_ads": tiktok,
    "x_ads": x_ads,
    "pipedrive": pipedrive,
    "salesforce": salesforce,
    "linkedin_ads": linkedin,
    "linkedin_pages": linkedin,
    "meta_pages": meta,
    "x_posts": x_ads,
    "microsoft_ads": microsoft,
    "reddit_ads": reddit,
}
