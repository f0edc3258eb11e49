"""Salesforce: token endpoint, describe, SOQL (query and queryAll with relative next pages), Bulk API 2.0 queries as CSV.

Quirks kept: errors are arrays, the day's requests end with a 403, a token's reply names the instance and no expiry, the
locator of a bulk result ends with the text ``null``, and bulk values are all text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import JsonResponse, World, bearer, form_of, json_of
from dlt_pipelines.sandbox.vendors.oauth import RefreshAuthority, basic_pair
from dlt_pipelines.sandbox.vendors.salesforce_records import VENDOR, Org, type_of
from dlt_pipelines.sandbox.vendors.salesforce_soql import QueryError, answer, parse, stamp

BATCH = 2000
DAILY_REQUESTS = 15_000


def errors(status: int, code: str, message: str) -> Response:
    """An error in Salesforce's form: an array of one."""
    return JsonResponse([{"message": message, "errorCode": code}], status)


def _throttled(_request: Request, fault: Fault) -> Response:
    if fault.policy == "concurrent":
        return errors(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.")
    return errors(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


def dialect(authority: RefreshAuthority) -> Dialect:
    """How Salesforce says that something is wrong."""

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return errors(401, "INVALID_SESSION_ID", "Session expired or invalid")

    return Dialect(
        throttle=_throttled,
        server_error=lambda _request, _fault: errors(
            503, "SERVER_UNAVAILABLE", "The server is temporarily unavailable. Please try again later."
        ),
        expired_token=expired,
        revoked_token=lambda request, fault: expired(request, fault),
    )


def create_app(world: World, faults: Faults) -> Starlette:
    """One org."""
    org = Org(world, faults)
    authority = client(faults)
    queries: dict[str, tuple[str, bool]] = {}
    jobs: dict[str, dict[str, Any]] = {}
    lock = threading.Lock()

    def selected(text: str, deleted: bool) -> tuple[str, list[dict[str, Any]], bool]:
        query = parse(text)
        if query.object not in org.fields:
            raise QueryError("INVALID_TYPE", f"sObject type '{query.object}' is not supported.")
        rows = answer(query, org.records(query.object, deleted=deleted), org.fields[query.object])
        return query.object, rows, bool(query.fields)

    def page(request: Request, locator: str, cursor: str) -> dict[str, Any]:
        text, deleted = queries[locator]
        kind, rows, has_fields = selected(text, deleted)
        if not has_fields:
            return {"totalSize": len(rows), "done": True, "records": []}
        asked = re.search(r"batchSize=(\d+)", request.headers.get("sforce-query-options", ""))
        # The real one gives at least 200 a page, which would leave a small world on one.
        size = min(int(asked[1]), BATCH) if asked else BATCH
        version = request.path_params["version"]
        resource = "queryAll" if deleted else "query"
        turn = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, size)
        records = [
            {
                "attributes": {"type": kind, "url": f"/services/data/{version}/sobjects/{kind}/{row.get('Id', '')}"},
                **row,
            }
            for row in rows[turn.start : turn.stop]
        ]
        body: dict[str, Any] = {"totalSize": turn.total, "done": turn.cursor is None, "records": records}
        if turn.cursor:
            body["nextRecordsUrl"] = f"/services/data/{version}/{resource}/{locator}-{turn.cursor}"
        return body

    def queried(request: Request, deleted: bool) -> dict[str, Any]:
        text = request.query_params.get("q", "")
        locator = "01g" + hashlib.sha256(f"{deleted} {text}".encode()).hexdigest()[:15]
        with lock:
            queries[locator] = (text, deleted)
        return page(request, locator, "")

    def continued(request: Request) -> dict[str, Any]:
        locator, _, cursor = request.path_params["locator"].partition("-")
        if locator not in queries:
            raise QueryError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return page(request, locator, cursor)

    def described(request: Request) -> dict[str, Any]:
        kind = request.path_params["kind"]
        if kind not in org.fields:
            raise QueryError("NOT_FOUND", "The requested resource does not exist")
        fields = [{"name": name, "type": type_of(name), "label": name} for name in sorted(org.fields[kind])]
        return {"name": kind, "queryable": True, "fields": fields}

    def job_body(job: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in job.items() if key not in ("polls", "rows", "fields")}

    def submitted(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        kind, rows, has_fields = selected(str(body.get("query", "")), body.get("operation") == "queryAll")
        if not has_fields:
            raise QueryError("API_ERROR", "COUNT() is not supported in bulk queries")
        with lock:
            number = f"750{len(jobs) + 1:012d}AAA"
            jobs[number] = {
                "id": number,
                "operation": body["operation"],
                "object": kind,
                "createdById": "005000000000001AAA",
                "createdDate": stamp(world.deals["created_at"].max()),
                "state": "UploadComplete",
                "concurrencyMode": "Parallel",
                "contentType": "CSV",
                "apiVersion": float(request.path_params["version"].lstrip("v")),
                "lineEnding": "LF",
                "columnDelimiter": "COMMA",
                "polls": 0,
                "rows": rows,
                "fields": parse(str(body["query"])).fields,
            }
        return job_body(jobs[number])

    def job_of(request: Request) -> dict[str, Any]:
        found = jobs.get(request.path_params["job"])
        if found is None:
            raise QueryError("NOT_FOUND", "The requested resource does not exist")
        return found

    def polled(request: Request) -> dict[str, Any]:
        job = job_of(request)
        job["polls"] += 1
        if job["polls"] == 1:
            job["state"] = "InProgress"
        elif faults.take(VENDOR, "failed_job", request.url.path):
            job["state"] = "Failed"
        elif job["state"] != "Failed":
            job |= {"state": "JobComplete", "numberRecordsProcessed": len(job["rows"]), "retries": 0}
        failed = {"errorMessage": "InvalidBatch : query timed out"} if job["state"] == "Failed" else {}
        return job_body(job) | failed

    def results(request: Request) -> Response:
        job, query = job_of(request), request.query_params
        if job["state"] != "JobComplete":
            raise QueryError("INVALIDJOBSTATE", "results are available once the job is complete")
        most = int(query.get("maxRecords", "50000"))
        turn = cursor_page(faults, VENDOR, request.url.path, len(job["rows"]), query.get("locator", ""), most)
        rows = job["rows"][turn.start : turn.stop]
        headers = {"Sforce-NumberOfRecords": str(len(rows)), "Sforce-Locator": turn.cursor or "null", **_usage()}
        return Response(_csv(job["fields"], rows), 200, headers, "text/csv")

    def guarded(respond: Callable[..., Any], *, with_body: bool = False) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not authority.accepts(bearer(request)):
                return errors(401, "INVALID_SESSION_ID", "Session expired or invalid")
            try:
                extra = [await json_of(request)] if with_body else []
                document = await run_in_threadpool(respond, request, *extra)
            except QueryError as refused:
                return errors(404 if refused.code == "NOT_FOUND" else 400, refused.code, str(refused))
            except ValueError as error:
                return errors(400, "JSON_PARSER_ERROR", str(error))
            return document if isinstance(document, Response) else JsonResponse(document, headers=_usage())

        return endpoint

    async def token(request: Request) -> Response:
        form = await form_of(request)
        pair = basic_pair(request)
        if not authority.knows_client(
            form.get("client_id") or pair[0] or None, form.get("client_secret") or pair[1] or None
        ):
            return JsonResponse({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
        if form.get("grant_type") not in ("refresh_token", "client_credentials"):
            return JsonResponse({"error": "unsupported_grant_type", "error_description": "not supported"}, 400)
        sent = form.get("refresh_token") if form["grant_type"] == "refresh_token" else authority.refresh_token()
        grant = authority.redeem(sent)
        if grant is None:
            refused = {"error": "invalid_grant", "error_description": "expired access/refresh token"}
            return JsonResponse(refused, 400)
        instance = str(request.url).removesuffix("/services/oauth2/token")
        return JsonResponse(
            {
                "access_token": grant.access_token,
                "signature": "c2FuZGJveA==",
                "scope": "api refresh_token",
                "instance_url": instance,
                "id": f"{instance}/id/00D000000000001AAA/005000000000001AAA",
                "token_type": "Bearer",
                "issued_at": str(int(time.time() * 1000)),
            }
        )

    base = "/{version}"
    data = Starlette(
        routes=[
            Route(f"{base}/sobjects/{{kind}}/describe", guarded(described)),
            Route(f"{base}/query", guarded(lambda request: queried(request, False))),
            Route(f"{base}/query/", guarded(lambda request: queried(request, False))),
            Route(f"{base}/queryAll", guarded(lambda request: queried(request, True))),
            Route(f"{base}/queryAll/", guarded(lambda request: queried(request, True))),
            Route(f"{base}/query/{{locator}}", guarded(continued)),
            Route(f"{base}/queryAll/{{locator}}", guarded(continued)),
            Route(f"{base}/jobs/query", guarded(submitted, with_body=True), methods=["POST"]),
            Route(f"{base}/jobs/query/{{job}}", guarded(polled)),
            Route(f"{base}/jobs/query/{{job}}/results", guarded(results)),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect(authority))],
    )
    # Faults strike the data; what they mean for signing in is the authority's to say.
    return Starlette(
        routes=[Route("/services/oauth2/token", token, methods=["POST"]), Mount("/services/data", data)],
    )


def client(faults: Faults) -> RefreshAuthority:
    """The org's connected app and its user's tokens; refresh tokens stay as they are."""
    return RefreshAuthority(VENDOR, faults, rotates=False, prefix="00D000000000001!")


def _usage() -> dict[str, str]:
    return {"Sforce-Limit-Info": f"api-usage=18/{DAILY_REQUESTS}"}


def _csv(header: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(_cell(value) for value in row.values())
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
