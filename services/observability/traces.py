"""Traces for OpenTelemetry: a request, its job and the job's tasks, across processes.

Spans go to ``OTEL_EXPORTER_OTLP_ENDPOINT``; without it nothing is loaded. They have a provider of their own, as with
a global one FastAPI's instrumentation would record URLs, which may hold keys and titles.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_log = logging.getLogger("motes.traces")
_TIMEOUT = 2.0  # seconds that a process waits at its end for an unresponsive collector, by default
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
Attributes = Mapping[str, str | int | float]


@cache
def set_up() -> Tracer | None:
    """The tracer, loaded on first use; None if tracing is off."""
    if not any(map(os.environ.get, _ENDPOINTS)):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        packages = "opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        _log.warning("no traces: %s is missing; pip install %s", error.name, packages)
        return None
    named = Resource.create().attributes.get(SERVICE_NAME)  # from the environment
    known = isinstance(named, str) and not named.startswith("unknown_service")
    provider = TracerProvider(resource=Resource.create({} if known else {SERVICE_NAME: "motes"}))
    configured = any(map(os.environ.get, ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=None if configured else _TIMEOUT)))
    return provider.get_tracer("motes")


@contextmanager
def span(
    name: str,
    kind: Literal["server", "producer", "consumer"],
    *,
    parent: Mapping[str, str],
    attributes: Attributes,
) -> Iterator[None]:
    """A span for the duration of the context.

    Its parent is the current span, or otherwise the ``traceparent`` in ``parent``.
    """
    tracer = set_up()
    if tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind, StatusCode, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    around = None
    if not get_current_span().get_span_context().is_valid:
        around = TraceContextTextMapPropagator().extract(parent)
    with tracer.start_as_current_span(
        name,
        around,
        SpanKind[kind.upper()],
        attributes,
        record_exception=False,  # messages may hold anything
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception:
            current.set_status(StatusCode.ERROR)
            raise


def annotate(attributes: Attributes, *, name: str | None = None, failed: bool = False) -> None:
    """Add attributes to the current span; optionally rename it or mark it as failed."""
    if set_up() is None:
        return
    from opentelemetry.trace import StatusCode, get_current_span

    current = get_current_span()
    current.set_attributes(attributes)
    if name is not None:
        current.update_name(name)
    if failed:
        current.set_status(StatusCode.ERROR)


def traceparent() -> str | None:
    """The current span's ``traceparent``, for another process; None without a span."""
    if set_up() is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")
