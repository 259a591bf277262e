"""How ``meshctl capture`` shows what is in force: for people in lines, for machines as one document."""

from typing import Any

import attrs

from meshd.capture import control, host, kernel, path, ruleset, watch
from meshd.capture.conflict import conflicts
from meshd.capture.reading import Captured
from meshd.capture.settings import EVERYTHING, Settings
from meshd.cli import terminal
from meshd.cli.output import View


@attrs.frozen
class CapturedNow:
    """What is in force now. ``left_s`` is until it is undone, None where nothing waits for a confirmation."""

    captured: Captured | None
    problems: list[str]
    conflicts: list[tuple[str, str]]
    left_s: float | None
    ssh: dict[str, str]

    @classmethod
    def look(cls) -> "CapturedNow":
        """Look at the kernel and at this machine."""
        captured = kernel.captured()
        if captured is None:
            return cls(None, [], [], None, {})
        settings = captured.settings
        ssh = host.ssh_ports()
        lost = [f"ssh: port {port} ({why}) is not exempt: enable capture again" for port, why in ssh.items()
                if settings.has_inbound and not path.is_in(int(port), settings.ssh_ports)]
        if not ways_of(settings):
            lost.append(f"table {' '.join(kernel.OWN)}: it leads nowhere, somebody has changed it: enable again")
        return cls(captured, [*control.problems(settings, host.sockets()), *lost],
                   conflicts(kernel.chains(), settings), watch.ask("left"), ssh)


def show(view: View, now: CapturedNow) -> None:
    """Write it."""
    if view.form in ("json", "yaml"):
        view.document("Capture", document(now))
        return
    for name, text in _lines(now, view):
        view.write(f"{name.ljust(14)}{text}\n")


def document(now: CapturedNow) -> dict[str, Any]:
    """Return it as JSON has it."""
    if now.captured is None:
        return {"enabled": False}
    settings, hits = now.captured.settings, now.captured.hits
    ways = [{"key": key, "words": words, "port": port, "hits": hits.get(key, 0)}
            for key, words, port in ways_of(settings)]
    exempt = [{"key": key, "words": path.WORDS[key], "which": which, "hits": hits.get(key, 0)}
              for key, which in path.bypasses(settings)]
    return {
        "enabled": True, "mode": settings.mode, "settings": attrs.asdict(settings), "captured": ways,
        "bypasses": exempt,
        "conflicts": [{"severity": severity, "text": text} for severity, text in now.conflicts],
        "problems": now.problems, "undone_in_s": now.left_s,
    }


def ways_of(settings: Settings) -> list[tuple[str, str, int]]:
    """Return (key, words, port) of each way that leads to meshd."""
    found = []
    if settings.has_outbound:
        where = _list(settings.include_outbound_cidrs, "any address")
        if settings.include_outbound_ports:
            where = " or ".join(filter(None, (where, f"port {', '.join(settings.include_outbound_ports)}")))
        found.append((ruleset.OUTBOUND, f"tcp of every program but meshd, to {where}", settings.outbound_port))
    if settings.has_inbound:
        which = _list(settings.include_inbound_ports, "any port")
        found.append((ruleset.INBOUND, f"tcp from other machines, to {which} of this one", settings.inbound_port))
        found.append((ruleset.SELF, path.WORDS[ruleset.SELF], settings.inbound_port))
    if settings.dns_port:
        found.append((ruleset.DNS, f"queries to {', '.join(settings.dns_servers)}, udp and tcp", settings.dns_port))
    return found


def _list(texts: tuple[str, ...], everything: str) -> str:
    return everything if texts == EVERYTHING else ", ".join(texts)


def _lines(now: CapturedNow, view: View) -> list[tuple[str, str]]:
    if now.captured is None:
        return [("capture", "off: no connection is led to meshd")]
    settings, hits = now.captured.settings, now.captured.hits
    lines = [("capture", f"{view.sign('bad' if now.problems else 'ok')} on   {settings.mode}   "
              f"{'IPv4 and IPv6' if settings.has_ipv6 else 'IPv4'}   meshd is {', '.join(_users(settings))}")]
    if now.left_s is not None:
        lines.append(("", f"{view.sign('warn')} undone in {now.left_s:.0f} s unless confirmed: "
                      "meshctl capture confirm"))
    lines += [("problem", f"{view.sign('bad')} {text}") for text in now.problems]
    lines += [(key.split()[0], f"{words} {terminal.glyph('arrow', view.stream)} :{port}{_count(hits, key)}")
              for key, words, port in ways_of(settings)]
    lines += [("not captured" if index == 0 else "", f"{path.WORDS[key]}: {which}{_count(hits, key)}")
              for index, (key, which) in enumerate(path.bypasses(settings))]
    return lines + [("conflict" if index == 0 else "", f"{view.sign('warn')} {text}" if severity == "warning" else text)
                    for index, (severity, text) in enumerate(now.conflicts)]


def _count(hits: dict[str, int], key: str) -> str:
    return f"   {hits[key]} so far" if hits.get(key) else ""


def _users(settings: Settings) -> list[str]:
    return [control.user_name(one) for one in settings.proxy_uids] + [f"gid {one}" for one in settings.proxy_gids]


def verdict_row(verdict: path.Verdict, address: str, is_inbound: bool) -> dict[str, Any]:
    """Return the row of one connection."""
    return {
        "direction": "inbound" if is_inbound else "outbound", "connection": address,
        "goes": f"to meshd, port {verdict.port}" if verdict.port else "its own way", "because": verdict.words,
        "key": verdict.key, "port": verdict.port,
    }
