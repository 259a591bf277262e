"""A real gRPC server (grpcio) in threads of the test's process: echoes of all four kinds, health, and rate limits.

Messages of ``test.Echo`` are plain bytes: gRPC does not care. Those of the rate-limit service are made by protobuf from
descriptors written here by hand, so that meshd's own reading and writing is held against the real library.
"""

import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

HAS_GRPC = all(map(importlib.util.find_spec, ("grpc", "grpc_health", "google.protobuf")))
needs_grpc = pytest.mark.skipif(not HAS_GRPC, reason="grpcio or grpcio-health-checking is not installed")
SERVICE = "test.Echo"
RLS = "envoy.service.ratelimit.v3.RateLimitService"
PACKAGE = "envoy.service.ratelimit.v3"
WAIT_S = 20


class GrpcServer:
    """``address`` is where it listens; ``health`` sets what it says of itself. ``cancelled`` is set once a call of
    ``Wait`` was cancelled; ``left_s`` are the deadlines that calls came with; ``limits`` decides as a rate-limit
    service: a callable(request) -> response, of the classes in ``messages``. ``options`` are grpcio's; with
    ``credentials`` (``serving``) it speaks TLS.
    """

    def __init__(self, threads=32, credentials=None, options=()):
        import grpc
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        self.grpc = grpc
        self.states = health_pb2.HealthCheckResponse
        self.server = grpc.server(ThreadPoolExecutor(threads), options=(("grpc.so_reuseport", 0), *options))
        self.health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        place = "127.0.0.1:0"
        self.port = (self.server.add_secure_port(place, credentials) if credentials
                     else self.server.add_insecure_port(place))
        self.address = f"127.0.0.1:{self.port}"
        self.cancelled = threading.Event()
        self.waiting = threading.Event()
        self.left_s = []
        self.metadata = []
        self.calls = 0
        self.failures = []
        self.messages = rate_limit_messages()
        self.limits = None
        self.server.add_generic_rpc_handlers((self._echo(), self._rate_limits()))
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.stop(0).wait()

    def _echo(self):
        grpc = self.grpc
        return grpc.method_handlers_generic_handler(SERVICE, {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Collect": grpc.stream_unary_rpc_method_handler(self.collect),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "Hold": grpc.stream_stream_rpc_method_handler(self.hold),
            "Zip": grpc.unary_unary_rpc_method_handler(self.zip),
            "Mirror": grpc.unary_unary_rpc_method_handler(self.mirror),
        })

    def unary(self, request, context):
        """Echo; or fail with the next of ``failures``, a status code's name."""
        self.calls += 1
        self.left_s.append(context.time_remaining())
        self.metadata.append(dict(context.invocation_metadata()))
        if self.failures:
            context.abort(getattr(self.grpc.StatusCode, self.failures.pop(0)), "because 100%")
        context.set_trailing_metadata((("x-sum", str(len(request))),))
        return request

    def collect(self, requests, context):
        """Return how many messages came, and their bytes."""
        sizes = [len(one) for one in requests]
        return f"{len(sizes)} {sum(sizes)}".encode()

    def count(self, request, context):
        """Return as many messages as are asked for."""
        for number in range(int(request)):
            yield b"%d" % number

    def chat(self, requests, context):
        """Echo each message."""
        yield from requests

    def wait(self, request, context):
        """Wait until the call is cancelled."""
        context.add_callback(self.cancelled.set)
        self.waiting.set()
        self.cancelled.wait(WAIT_S)
        return b""

    def waits_anew(self):
        """Forget the waits before."""
        self.waiting.clear()
        self.cancelled.clear()

    def hold(self, requests, context):
        """Echo the first message and wait until the call is cancelled."""
        context.add_callback(self.cancelled.set)  # first: one that is cancelled at once does not come back from yield
        yield next(requests)
        self.waiting.set()
        self.cancelled.wait(WAIT_S)

    def zip(self, request, context):
        """Echo with compression."""
        context.set_compression(self.grpc.Compression.Gzip)
        return request

    def mirror(self, request, context):
        """Send the fields that begin with x- back, as head and as trailers."""
        found = [(name, value) for name, value in context.invocation_metadata() if name.startswith("x-")]
        context.send_initial_metadata(found)
        context.set_trailing_metadata(found)
        return request

    def _rate_limits(self):
        request, response = self.messages["RateLimitRequest"], self.messages["RateLimitResponse"]
        handler = self.grpc.unary_unary_rpc_method_handler(
            lambda asked, context: self.limits(asked), request.FromString, response.SerializeToString)
        return self.grpc.method_handlers_generic_handler(RLS, {"ShouldRateLimit": handler})


def serving(mesh, is_mutual=False):
    """Return a server's credentials: the secret ``server``; where mutual, clients must show a certificate."""
    import grpc

    certificate, key, root = mesh.pems("server")
    return grpc.ssl_server_credentials([(key, certificate)], root if is_mutual else None, is_mutual)


def channel(daemon, mesh=None, client=None, options=()):
    """Return a grpcio channel to the daemon; with ``mesh`` by TLS, where ``client`` names the secret that is shown."""
    import grpc

    place = f"127.0.0.1:{daemon.port}"
    if mesh is None:
        return grpc.insecure_channel(place, options)
    certificate, key, root = mesh.pems(client or "server")
    shown = () if client is None else (key, certificate)
    name = ("grpc.ssl_target_name_override", "shop.test")
    return grpc.secure_channel(place, grpc.ssl_channel_credentials(root, *shown), (name, *options))


def failure(function, *arguments, **options):
    """Return (status code's name, details) of a call that must fail."""
    import grpc

    with pytest.raises(grpc.RpcError) as caught:
        function(*arguments, **options)
    return caught.value.code().name, caught.value.details()


def call(channel, method, kind="unary_unary"):
    """Return the callable of a method of ``test.Echo`` on a grpcio channel."""
    return getattr(channel, kind)(f"/{SERVICE}/{method}")


def rate_limit_messages():
    """Return the classes of rls.proto by name, as far as they are used."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="rls_of_test.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, is_repeated) in fields.items():
            one = message.field.add(name=field, number=number, label=3 if is_repeated else 1)
            if kind in SCALARS:
                one.type = SCALARS[kind]
            else:
                one.type, one.type_name = 11, f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


SCALARS = {"int64": 3, "int32": 5, "string": 9, "bytes": 12, "uint32": 13}
MESSAGES = {
    "Entry": {1: ("key", "string", False), 2: ("value", "string", False)},
    "Descriptor": {1: ("entries", "Entry", True)},
    "RateLimitRequest": {1: ("domain", "string", False), 2: ("descriptors", "Descriptor", True),
                         3: ("hits_addend", "uint32", False)},
    "RateLimit": {1: ("requests_per_unit", "uint32", False), 2: ("unit", "int32", False), 3: ("name", "string", False)},
    "Duration": {1: ("seconds", "int64", False), 2: ("nanos", "int32", False)},
    "Status": {1: ("code", "int32", False), 2: ("current_limit", "RateLimit", False),
               3: ("limit_remaining", "uint32", False), 4: ("duration_until_reset", "Duration", False)},
    "HeaderValue": {1: ("key", "string", False), 2: ("value", "string", False), 3: ("raw_value", "bytes", False)},
    "RateLimitResponse": {
        1: ("overall_code", "int32", False), 2: ("statuses", "Status", True),
        3: ("response_headers_to_add", "HeaderValue", True), 4: ("request_headers_to_add", "HeaderValue", True),
        5: ("raw_body", "bytes", False)},
}
"""Message -> number -> (name, type, repeated); enumerations are numbers here."""
