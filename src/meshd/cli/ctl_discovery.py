"""``meshctl discovery``: where endpoints come from, and what would be found; asked of the daemon, or of files (``-c``).
"""

import random
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import attrs
import click

from meshd.cli import code
from meshd.cli.check import Checked
from meshd.cli.ctl_names import names_of
from meshd.cli.ctl_option import asks
from meshd.cli.output import Column, View, duration
from meshd.config import render

EPILOG = """\b
examples:
  meshctl discovery                           all sources: state, age, counts
  meshctl discovery users                     what the source of the cluster users has now, after relabelling
  meshctl discovery users -o json             the same, with the labels before relabelling
  meshctl discovery users -c /etc/meshd/meshd.yaml   (no daemon is asked; the source is)

\b
exit codes: 0 found   1 could not look, or not all of it   64 usage   65 the configuration given with -c is not valid
"""

SOURCES = (
    Column("CLUSTER", "cluster"), Column("TYPE", "type"), Column("STATE", "state"), Column("AGE", "age"),
    Column("ENDPOINTS", "endpoints"), Column("UPDATES", "updates"), Column("FAILURES", "failures"),
    Column("SOURCE", "source"), Column("HELD", "held", True), Column("ERROR", "error", True),
)
TARGETS = (
    Column("ADDRESS", "address"), Column("WEIGHT", "weight"), Column("PRIORITY", "priority"),
    Column("LOCALITY", "locality"), Column("LABELS", "labels"), Column("SOURCE", "source"), Column("NOTE", "note"),
)


class Awake(Checked):
    """A configuration in files, built over the real reactor; nothing of it is started."""

    runtime: Any = None

    def _build(self) -> None:
        from twisted.internet import reactor
        from twisted.logger import Logger

        from meshd.runtime.build import build
        from meshd.runtime.clock import Clock
        from meshd.runtime.site import finish
        from meshd.runtime.state import StateTable
        from meshd.telemetry.metrics import Metrics
        from meshd.wire.world import World

        world = World(reactor, Clock(reactor), random.Random(), Metrics(), Logger(namespace="meshd.discovery"))
        self.runtime = finish(build(self.loaded.snapshot, self.registry, world, table=StateTable(), isolates=False))


@click.command(epilog=EPILOG, short_help="Show where endpoints come from, and what would be found.")
@click.argument("name", required=False, shell_complete=names_of("clusters"))
@click.option("-c", "--config", "paths", metavar="FILE|DIR", multiple=True, type=click.Path(),
              help="look from here, by these files, instead of asking a daemon; repeatable.")
@asks("table", "wide", "json", "yaml")
def discovery(client: Any, view: View, name: str | None, paths: tuple[str, ...]) -> int:
    """Show the sources of all clusters, or what the source of the cluster NAME has now.

    With -c the source is asked from here, and no daemon.
    """
    if not paths:
        if name is None:
            return _sources(view, client.get("/discovery")["discoveries"])
        return _targets(view, client.get(f"/discovery?name={quote(name)}&look=1"))
    awake = Awake(list(paths))
    if not awake.is_valid:
        outcome = render.Outcome(faults=awake.faults, files=len(awake.files), duration_s=awake.duration_s)
        sys.stderr.write(render.render_text(outcome, colour=attrs.evolve(view, stream=sys.stderr).has_color))
        return code.DATA
    pairs = [pair for pair in awake.runtime.discoveries if name in (None, pair[1].name)]
    if not pairs and name is not None:
        known = ", ".join(sorted(cluster.name for _, cluster in awake.runtime.discoveries)) or "there is none"
        raise click.ClickException(f"cluster {name!r}: no discovery: expected one of: {known}")
    found = _looked(awake.runtime, pairs, client.timeout_s)
    return _targets(view, found[0]) if name is not None else _sources(view, found)


