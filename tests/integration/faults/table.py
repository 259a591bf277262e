"""The faults that the suite injects: what a client sees, how it is told, the figure, and the test that proves it.

``LIMITS`` are the figures that the tests assert. docs/failures.md has both tables as this module prints them:
``python -m tests.integration.faults.table`` writes them anew; tests/test_failures_page.py compares.
"""

from pathlib import Path
from typing import NamedTuple

from tests.integration.faults import phases

PAGE = Path(__file__).resolve().parents[3] / "docs" / "failures.md"
LIMITS = {
    "kill_posts": 40, "dark_s": 5.0, "failures": 5, "link_s": 0.1, "link_loss": 0.05, "added_p99_s": 0.005,
    "stopped_s": 15.0, "pending": 1024, "slow_p99": 1.2, "refusal_s": 0.010, "extra": 0.2, "return_s": 10.0,
    "client_bytes": 200 * 1024, "heads": 5000, "heads_p99": 2.0, "head_s": 10.0, "rack_s": 3.0,
}
"""``kill_posts``: POSTs of two tenths of a second, more than are in flight at the moment of a kill."""


class Fault(NamedTuple):
    """One row. ``flags`` and ``metrics`` are codes and names, comma-separated; ``tests`` are (file, test)."""

    number: str
    fault: str
    seen: str
    flags: str
    metrics: str
    recovers: str
    figure: str
    tests: tuple


LOST, SLOW, NETWORK, CLIENTS, CLOCK, RACK = (
    f"faults/test_{name}.py" for name in ("lost_upstream", "slow_upstream", "network", "clients", "clock", "rack"))
EJECTED = "envoy_cluster_outlier_detection_ejections_enforced_total"
FAILED = "envoy_cluster_upstream_cx_connect_fail"
RETRIED = "envoy_cluster_upstream_rq_retry"
STALE = "meshd_discovery_stale"

