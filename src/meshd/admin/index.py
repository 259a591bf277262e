"""The table of all pages, the help page, and the pages of plugins."""

from typing import Any

from twisted.internet.defer import maybeDeferred

from meshd.admin import (
    page_cert, page_cluster, page_config, page_control, page_discovery, page_explain, page_metric, page_status,
)
from meshd.admin.page import POST, Page, Query, Reply, table, text


def help_page(daemon: Any, query: Query) -> Reply:
    """This list."""
    rows = [(page.path, page.methods[0], page.help) for page in sorted(daemon.pages(), key=lambda page: page.path)]
    return text("meshd's admin API; what changes something wants POST\n\n" + table([("PATH", "METHOD", "WHAT"), *rows]))


PAGES = (
    Page(path="/", render=help_page, help="this list"),
    Page(path="/help", render=help_page, help="this list"),
    Page(path="/ready", render=page_status.ready, help="200 while traffic should come here, else 503"),
    Page(path="/healthz", render=page_status.alive, help="200 as long as the process answers"),
    Page(path="/metrics", render=page_metric.prometheus, help="all metrics in Prometheus' text format"),
    Page(path="/stats/prometheus", render=page_metric.prometheus, help="the same"),
    Page(path="/stats", render=page_metric.stats, help="all metrics; ?format=text|json|prometheus, ?filter=REGEX"),
    Page(path="/config_dump", render=page_config.config_dump,
         help="configuration in use, secrets masked; ?resource=listeners|clusters|..., ?name=NAME, ?origins=1"),
    Page(path="/certs", render=page_cert.certs,
         help="certificates and authorities in use: names, expiry, where from, errors of the last renewal"),
    Page(path="/clusters", render=page_cluster.clusters,
         help="clusters, endpoints, circuit breakers, counters; ?format=text|json, ?name=NAME"),
    Page(path="/discovery", render=page_discovery.discovery,
         help="where endpoints come from, and how old that is; ?name=NAME for its endpoints, &look=1 to look now"),
    Page(path="/listeners", render=page_status.listeners, help="listeners and their addresses; ?format=text|json"),
    Page(path="/server_info", render=page_status.server_info, help="version, node, state, generation, last reload"),
    Page(path="/plugins", render=page_status.plugins, help="plugins, types, timings, faults; ?format=json|text"),
    Page(path="/explain", render=page_explain.explain,
         help="what would happen to a request; ?method=GET&url=URL, &header=NAME:VALUE..., &listener=NAME, &client=IP"),
    Page(path="/logging", methods=POST, render=page_control.logging,
         help="set levels: ?level=debug|info|warn|error, ?NAMESPACE=LEVEL; answers the levels in use"),
    Page(path="/reload", methods=POST, render=page_control.reload,
         help="reload and answer the outcome: 200, or 400 with faults"),
    Page(path="/upgrade", methods=POST, render=page_control.upgrade,
         help="hand over to a new generation of processes: 200 when it serves, or 400 with the reason"),
    Page(path="/drain_listeners", methods=POST, render=page_control.drain_listeners, help="stop accepting connections"),
    Page(path="/healthcheck/fail", methods=POST, render=page_control.health_fail, help="let /ready answer 503"),
    Page(path="/healthcheck/ok", methods=POST, render=page_control.health_ok, help="undo /healthcheck/fail"),
    Page(path="/quitquitquit", methods=POST, render=page_control.quit_daemon, help="drain and exit, as SIGTERM does"),
    Page(path="/reopen_logs", methods=POST, render=page_control.reopen_logs,
         help="open log files anew, as SIGUSR1 does"),
)


def plugin_page(made: Any, doc: str) -> Page:
    """Return the page of a plugin's ``IAdminPage``."""
    def render(daemon: Any, query: Query) -> Any:
        return maybeDeferred(made.render, query.values).addCallback(_reply)

    return Page(path=made.path, methods=tuple(made.methods), render=render, help=doc or "page of a plugin")


def _reply(answer: tuple) -> Reply:
    status, content_type, body = answer
    return Reply(bytes(body), int(status), content_type)
