"""Settings, read from the environment. See docs/reference/settings.md."""

from datetime import timedelta
from pathlib import Path

from django.urls import reverse_lazy

from workflows_project import environment
from workflows_project.api import schema_texts
from workflows_project.ops import log_format

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

DEBUG = environment.boolean("DEBUG")
SECRET_KEY = environment.secret_key(DEBUG)
ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS")
if DEBUG:
    ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = environment.names("CSRF_TRUSTED_ORIGINS")

SECURE_SSL_REDIRECT = environment.boolean("SECURE_SSL_REDIRECT")
SECURE_PROXY_SSL_HEADER = environment.https_header("SECURE_PROXY_SSL_HEADER")
SECURE_HSTS_SECONDS = environment.seconds("SECURE_HSTS_SECONDS")
SECURE_HSTS_INCLUDE_SUBDOMAINS = environment.boolean("SECURE_HSTS_INCLUDE_SUBDOMAINS")
SECURE_HSTS_PRELOAD = environment.boolean("SECURE_HSTS_PRELOAD")
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
    # The outermost: probes come by IP address and without TLS.
    "workflows_project.ops.probes.probe_middleware",
    "workflows_project.request_actor.acting_middleware",
    "workflows_project.ops.access_log.access_log_middleware",
    "workflows_project.ops.metrics.request_metrics_middleware",
    "workflows_project.api.deprecation.deprecation_middleware",
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
    # The innermost: it sees the exceptions of views first.
    "workflows_project.api.database_faults.DatabaseFaultsMiddleware",
]

# Pages of other origins may use the API; without any, browsers refuse it.
CORS_ALLOWED_ORIGINS = environment.origins("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [
    *("accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match"),
    "x-request-id",
]
CORS_EXPOSE_HEADERS = [
    *("Deprecation", "Dry-Run", "ETag", "Idempotency-Replayed", "Link", "Location", "RateLimit"),
    *("RateLimit-Policy", "Retry-After", "Sunset", "X-Request-ID"),
]
if CORS_ALLOWED_ORIGINS:
    INSTALLED_APPS.append("corsheaders")
    # Before the middleware that answers requests itself.
    MIDDLEWARE.insert(
        MIDDLEWARE.index("django.middleware.security.SecurityMiddleware"),
        "corsheaders.middleware.CorsMiddleware",
    )

