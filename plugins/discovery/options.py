"""The options that every discovery has in common: ``SourceOptions`` is the base class of their configurations."""

from meshd.api import Duration, ListOf, Nested, config, option

from meshd_plugins.discovery.relabel import RelabelConfig


@config
class SourceOptions:
    """How long to trust what is known, and what to make of what is found."""

    empty_hold_s: float = option(
        Duration(), default=30.0, doc="endpoints that an answer lacks are kept for so long where it is empty, halves a "
        "list of 4 or more, or comes after a failure (0: not at all)"
    )
    debounce_s: float = option(
        Duration(maximum=60.0), default=0.1, doc="quiet time until a change is applied, at most 1s after the first"
    )
    retry_base_s: float = option(
        Duration(minimum=0.01), default=0.5, doc="bound of the first wait after a failure; doubled for each one more"
    )
    retry_max_s: float = option(Duration(minimum=0.01), default=30.0, doc="bound of all waits after failures")
    initial_fetch_timeout_s: float = option(
        Duration(), default=5.0, doc="a start or reload waits for the first answer for at most so long (0: not at all)"
    )
    relabel_configs: tuple[RelabelConfig, ...] = option(
        ListOf(item=Nested(RelabelConfig), maximum=1000), default=(),
        doc="Prometheus' rules, applied to the labels of each target",
    )
