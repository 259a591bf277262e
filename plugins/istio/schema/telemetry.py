"""Telemetry (telemetry.istio.io): what is logged, counted and traced."""

from meshd.api import Boolean, Choice, ListOf, MapOf, Nested, Number, Text, camel_config, option
from meshd_plugins.istio.schema.common import TIME, WorkloadSelector, at_most_one
from meshd_plugins.istio.schema.policy import (
    PolicyTargetReference, one_target, selector_option, target_option, targets_option,
)

MODE = Choice(("CLIENT_AND_SERVER", "CLIENT", "SERVER"))
NO_TELEMETRY = "telemetry is configured in the native file"
METRICS = (
    "ALL_METRICS", "REQUEST_COUNT", "REQUEST_DURATION", "REQUEST_SIZE", "RESPONSE_SIZE", "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS", "TCP_SENT_BYTES", "TCP_RECEIVED_BYTES", "GRPC_REQUEST_MESSAGES", "GRPC_RESPONSE_MESSAGES",
)


@camel_config
class ProviderRef:
    """One of the mesh's extension providers."""

    name: str = option(Text(minimum=1), doc="its name")


PROVIDERS = ListOf(item=Nested(ProviderRef))


@camel_config
class ModeSelector:
    """Which side."""

    mode: str = option(MODE, default="CLIENT_AND_SERVER", doc="the client's or the server's proxy")


@camel_config
class Literal:
    """A fixed value."""

    value: str = option(Text(minimum=1), doc="the value")


@camel_config
class Environment:
    """A variable of the proxy's environment."""

    name: str = option(Text(minimum=1), doc="its name")
    default_value: str = option(Text(), default="", doc="value when it is not set")


@camel_config
class RequestHeader:
    """A field of the request."""

    name: str = option(Text(minimum=1), doc="its name")
    default_value: str = option(Text(), default="", doc="value when it is not there")


@camel_config
class Formatter:
    """A format string of the access log."""

    value: str = option(Text(minimum=1), doc="the format")


@camel_config
class CustomTag:
    """A tag of a span: one of these."""

    literal: Literal | None = option(Nested(Literal), default=None, doc="a fixed value")
    environment: Environment | None = option(Nested(Environment), default=None, doc="of the environment")
    header: RequestHeader | None = option(Nested(RequestHeader), default=None, doc="of the request")
    formatter: Formatter | None = option(Nested(Formatter), default=None, doc="a format string")

    def check(self):
        """Yield a fault unless at most one is given."""
        yield from at_most_one(self, ("literal", "environment", "header", "formatter"))


@camel_config
class Tracing:
    """Spans."""

    match: ModeSelector | None = option(Nested(ModeSelector), default=None, doc="which side")
    providers: tuple[ProviderRef, ...] = option(PROVIDERS, default=(), doc="where to")
    random_sampling_percentage: float | None = option(Number(maximum=100.0), default=None, doc="share of the traces")
    disable_span_reporting: bool | None = option(Boolean(), default=None, doc="make spans, report none")
    custom_tags: tuple[tuple[str, CustomTag], ...] = option(
        MapOf(value=Nested(CustomTag), key=Text(minimum=1)), default=(), doc="tags of spans"
    )
    use_request_id_for_trace_sampling: bool | None = option(Boolean(), default=None, doc="sample by x-request-id")
    enable_istio_tags: bool | None = option(Boolean(), default=None, doc="add Istio's tags")
    disable_context_propagation: bool | None = option(Boolean(), default=None, doc="send no trace context on")


@camel_config
class MetricSelector:
    """Which metric: one of the two."""

    metric: str | None = option(Choice(METRICS), default=None, doc="one of Istio's")
    custom_metric: str | None = option(Text(minimum=1), default=None, doc="another")
    mode: str = option(MODE, default="CLIENT_AND_SERVER", doc="which side")

    def check(self):
        """Yield a fault unless at most one is given."""
        yield from at_most_one(self, ("metric", "custom_metric"))


@camel_config
class TagOverride:
    """A change of one label."""

    operation: str = option(Choice(("UPSERT", "REMOVE")), default="UPSERT", doc="set it, or leave it out")
    value: str | None = option(Text(), default=None, doc="expression for its value")

    def check(self):
        """Yield faults between fields."""
        if self.operation == "UPSERT" and not self.value:
            yield "value", "expected a value with operation UPSERT"
        if self.operation == "REMOVE" and self.value is not None:
            yield "value", "expected no value with operation REMOVE"


@camel_config
class MetricsOverrides:
    """Changes of one metric."""

    match: MetricSelector | None = option(Nested(MetricSelector), default=None, doc="which metric (all)")
    disabled: bool | None = option(Boolean(), default=None, doc="leave it out")
    tag_overrides: tuple[tuple[str, TagOverride], ...] = option(
        MapOf(value=Nested(TagOverride)), default=(), doc="changes of its labels"
    )


@camel_config
class Metrics:
    """Metrics."""

    providers: tuple[ProviderRef, ...] = option(PROVIDERS, default=(), doc="where to")
    overrides: tuple[MetricsOverrides, ...] = option(ListOf(item=Nested(MetricsOverrides)), default=(), doc="changes")
    reporting_interval_s: float | None = option(TIME, default=None, doc="between reports of TCP connections (5s)")


@camel_config
class Filter:
    """Which requests are logged."""

    expression: str = option(Text(), default="", doc="CEL")


@camel_config
class AccessLogging:
    """Access logs."""

    match: ModeSelector | None = option(Nested(ModeSelector), default=None, doc="which side")
    providers: tuple[ProviderRef, ...] = option(PROVIDERS, default=(), doc="where to")
    disabled: bool | None = option(Boolean(), default=None, doc="log nothing")
    filter: Filter | None = option(Nested(Filter), default=None, doc="which requests (all)")


@camel_config
class Telemetry:
    """Of workloads, a namespace or the mesh."""

    selector: WorkloadSelector | None = selector_option()
    target_ref: PolicyTargetReference | None = target_option()
    target_refs: tuple[PolicyTargetReference, ...] = targets_option()
    tracing: tuple[Tracing, ...] = option(
        ListOf(item=Nested(Tracing)), default=(), doc="tracing", unsupported=NO_TELEMETRY
    )
    metrics: tuple[Metrics, ...] = option(
        ListOf(item=Nested(Metrics)), default=(), doc="metrics", unsupported=NO_TELEMETRY
    )
    access_logging: tuple[AccessLogging, ...] = option(
        ListOf(item=Nested(AccessLogging)), default=(), doc="access logs", unsupported=NO_TELEMETRY
    )

    def check(self):
        """Yield faults between fields."""
        yield from one_target(self)
