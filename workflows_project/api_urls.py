"""The routes of the API."""

from django.urls import include, path, re_path
from rest_framework.routers import DefaultRouter

from executions.api import routes as executions_routes
from workflows.api import routes as workflows_routes
from workflows_project.api import schema, schema_security  # noqa: F401
from workflows_project.api.problems import route_not_found
from workflows_project.auth.me import MeViewSet
from workflows_project.auth.tokens import TokenViewSet
from workflows_project.content_security import DocsView, RedocView, SchemaView
from workflows_project.ops.status_view import StatusViewSet

app_name = "api"

router = DefaultRouter()
router.include_format_suffixes = False
executions_routes.register(router)
workflows_routes.register(router)

# Routes are matched in order, so the most frequent ones come first.
FREQUENT = ("execution-list", "execution-submit")

urlpatterns = [
    *(route for name in FREQUENT for route in router.urls if getattr(route, "name", "") == name),
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(url_name="api:schema"), name="docs"),
    path(
        "redoc/",
        RedocView.as_view(url_name="api:schema", template_name="workflows_project/redoc.html"),
        name="redoc",
    ),
    path("status/", StatusViewSet.as_view({"get": "read"}), name="status"),
    path("me/", MeViewSet.as_view({"get": "read"}), name="me"),
    path(
        "tokens/",
        TokenViewSet.as_view({"get": "list", "post": "create", "delete": "revoke_all"}),
        name="token-list",
    ),
    path("tokens/<str:id>/", TokenViewSet.as_view({"delete": "revoke"}), name="token-detail"),
    path("", include(workflows_routes.urlpatterns)),
    path("", include(executions_routes.urlpatterns)),
    path("", include(router.urls)),
    re_path("", route_not_found),
]
