# SPDX-License-Identifier: MIT
"""Moves that go wrong, with real guests on two hosts (rows of moves.py): each side killed or cut at each step; Ctrl-C; a target that is
short of memory or of disk; a host that is lost for good."""
import os
import re
import time

POINTS = """out-connected out-offered out-answered out-begun out-started out-memory out-suspending out-suspended out-sent out-prepared out-committed
out-go out-running out-settled out-destroying out-destroyed out-told in-connected in-offered in-answered in-begun in-memory in-complete in-prepared
in-said-prepared in-go in-decided in-runs in-said-running in-named in-noted in-said-settled in-destroyed""".split()


def states(hosts):
    """Where the guest is, by the hosts' lists: {host: [(name, state)]}."""
    found = {}
    for h in hosts:
        found[h.number] = re.findall(r"^(demo\S*) +\d+ +\d+ +\d+\s+(\S+)", h.must("xm list"), re.M)
    return found


def settled(t, timeout=60, hosts=None):
    """Waits until exactly one copy is left and nobody has anything to end; how they stand."""
    end = time.time() + timeout
    while True:
        now = states(hosts or t.hosts)
        all_ = [(n, name, state) for n, v in now.items() for name, state in v]
        if len(all_) == 1 and all_[0][1] == "demo" and "s" not in all_[0][2] and "p" not in all_[0][2]:
            return all_[0][0], now
        if time.time() > end:
            return 0, now
        time.sleep(1)


def do_faults(row, t, r):
    chosen = os.environ.get("POINTS", " ".join(POINTS)).split()
    ways = os.environ.get("HOW", "kill cut").split()
    t.connect_disk()
    t.create(t.one, memory=row.memory, load=row.load)
    host, table = t.one, []
    for how in ways:
        for point in chosen:
            away = t.other(host)
            away.must("echo %s > /tmp/fault" % ("%s:%s" % (point, how) if point.startswith("in-") else ""))
            host.start("ZENDO_MIGRATE_FAULT=%s:%s xm migrate --live -s 'moveload to 8003' demo 10.0.3.1%d" % (point, how, away.number))
            code, said = host.finish(200)
            at, now = settled(t)
            good = at != 0
            said = [x for x in said.replace("\r", "\n").replace("\x1b[K", "\n").splitlines() if x.startswith("xm migrate:") or "runs on" in x][-1:]
            table.append((point, how, "source" if at == host.number else "target" if at else "?", (said or ["killed"])[0]))
            r.check("%s-%s" % (point, how), good, "%s; said %s" % (now, said))
            if not good:
                return
            status = t.probe.ask(30)
            if status["disk_errors"]:
                r.check("disk-after-%s-%s" % (point, how), False, status)
            host = t.one if at == 1 else t.two
            for h in (t.one, t.two):
                h.run("rm -f /tmp/fault")
    print("| step | broken by | runs on | the source said |\n| --- | --- | --- | --- |")
    for line in table:
        print("| %s | %s | %s | %s |" % line)


# --- Ctrl-C, a target that is short of something, a host that is lost ----------------------------------------------------------------

WAY = "-s 'moveload to 8003'"
STOPS = {"out-offered": 1, "out-begun": 1, "out-memory": 1, "out-suspended": 1, "out-sent": 1, "out-prepared": 1, "out-committed": 2, "out-running": 2}


def stop_at(t, r, host, point, wanted):
    """Ctrl-C while xm stands at a point: before it has committed the guest runs on where it was, afterwards it goes."""
    away = t.other(host)
    host.must("(ZENDO_MIGRATE_FAULT=%s:wait setsid xm migrate --live %s demo 10.0.3.1%d > /tmp/said 2>&1; echo rc $? >> /tmp/said) & "
              "until grep -qs 'at %s' /tmp/said; do sleep 1; done; kill -INT -$(pidof xm | cut -d ' ' -f 1); "
              "until grep -q '^rc' /tmp/said; do sleep 1; done" % (point, WAY, away.number, point), 120)
    said = host.must("cat /tmp/said")
    at, now = settled(t)
    stays = at == host.number
    r.check("ctrl-c-at-" + point, at and stays == (wanted == 1) and ("runs on here" in said) == stays, "%s; said %s" % (now, said))
    t.probe.ask(30)
    return t.one if at == 1 else t.two


def fill_memory(host, leave):
    """A guest that does nothing takes what is free, up to so many MB."""
    free = int(host.must("xm info | sed -n 's/^free_memory *: //p'"))
    host.must("printf 'name=\"filler\"\\nkernel=\"/data/idle.elf\"\\nmemory=%d\\n' > /tmp/filler.cfg; xm create -q /tmp/filler.cfg" % (free - leave))


