"""What ``tcp_proxy`` says of proxies at its endpoints: Envoy's ``tunneling_config``."""

import re

from meshd.api import (
    Boolean, ConfigurationError, HeaderName, MapOf, Plugin, Text, Tunnel, compile_template, config, option,
    parse_template,
)

REFUSED = frozenset(("connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"))
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+:[0-9]{1,5}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def text_fault(value):
    """Return what is wrong with a text that may have operators, or ''."""
    if _CONTROL.search(value):
        return f"expected a value without control characters, got {value!r}"
    try:
        parse_template(value)
    except ValueError as error:
        return str(error)
    return ""


def is_host(text):
    """Say whether a text is HOST:PORT."""
    return _HOST.fullmatch(text) is not None and 0 < int(text.rpartition(":")[2]) < 65536


@config
class Tunneling:
    """The endpoints are proxies, which are asked to lead to a host: by CONNECT, or by POST (Envoy's tunneling_config).

    Over HTTP/1.1 or, on streams of shared connections, over HTTP/2: as the cluster's ``protocol`` says.
    """

    hostname: str = option(
        Text(minimum=1, maximum=1024),
        doc="where to: HOST:PORT or [V6]:PORT, also of %REQUESTED_SERVER_NAME% and others"
    )
    use_post: bool = option(Boolean(), default=False, doc="ask by POST, whose bodies are the bytes both ways")
    post_path: str = option(
        Text(pattern=r"/[!-~]*", maximum=8192), default="/", doc="with use_post: the path that is asked for"
    )
    headers_to_add: tuple[tuple[str, str], ...] = option(
        MapOf(key=HeaderName(), value=Text(maximum=8192), maximum=100), default=(),
        doc="fields of the request; values take %OPERATOR%, an empty one is not sent"
    )
    propagate_response_headers: bool = option(
        Boolean(), default=False,
        doc="keep the answer's fields for access logs: %DYNAMIC_METADATA(envoy.tcp_proxy.propagate_response_headers)%"
    )

    def check(self):
        """Yield faults between fields."""
        if fault := text_fault(self.hostname):
            yield "hostname", fault
        elif "%" not in self.hostname and not is_host(self.hostname):
            yield "hostname", f"expected HOST:PORT, got {self.hostname!r}"
        if self.post_path != "/" and not self.use_post:
            yield "post_path", "expected use_post beside post_path"
        for name, value in self.headers_to_add:
            if name in REFUSED:
                yield "headers_to_add", f"{name}: expected a field that is not the connection's own"
            elif fault := text_fault(value):
                yield "headers_to_add", f"{name}: {fault}"


def tunnel_of(options, operator):
    """Return the Tunnel of a configuration, None where there is none; ``operator(name)`` returns an operator."""
    if options is None:
        return None
    try:
        return Tunnel(
            host=compile_template(options.hostname, operator),
            fields=tuple((name.encode(), compile_template(value, operator)) for name, value in options.headers_to_add),
            use_post=options.use_post, post_path=options.post_path.encode(),
            keeps_fields=options.propagate_response_headers)
    except ValueError as error:
        raise ConfigurationError(f"tcp_proxy: tunneling_config: {error}") from error


def build_operator(site, name):
    """Return the access-log operator ``name``."""
    return site.build(Plugin(kind="access_log_operator", type=name, config=None, name=name))
