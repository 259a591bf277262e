"""The http filter ``authentication`` and the authenticators ``basic`` and ``api_key``."""

from meshd.api import Need, PluginType, hookimpl
from meshd_plugins.authentication.api_key import ApiKey, ApiKeyAuthenticator
from meshd_plugins.authentication.basic import Basic, BasicAuthenticator
from meshd_plugins.authentication.filter import Authentication, AuthenticationFilter


def _file(config):
    """Name the file of secrets."""
    if config.file is not None:
        yield Need("file", config.file, "file")


@hookimpl
def meshd_plugins():
    """Offer the filter and two authenticators."""
    return [
        PluginType(
            kind="http_filter", name="authentication", config=Authentication, build=AuthenticationFilter,
            doc="Finds out who calls, and refuses strangers.",
        ),
        PluginType(
            kind="authenticator", name="basic", config=Basic, build=BasicAuthenticator, references=_file,
            doc="User names and passwords (RFC 7617).",
        ),
        PluginType(
            kind="authenticator", name="api_key", config=ApiKey, build=ApiKeyAuthenticator, references=_file,
            doc="Keys in a header, query parameter or cookie.",
        ),
    ]
