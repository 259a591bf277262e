"""All that a plugin may import from meshd."""

from meshd.api.call import CallAnswer, CallRequest, grpc_call, grpc_message
from meshd.api.connection import IArrival, ILink, IListenerFilter, INetworkFilter, ISession, TcpPlan, Tunnel
from meshd.api.exchange import (
    CONTINUE, MORE, STOP, Calls, Connect, Denied, Extra, IExchange, Identity, Mirror, Plan, Timeouts, Verdict,
)
from meshd.api.frame import (
    HEARTBEAT, HEARTBEAT_ANSWER, NO_ROUTE, ONEWAY, OTHER, REQUEST, RESPONSE, SESSION, TIMEOUT, UNAVAILABLE, Frame,
)
from meshd.api.hook import API_VERSION, GROUP, Need, PluginType, hookimpl, hookspec
from meshd.api.kind import (
    KINDS, IAccessLogOperator, IAdminPage, IAuthenticator, IAuthorizer, ICircuitBreaker, ICluster, IConfigDialect,
    IConfigSource, ICtlVerb, IDiscovery, IEndpoint, IHealthChecker, IHttpFilter, ILoadBalancer, IOutlierDetector,
    IProtocolCodec, IRetryPolicy, IRoute, IStore, ITelemetrySink, ITerminalFilter,
)
from meshd.api.site import IBuckets, ILedger, IMetrics, IPeers, ISite, IStream
from meshd.document.code import CODES, Code
from meshd.document.decode import decode
from meshd.document.encode import encode_class, encode_plugin, encode_short
from meshd.document.fault import ERROR, INFO, WARNING, Related
from meshd.document.nearest import nearest
from meshd.document.node import Mapping, Node, Scalar, Sequence, Source
from meshd.document.option import (
    REQUIRED, Address, Anything, Boolean, Choice, Duration, File, HeaderName, HeaderValue, Integer, ListOf, MapOf,
    Nested, Number, PluginOf, Reference, Regex, Size, Text, camel_config, config, option, place,
)
from meshd.document.plan import options
from meshd.document.quantity import format_duration
from meshd.document.regex import BadRegex, compile_regex
from meshd.document.tree import is_resource
from meshd.errors import CallError, ConfigurationError, MeshdError, PluginError, ProtocolError
from meshd.hot.bucket import TokenBucket
from meshd.hot.block import value_of
from meshd.http import flag, grpc, message
from meshd.http.channel import Channel, Ended, call_head
from meshd.http.h2.client import Http2Client
from meshd.http.head import RequestHead, ResponseHead
from meshd.http.headers import Headers
from meshd.http.response import ResponseParser
from meshd.http.template import compile_template, parse as parse_template
from meshd.http.vary import add_vary
from meshd.model import health
from meshd.model.health import Checked
from meshd.model.cluster import EndpointSpec
from meshd.model.header_match import HeaderMatch, header_test
from meshd.model.plugin import Plugin
from meshd.model.snapshot import Node as NodeSpec, Snapshot
from meshd.model.tls import MESH_ALPN
from meshd.wire.proxy_protocol import NOT_FOUND as PROXY_NOT_FOUND, read as read_proxy_header

__all__ = [name for name in dir() if not name.startswith("_")]