def refused(t, r, name, words, command="xm migrate --live %s demo 10.0.3.12" % WAY):
    code, said = t.one.run(command, 120)
    at, now = settled(t)
    left = t.two.must("xm list | grep -c demo; ls /var/lib/zendo/migrate | wc -l", 30) if t.two.run("xm list | grep -q demo")[0] == 0 else ""
    r.check(name, code and at == 1 and not left and all(w in said for w in words), "%s; left %s; said %s" % (now, left, said[-500:]))
    t.probe.ask(30)


def short_of_memory(t, r):
    fill_memory(t.two, 60)
    refused(t, r, "memory-short", ["host2", "memory"])
    t.two.must("xm destroy filler; echo in-begun:wait > /tmp/fault")
    # It was there when the target looked, and is not when the guest comes.
    t.one.start("xm migrate --live %s demo 10.0.3.12" % WAY)
    t.two.must("until grep -qs 'at in-begun' /tmp/receive.log; do sleep 1; done", 60)
    fill_memory(t.two, 60)
    code, said = t.one.finish(120)
    at, now = settled(t)
    r.check("memory-taken-meanwhile", code == 1 and at == 1 and "memory" in said and "runs on here" in said, "%s; said %s" % (now, said[-500:]))
    t.two.must("xm destroy filler")
    t.probe.ask(30)


def short_of_disk(t, r):
    """The journals' folder has no room: on either host."""
    for h in (t.two, t.one):
        h.must("mount -t tmpfs -o size=8k tmpfs /var/lib/zendo/migrate; dd if=/dev/zero of=/var/lib/zendo/migrate/full bs=4k 2>/dev/null; true")
        refused(t, r, "disk-full-on-%d" % h.number, ["No space left", "gives up"] if h is t.two else ["No space left"])
        h.must("umount /var/lib/zendo/migrate")


def lose(t, r, host_gone, at, point):
    """A move to host 2 in the middle of which a host is gone for good, at a point of the other one."""
    t.two.must("rm -f /tmp/fault /tmp/receive.log; echo %s > /tmp/fault" % (point + ":wait" if at == 2 else ""))
    t.one.start("%s xm migrate --live %s demo 10.0.3.12" % ("ZENDO_MIGRATE_FAULT=%s:wait" % point if at == 1 else "", WAY))
    if at == 1:
        t.one.wait_for("at " + point, 60)
    else:
        t.two.must("until grep -qs 'at %s' /tmp/receive.log; do sleep 1; done" % point, 60)
    host_gone.kill()


def host_back(t, n):
    t.start(n).wait_for(r"^zendo: host \d is ready\n", 180)
    t.two.must("moveload sync 10.0.3.11 6001")


def lost_target(t, r):
    """The source has committed and the target is gone: nobody runs it until a person decides."""
    for what in ("take", "drop"):
        lose(t, r, t.two, 1, "out-committed")
        code, said = t.one.finish(150)
        listed = t.one.must("xm list")
        r.check("target-lost-%s-undecided" % what, code == 1 and "--take" in said and re.search(r"^demo .* ---ss", listed, re.M), "%s; said %s" % (listed, said[-600:]))
        t.one.must("xm migrate --%s demo" % what, 60)
        if what == "take":
            r.check("taken", settled(t, hosts=[t.one])[0] == 1)
            t.probe.ask(30)
        else:
            r.check("dropped", t.one.must("xm list; ls /var/lib/zendo/migrate").count("demo") == 0)
        host_back(t, 2)
        r.check("back-after-" + what, "demo" not in t.two.must("xm list"))


def lost_source(t, r):
    """The target is prepared and the source is gone: it stays paused until a person decides."""
    lose(t, r, t.one, 2, "in-prepared")
    t.two.must("while pidof xm > /dev/null; do sleep 1; done", 120)
    listed = t.two.must("xm list")
    r.check("source-lost-undecided", re.search(r"^demo--incoming .* --p", listed, re.M), listed)
    t.two.must("xm migrate --take demo", 60)
    r.check("target-takes", settled(t, hosts=[t.two])[0] == 2)
    t.probe.ask(30)


def do_limits(row, t, r):
    t.create(t.one, memory=row.memory, load=row.load, disk=False)
    host = t.one
    for point, wanted in STOPS.items():
        host = stop_at(t, r, host, point, wanted)
    if host is t.two:
        t.move(host)
    short_of_memory(t, r)
    short_of_disk(t, r)
    lost_target(t, r)
    t.create(t.one, memory=row.memory, load=row.load, disk=False)
    lost_source(t, r)
