"""A program for ``test_crowd``: real processes that hammer one arena at once, and are killed in the midst of it.

``python -m tests.host.crowd race|kill|tokens``; it prints what it saw as JSON. ``MESHD_PURE=1`` makes it run the pure
twins.
"""

import fcntl
import json
import os
import random
import signal
import struct
import sys
import termios
import time

from meshd.host.arena import Arena
from meshd.wire.cell import buckets, ledger, open_arena

WORKERS = 4
LIMIT = 5
KILLS = 100
KEYS = (None, "client")


def start(supervisor, work, *args):
    """Fork a worker that runs ``work(arena, *args)``; return (pid, slot, the pipe that its result comes from)."""
    slot = supervisor.reserve()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, slot, reader
    code = 1
    try:
        found = work(open_arena(supervisor.fd, slot), *args)
        os.write(writer, json.dumps(found).encode())
        code = 0
    finally:
        os._exit(code)


def end(supervisor, worker):
    """Wait for a worker, bury it, return its result; raises where it failed."""
    pid, slot, reader = worker
    with open(reader, "rb") as pipe:
        text = pipe.read()
    status = os.waitpid(pid, 0)[1]
    supervisor.bury(slot)
    if status:
        raise RuntimeError(f"a worker failed: {status}")
    return json.loads(text)


def race(seconds=3.0):
    """Workers take and give as fast as they can. The kernel is the witness: a pipe holds a byte for each free place."""
    supervisor = Arena.create(1 << 27)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.write(writer, bytes(LIMIT))
    until = time.monotonic() + seconds
    workers = [start(supervisor, take_and_give, reader, writer, until, seed) for seed in range(WORKERS)]
    seen = [end(supervisor, worker) for worker in workers]
    counts = ledger(open_arena(supervisor.fd, supervisor.reserve()), "race", 2)
    return {
        "taken": [one["taken"] for one in seen], "refused": sum(one["refused"] for one in seen),
        "beyond": sum(one["beyond"] for one in seen), "full": sum(one["full"] for one in seen),
        "left": [one["left"] for one in seen], "used": counts.used(1), "cells": supervisor.used(),
    }


def take_and_give(arena, reader, writer, until, seed):
    """Hold between none and all of the places; the byte is taken after the place and put back before it."""
    counts = ledger(arena, "race", 2)
    chance = random.Random(seed)
    seen = {"taken": 0, "refused": 0, "beyond": 0, "full": 0}
    held = 0
    while time.monotonic() < until:
        if held and chance.random() < 0.5:
            os.write(writer, b"x")
            counts.give(1)
            held -= 1
        elif counts.take(1, LIMIT):
            held += 1
            seen["taken"] += 1
            seen["beyond"] += not byte_of(reader)
            seen["full"] += waiting(reader) == 0
        else:
            seen["refused"] += 1
    for _ in range(held):
        os.write(writer, b"x")
        counts.give(1)
    seen["left"] = arena.words[counts_at(arena)]
    counts.close()
    return seen


def counts_at(arena):
    """Return where this worker's count of index 1 is among the words of the arena."""
    cell = arena.claim(("ledger", "race"), locks=2, rows=2)
    cell.release()
    return cell.rows // 4 + 64 + arena.slot


def byte_of(reader):
    """Take a byte out of the pipe; say whether there was one."""
    try:
        return bool(os.read(reader, 1))
    except BlockingIOError:
        return False


def waiting(reader):
    """Return the bytes in the pipe."""
    return struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))[0]


