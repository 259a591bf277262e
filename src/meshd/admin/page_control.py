"""Pages that change something; POST only, so that no link, image or prefetch can do it."""

from typing import Any

from twisted.internet.defer import Deferred

from meshd.admin.page import BadQuery, Query, Reply, document, text


def logging(daemon: Any, query: Query) -> Reply:
    """Set log levels: ?level=LEVEL for all, ?NAMESPACE=LEVEL for one; nothing to read them. Returns the levels."""
    try:
        for name in query.values:
            daemon.log.set_level(query.get(name), "" if name == "level" else name)
    except ValueError as error:
        raise BadQuery(str(error)) from None
    return document({"levels": daemon.log.levels()})


def reload(daemon: Any, query: Query) -> Deferred:
    """Reload, wait, and return the outcome: 200 where it was accepted, 400 with the faults where it was not."""
    return daemon.reload().addCallback(lambda outcome: document(outcome, 200 if outcome["accepted"] else 400))


def upgrade(daemon: Any, query: Query) -> Deferred:
    """Hand over to a new generation; 200 when it serves, 400 with the reason where it cannot."""
    return daemon.upgrade().addCallback(lambda outcome: document(outcome, 200 if outcome["accepted"] else 400))


def drain_listeners(daemon: Any, query: Query) -> Reply:
    """Stop accepting; connections close after their request. The process stays."""
    daemon.drain_listeners()
    return text("OK\n")


def health_fail(daemon: Any, query: Query) -> Reply:
    """Let /ready answer 503, so that load balancers look elsewhere."""
    daemon.set_health(False)
    return text("OK\n")


def health_ok(daemon: Any, query: Query) -> Reply:
    """Undo /healthcheck/fail."""
    daemon.set_health(True)
    return text("OK\n")


def quit_daemon(daemon: Any, query: Query) -> Reply:
    """Drain and exit, as SIGTERM does."""
    daemon.quit()
    return text("OK\n")


def reopen_logs(daemon: Any, query: Query) -> Reply:
    """Open log files anew, as SIGUSR1 does."""
    daemon.reopen()
    return text("OK\n")
