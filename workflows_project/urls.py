"""Where the faces are."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from executions.api.incoming_webhooks import StepHookView
from workflows_project.api.problems import no_such_route

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("api/v1/", include("workflows_project.api_urls")),
    path("admin/", admin.site.urls),
    path("hooks/<str:cuid>/", StepHookView.as_view(), name="step-hook"),
    re_path("^(api|hooks)(/|$)", no_such_route),
]

handler500 = "workflows_project.api.database_faults.handle_server_error"