def kill():
    """Kill hammering workers, one after the other; look after each burial, and closely where all are dead."""
    supervisor = Arena.create(1 << 27)
    chance = random.Random(7)
    judge = open_arena(supervisor.fd, supervisor.reserve())
    counts, table = ledger(judge, "kill", 2), buckets(judge, "kill", 40)
    workers, faults = [], []
    for number in range(KILLS):
        while len(workers) < WORKERS - 1:
            workers.append(start(supervisor, hammer, number))
        time.sleep(chance.random() * 0.02)
        bury(supervisor, workers.pop(chance.randrange(len(workers))))
        faults += look(counts, table)
        if number % 10 == 9:
            while workers:
                bury(supervisor, workers.pop())
            faults += look_closely(counts, table)
            faults += [f"{judge.used()} cells"] if judge.used() != 2 else []
    counts.close()
    table.close()
    return {"kills": KILLS, "faults": faults, "cells": supervisor.used(), "reserved": supervisor.reserved(os.getpid())}


def bury(supervisor, worker):
    """Kill a worker, which must have been alive, and bury it."""
    pid, slot, reader = worker
    os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    os.close(reader)
    if os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"a worker ended by itself: {status}")
    supervisor.bury(slot)


def hammer(arena, seed):
    """Take, give, claim and release for ever."""
    chance = random.Random(seed)
    counts, table = ledger(arena, "kill", 2), buckets(arena, "kill", 40)
    while True:
        for _ in range(200):
            counts.take(chance.randrange(2), LIMIT)
            table.find(chance.randrange(100), 50.0, 10, time.monotonic()).take(time.monotonic())
            counts.give(chance.randrange(2))
        ledger(arena, ("small", chance.randrange(30)), 3).close()
        buckets(arena, ("large", chance.randrange(5)), 2000).close()


def look(counts, table):
    """Yield what is wrong while workers are at it."""
    used = [counts.used(index) for index in range(2)]
    if not all(0 <= one <= LIMIT for one in used):
        yield f"used {used}"
    if len(table) > 48:
        yield f"{len(table)} buckets"
    levels = [table.find(key, 50.0, 10, time.monotonic()).available(time.monotonic()) for key in range(100)]
    if not all(0 <= level <= 10 for level in levels):
        yield f"levels {levels}"


def look_closely(counts, table):
    """Yield what is wrong where everybody is dead."""
    used = [counts.used(index) for index in range(2)]
    if used != [0, 0]:
        yield f"the dead hold {used}"
    for index in range(2):
        taken = sum(counts.take(index, LIMIT) for _ in range(LIMIT + 3))
        if taken != LIMIT:
            yield f"a limit of {LIMIT} admits {taken}"
        for _ in range(taken):
            counts.give(index)
    now = time.monotonic()
    for key in range(1000, 1040):  # fills every set, under every lock
        taken = sum(table.find(key, 50.0, 10, now).take(now) for _ in range(12))
        if taken != 10:
            yield f"a new bucket of 10 admits {taken}"
    yield from look(counts, table)


def tokens(seconds=3.0, rate_per_s=1000.0, burst=2000):
    """The first worker empties two buckets at one moment; then all ask until another, and as of that for the rest."""
    supervisor = Arena.create(1 << 27)
    table = buckets(open_arena(supervisor.fd, supervisor.reserve()), "tokens", 100)
    first = time.monotonic()
    at_first = [sum(table.find(key, rate_per_s, burst, first).take(first) for _ in range(burst + 10)) for key in KEYS]
    workers = [start(supervisor, drink, first + seconds, rate_per_s, burst) for _ in range(WORKERS)]
    later = [end(supervisor, worker) for worker in workers]
    return {"admitted": [at_first, *later], "seconds": seconds, "rate_per_s": rate_per_s, "burst": burst}


def drink(arena, until, rate_per_s, burst):
    """Take what there is; at the end, as of ``until``, also the rest."""
    table = buckets(arena, "tokens", 100)
    admitted = [0] * len(KEYS)
    while (now := time.monotonic()) < until:
        for index, key in enumerate(KEYS):
            admitted[index] += table.find(key, rate_per_s, burst, now).take(now)
    for index, key in enumerate(KEYS):
        while table.find(key, rate_per_s, burst, until).take(until):
            admitted[index] += 1
    return admitted


if __name__ == "__main__":
    print(json.dumps({"race": race, "kill": kill, "tokens": tokens}[sys.argv[1]]()))
