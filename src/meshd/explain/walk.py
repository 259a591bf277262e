"""The filters of a chain in their order, and what each would do with the request; none of them is run."""

from collections.abc import Generator, Iterator
from types import GeneratorType
from typing import Any

import attrs

from meshd.explain.view import Answer, View
from meshd.isolation.filter import IsolatedFilter
from meshd.model.plugin import FAIL_OPEN
from meshd.registry.entry import one_line

EDGE = "edge"
RUNS, DISABLED, OVERRIDE, BYPASSED, SHARE, UNREACHED = (
    "runs", "disabled on this route", "override on this route", "bypassed", "runs on a share", "not reached")


@attrs.frozen(kw_only=True)
class Outcome:
    """What becomes of ``percent`` of such requests: ``plan`` where they are forwarded, ``answer`` where they are not,
    both where a filter answers before the route could. ``by`` who answers.
    """

    percent: float
    plan: Any
    answer: Answer | None
    by: str


class Walk:
    """``rows`` is what was found of each filter, ``facts`` what the terminal one says, ``by`` who answers ("" nobody),
    ``asked_by`` the filter that made the route be found before the chain's end ("" none). ``outcomes`` are what the
    route comes to: one, or one for each share of a split.
    """

    def __init__(self, chain: Any, view: View) -> None:
        self.chain = chain
        self.view = view
        self.rows: list[dict] = []
        self.facts: dict = {}
        self.asked_by = ""
        self.outcomes: list[Outcome] = []
        self.by = "" if view.answered is None else EDGE

    def run(self) -> Generator[None, None, None]:
        """Go through the chain; yields after each filter."""
        uses = self.chain.uses
        for use in uses[:-1]:
            was_found = self.view.routed is not None
            self.rows.append(self._row(use) if not use.overrides or use.method("on_request") else {})
            if self.view.routed is not None and not was_found:
                self.asked_by = use.plugin.name
            yield
        yield from self._end(uses[-1])
        for place, use in enumerate(uses[:-1]):
            if not self.rows[place]:  # sees answers only: the route is asked for when there is one
                self.rows[place] = self._row(use)

    def _row(self, use: Any) -> dict:
        plugin = use.plugin
        row = {"name": plugin.name, "type": plugin.type, "decision": RUNS, "text": "", "where": plugin.where}
        sees_requests = use.method("on_request") is not None
        if self.by and sees_requests:
            sees = "; it sees the answer" if use.method("on_response") is not None else ""
            return row | {"decision": UNREACHED, "text": f"the {self.by} has answered{sees}"}
        target = use.overrides.get(self.view.route, use.object) if use.overrides and self.by != EDGE else use.object
        if target is None:
            return row | {"decision": DISABLED}
        if target is not use.object:
            row |= {"decision": OVERRIDE, "where": self.view.route.overrides[plugin.name].where}
        if use.record.is_bypassed:
            return row | self._bypassed(use)
        if use.share is not None:
            return row | {"decision": SHARE, "text": _share(use)}
        row["text"] = self._told(target, plugin)
        return row

    def is_outdated(self) -> bool:
        """Say whether the head was changed after the route had been found."""
        found, now = self.view.routed, self.view.request
        return found is not None and (found.target, found.host, found.headers.low) != (
            now.target, now.host, now.headers.low)

    def _bypassed(self, use: Any) -> dict:
        if use.plugin.on_error == FAIL_OPEN:
            return {"decision": BYPASSED, "text": "it failed too often: requests pass it"}
        self.view.reply(503, b"", (), 0, f"plugin_bypassed{{{use.plugin.name}}}")
        self.by = f"filter {use.plugin.name}"
        return {"decision": BYPASSED, "text": "it failed too often: requests are refused with 503"}

    def _told(self, target: Any, plugin: Any) -> str:
        """Return what the filter says that it would do; where it would answer, that is noted."""
        if isinstance(target, IsolatedFilter) or plugin.is_isolated:
            return "in a process of its own"
        explain = getattr(target, "explain", None)
        if explain is None:
            return ""
        try:
            found = explain(self.view)
        except Exception as error:  # a plugin's own code
            found = f"cannot say what it would do: {one_line(error)}"
        if self.view.answered is not None:
            self.by = f"filter {plugin.name}"
        return str(found)

    def _end(self, use: Any) -> Iterator[None]:
        """Let the terminal filter say what it knows of the route, then find the plan or the answer.

        The route is shown even where somebody has answered before: it is what the answer stands in the way of.
        """
        view, made = self.view, use.object
        row = {"name": use.plugin.name, "type": use.plugin.type, "decision": UNREACHED if self.by else RUNS,
               "text": f"the {self.by} has answered" if self.by else "", "where": use.plugin.where}
        self.rows.append(row)
        if self.by == EDGE or not hasattr(made, "explain"):
            return
        view.route  # noqa: B018  found now unless a filter has asked for it
        head, view.request = view.request, view.routed
        try:
            facts = made.explain(view)
            self.facts = (yield from facts) if isinstance(facts, GeneratorType) else facts
        finally:
            view.request = head
        for percent, run in self.facts.pop("outcomes", ((100.0, made.on_request),)):
            self._carry_out(percent, run)

    def _carry_out(self, percent: float, run: Any) -> None:
        """Note the plan or the answer of one outcome."""
        view = self.view
        before, view.plan, view.answered = view.answered, None, None
        run(view)
        by = self.by or ("route" if view.route is not None else "router")
        self.outcomes.append(Outcome(percent=percent, plan=view.plan, answer=before or view.answered, by=by))
        view.answered = before


def _share(use: Any) -> str:
    plugin = use.plugin
    of = f", in place of {plugin.canary_of}" if plugin.canary_of else ""
    canaries = sum(one.plugin.percent for _, one in use.share.rows)
    percent = 100.0 - canaries if use is use.share.base else plugin.percent
    return f"{percent:g} % of the requests{of}; chance decides"
