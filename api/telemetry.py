"""Traces for OpenTelemetry: request, turn, tool and delivery as spans, with ids and no text.

Off unless an endpoint is set; the packages come with the extra ``otel``.
"""

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from tools import tracing
from tools.errors import InvalidInput
from tools.tracing import Ended, Kind, Outcome

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext

SERVICE = "quartermaster"
MOST_WAITING = 10_000  # turns whose request is remembered
_GOOD = frozenset({"ok", "completed", "delivered"})


class Traces:
    """Makes a span of each piece of work; a listener of ``tracing``."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)
        self._lock = threading.Lock()
        self._causes: OrderedDict[str, SpanContext] = OrderedDict()

    def begin(self, kind: Kind, name: str) -> Ended:
        """Open a span below the one that is open here, or below the request that caused a turn."""
        from opentelemetry import context, trace
        from opentelemetry.trace import Status, StatusCode

        parent = self._cause() if kind == "turn" else None
        span = self._tracer.start_span(f"{kind} {name}".strip(), context=parent)
        token = context.attach(trace.set_span_in_context(span, parent))

        def ended(outcome: Outcome, ids: dict[str, str]) -> None:
            context.detach(token)
            span.update_name(f"{kind} {outcome.name}".strip())
            span.set_attributes({f"quartermaster.{key}": value for key, value in ids.items()})
            span.set_attribute("quartermaster.result", outcome.result)
            is_good = outcome.result in _GOOD or outcome.result[:1] in ("2", "3", "4")
            span.set_status(Status(StatusCode.OK if is_good else StatusCode.ERROR))
            span.end()

        return ended

    def hand_over(self, run_id: str) -> None:
        """Remember the span that is open here: the turn of this run continues it."""
        from opentelemetry import trace

        with self._lock:
            self._causes[run_id] = trace.get_current_span().get_span_context()
            while len(self._causes) > MOST_WAITING:
                self._causes.popitem(last=False)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _cause(self) -> "Context | None":
        from opentelemetry import trace

        with self._lock:
            cause = self._causes.pop(tracing.ids().get("run_id", ""), None)
        if cause is None or not cause.is_valid:
            return None
        return trace.set_span_in_context(trace.NonRecordingSpan(cause))


def traces_to(endpoint: str) -> Traces:
    """Return traces that are sent to a collector in the background.

    Raises:
        InvalidInput: The packages of the extra ``otel`` are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InvalidInput(
            "QM_OTEL_ENDPOINT is set, but OpenTelemetry is not installed",
            next_step="Install quartermaster[otel], or leave the setting empty.",
        ) from None
    provider = TracerProvider(resource=Resource({"service.name": SERVICE}))
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)
