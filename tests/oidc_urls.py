"""The routes of an installation with single sign-on."""

from django.urls import include, path

from workflows_project import urls

handler403, handler404, handler500 = urls.handler403, urls.handler404, urls.handler500
urlpatterns = [path("oidc/", include("mozilla_django_oidc.urls")), *urls.urlpatterns]