def _looked(runtime: Any, pairs: list[tuple[Any, Any]], timeout_s: float) -> list[dict]:
    """Look once with each discovery, together; return what the admin API's page would say."""
    from meshd.admin.page_discovery import discovery_fact, found_facts

    answers: dict[str, dict] = {}

    def note(result: Any, cluster: Any) -> None:
        if hasattr(result, "getErrorMessage"):
            why = " ".join(str(result.value).split()) or result.type.__name__
            answers[cluster.name] = {"faults": [why], "targets": []}
        else:
            answers[cluster.name] = {"faults": list(result[1]), "targets": list(found_facts(result[0]))}

    _run(runtime, pairs, note, timeout_s)
    late = {"faults": [f"no answer in {timeout_s:g} s"], "targets": []}
    return [_row(discovery_fact(one, cluster), answers.get(cluster.name, late)) for one, cluster in pairs]


def _row(fact: dict, found: dict) -> dict:
    return {
        **fact, "state": "stale" if found["faults"] else "ok", "age_s": 0.0, "updates": 0,
        "failures": int(bool(found["faults"])), "endpoints": sum(bool(row["endpoint"]) for row in found["targets"]),
        "last_look": {"error": "; ".join(found["faults"])}, **found,
    }


def _run(runtime: Any, pairs: list[tuple[Any, Any]], note: Any, timeout_s: float) -> None:
    """Run the reactor until all have answered or the time is up."""
    from twisted.internet import reactor
    from twisted.internet.defer import gatherResults

    def begin() -> None:
        runtime.ground.world.poller.start()
        runtime.take_over()
        asked = [_find(one).addBoth(note, cluster) for one, cluster in pairs]
        gatherResults(asked).addBoth(lambda _: end())

    def end() -> None:
        if reactor.running and not ended:
            ended.append(True)
            reactor.stop()

    ended: list[bool] = []
    reactor.callWhenRunning(begin)
    reactor.callLater(timeout_s, end)
    reactor.run(installSignalHandlers=False)


def _find(one: Any) -> Any:
    """Return a Deferred of (rows, faults) of one look; one without ``find`` is watched until it has reported."""
    from twisted.internet.defer import Deferred, maybeDeferred

    if hasattr(one, "find"):
        return maybeDeferred(one.find)
    done: Deferred = Deferred()

    def report(specs: Iterable[Any]) -> None:
        if not done.called:
            done.callback(([Reported(spec) for spec in specs], ()))

    watching = maybeDeferred(one.watch, report)
    watching.addErrback(lambda why: None if done.called else done.errback(why))
    return done


@attrs.frozen
class Reported:
    """An endpoint that a discovery has reported, without the labels that it came from."""

    endpoint: Any
    labels: dict[str, str] = {}
    cause: str = ""


def _sources(view: View, rows: list[dict]) -> int:
    if view.form in ("json", "yaml"):
        view.document("Discoveries", {"items": rows})
    else:
        view.items("Discoveries", [_source(row, view) for row in rows], SOURCES)
    return code.OK


def _source(row: dict, view: View) -> dict:
    age_s = row.get("age_s")
    return {**row, "age": None if age_s is None else duration(age_s), "error": row.get("last_look", {}).get("error")}


def _targets(view: View, found: dict) -> int:
    """Show the targets of one source; those that come to no endpoint too, with the reason."""
    if view.form in ("json", "yaml"):
        view.document("Discovery", {key: value for key, value in found.items() if key != "apiVersion"})
    else:
        view.items("Discovery", [_target(row) for row in found["targets"]], TARGETS)
    for fault in found["faults"]:
        sys.stderr.write(f"meshctl: {found['source'] or found['type']}: {fault}\n")
    return code.FAILED if found["faults"] else code.OK


def _target(row: dict) -> dict:
    if row["endpoint"] is not None:
        return row["endpoint"]
    address = row["discovered"].get("__address__")
    return {"address": address, "note": row["cause"] or "dropped by relabel_configs"}
