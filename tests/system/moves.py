#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Guests that move between two hosts in QEMU (two_hosts.py).

    moves.py [-v] [--moves N] [ROW...]       default: short; all: all of them

Each row prints its checks; the last line is "N passed, N failed". Pauses are what a client sees: the longest silence of an echo that is
asked every 5 ms.
"""
import argparse
import dataclasses
import os
import re
import statistics
import subprocess
import sys
import time

from machine import Trouble
from moves_broken import do_faults, do_limits
from two_hosts import GUEST, TwoHosts


@dataclasses.dataclass
class Row:
    name: str
    load: str = "6000"
    how: str = "moves"
    moves: int = 20
    memory: int = 128               # the guest's
    host: int = 1024                # each host's
    dom0: str = "384M"
    options: tuple = ("--live",)    # one after the other, again and again
    clients: int = 0
    vcpus: int = 1
    extra: str = ""                 # of domain 0's image
    pause_ms: int = 0               # the aim of the silence in the median; 0: none


ROWS = [
    Row("short", load="6000 disk /dev/xvda pages", moves=3, options=("", "--live --debug", "--live"), clients=5),
    Row("idle", memory=512, host=1280, pause_ms=60),
    Row("serve", memory=512, host=1280, clients=50, pause_ms=210),
    Row("disk", load="6000 disk /dev/xvda", memory=512, host=1280),
    Row("files", load="6000 files /roles/files", memory=512, host=1280),
    Row("dirty", load="6000 dirty 64", memory=512, host=1280),
    Row("pages", load="6000 pages", options=("--live --debug",), moves=100, vcpus=2),
    Row("pingpong", moves=500),
    Row("tls", how="tls", moves=2),
    Row("ssh", how="ssh", moves=2, extra="-ssh"),
    Row("stock", how="stock", load="6000 disk /dev/xvda", moves=4, host=1280, dom0="512M", extra="-stock"),
    Row("faults", load="6000 disk /dev/xvda", how="faults"),
    Row("limits", how="limits"),
]
LIFE = 25       # moves of one guest: Debian's network front end loses 1 MB of the guest's memory at each
ERRORS = ("disk_errors", "dirty_errors", "record_errors")


class Report:
    def __init__(self, verbose):
        self.passed = self.failed = 0
        self.verbose = verbose

    def check(self, name, good, why=""):
        self.passed, self.failed = self.passed + bool(good), self.failed + (not good)
        if self.verbose or not good:
            print("%s %s%s" % ("ok" if good else "not ok", name, "" if good else ": %s" % (why,)), flush=True)

    def note(self, text):
        print("    " + text, flush=True)


def figures(r, silences, ends):
    total = [e["total_ms"] / 1000 for e in ends]
    r.note("silence: median %.0f ms, worst %.0f ms; total: median %.2f s, worst %.2f s; %.1f MB, %d rounds in the median" %
           (statistics.median(silences), max(silences), statistics.median(total), max(total), statistics.median(e["bytes"] for e in ends) / 1e6,
            statistics.median(e["rounds"] for e in ends)))
    r.note("rounds of the last, pages sent and then left: " + ", ".join("%d %d" % (e["sent"], e["dirty"]) for e in ends[-1].get("each", ())))
    r.note("of the pause: suspend %.0f ms, from the request to 'running' %.0f ms in the median" %
           (statistics.median(e["suspend_ms"] for e in ends), statistics.median(e["pause_ms"] for e in ends)))


def account(host):
    """What must not grow: free memory of the hypervisor, nodes of the store, the daemons' descriptors."""
    text = host.must("echo mem $(xm info | sed -n 's/^free_memory *: //p') nodes $(xenstore-ls / | wc -l) fds $(for p in $(pidof xenstored xenconsoled "
                     "zendod); do ls /proc/$p/fd; done | wc -l) journals $(ls /var/lib/zendo/migrate | wc -l)")
    return {k: int(v) for k, v in re.findall(r"(\w+) (\d+)", text)}


