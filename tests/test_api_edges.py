"""Unusual requests to the API: queries, bodies and media types."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from knox.models import AuthToken

from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, UserFactory, WorkflowFactory, line
from tests.openapi import schema
from tests.workflows.api.clients import API, Client, assert_problem, client_of
from workflows.models import FindingType

pytestmark = pytest.mark.django_db

Parameters = list[dict[str, Any]]


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


def operations() -> Iterator[tuple[str, str, Parameters]]:
    """Yield each operation: method, path with made-up ids, and query parameters."""
    for path, methods in schema()["paths"].items():
        for method, operation in methods.items():
            parts = ["1" if part == "{version}" else part.strip("{}") for part in path.split("/")]
            rows = operation.get("parameters", ())
            yield method, "/".join(parts), [row for row in rows if row["in"] == "query"]


OPERATIONS = list(operations())


def send(client: Client, method: str, path: str, query: str) -> Any:
    body: Any = {} if method in ("post", "put", "patch") else None
    return getattr(client, method)(f"{path}?{query}", body)


class TestParameters:
    @pytest.mark.parametrize(
        ("method", "path", "known"), OPERATIONS, ids=[f"{row[0]} {row[1]}" for row in OPERATIONS]
    )
    def test_unknown_or_repeated_parameter_is_refused(
        self, api: Client, method: str, path: str, known: Parameters
    ) -> None:
        names = [row["name"] for row in known]
        # A nested list looks for its parent row first.
        is_below = "page" in names and path.count("/") > 4 and not path.endswith("mine/")
        for query, code in (
            ("dryrun=true", "unknown_parameter"),
            ("=", "unknown_parameter"),
            ("Format=json", "unknown_parameter"),
            *((f"{name}=a&{name}=a", "repeated_parameter") for name in names[:1]),
        ):
            response = send(api, method, path, query)
            if is_below and response.status_code == 404:
                continue
            if "page" in names and code == "repeated_parameter":
                assert response.status_code == 400
                continue
            assert_problem(response, 400, code)

    @pytest.mark.parametrize(
        ("method", "path", "known"), OPERATIONS, ids=[f"{row[0]} {row[1]}" for row in OPERATIONS]
    )
    def test_each_described_parameter_is_accepted(
        self, api: Client, method: str, path: str, known: Parameters
    ) -> None:
        for row in known:
            value = "true" if row["name"] == "dry_run" else "cuid"
            response = send(api, method, path, f"{row['name']}={value}")
            if response.status_code == 400 and row["name"] != "fields":
                assert "unknown_parameter" not in response.content.decode()

    def test_misspelled_dry_run_is_refused(self, api: Client) -> None:
        path = f"finding-types/{FindingTypeFactory().cuid}/"
        for query in ("dryrun=true", "dry-run=true", "dry_run=true&dry_run=false", "DRY_RUN=true"):
            assert api.delete(f"{path}?{query}").status_code == 400
        wrong: list[Any] = [{"dryrun": True}, {"dry_run": "true"}, [], {"dry_run": True, "x": 1}]
        for body in wrong:
            assert api.delete(path, body).status_code == 400
        assert api.delete(path, {"dry_run": True}).status_code == 204
        assert FindingType.objects.exists()
        assert api.delete(path, {"dry_run": False}).status_code == 204
        assert not FindingType.objects.exists()

    @pytest.mark.parametrize("has_dry_run", [True, False])
    def test_contradicting_dry_run_values_are_refused(
        self, api: Client, scenario: Scenario, has_dry_run: bool
    ) -> None:
        start = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        path = f"executions/?dry_run={'false' if has_dry_run else 'true'}"
        assert_problem(api.post(path, {**start, "dry_run": has_dry_run}), 400, "invalid")
        path = path.replace("executions/", "executions/bulk/start/")
        assert_problem(api.post(path, {"items": [start], "dry_run": has_dry_run}), 400, "invalid")
        assert not Execution.objects.exists()

    @pytest.mark.parametrize("page", ["schema/", "docs/", "redoc/"])
    def test_schema_pages_refuse_unknown_parameters(self, api: Client, page: str) -> None:
        assert_problem(api.get(f"{page}?langs=en"), 400, "unknown_parameter")
        assert_problem(api.get(f"{page}?lang=en&lang=de"), 400, "repeated_parameter")
        assert api.get(f"{page}?lang=en").status_code == 200

    def test_script_of_docs_page_is_served(self, api: Client) -> None:
        assert api.get("docs/?lang=en&script=").status_code == 200

    def test_incoming_webhooks_accept_no_parameter(self) -> None:
        for path in ("/hooks/x/", f"{API}workflows/x/hook/"):
            for query in ("dry_run=true", "format=json", "a=1&a=2"):
                response = Client().post(f"{path}?{query}", {})
                assert_problem(response, 400, "unknown_parameter")

    def test_impact_accepts_format(self, api: Client) -> None:
        path = f"workflows/{WorkflowFactory().cuid}/impact/"
        context = f"entity_name_type={FindingTypeFactory().cuid}"
        assert api.get(f"{path}?{context}&format=json").status_code == 200
        response = api.get(f"{path}?{context}&{context}")
        assert_problem(response, 400, "repeated_parameter")

    def test_unavailable_format_is_refused(self, api: Client) -> None:
        assert api.get("workflows/?format=json").status_code == 200
        assert_problem(api.get("workflows/?format="), 400, "invalid")
        assert_problem(api.get("workflows/?format=json&format=csv"), 400, "repeated_parameter")
        assert_problem(api.get("workflows/?format=xml"), 406, "not_acceptable")
        assert_problem(api.get("schema/?format=xml"), 406, "not_acceptable")

    @pytest.mark.parametrize("method", ["head", "options"])
    def test_unknown_parameter_is_refused_on_empty_list(self, api: Client, method: str) -> None:
        for path in ("workflows/", f"workflows/{WorkflowFactory().cuid}/", "schema/"):
            response = getattr(api, method)(f"{path}?surprise=1")
            assert response.status_code == 400

    def test_method_is_checked_before_parameters(self, api: Client) -> None:
        assert_problem(api.delete("workflows/?dryrun=true"), 405, "method_not_allowed")

    def test_method_is_checked_before_media_type_on_every_path(self, api: Client) -> None:
        """The development server adds a media type to a request that has none."""
        for path in schema()["paths"]:
            if path.startswith(API):
                path = re.sub(r"{\w+}", "1", path)
                response = api.generic("TRACE", path, content_type="text/plain")
                assert_problem(response, 405, "method_not_allowed")

    def test_credentials_are_checked_before_parameters(self) -> None:
        assert_problem(Client().get("workflows/?surprise=1"), 401, "not_authenticated")


class TestTokens:
    def test_dry_run_of_token_is_refused(self) -> None:
        user = UserFactory()
        client = Client()
        client.force_login(user)
        own = AuthToken.objects.create(user=user)[0]
        paths = [("post", "tokens/"), ("delete", "tokens/")]
        paths.append(("delete", f"tokens/{own.digest[:16]}/"))
        for method, path in paths:
            response = getattr(client, method)(f"{path}?dry_run=true")
            assert_problem(response, 400, "unknown_parameter")
            for body in ({"dry_run": True}, {"dry_run": False}):
                assert_problem(getattr(client, method)(path, body), 400, "unknown_field")
        assert AuthToken.objects.get() == own


def served(method: str, path: str, body: bytes = b"", **environ: str) -> tuple[int, bytes]:
    """Return status and body of what the WSGI application answers, made without a client.

    A test client makes the request itself, as no server does.
    """
    statuses: list[str] = []
    given: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "a=%FF&b=1",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        **environ,
    }
    application: Any = WSGIHandler()
    response = application(given, lambda status, _: statuses.append(status))
    return int(statuses[0][:3]), b"".join(response)


PLACES = ["/api/v1/workflows/", "/api/v1/tokens/", "/hooks/x/", "/admin/login/", "/", "/nowhere/"]


class TestCharsets:
    @pytest.mark.parametrize("path", PLACES)
    @pytest.mark.parametrize(
        "media",
        [
            "application/json; charset=base64",
            'application/json; charset="utf-7"',
            "application/x-www-form-urlencoded; charset=rot13",
            "multipart/form-data; boundary=x; charset=idna",
            "text/plain; Charset=hex",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json; charset=nonsense",
            "application/json; charset=",
            "application/json; charset*=utf-8''base%364",
            "application/json; charset*0=ba; charset*1=se64",
            "application/json; charset*=nonsense''x",
            "application/json; charset*=utf-8''a%00",
            "; charset=undefined",
        ],
    )
    def test_other_charset_is_refused_first(self, path: str, media: str) -> None:
        for method in ("GET", "POST"):
            status, body = served(method, path, b"x", CONTENT_TYPE=media)
            assert status == 415, body

    @pytest.mark.parametrize("media", ["a; charset=utf-8", 'a; charset="UTF8"', "a;charset=ascii"])
    def test_each_spelling_of_utf_8_is_accepted(self, media: str) -> None:
        assert served("GET", "/admin/login/", CONTENT_TYPE=media)[0] == 200
        assert served("GET", "/api/v1/workflows/", CONTENT_TYPE=media)[0] == 401

    def test_refusal_of_charset_is_problem(self, api: Client) -> None:
        response = api.post("workflows/?a=1", b"{}", content_type="application/json; charset=utf-7")
        body = assert_problem(response, 415, "unsupported_media_type")
        assert "'utf-7'" in body["detail"]
        assert "Content-Security-Policy" in response.headers

    def test_invalid_accept_header_is_not_acceptable(self) -> None:
        for accept in ("a/b; q*=nonsense''1", "*/*; q*=utf-8''%00", ";;;"):
            status, _ = served("GET", "/api/v1/workflows/", HTTP_ACCEPT=accept)
            assert status in (401, 406)

    @pytest.mark.parametrize("path", PLACES)
    @pytest.mark.parametrize("debug", [True, False])
    def test_query_with_too_many_parameters_is_refused(
        self, settings: Any, path: str, debug: bool
    ) -> None:
        settings.DEBUG = debug
        query = "&".join(f"a{number}=1" for number in range(5_001))
        assert served("GET", path, QUERY_STRING=query)[0] == 400

    @pytest.mark.parametrize("path", PLACES)
    def test_body_without_length_is_refused(self, path: str) -> None:
        status, _ = served(
            "DELETE",
            path,
            b'10\r\n{"dry_run": true}\r\n0\r\n\r\n',
            CONTENT_LENGTH="",
            HTTP_TRANSFER_ENCODING="chunked",
        )
        assert status == 411
        for length in ("abc", "-5", "1.5", "٣"):
            assert served("POST", path, b"{}", CONTENT_LENGTH=length)[0] == 411


def basic(**values: Any) -> Client:
    """Return a client that sends a name and password, like a browser that has stored them."""
    UserFactory(username="ada", password="secret", is_superuser=True, **values)
    client = Client(enforce_csrf_checks=True)
    sent = base64.b64encode(b"ada:secret").decode()
    client.credentials(HTTP_AUTHORIZATION=f"Basic {sent}")
    return client


FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]


class TestOtherSites:
    """A browser sends a cross-site POST only with the media types of forms, or with none."""

    @pytest.mark.parametrize("media", [None, *FORMS])
    def test_cross_site_post_is_refused(self, scenario: Scenario, media: str | None) -> None:
        client, execution = basic(), scenario.start()
        for path in ("tokens/", f"executions/{execution.cuid}/cancel/", "executions/bulk/cancel/"):
            for query in ("", "?dry_run=true"):
                response = client.generic("POST", f"{path}{query}", b"", media or "")
                expected = 400 if path == "tokens/" and query else 415
                assert response.status_code == expected
        execution.refresh_from_db()
        assert execution.status == "waiting"
        assert not AuthToken.objects.exists()

    @pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8"])
    def test_empty_post_with_json_media_type_is_accepted(self, media: str) -> None:
        assert basic().post("tokens/", b"", content_type=media).status_code == 201

    def test_empty_post_with_token_needs_no_media_type(self) -> None:
        client = Client()
        token = AuthToken.objects.create(user=UserFactory(is_superuser=True))[1]
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        response = client.post("executions/nothing/cancel/")
        assert_problem(response, 404, "not_found")

    def test_session_needs_csrf_token(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(UserFactory())
        assert_problem(client.post("tokens/"), 403, "permission_denied")
        client = Client()
        client.force_login(UserFactory())
        assert client.post("tokens/").status_code == 201

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    @pytest.mark.parametrize("media", FORMS)
    @pytest.mark.parametrize("body", [b"", b"dry_run=true"])
    def test_other_media_type_is_refused_on_unsafe_methods(
        self, api: Client, method: str, media: str, body: bytes
    ) -> None:
        kind = FindingTypeFactory()
        path = "finding-types/" if method == "post" else f"finding-types/{kind.cuid}/"
        response = getattr(api, method)(path, body, content_type=media)
        assert_problem(response, 415, "unsupported_media_type")
        assert FindingType.objects.get() == kind

    def test_delete_without_body_needs_no_media_type(self) -> None:
        client, kind = basic(), FindingTypeFactory()
        assert client.delete(f"finding-types/{kind.cuid}/").status_code == 204


LONG = "k" * 200_000
INFINITE = "1e999," * 30_000 + "1"
WRONG_BODIES = {
    "the last name of many is repeated": "{"
    + ", ".join(f'"{number % 30_000}": 1' for number in range(30_001))
    + "}",
    "one name is repeated often": "{" + ", ".join(['"a": 1'] * 50_000) + "}",
    "many objects repeat a name": "[" + ", ".join(['{"a": 1, "a": 2}'] * 20_000) + "]",
    "deep lists": '{"title": ' + "[" * 200_000 + "]" * 200_000 + "}",
    "deep objects": '{"title": ' + '{"a":' * 60_000,
    "a long whole number": '{"title": ' + "9" * 400_000 + "}",
    "a long exponent": '{"title": 1e' + "9" * 400_000 + "}",
    "a long fraction": '{"title": 0.' + "0" * 400_000 + "1}",
    "an unknown long key": '{"' + LONG + '": {"fields": [' + INFINITE + "]}}",
    "infinite numbers under a long key": '{"fields": {"' + LONG + '": [' + INFINITE + "]}}",
    "texts that cannot be stored": '{"fields": {'
    + ", ".join(f'"{number}\\u0000": "\\ud800"' for number in range(10_000))
    + "}}",
    "many unknown names": "{" + ", ".join(f'"x{number}": 1' for number in range(5_000)) + "}",
}


class TestBodies:
    @pytest.mark.parametrize("name", WRONG_BODIES)
    def test_wrong_body_is_refused_in_linear_time(self, api: Client, name: str) -> None:
        text = WRONG_BODIES[name]
        began = time.process_time()
        response = api.post("findings/", text, content_type="application/json")
        lasted = time.process_time() - began
        assert response.status_code == 400
        # Quadratic work on bodies of this size takes many seconds.
        assert lasted < 1.5

    def test_graph_with_long_key_is_checked_in_linear_time(self, api: Client) -> None:
        workflow = WorkflowFactory()
        source = line({"id": "call", "type": "http_request", "data": {"url": "https://a.example/"}})
        path = f"workflows/{workflow.cuid}/1/"
        for value in (0, "{{1}}", "\0"):
            source["nodes"][1]["data"] |= {
                "method": "POST",
                "body": {"k" * 200_000: [value] * 9_999},
            }
            began = time.process_time()
            response = api.post(path, source)
            assert response.status_code == (200 if value == 0 else 400), value
            assert time.process_time() - began < 2

    def test_repeated_name_is_named_in_refusal(self, api: Client) -> None:
        for text in ('{"a": 1, "a": 1}', '{"a": {"b": 1, "c": 2, "\\u0062": 3}}'):
            response = api.post("findings/", text, content_type="application/json")
            body = assert_problem(response, 400, "parse_error")
            assert "is given twice" in body["detail"]