FAULTS = (
    Fault("1", "kill -9 of one of three upstreams", "GETs: nothing; POSTs that were on their way: 503 or a cut",
          "UC", f"{RETRIED}, {EJECTED}", "at once: asked again elsewhere",
          f"0 GETs lost, ejected within {LIMITS['failures']} failures",
          ((LOST, "test_kill_of_one_of_three_loses_no_get"),)),
    Fault("2", "kill -9 in the middle of answers", "a cut, never an answer that looks whole", "UC", "",
          "the next request", "0 false completes",
          ((LOST, "test_upstream_killed_in_its_answers_never_makes_a_whole_looking_one"),
           (LOST, "test_upstream_killed_under_large_answers_gives_no_wrong_one"))),
    Fault("3", "upstream refuses connections", "nothing", "", f"{FAILED}, {EJECTED}",
          f"ejected after {LIMITS['failures']} failures", f"0 lost, p99 +{LIMITS['added_p99_s'] * 1e3:g} ms at most",
          ((LOST, "test_refusing_upstream_costs_nothing_and_is_ejected_after_five_failures"),)),
    Fault("4", "network to an upstream goes dark", "nothing, later: the connect or per-try timeout passes first", "",
          f"{FAILED}, envoy_cluster_upstream_rq_per_try_timeout",
          f"{LIMITS['dark_s']:g} s (`connect_timeout`), then ejected", "0 lost",
          ((NETWORK, "test_connects_into_the_dark_go_elsewhere_after_the_connect_timeout_and_then_not_there_any_more"),
           (NETWORK, "test_established_connections_into_the_dark_end_at_the_per_try_timeout_and_go_elsewhere"))),
    Fault("5", "SIGSTOP of an upstream", "504 after the route's timeout for what it has", "UT",
          "envoy_cluster_upstream_rq_timeout", f"{LIMITS['stopped_s']:g} s (`timeout`), then ejected",
          f"at most {LIMITS['pending']:,} in flight",
          ((SLOW, "test_stopped_upstream_costs_504_after_the_routes_timeout_and_then_nothing"),)),
    Fault("6", "upstream of a byte a second", "nothing for others; cut when it falls silent", "SI", "", "no need to",
          f"p99 of others at most {LIMITS['slow_p99']:g} times",
          ((SLOW, "test_upstream_of_a_byte_a_second_slows_nobody_else_down"),
           (SLOW, "test_idle_timeout_counts_gaps_and_not_the_whole"))),
    Fault("7", "upstream sends garbage", "502, or a cut (see below)", "UPE", "", "the next request",
          "connection never used again", (("faults/test_phases.py", "test_answer_that_fails_in_this_phase"),
                                          ("test_hostile_upstream.py", "test_conversation"))),
    Fault("8", "all upstreams away", "503", "UH, UF", f"{RETRIED}, envoy_cluster_upstream_rq_retry_overflow",
          "see 9", f"p99 under {LIMITS['refusal_s'] * 1e3:g} ms; at most {LIMITS['extra']:.0%} more attempts",
          ((LOST, "test_without_any_upstream_answers_are_503_at_once_and_nobody_is_asked"),
           (LOST, "test_unchecked_upstreams_that_are_all_away_make_no_retry_storm"))),
    Fault("9", "upstreams return", "nothing", "", "", "within a health check interval, then growing with `slow_start`",
          f"under {LIMITS['return_s']:g} s",
          ((LOST, "test_upstreams_that_return_have_traffic_within_a_health_interval_and_more_with_time"),)),
    Fault("10", f"link of {LIMITS['link_s'] * 1e3:g} ms that loses {LIMITS['link_loss']:.0%} of packets",
          "later answers", "", "", "no need to", "0 lost",
          ((NETWORK, "test_slow_and_lossy_link_makes_answers_late_and_loses_none"),)),
    Fault("11", "clients stop reading 8 MiB", "nothing for others", "DC", "", "when they read on, or at `send`",
          f"under {LIMITS['client_bytes'] >> 10} KiB a client",
          ((CLIENTS, "test_clients_that_stop_reading_hold_little_memory_and_nobody_up"),)),
    Fault("12", f"{LIMITS['heads']:,} clients send their heads slowly", "408 for them, nothing for others", "DPE", "",
          f"{LIMITS['head_s']:g} s (`timeouts.headers`)", f"p99 of others at most {LIMITS['heads_p99']:g} times",
          ((CLIENTS, "test_thousands_of_slow_heads_are_cut_in_time_and_hold_nobody_up"),)),
    Fault("13", "DNS: SERVFAIL, no answer, an empty one", "nothing: the last good addresses serve", "", STALE,
          "with the next good answer", "0 lost",
          (("test_discovery_dns.py", "test_fault_13_the_last_good_addresses_serve_on"),)),
    Fault("14", "DNS flaps every second", "nothing", "", "", "no need to", "0 lost, at most one change a second",
          (("test_discovery_dns.py", "test_fault_14_flapping_every_second_is_stable"),)),
    Fault("15", "wall clock jumps by an hour, a day, and back", "nothing", "", "", "timers go by the monotonic clock",
          "0 lost", ((CLOCK, "test_jump_of_the_wall_clock_loses_nothing"),
                     (CLOCK, "test_timeouts_are_as_long_as_ever"))),
    Fault("30", "registry restarts, sends half a list or none", "nothing: what is missing goes after a grace", "", "",
          "with the next good answer", "0 lost",
          (("test_discovery_sources.py", "test_nothing_is_lost_while_it_restarts_and_sends_half_a_list"),)),
    Fault("rack", "kill -9 of one locality of two, 500 requests/s, no retries", "503 for moments, then the other one",
          "UF", EJECTED, "returns by the formula, with warm-up",
          f"errors for at most {LIMITS['rack_s']:g} s",
          ((RACK, "test_killed_rack_costs_moments_and_comes_back_with_warm_up"),
           (RACK, "test_partly_failed_rack_keeps_its_share_by_the_formula"),
           (RACK, "test_failover_that_can_never_happen_is_told_by_the_analyzer"))),
    Fault("churn", "members come and go all day", "nothing", "", "", "no need to", "memory and descriptors flat",
          (("../upstream/test_churn.py", "test_a_day_of_it_leaves_memory_and_objects_flat"),
           ("test_soak.py", "test_minute_of_soak_finds_nothing"))),
)


def rows():
    """Return the lines of the table of faults."""
    lines = ["| # | fault | a client sees | flag | metrics | recovers | figure |", "| --- " * 7 + "|"]
    for one in FAULTS:
        cells = (one.number, one.fault, one.seen, quoted(one.flags), quoted(one.metrics), one.recovers, one.figure)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def quoted(words):
    """Return comma-separated words as code."""
    return ", ".join(f"`{word.strip()}`" for word in words.split(",") if word.strip())


def proofs():
    """Return the lines that say which test proves what."""
    return [f"* {one.number}: " + ", ".join(f"`{path(file)}` `{name}`" for file, name in one.tests) for one in FAULTS]


def path(file):
    """Return the path of a test's file in the checkout."""
    return f"tests/{file[3:]}" if file.startswith("../") else f"tests/integration/{file}"


SECTIONS = {"faults": rows, "phases": phases.rows, "proofs": proofs}


def written(text):
    """Return the page with each section between its marks written anew."""
    for name, lines in SECTIONS.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, mark, after = rest.partition(end)
        assert mark, f"expected {begin.strip()} and {end.strip()} in the page"
        text = before + begin + "\n".join(lines()) + "\n" + end + after
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
