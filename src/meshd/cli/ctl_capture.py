"""``meshctl capture``: leads this machine's connections through meshd by nftables rules, and takes them away again."""

import functools
import grp
import pwd
import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

import attrs
import click

from meshd.capture import control, host, kernel, path, ruleset, watch
from meshd.capture.settings import EVERYTHING, INBOUND_PORT, DNS_PORT, OUTBOUND_PORT, REDIRECT, TPROXY, Settings, check
from meshd.cli import code
from meshd.cli.capture_view import CapturedNow, show, verdict_row
from meshd.cli.ctl_option import shows
from meshd.cli.output import Column, View
from meshd.document.address import split_address
from meshd.document.quantity import parse_duration
from meshd.errors import MeshdError

USER = "meshd"
"""Who meshd runs as (contrib/systemd/sysusers.d)."""


class Listed(click.ParamType):
    """Texts parted by commas; an empty text is none."""

    name = "list"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """Return them (click.ParamType)."""
        return value if isinstance(value, tuple) else tuple(one for one in value.replace(" ", "").split(",") if one)


class Duration(click.ParamType):
    """A duration such as 60s."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return its seconds (click.ParamType)."""
        seconds = value if isinstance(value, float) else parse_duration(value)
        if seconds is None or not watch.SHORTEST_S <= seconds <= watch.LONGEST_S:
            self.fail(f"expected a duration from 1s to 1h, got {value!r}", param, ctx)
        return seconds


def _answers(function: Callable) -> Callable:
    """What goes wrong with rules is said in a line."""
    @functools.wraps(function)
    def answered(*given: Any, **options: Any) -> Any:
        try:
            return function(*given, **options)
        except MeshdError as error:
            raise click.ClickException(str(error)) from None
    return answered


def _option(name: str, default: Any, text: str) -> Callable:
    return click.option(name, type=Listed(), default=",".join(default), metavar="LIST", help=text,
                        show_default=bool(default))


@click.group(short_help="Lead connections of this machine through meshd.")
def capture() -> None:
    """Lead connections of this machine through meshd by nftables rules, with nothing changed in programs."""


@capture.command(
    short_help="Put the rules in force.",
    epilog="\b\nexamples:\n  meshctl capture enable --confirm-within 60s   (then: meshctl capture confirm)\n"
    "  meshctl capture enable --include-inbound-ports 8080,9000-9100 --exclude-outbound-cidrs 10.9.0.0/16\n"
    "  meshctl capture enable --dry-run\n\n"
    "\b\nexit codes: 0 in force   1 could not do it, nothing is changed   64 usage")
@click.option("--mode", type=click.Choice((REDIRECT, TPROXY)), default=REDIRECT, show_default=True,
              help="how inbound connections are taken; tproxy needs a transparent listener.")
@click.option("--user", "users", type=Listed(), default="", metavar="LIST",
              help="users that are not captured (default: meshd, else who listens on the ports).")
@click.option("--group", "groups", type=Listed(), default="", metavar="LIST", help="groups that are not captured.")
@click.option("--outbound-port", type=click.IntRange(1, 65535), default=OUTBOUND_PORT, show_default=True,
              metavar="PORT", help="where what leaves is led.")
@click.option("--inbound-port", type=click.IntRange(1, 65535), default=INBOUND_PORT, show_default=True,
              metavar="PORT", help="where what comes in is led.")
@_option("--include-outbound-cidrs", EVERYTHING, "networks whose connections are captured; '' for none.")
@_option("--exclude-outbound-cidrs", (), "networks that are not.")
@_option("--include-outbound-ports", (), "ports that are captured whatever the network.")
@_option("--exclude-outbound-ports", (), "ports that are not.")
@_option("--include-inbound-ports", EVERYTHING, "ports of this machine that are captured; '' for none.")
@_option("--exclude-inbound-ports", (), "ports that are not.")
@_option("--exclude-interfaces", (), "network interfaces that are not.")
@click.option("--ipv6", type=click.Choice(("auto", "on", "off")), default="auto", show_default=True,
              help="capture IPv6; auto: where meshd listens on it.")
