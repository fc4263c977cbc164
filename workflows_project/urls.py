"""Routes of the admin, the API and incoming webhooks."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from executions.api.incoming_webhooks import StepWebhookView
from workflows_project.api.problem_pages import show_problem
from workflows_project.api.problems import route_not_found
from workflows_project.auth.authentication import has_single_sign_on

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("api/v1/", include("workflows_project.api_urls")),
    path("admin/", admin.site.urls),
    path("hooks/<str:cuid>/", StepWebhookView.as_view(), name="step-hook"),
    path("problems/<slug:code>", show_problem, name="problem"),
    re_path("^(api|hooks)(/|$)", route_not_found),
]

if has_single_sign_on():
    urlpatterns.insert(0, path("oidc/", include("mozilla_django_oidc.urls")))

handler403 = "workflows_project.site.permission_denied"
handler404 = "workflows_project.site.page_not_found"
handler500 = "workflows_project.api.database_faults.handle_server_error"