CSRF_FAILURE_VIEW = "workflows_project.lost_forms.csrf_failure"
# The page after a login whose "next" is missing or on another site.
LOGIN_REDIRECT_URL = "admin:index"
ROOT_URLCONF = "workflows_project.urls"
WSGI_APPLICATION = "workflows_project.wsgi.application"
ASGI_APPLICATION = "workflows_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the templates of the apps, to extend the pages of the admin.
        "DIRS": [BASE_DIR / "workflows_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            # Filters for dates and times in the current time zone.
            "builtins": ["workflows.templatetags.local_dates"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": environment.database(BASE_DIR / "db.sqlite3", DEBUG)}
# For requests, on PostgreSQL; 0 keeps the setting of the server or role.
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

# A form of thirty fields with choices sends more than a thousand inputs in the graph editor.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Files of forms
MEDIA_ROOT = environment.text("MEDIA_ROOT", str(BASE_DIR / "media"))
FILE_MAX_BYTES = environment.number("FILE_MAX_BYTES", 26_214_400, of="bytes", least=1)
STORAGES = {
    "default": environment.file_storage(MEDIA_ROOT),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "workflows_project.ops.static_files.HashedFiles"
    },
}
# In development, files are served from the apps without collectstatic.
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
JOB_LEASE_SECONDS = environment.seconds("JOB_LEASE_SECONDS", 8, least=1)

EMAIL_HOST = environment.text("EMAIL_HOST", "localhost")
EMAIL_PORT = environment.port("EMAIL_PORT", 25)
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = environment.secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = environment.boolean("EMAIL_USE_TLS")
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = environment.text("DEFAULT_FROM_EMAIL", "holdfast@localhost")
if DEBUG and not environment.text("EMAIL_HOST"):
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# Additional backends are described in docs/reference/roles.md.
AUTHENTICATION_BACKENDS = [
    "workflows_project.auth.authentication.ModelBackend",
    *environment.names("AUTHENTICATION_BACKENDS"),
]
# Single sign-on, if a client is set. The names are those of mozilla-django-oidc.
OIDC_RP_CLIENT_ID = environment.text("OIDC_CLIENT_ID")
OIDC_RP_CLIENT_SECRET = environment.secret("OIDC_CLIENT_SECRET")
OIDC_RP_SIGN_ALGO = "RS256"
OIDC_RP_SCOPES = environment.text("OIDC_SCOPES", "openid email profile")
OIDC_OP_AUTHORIZATION_ENDPOINT = environment.endpoint("OIDC_AUTHORIZATION_ENDPOINT")
OIDC_OP_TOKEN_ENDPOINT = environment.endpoint("OIDC_TOKEN_ENDPOINT")
OIDC_OP_USER_ENDPOINT = environment.endpoint("OIDC_USER_ENDPOINT")
OIDC_OP_JWKS_ENDPOINT = environment.endpoint("OIDC_JWKS_ENDPOINT")
OIDC_USERNAME_CLAIM = environment.text("OIDC_USERNAME_CLAIM", "preferred_username")
OIDC_GROUPS_CLAIM = environment.text("OIDC_GROUPS_CLAIM")
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 10
LOGIN_REDIRECT_URL_FAILURE = reverse_lazy("admin:login")
if OIDC_RP_CLIENT_ID:
    AUTHENTICATION_BACKENDS.append("workflows_project.auth.single_sign_on.SingleSignOn")
API_AUTHENTICATION_CLASSES = environment.names("API_AUTHENTICATION_CLASSES")
# Failed logins that lock an account or an address; 0 for no limit.
LOGIN_FAILURES_PER_ACCOUNT = environment.number("LOGIN_FAILURES_PER_ACCOUNT", 10)
LOGIN_FAILURES_PER_ADDRESS = environment.number("LOGIN_FAILURES_PER_ADDRESS", 100)
LOGIN_LOCK_SECONDS = environment.seconds("LOGIN_LOCK_SECONDS", 900, least=1)
REST_KNOX = {
    "TOKEN_TTL": timedelta(
        hours=environment.number("TOKEN_HOURS", 12, of="hours", least=1, most=87_600)
    ),
    # Otherwise each request would write to the database.
    "AUTO_REFRESH": False,
}

THROTTLE_RATES = {
    scope: environment.rate(f"THROTTLE_{scope.upper()}")
    for scope in ("read", "write", "start", "token", "hook")
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        # Holds the request counts of throttling.
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "workflows_project.auth.authentication.BasicAuthentication",
        "workflows_project.auth.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["workflows_project.api.permissions.ModelPermissions"],
    "DEFAULT_THROTTLE_CLASSES": ["workflows_project.api.throttling.ScopedThrottle"],
    "NUM_PROXIES": environment.number("NUM_PROXIES"),
    "EXCEPTION_HANDLER": "workflows_project.api.errors.problem_response",
    "DEFAULT_PAGINATION_CLASS": "workflows_project.api.pagination.ListPagination",
    "VIEW_DESCRIPTION_FUNCTION": "workflows_project.api.schema_descriptions.describe_view",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "workflows_project.api.csv_lists.CSVNegotiation",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Holdfast",
    "DESCRIPTION": schema_texts.DESCRIPTION,
    "TAGS": schema_texts.TAGS,
    "CONTACT": {"name": "Holdfast contributors"},
    "LICENSE": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
    "SERVERS": [{"url": "/", "description": "This installation."}],
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENFORCE_NON_BLANK_FIELDS": True,
    # Descriptions come from workflows_project.api.schema_descriptions.
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "SCHEMA_PATH_PREFIX": r"/api/v\d+",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "workflows_project.api.schema.complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "AuditAction": "workflows.audit.log.Action",
        "AuditInterface": "workflows.audit.log.INTERFACES",
        "ContextChangeTime": "workflows.api.context_changes.TIMES",
        "DatabaseVendor": "workflows_project.ops.status_view.VENDORS",
        "DeliveryState": "executions.models.outgoing_delivery.OutgoingDelivery.State",
        "EntityName": "workflows.models.types.EntityName",
        "ExecutionStatus": "executions.models.execution.Status",
        "FormActionStyle": "executions.engine.form_actions.STYLES",
        "NoticeState": "executions.api.execution_serializers.NOTICE_STATES",
        "PendingChangeState": "workflows.models.pending_change.PendingChange.State",
        "StepState": "executions.models.step.StepState",
        "WebhookEvent": "executions.models.subscription.EVENTS",
        "WebhookState": "executions.models.subscription.Subscription.State",
        "WorkflowState": "workflows.models.workflow.Workflow.State",
        "WorkflowTrigger": "workflows.models.workflow.Workflow.Trigger",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
}

# The website of the documentation, to which the types of problems lead.
DOCS_URL = environment.url("DOCS_URL")

METRICS_TOKEN = environment.secret("METRICS_TOKEN")
METRICS_NETWORKS = environment.networks("METRICS_NETWORKS")

LOGGING = log_format.configure(
    environment.choice("LOG_FORMAT", ("line", "json")),
    environment.choice("LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
)