def check_before(t, r):
    """What is missing on the other host is named before anything moves."""
    code, text = t.one.run("xm migrate --check -s 'moveload to 8003' demo 10.0.3.12")
    r.check("check", code == 0 and "demo can move to host2" in text and " NO" not in text, text)
    t.two.must("ip link set xenbr0 down; ip link set xenbr0 name xenbr9")
    code, text = t.one.run("xm migrate -s 'moveload to 8003' demo 10.0.3.12")
    r.check("check-bridge", code == 1 and "it runs on here" not in text and "host2 cannot take it: network 0" in text and "xenbr0" in text, text)
    t.two.must("ip link set xenbr9 name xenbr0; ip link set xenbr0 up; ip addr add 10.0.2.12/24 dev xenbr0 2>/dev/null; true")
    code, text = t.one.run("xm migrate -s 'exec false #' demo 10.0.3.12")
    r.check("no-way", code == 1 and "the connection is lost" in text, text)


def fresh(row, t, r, host):
    """The guest has moved often enough: it is well, and another one takes its place."""
    after = t.probe.ask()
    r.check("well", not any(after[key] for key in ERRORS), after)
    host.must("xm destroy demo")
    before = t.create(host, memory=row.memory, load=row.load, vcpus=row.vcpus)
    time.sleep(2)
    return before


def do_moves(row, t, r):
    if "files" in row.load:
        t.disk.format()
    t.connect_disk()
    empty = account(t.two)
    before = t.create(t.one, memory=row.memory, load=row.load, vcpus=row.vcpus)
    if row.clients:
        t.one.must("moveload clients %s 6000 %d 100000 > /tmp/clients 2>&1 &" % (GUEST, row.clients))
    host, silences, ends, life = t.one, [], [], []
    if row.name == "short":
        check_before(t, r)
    time.sleep(2)
    for n in range(row.moves):
        options = row.options[n % len(row.options)]
        if len(life) == LIFE:
            before, life = fresh(row, t, r, host), []
        mark = t.probe.mark()
        code, text, events = t.move(host, options=options)
        r.check("move-%d%s" % (n + 1, options.replace(" --", "-").replace("--", "-")), code == 0 and events and events[-1]["place"] == "there", text[-400:])
        if code:
            return
        time.sleep(1)
        ends.append(dict(events[-1], each=[e for e in events if e.get("event") == "round"]))
        life.append(events[-1])
        silences.append(t.probe.silence(mark))
        host = t.other(host)
        if len(life) == 1:
            # From here on: while it boots a kernel in an emulator loses some ticks, which its first resume makes good.
            before["clock"] = t.probe.clock()
        if n == 0 or (n + 1) % 20 == 0:
            # The first move warms the caches; an account after it must be that at the end.
            r.note("after %d: %s" % (n + 1, t.probe.ask()))
    finish(row, t, r, host, before, empty, silences, ends, life)


def finish(row, t, r, host, before, empty, silences, ends, life):
    after = t.probe.ask()
    figures(r, silences, ends)
    for key in ERRORS:
        r.check(key, after[key] == 0, after)
    if "disk" in row.load or "files" in row.load:
        r.check("disk-goes-on", after["disk"] > before["disk"], after)
    drift, mono = (now - then for now, then in zip(t.probe.clock(), before["clock"]))
    r.note("clock against the world's: %+.0f ms, monotonic %+.0f ms" % (drift, mono))
    # The monotonic clock stands still while the guest does; the answer to "how late is it" itself takes a few milliseconds.
    r.check("clock", abs(drift) < 50, "%.0f ms" % drift)
    r.check("monotonic", -sum(e["pause_ms"] for e in life[1:]) - 50 < mono < 50, "%.0f ms" % mono)
    if row.pause_ms:
        r.note("aim of the silence: %d ms in the median" % row.pause_ms)
    if row.clients:
        t.one.run("killall -INT moveload")
        _, said = t.one.run("sleep 1; tail -n 1 /tmp/clients")
        r.note(said)
        r.check("connections", " 0 wrong, 0 of" in said, said)
    r.check("one-copy", t.one.must("xm list").count("demo") + t.two.must("xm list").count("demo") == 1)
    away = t.other(host)
    left = account(away)
    if away is t.two and "mem" in empty:
        r.check("nothing-left", left["journals"] == 0 and left["mem"] >= empty["mem"] - 2 and left["nodes"] <= empty["nodes"] + 2 and
                left["fds"] <= empty["fds"] + 1, "%s and not %s" % (left, empty))
    else:
        r.check("nothing-left", left["journals"] == 0, left)
    r.check("destroy", host.run("xm destroy demo")[0] == 0)
    if "files" in row.load:
        r.note("%d rounds of files" % after["disk"])
        why = t.disk.faults()
        r.check("file-system", not why, why[-600:])


