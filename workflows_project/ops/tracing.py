"""Error reports to Sentry and traces to OpenTelemetry, if their own variables ask for them.

Both are optional packages, which are not imported otherwise.
"""

from __future__ import annotations

import os

from workflows_project import environment

SENTRY = "SENTRY_DSN"
OPENTELEMETRY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def start() -> None:
    """Start what the environment asks for. Report a missing package as an invalid setting."""
    for names, begin, extra in (
        ((SENTRY,), _start_sentry, "sentry"),
        (OPENTELEMETRY, _start_opentelemetry, "opentelemetry"),
    ):
        name = next((name for name in names if os.environ.get(name)), None)
        if name is None:
            continue
        try:
            begin()
        except ImportError as error:
            environment.problems.append(
                f"{name} is set, but a package is missing ({error.name}). Run: "
                f"pip install 'holdfast[{extra}]'"
            )


def _start_sentry() -> None:
    import sentry_sdk

    # It reads SENTRY_DSN, SENTRY_ENVIRONMENT and SENTRY_RELEASE. Headers, bodies and names of users
    # stay here, also those in local variables.
    sentry_sdk.init(
        send_default_pii=False, max_request_body_size="never", include_local_variables=False
    )


def _start_opentelemetry() -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # The other variables of OpenTelemetry apply too: headers, sampling, attributes.
    name = os.environ.get("OTEL_SERVICE_NAME", "holdfast")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
    # Installed as psycopg2-binary, whose name it does not know.
    Psycopg2Instrumentor().instrument(skip_dep_check=True)