@click.option("--dns", "has_dns", is_flag=True, help="lead queries to the machine's DNS servers to meshd as well.")
@click.option("--dns-port", type=click.IntRange(1, 65535), default=DNS_PORT, show_default=True, metavar="PORT",
              help="where they are led.")
@_option("--dns-servers", (), "whose queries (default: those of /etc/resolv.conf).")
@click.option("--confirm-within", "confirm_s", type=Duration(), metavar="DURATION",
              help="undo it unless meshctl capture confirm comes within, say, 60s.")
@click.option("--dry-run", is_flag=True, help="show what would be done.")
@click.option("--force", is_flag=True, help="do it though nobody listens on the ports.")
@shows("table", "json", "yaml")
@_answers
def enable(view: View, dry_run: bool, force: bool, confirm_s: float | None, **options: Any) -> int:
    """Lead TCP connections that leave to meshd's outbound port and those that come in to its inbound port.

    Never captured: what meshd sends itself, loopback, connections that are open already, what is forwarded for
    containers, and the ports by which people come in by ssh. One table of our own is loaded at once; disable takes it
    away.
    """
    found = host.sockets()
    settings = _settings(found, **options)
    problems = control.problems(settings, found)
    if dry_run:
        _show_steps(view, control.enabling(settings), settings, problems)
        return code.OK
    kernel.require(needs_ip=bool(ruleset.routing(settings)))
    if problems and not force:
        raise MeshdError("\n".join((*problems, "help: start meshd with listeners there, or use --force")))
    left_s = watch.ask("left")
    if left_s is not None:
        raise MeshdError(f"capture: a change waits for its confirmation for another {left_s:.0f} s: "
                         "confirm it or disable capture first")
    _enable(settings, confirm_s)
    show(view, CapturedNow.look())
    if confirm_s is not None:
        sys.stderr.write(f"undone in {confirm_s:.0f} s unless confirmed: meshctl capture confirm\n")
    return code.OK


def _enable(settings: Settings, confirm_s: float | None) -> None:
    """With somebody who undoes it beside, from before the first change."""
    found = kernel.captured()
    before = found and found.settings
    undo = control.restoring(settings, before, kernel.listing())
    kernel.verify(ruleset.script(settings))
    if confirm_s is not None:
        watch.start(confirm_s, undo)
    try:
        control.enable(control.enabling(settings, before), undo)
    except MeshdError:
        watch.ask("cancel")
        raise


def _settings(
    found: list[host.Socket], *, users: tuple[str, ...], groups: tuple[str, ...], ipv6: str, has_dns: bool,
    dns_port: int, dns_servers: tuple[str, ...], **options: Any,
) -> Settings:
    plain = Settings(**options)
    servers = (dns_servers or host.dns_servers()) if has_dns else ()
    if has_dns and not servers:
        raise MeshdError("capture: --dns: /etc/resolv.conf names no server: expected --dns-servers")
    settings = attrs.evolve(
        plain, proxy_uids=_users(users, plain, found) if users or not groups else (),
        proxy_gids=tuple(_number(one, grp.getgrnam, "gr_gid", "group") for one in groups),
        ssh_ports=tuple(host.ssh_ports()), has_ipv6=ipv6 == "on" or (ipv6 == "auto" and control.has_ipv6(plain, found)),
        dns_port=dns_port if has_dns else 0, dns_servers=servers)
    return check(settings)


def _users(names: tuple[str, ...], plain: Settings, found: list[host.Socket]) -> tuple[int, ...]:
    if names:
        return tuple(_number(one, pwd.getpwnam, "pw_uid", "user") for one in names)
    try:
        return (pwd.getpwnam(USER).pw_uid,)
    except KeyError:
        pass
    uid = control.owner(plain, found)
    if not uid:
        raise MeshdError("capture: whose connections are meshd's own: there is no user meshd, and "
                         f"{'root' if uid == 0 else 'nobody'} listens on the ports: expected --user")
    return (uid,)


