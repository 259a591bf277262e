"""Health checkers: ``http``, ``grpc``, ``tcp`` and ``exec``. Clusters ask them about endpoints (``health_checks``), the
daemon about the local workload (``probe``).
"""

from meshd.api import PluginType, hookimpl
from meshd_plugins.health_checker.command import ExecChecker, ExecCheckOptions
from meshd_plugins.health_checker.grpc import GrpcChecker, GrpcCheckOptions
from meshd_plugins.health_checker.http import HttpChecker, HttpCheckOptions
from meshd_plugins.health_checker.tcp import TcpChecker, TcpCheckOptions


def _http(config, site):
    return HttpChecker(config or HttpCheckOptions(), site)


def _grpc(config, site):
    return GrpcChecker(config or GrpcCheckOptions(), site)


def _tcp(config, site):
    return TcpChecker(config or TcpCheckOptions(), site)


def _exec(config, site):
    return ExecChecker(config or ExecCheckOptions(command=("true",)), site)


@hookimpl
def meshd_plugins():
    """Offer the checkers."""
    return [
        PluginType(kind="health_checker", name="http", config=HttpCheckOptions, build=_http,
                   doc="Asks by a request, and looks at the answer."),
        PluginType(kind="health_checker", name="grpc", config=GrpcCheckOptions, build=_grpc,
                   doc="Calls grpc.health.v1.Health/Check, which must answer SERVING."),
        PluginType(kind="health_checker", name="tcp", config=TcpCheckOptions, build=_tcp,
                   doc="Connects; may also send, and look at what comes."),
        PluginType(kind="health_checker", name="exec", config=ExecCheckOptions, build=_exec,
                   doc="Runs a command, which must end with 0."),
    ]
