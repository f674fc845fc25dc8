# SPDX-License-Identifier: MIT
"""What the long tests watch from outside: a server for domain 0's network, the clocks' drift, and the hypervisor's own
accounts (its debug keys) before and after a load, which must be free of faults and the same."""
import hashlib
import os
import re
import socket
import threading
import time

SWITCH = "\x01\x01\x01"                 # Ctrl-A three times: input to the hypervisor and back
NET_BYTES = 64 << 20
# key: what ends its output; {name: pattern of a figure that must be the same afterwards}
KEYS = {
    "m": (r"frames: (\d+) faults found", {"free frames": r"frames: (\d+) free of"}),
    "p": (r"still in use; page types: (\d+) faults", {"dom0 frames": r"d0: (\d+) frames", "owned": r"(\d+) owned in all",
                                                      "loose": r"(\d+) given up"}),
    "e": (r"d0: event channels: (\d+) faults", {"open ports": r"event channels of d0: (\d+) open"}),
    "g": (r"d0: grants: (\d+) faults", {"grant maps": r"(\d+) mappings of others"}),
}


class Server:
    """Two ports on 127.0.0.1, which QEMU's user network shows as 10.0.2.2: one sends NET_BYTES and closes, the other takes
    as many and answers with their MD5."""

    def __init__(self):
        self.data = os.urandom(NET_BYTES)
        self.sum = hashlib.md5(self.data).hexdigest()
        self.sockets = [self.listen(self.source), self.listen(self.sink)]
        self.ports = [s.getsockname()[1] for s in self.sockets]

    def listen(self, serve):
        s = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, args=(s, serve), daemon=True).start()
        return s

    def accept(self, s, serve):
        try:
            while True:
                with s.accept()[0] as peer:
                    peer.settimeout(600)
                    serve(peer)
        except OSError:
            pass                        # closed: the test has ended

    def source(self, peer):
        peer.sendall(self.data)

    def sink(self, peer):
        total, left = hashlib.md5(), NET_BYTES
        while left:
            data = peer.recv(min(left, 1 << 16))
            if not data:
                break
            total.update(data)
            left -= len(data)
        peer.sendall(total.hexdigest().encode())

    def close(self):
        for s in self.sockets:
            s.close()


class State:
    """What was seen at one `state NAME` of the script."""

    def __init__(self):
        self.figures, self.faults, self.offset, self.at = {}, {}, None, 0.0


def take_state(m, name, timeout):
    """Reads up to the script's `state NAME`, then presses the keys. The clock lines come late at times, never early: the
    smallest difference counts."""
    s = State()
    while True:
        line = m.wait_for(r"^zendo: (clock|irqs|state|script) (\S+).*\n", timeout)
        here, kind, value = time.monotonic(), line.group(1), line.group(2)
        if kind == "clock":
            offset = here - int(value) / 1e9
            s.offset, s.at = min(s.offset, offset) if s.offset is not None else offset, here
        elif kind == "irqs":
            s.figures["interrupts"] = int(value)
        elif kind == "state" and value == name:
            break
        elif kind == "script":
            m.at = line.start()
            return s
    m.send(SWITCH)
    m.wait_for(r"input goes to", 20)
    for key, (end, figures) in KEYS.items():
        start = m.at
        m.send(key)
        s.faults[key] = int(m.wait_for(end, 120).group(1))
        for figure, pattern in figures.items():
            found = re.search(pattern, m.text[start:m.at])
            s.figures[figure] = int(found.group(1)) if found else None
    m.send(SWITCH)
    m.wait_for(r"input goes to", 20)
    m.send("\n")
    return s


def compare(r, before, after):
    """Checks, and one line of figures for the report."""
    for name, s in (("before", before), ("after", after)):
        r.add(len(s.faults) == len(KEYS) and not any(s.faults.values()), "accounts-" + name, str(s.faults))
    for figure, value in before.figures.items():
        now = after.figures.get(figure)
        r.add(value is not None and now == value, "same-" + figure.replace(" ", "-"), "%s, then %s" % (value, now))
    if before.offset is None or after.offset is None:
        r.add(False, "clock-drift", "no clock seen")
        return
    seconds = after.at - before.at
    ppm = (before.offset - after.offset) / seconds * 1e6
    r.notes.append("clock %+.1f ppm against the host over %.0f s; %s" % (
        ppm, seconds, ", ".join("%s %s" % (v, k) for k, v in after.figures.items())))
    # On a busy host a line may come 100 ms late.
    r.add(abs(ppm) * seconds < max(200 * seconds, 100000), "clock-drift", "%.1f ppm over %.0f s" % (ppm, seconds))


def cpu_seconds(pid):
    """What a process has used of the host's CPUs."""
    with open("/proc/%d/stat" % pid) as f:
        words = f.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def watch_quiet(m, r, timeout):
    """Between the script's `quiet NAME` and `quiet end`: what all of the machine uses of a CPU, in percent, by name."""
    used = {}
    while True:
        line = m.wait_for(r"^zendo: (quiet|script) (\S+).*\n", timeout)
        if line.group(1) == "script":
            m.at = line.start()
            break
        if line.group(2) != "end":
            name, start, cpu = line.group(2), time.monotonic(), cpu_seconds(m.proc.pid)
        else:
            used[name] = 100 * (cpu_seconds(m.proc.pid) - cpu) / (time.monotonic() - start)
            r.notes.append("quiet, %s: %.1f %% of one of the host's CPUs" % (name, used[name]))
        m.send("\n")
    return used


def check_image(r, text, path):
    """What the guest says it wrote is in the disk's image."""
    said = re.search(r"^zendo: disk (\d+) ([0-9a-f]{32})", text, re.M)
    if not said:
        r.add(False, "disk-image", "the guest did not say what it wrote")
        return
    with open(path, "rb") as f:
        total = hashlib.md5(f.read(int(said.group(1)) << 20)).hexdigest()
    r.add(total == said.group(2), "disk-image", "%s and not %s" % (total, said.group(2)))
