"""The soak on itself, for a minute: it passes where nothing grows, and finds each thing that it is there to find."""

import importlib.util
import sys

import pytest

from tests.integration.harness import sabotage
from tests.tree import ROOT

QUICK = ("--reload", "12", "--kill", "25", "--churn", "2", "--renew", "10", "--sample", "1", "--print", "15",
         "--load", "100")

LEAK = '''
from twisted.internet import task

kept = []

def leak(reactor):
    """Half a MiB and a descriptor each second, and a fault that nobody handles."""
    kept.append((b"\\x01" * (1 << 19), open("/dev/null")))

from meshd.service.daemon import Daemon

begin = Daemon.begin

def leaking(self):
    task.LoopingCall(leak, self.reactor).start(1.0).addErrback(print)
    self.reactor.callLater(5.0, fail)
    return begin(self)

def fail():
    from twisted.internet.defer import fail as failed
    failed(RuntimeError("nobody handles this"))

Daemon.begin = leaking
'''


@pytest.fixture(scope="module")
def soak():
    """Return the module."""
    spec = importlib.util.spec_from_file_location("soak_soak", ROOT / "contrib" / "soak" / "soak.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(300)
def test_minute_of_soak_finds_nothing(soak):
    """Reloads, dying upstreams, changing members; memory is still settling, so its slope is not judged here."""
    soak.RSS_LIMIT_MIB = 1000.0
    report = soak.soak(soak.parse(["--minutes", "1", *QUICK]), {})
    assert report["faults"] == []
    assert report["reloads"] >= 3
    assert report["kills"] >= 2
    assert report["changes"] >= 20
    assert report["renewals"] >= 3
    assert report["answered_over_tls"] > 500
    assert report["answered"] > 3000
    assert len(report["samples"]) > 30
    assert soak.conclusion(report).startswith(("passed", "undecided"))


@pytest.mark.timeout(300)
def test_growth_and_unhandled_errors_are_found(soak, tmp_path):
    soak.RSS_LIMIT_MIB = 1000.0
    report = soak.soak(soak.parse(["--minutes", "0.7", *QUICK]), sabotage.sabotaged(tmp_path, LEAK))
    assert report["verdict"] == "failed"
    assert report["resident_mib_per_hour"] > 1000
    assert report["descriptors_more"] > 10
    text = "\n".join(report["faults"])
    for found in ("resident memory: MiB +", "descriptors: ", "Unhandled error in Deferred"):
        assert found in text, text