def _number(text: str, look: Callable, attribute: str, what: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    try:
        return getattr(look(text), attribute)
    except KeyError:
        raise MeshdError(f"capture: --{what}: no such {what}: {text!r:.60}") from None


def _show_steps(view: View, steps: list[kernel.Step], settings: Settings | None = None, problems: Sequence[str] = ()
                ) -> None:
    if view.form in ("json", "yaml"):
        wanted = {} if settings is None else {"settings": attrs.asdict(settings), "problems": problems}
        view.document("CapturePlan", {
            **wanted,
            "steps": [{"command": " ".join(one.words), "input": one.text, "may_fail": one.may_fail} for one in steps]})
        return
    for text in problems:
        view.write(f"# {view.sign('bad')} {text}\n")
    for one in steps:
        line = " ".join(one.words)
        view.write(f"{line} <<'EOF'\n{one.text}EOF\n" if one.text else f"{line}{' || true' if one.may_fail else ''}\n")


@capture.command(short_help="Take the rules away: the exact inverse.",
                 epilog="\b\nexamples:\n  meshctl capture disable\n  meshctl capture disable --dry-run")
@click.option("--dry-run", is_flag=True, help="show what would be done.")
@shows("table", "json", "yaml")
@_answers
def disable(view: View, dry_run: bool) -> int:
    """Take away what enable has put in force, so that the ruleset is what it was before; open connections go on."""
    kernel.require()
    before = kernel.captured()
    steps = control.disabling(before and before.settings)
    if dry_run:
        _show_steps(view, steps)
        return code.OK
    watch.ask("cancel")
    kernel.run(steps)
    show(view, CapturedNow.look())
    return code.OK


@capture.command(short_help="Keep what was enabled with --confirm-within.",
                 epilog="\b\nexamples:\n  meshctl capture confirm   (exit 1 where nothing waits for it)")
@_answers
def confirm() -> int:
    """Keep the rules that were enabled with --confirm-within."""
    kernel.require()
    if watch.ask("confirm") is None:
        raise MeshdError("capture: nothing waits for a confirmation")
    return code.OK


@capture.command(short_help="What is captured, what is not and why, and which rules of others matter.",
                 epilog="\b\nexamples:\n  meshctl capture status\n  meshctl capture status -o json\n\n"
                 "\b\nexit codes: 0 well, or not enabled   1 enabled, and connections would be cut off   64 usage")
@shows("table", "json", "yaml")
@_answers
def status(view: View) -> int:
    """Show the way of connections, what is exempt and how often each rule has held, and conflicts with other rules."""
    kernel.require()
    now = CapturedNow.look()
    show(view, now)
    return code.FAILED if now.problems else code.OK


COLUMNS = (Column("DIRECTION", "direction"), Column("CONNECTION", "connection"), Column("GOES", "goes"),
           Column("BECAUSE", "because"))


@capture.command("path", short_help="What becomes of one connection, and by which rule.",
                 epilog="\b\nexamples:\n  meshctl capture path 10.0.0.7:8080\n"
                 "  meshctl capture path 10.0.0.7:8080 --user www-data\n"
                 "  meshctl capture path 192.0.2.1:8080 --inbound")
@click.argument("address", metavar="IP:PORT")
@click.option("--user", default="0", show_default=True, metavar="USER", help="who opens it.")
@click.option("--inbound", is_flag=True, help="a peer opens it, to this machine.")
@shows("table", "json", "yaml")
@_answers
def path_of(view: View, address: str, user: str, inbound: bool) -> int:
    """Say what would become of a TCP connection under the rules in force, from this machine or with --inbound to it."""
    kernel.require()
    found = kernel.captured()
    to, port = _target(address)
    is_local = host.is_local(to)
    if found is None:
        verdict = path.Verdict("capture is not enabled")
    elif inbound:
        verdict = path.inbound(found.settings, port, version=ip_address(to).version, is_local=is_local)
    else:
        uid = _number(user, pwd.getpwnam, "pw_uid", "user")
        verdict = path.outbound(found.settings, to, port, uid=uid, gid=_group_of(uid), is_local=is_local,
                                interface=kernel.interface_to(to))
    view.items("CapturePath", [verdict_row(verdict, address, inbound)], COLUMNS)
    return code.OK


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return -1


def _target(text: str) -> tuple[str, int]:
    try:
        name, port = split_address(text)
        return str(ip_address(name)), int(port)
    except (ValueError, TypeError):
        raise click.UsageError(f"expected IP:PORT, got {text!r}") from None
