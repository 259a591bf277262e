"""The exceptions of meshd; whose fault it is stands in the type.

Texts follow ``where: what: cause``: lower case, no full stop, what was expected last.
"""


class MeshdError(Exception):
    """The root of every exception that meshd raises on purpose."""


class ConfigurationError(MeshdError):
    """The configuration cannot be used; ``faults`` are ``meshd.document.fault.Fault`` objects, all of them."""

    def __init__(self, message: str, faults: tuple = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)

    def __reduce__(self):
        return type(self), (self.args[0], self.faults)


class GenerationNeeded(MeshdError):
    """This process cannot become what is asked for: only a new generation of processes can."""


class PluginError(MeshdError):
    """A plugin broke its contract; ``plugin`` names it, ``distribution`` who ships it."""

    def __init__(self, message: str, plugin: str = "", distribution: str = "") -> None:
        super().__init__(message)
        self.plugin = plugin
        self.distribution = distribution


class ProtocolError(MeshdError):
    """A peer broke HTTP. ``status`` is what a downstream gets, ``detail`` is Envoy's response code detail."""

    def __init__(self, message: str, status: int = 400, detail: str = "http1.codec_error") -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail


class CallError(MeshdError):
    """A plugin's call through a cluster had no answer. ``endpoint`` is its address, "" where none was picked; ``cause``
    is the reason alone; ``flag`` is the response flag (``meshd.http.flag``) that a request would have got.
    """

    def __init__(self, cluster: str, endpoint: str, cause: str, flag: int = 0) -> None:
        place = f"cluster {cluster}: endpoint {endpoint}" if endpoint else f"cluster {cluster}"
        super().__init__(f"{place}: {cause}")
        self.cluster = cluster
        self.endpoint = endpoint
        self.cause = cause
        self.flag = flag