def go_back(row, t, r, way):
    """There and back by one transport, without anything else to look at."""
    host = t.one
    for n in range(row.moves):
        mark = t.probe.mark()
        code, text, events = t.move(host, way=way)
        r.check("%s-move-%d" % (row.name, n + 1), code == 0, text[-500:])
        if code:
            return
        time.sleep(1)
        r.note("%.1f s, %.1f MB, silence %.0f ms" % (events[-1]["total_ms"] / 1000, events[-1]["bytes"] / 1e6, t.probe.silence(mark)))
        host = t.other(host)
        t.probe.ask(30)


def certificates(t):
    """An authority and two hosts, each called by its address and known by its name."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=t.folder)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout")
    openssl("req", "-x509", *key, "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=ca", "-set_serial", "1")
    for h in (t.one, t.two):
        name = "host%d" % h.number
        with open(t.folder + "/ext", "w") as f:
            f.write("subjectAltName=DNS:%s,IP:10.0.3.1%d\n" % (name, h.number))
        openssl("req", *key, name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".pem", "-days", "3650",
                "-extfile", "ext")
        h.must("mkdir -p /etc/zendo/tls")
        for part, file in (("host.pem", name + ".pem"), ("host.key", name + ".key"), ("ca.pem", "ca.pem")):
            with open(os.path.join(t.folder, file), "rb") as f:
                t.put(h, "/etc/zendo/tls/" + part, f.read())


def do_tls(row, t, r):
    """By the relocation daemon: not before it is configured, not for a host that is not on the list, then there and back."""
    certificates(t)
    t.create(t.one, memory=row.memory, load=row.load, disk=False)
    code, text, _ = t.move(t.one, way="--tls")
    r.check("not-configured", code == 1 and "relocation.conf" in text, text[-300:])
    conf = "certificate /etc/zendo/tls/host.pem\\nkey /etc/zendo/tls/host.key\\nauthority /etc/zendo/tls/ca.pem\\nallow %s\\n"
    for h in (t.one, t.two):
        h.must("chmod 600 /etc/zendo/tls/host.key; printf '%s' > /etc/zendo/relocation.conf; relocd" % (conf % "nobody"))
    code, text, _ = t.move(t.one, way="--tls")
    _, log = t.two.run("cat /var/log/zendo/relocd.log")
    r.check("not-allowed", code == 1 and "may not send guests here" in log, text[-300:] + log[-300:])
    for h in (t.one, t.two):
        h.must("killall relocd; printf '%s' > /etc/zendo/relocation.conf; sleep 1; relocd" % (conf % ("host%d" % t.other(h).number)))
    go_back(row, t, r, "--tls")


def do_ssh(row, t, r):
    """By ssh, without any configuration of ours: not before the hosts know each other, then there and back."""
    t.create(t.one, memory=row.memory, load=row.load, disk=False)
    make = "ssh-keygen -q -t ed25519 -N '' -f "
    for h in (t.one, t.two):
        h.must("umask 77; mkdir -p /run/sshd /root/.ssh; chmod 755 /run/sshd; %s /etc/ssh/ssh_host_ed25519_key; %s /root/.ssh/id_ed25519; "
               "/usr/sbin/sshd -f /dev/null -o PermitRootLogin=prohibit-password" % (make, make))
    code, text, _ = t.move(t.one, way="")
    r.check("unknown-host", code == 1 and "Host key verification failed" in text and "runs on here" in text, text[-400:])
    for h in (t.one, t.two):
        away = t.other(h)
        h.must("echo '10.0.3.1%d %s' > /root/.ssh/known_hosts" % (away.number, away.must("cat /etc/ssh/ssh_host_ed25519_key.pub")))
    code, text, _ = t.move(t.one, way="")
    r.check("no-key", code == 1 and "Permission denied" in text and "runs on here" in text, text[-400:])
    for h in (t.one, t.two):
        h.must("echo '%s' > /root/.ssh/authorized_keys" % t.other(h).must("cat /root/.ssh/id_ed25519.pub"))
    go_back(row, t, r, "")
    break_off(t, r)


def break_off(t, r):
    """Ctrl-C, which a terminal sends to ssh as well."""
    t.one.must("(ZENDO_MIGRATE_FAULT=out-memory:wait setsid xm migrate --live demo 10.0.3.12 > /tmp/said 2>&1; echo rc $? >> /tmp/said) & "
               "until grep -qs 'at out-memory' /tmp/said; do sleep 1; done; kill -INT -$(pidof xm); until grep -q '^rc' /tmp/said; do sleep 1; done")
    said = t.one.must("cat /tmp/said")
    r.check("ctrl-c", "rc 1" in said and "runs on here" in said and "demo" not in t.two.must("xm list"), said)
    t.probe.ask(30)


def do_stock(row, t, r):
    """Debian's own xl on both hosts: it asks for log-dirty and writes and reads the stream by itself."""
    t.connect_disk()
    before = t.create(t.one, memory=row.memory, load=row.load)
    host, silences = t.one, []
    for n in range(row.moves):
        mark, start = t.probe.mark(), time.time()
        code, text = host.run("xl migrate -s 'moveload to 8003' demo 10.0.3.1%d" % t.other(host).number, 300)
        r.check("xl-migrate-%d" % (n + 1), code == 0, text[-600:])
        if code:
            return
        time.sleep(1)
        silences.append(t.probe.silence(mark))
        r.note("%.1f s, silence %.0f ms" % (time.time() - start - 1, silences[-1]))
        host = t.other(host)
        after = t.probe.ask(30)
    r.check("disk", after["disk_errors"] == 0 and after["disk"] > before["disk"], after)
    r.check("one-copy", t.one.must("xl list").count("demo") + t.two.must("xl list").count("demo") == 1)


HOW = {"moves": do_moves, "tls": do_tls, "ssh": do_ssh, "stock": do_stock, "faults": do_faults, "limits": do_limits}


def run_row(row, r):
    print("%s: guest of %d MB, %s" % (row.name, row.memory, row.load), flush=True)
    try:
        with TwoHosts("moves-" + row.name, memory=row.host, dom0_mem=row.dom0, dom0_extra=row.extra,
                      nice=-10 if row.pause_ms else 0) as t:
            HOW[row.how](row, t, r)
    except Trouble as e:
        r.check("hosts", False, e)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-v", "--verbose", action="store_true")
    p.add_argument("--moves", type=int, default=0)
    p.add_argument("rows", nargs="*", default=[])
    o = p.parse_args()
    r = Report(o.verbose)
    for row in ROWS:
        if row.name in (o.rows or ["short"]) or "all" in o.rows:
            run_row(dataclasses.replace(row, moves=o.moves or row.moves), r)
    print("%d passed, %d failed" % (r.passed, r.failed))
    return r.failed > 0


if __name__ == "__main__":
    sys.exit(main())
