"""What may stand beside a plugin's TYPE, in one table: for the decoder, the schema, the printer, the reference."""

import attrs

from meshd.document.option import Boolean, Choice, Duration, Integer, Nested, Number, Size, Spec, Text, config, option

NONE, PROCESS = "none", "process"
MIB = 1024 * 1024


@config
class Isolation:
    """Where the code of an HTTP filter runs, and the bounds of its child process; a plain word is the mode."""

    mode: str = option(Choice((NONE, PROCESS)), default=PROCESS, doc="`process`: in a child process of its own")
    timeout_s: float = option(
        Duration(minimum=0.01, maximum=600.0), default=1.0, doc="longest wait for an answer of the child"
    )
    memory_bytes: int = option(
        Size(minimum=64 * MIB), default=512 * MIB, doc="resident memory at which the child is replaced"
    )
    max_pending: int = option(
        Integer(minimum=1, maximum=100_000), default=1000, doc="calls that may wait; more get the on_error answer"
    )


@attrs.frozen
class Beside:
    """One key: what it may be, its default in decoded form, and a line of documentation."""

    spec: Spec
    default: object
    doc: str


BESIDE = {
    "name": Beside(Text(minimum=1, maximum=200), None, "the instance's name (the type's when absent)"),
    "on_error": Beside(Choice(("fail-closed", "fail-open")), "fail-closed", "what a fault of it means for a request"),
    "disabled": Beside(Boolean(), False, "leave it out"),
    "isolation": Beside(Nested(Isolation, word="mode"), None, "run an HTTP filter in a child process"),
    "percent": Beside(Number(minimum=0, maximum=100), 100.0, "share of the requests that an HTTP filter takes part in"),
    "canary_of": Beside(
        Text(minimum=1, maximum=200), "", "the filter of the same chain that this one stands for, on its share"
    ),
}
"""Key (and attribute of ``meshd.model.plugin.Plugin``) -> what it is."""

LATER = ("isolation", "percent", "canary_of")
"""Keys that are written only where they differ from the default, and only on a filter of a listener's chain."""
