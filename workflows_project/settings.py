"""Settings, from the environment. docs/reference/settings.md lists them."""

from datetime import timedelta
from pathlib import Path

from workflows_project import environment

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = environment.boolean("DEBUG")
SECRET_KEY = environment.secret_key(DEBUG)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
if DEBUG:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")

SECURE_SSL_REDIRECT = environment.boolean("SECURE_SSL_REDIRECT")
SECURE_HSTS_SECONDS = environment.seconds("SECURE_HSTS_SECONDS")
SESSION_ENGINE = "workflows_project.auth.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT

INSTALLED_APPS = [
    "workflows_project.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "workflows_project.apps.ProjectConfig",
    "workflows.apps.WorkflowsConfig",
    "executions.apps.ExecutionsConfig",
]

MIDDLEWARE = [
    "workflows_project.api.problems.ProblemsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "workflows_project.content_security.content_security_middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "workflows_project.api.readable_requests.readable_request_middleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "workflows_project.request_actor.acting_middleware",
    # The innermost: the first to see what a view fails with.
    "workflows_project.api.database_faults.DatabaseFaultsMiddleware",
]

CSRF_FAILURE_VIEW = "workflows_project.lost_forms.csrf_failure"
# A login leads here where the address that it should lead to is missing or of another site.
LOGIN_REDIRECT_URL = "admin:index"
ROOT_URLCONF = "workflows_project.urls"
WSGI_APPLICATION = "workflows_project.wsgi.application"
ASGI_APPLICATION = "workflows_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before those of the apps: the frame of the admin gets the project's stylesheet.
        "DIRS": [BASE_DIR / "workflows_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            # Pages show moments up to the ends of the calendar, in every time zone.
            "builtins": ["workflows.templatetags.local_dates"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": environment.database(BASE_DIR / "db.sqlite3")}
# Of requests, on PostgreSQL; 0 leaves what the server or the role has.
STATEMENT_TIMEOUT_SECONDS = environment.seconds("STATEMENT_TIMEOUT_SECONDS", 30)
LOCK_TIMEOUT_SECONDS = environment.seconds("LOCK_TIMEOUT_SECONDS", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = environment.time_zone()
FORMAT_MODULE_PATH = ["workflows_project.formats"]
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# In development files are served as they lie in the apps; there is nothing to collect first.
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

HTTP_REQUEST_HOSTS = environment.names("HTTP_REQUEST_HOSTS")
HTTP_REQUEST_ALLOW_HTTP = environment.boolean("HTTP_REQUEST_ALLOW_HTTP")
HTTP_REQUEST_ALLOW_LOOPBACK = environment.boolean("HTTP_REQUEST_ALLOW_LOOPBACK")
WEBHOOK_KEEP_DAYS = environment.number("WEBHOOK_KEEP_DAYS", 30, of="days", least=1, most=3_650)
SECRETS_KEY = environment.secrets_keys()
SECRET_OVERLAP_SECONDS = environment.seconds("SECRET_OVERLAP_SECONDS", 86_400)

CELERY_BROKER_URL = environment.broker()
SWEEP_SECONDS = environment.seconds("SWEEP_SECONDS", 5, least=1)
JOB_LEASE_SECONDS = environment.seconds("JOB_LEASE_SECONDS", 120, least=1)

EMAIL_HOST = environment.text("EMAIL_HOST", "localhost")
EMAIL_PORT = environment.port("EMAIL_PORT", 25)
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = environment.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = environment.boolean("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = environment.text("DEFAULT_FROM_EMAIL", "holdfast@localhost")
if DEBUG and not environment.text("EMAIL_HOST"):
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# Beside those that are there: what knows other ways to log in (docs/reference/roles.md).
AUTHENTICATION_BACKENDS = [
    "workflows_project.auth.authentication.ModelBackend",
    *environment.names("AUTHENTICATION_BACKENDS"),
]
API_AUTHENTICATION_CLASSES = environment.names("API_AUTHENTICATION_CLASSES")
REST_KNOX = {
    "TOKEN_TTL": timedelta(
        hours=environment.number("TOKEN_HOURS", 12, of="hours", least=1, most=87_600)
    ),
    # A request that reads writes nothing.
    "AUTO_REFRESH": False,
}

THROTTLE_RATES = {
    scope: environment.rate(f"THROTTLE_{scope.upper()}")
    for scope in ("read", "write", "start", "token", "hook")
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        # Who has asked how often; what does not fit is forgotten.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "workflows_project.auth.authentication.BasicAuthentication",
        "workflows_project.auth.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["workflows_project.api.errors.ModelPermissions"],
    "DEFAULT_THROTTLE_CLASSES": ["workflows_project.api.throttling.ScopedThrottle"],
    "NUM_PROXIES": environment.number("NUM_PROXIES"),
    "EXCEPTION_HANDLER": "workflows_project.api.errors.problem_response",
    "DEFAULT_PAGINATION_CLASS": "workflows_project.api.pagination.Pages",
    "VIEW_DESCRIPTION_FUNCTION": "workflows_project.api.schema_descriptions.describe_view",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "workflows_project.api.csv_lists.Negotiation",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Holdfast",
    "DESCRIPTION": "Workflows whose running executions no edit can strand.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENFORCE_NON_BLANK_FIELDS": True,
    # The descriptions stand in workflows_project.api.schema_descriptions.
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "SCHEMA_PATH_PREFIX": r"/api/v\d+",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "workflows_project.api.schema.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "WebhookStateEnum": "executions.models.subscription.Subscription.State",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
