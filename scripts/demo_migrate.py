#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make demo-migrate: two hosts in QEMU; a guest that serves TCP clients and writes a sequence to a network disk moves back and forth while it
does. Prints what a client saw of each move and what it cost; a plot of the pages that were dirty after each round is in
build/demo-migrate.png. MOVES=4 how often, LOAD=".." the words of moveload. Exit code 0: nothing was lost."""
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))
sys.path.insert(0, os.path.join(ROOT, "scripts"))
from machine import Trouble  # noqa: E402
from plot import plot  # noqa: E402
from two_hosts import GUEST, TwoHosts  # noqa: E402

MOVES = int(os.environ.get("MOVES", "4"))
CLIENTS = int(os.environ.get("CLIENTS", "10"))
LOAD = os.environ.get("LOAD", "6000 disk /dev/xvda dirty 2")
MEMORY = int(os.environ.get("GUEST_MB", "128"))


def say(text):
    print(text, flush=True)


def one_move(t, host, n, series):
    mark, start = t.probe.mark(), time.time()
    code, text, events = t.move(host)
    took = time.time() - start
    time.sleep(1.5)                      # what came late belongs to this move
    if code:
        raise Trouble("the move failed: " + text)
    silence, end = t.probe.silence(mark), events[-1]
    rounds = [e for e in events if e["event"] == "round"]
    series["%d: %d > %d" % (n, host.number, t.other(host).number)] = [e["dirty"] for e in rounds]
    for e in rounds:
        say("    round %d: %6d pages, %5d dirty after it, %5.1f MB/s" % (e["round"], e["round_sent"], e["dirty"], e["rate"] / 1e6))
    say("move %d, host %d to host %d: client saw %3.0f ms of silence; %d rounds, %.1f MB, %.1f s in all (%.1f s with starting xm)"
        % (n, host.number, t.other(host).number, silence, end["rounds"], end["bytes"] / 1e6, end["total_ms"] / 1000, took))
    return silence, end


def check(t, before):
    status = t.probe.ask()
    drift, mono = (now - then for now, then in zip(t.probe.clock(), before["clock"]))
    bad = [k for k in ("disk_errors", "dirty_errors", "record_errors") if status[k]]
    say("guest: %d blocks on the disk, %d records served, errors: %s; clock %+.0f ms, monotonic %+.0f ms against the world"
        % (status["disk"], status["records"], ", ".join(bad) or "none", drift, mono))
    return not bad and status["disk"] > before["disk"]


def main():
    series, silences, ends = {}, [], []
    say("two hosts start; a guest of %d MB serves %d TCP clients and writes to a disk" % (MEMORY, CLIENTS))
    try:
        with TwoHosts("demo-migrate") as t:
            t.connect_disk()
            before = t.create(t.one, memory=MEMORY, load=LOAD)
            say("the guest is up on host 1")
            seconds = MOVES * 40
            t.one.must("rm -f /tmp/clients; moveload clients %s 6000 %d %d > /tmp/clients 2>&1 &" % (GUEST, CLIENTS, seconds))
            start, host = time.time(), t.one
            for n in range(1, MOVES + 1):
                silence, end = one_move(t, host, n, series)
                silences.append(silence)
                ends.append(end)
                host = t.other(host)
                if n == 1:               # its first resume makes good what its clock lost while it booted
                    before["clock"] = t.probe.clock()
            good = check(t, before)
            left = seconds - (time.time() - start)
            t.one.run("killall -INT moveload" if left > 0 else "true")
            _, said = t.one.run("sleep 1; tail -n 1 /tmp/clients")
            say(said)
            good = good and " 0 wrong, 0 of" in said
    except Trouble as e:
        say("demo-migrate: %s" % e)
        return 1
    plot(os.path.join(ROOT, "build/demo-migrate.png"), "dirty pages after each round", "round", series)
    say("pause: median %.0f ms, worst %.0f ms; total: median %.1f s; plot: build/demo-migrate.png" %
        (statistics.median(silences), max(silences), statistics.median(e["total_ms"] for e in ends) / 1000))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
