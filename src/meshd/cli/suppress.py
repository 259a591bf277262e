"""``--suppress CODE=KIND NS/NAME``: which findings ``meshctl analyze`` leaves out. istioctl's form is read as well."""

from fnmatch import fnmatchcase

import attrs

from meshd.document.fault import Fault

FORM = "CODE=KIND NAMESPACE/NAME"


@attrs.frozen
class Suppression:
    """A code and the subject of a finding; ``*`` stands for any text in both."""

    code: str
    subject: str

    @classmethod
    def read(cls, text: str) -> "Suppression":
        """Return what ``IST0101=VirtualService shop/web`` means. Raises ValueError.

        istioctl writes ``VirtualService web.shop``: the namespace is what stands behind the last dot then.
        """
        code, _, rest = text.partition("=")
        kind, _, name = rest.strip().partition(" ")
        name = name.strip()
        if not code.strip() or not kind or not name:
            raise ValueError(f"{text!r}: expected {FORM}")
        if "/" not in name:
            before, _, namespace = name.rpartition(".")
            if not before and name != "*":
                raise ValueError(f"{text!r}: no namespace, expected {FORM}")
            name = f"{namespace}/{before}" if before else "*"
        return cls(code.strip(), f"{kind} {name}")

    def covers(self, fault: Fault) -> bool:
        """Say whether the finding is to be left out."""
        return fnmatchcase(fault.code, self.code) and fnmatchcase(fault.subject, self.subject)
