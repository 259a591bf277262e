"""What the process itself reports: the ``process_*`` and ``python_gc_*`` metrics, read from /proc at each scrape.

Called once by the daemon. Names and meanings are prometheus_client's, so that dashboards fit.
"""

import gc
import os
import platform
import resource
import time

from meshd.telemetry.metrics import Metrics

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_GC = (
    ("python_gc_objects_collected_total", "collected", "Objects collected by the garbage collector"),
    ("python_gc_objects_uncollectable_total", "uncollectable", "Objects found that cannot be collected"),
    ("python_gc_collections_total", "collections", "Times that this generation was collected"),
)


def cpu_seconds() -> float:
    """Return user and system CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _pages(column: int) -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[column]) * _PAGE_BYTES


def resident_bytes() -> int:
    """Return the resident memory in bytes."""
    return _pages(1)


def virtual_bytes() -> int:
    """Return the address space in bytes."""
    return _pages(0)


def open_fds() -> int:
    """Return how many descriptors are open. Linux 6.2 tells it at once; before, they are listed."""
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))


def max_fds() -> int:
    """Return the soft limit of descriptors."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def start_time_seconds() -> float:
    """Return when the process began, in seconds of the epoch (proc(5): stat field 22 after the boot time).

    The boot time is worked out from the clocks: ``/proc/stat`` is hidden where a unit has ``ProcSubset=pid``.
    """
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    boot = time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot + ticks / _TICKS


_NUMBERS = (
    ("counter", "process_cpu_seconds_total", "CPU seconds, user and system", cpu_seconds),
    ("gauge", "process_resident_memory_bytes", "Resident memory in bytes", resident_bytes),
    ("gauge", "process_virtual_memory_bytes", "Address space in bytes", virtual_bytes),
    ("gauge", "process_open_fds", "Open file descriptors", open_fds),
    ("gauge", "process_max_fds", "Limit of open file descriptors", max_fds),
)


def install(metrics: Metrics, version: str) -> None:
    """Add the process's metrics and the build's: ``version`` is meshd's."""
    for kind, name, doc, function in _NUMBERS:
        getattr(metrics, kind)(name, doc).function(function)
    began = metrics.gauge("process_start_time_seconds", "When the process began, epoch seconds", scope="host")
    began.cell().set(start_time_seconds())
    for name, key, doc in _GC:
        family = metrics.counter(name, doc, ("generation",))
        for generation in range(len(gc.get_stats())):
            family.function(lambda key=key, generation=generation: gc.get_stats()[generation][key], str(generation))
    istio = metrics.gauge("istio_build", "Component and version, as Istio's", ("component", "tag"), "host")
    istio.cell("proxy", version).set(1)
    build = metrics.gauge("meshd_build_info", "Version of meshd and of what runs it", ("version", "python"), "host")
    build.cell(version, platform.python_version()).set(1)
