#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""store.py: xenstored on this machine, without a hypervisor, with Debian's own clients (xenstore-utils): what they print,
restarts by SIGTERM, by kill -9 and by live update, many clients at once. Ends in "N passed, N failed"."""
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DAEMON = os.path.join(ROOT, "build/bin/xenstored")
READ, WATCH, TRANSACTION_START, TRANSACTION_END, WRITE, EVENT, ERROR = 2, 4, 6, 7, 11, 15, 16
folder = tempfile.mkdtemp(prefix="store-")
sock = os.path.join(folder, "socket")
env = dict(os.environ, XENSTORED_PATH=sock)
passed = failed = 0


def check(name, ok, why=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print("%s %s%s" % ("ok" if ok else "not ok", name, "" if ok else ": %s" % (why,)))


def start(*more):
    argv = [DAEMON, "-f", "--no-domains", "-s", sock, "-S", folder + "/state", "-F", folder + "/pid", "-l", folder + "/log"]
    p = subprocess.Popen(argv + list(more))
    for _ in range(100):
        try:
            Client().close()
            return p
        except OSError:
            time.sleep(0.05)
    raise SystemExit("xenstored does not start:\n" + open(folder + "/log").read())


def tool(name, *args, timeout=10):
    p = subprocess.run(["xenstore-" + name, *args], env=env, capture_output=True, text=True, timeout=timeout)
    return p.stdout if p.returncode == 0 else "failed: " + p.stderr.strip()


class Client:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(sock)      # waits if the daemon is behind with accepting
        self.s.settimeout(10)

    def close(self):
        self.s.close()

    def send(self, kind, data, tx=0):
        self.s.sendall(struct.pack("<4I", kind, 1, tx, len(data)) + data)

    def bytes(self, n):
        out = b""
        while len(out) < n:
            part = self.s.recv(n - len(out))
            if not part:
                raise OSError("closed")
            out += part
        return out

    def receive(self):
        kind, _, _, n = struct.unpack("<4I", self.bytes(16))
        return kind, self.bytes(n)

    def ask(self, kind, data, tx=0):
        self.send(kind, data, tx)
        while True:
            got = self.receive()
            if got[0] != EVENT:
                return got


def test_clients():
    check("write", tool("write", "/a/b", "1", "/a/c", "two words") == "")
    check("read", tool("read", "/a/b", "/a/c") == "1\ntwo words\n")
    check("read-relative", tool("read", "domid") == "0\n")
    check("read-missing", "couldn't read path /a/x" in tool("read", "/a/x"))
    check("list", tool("list", "/a") == "b\nc\n")
    check("ls", tool("ls", "/a") == 'b = "1"\nc = "two words"\n')
    check("exists", tool("exists", "/a/b") == "" and "failed" in tool("exists", "/a/x"))
    check("chmod", tool("chmod", "/a/b", "n0", "r5", "b7") == "" and "(n0,r5,b7)" in tool("ls", "-fp", "/a"))
    check("rm", tool("rm", "/a/b") == "" and tool("list", "/a") == "c\n")
    check("rm-twice", tool("rm", "/a/b") == "" and "failed" in tool("rm", "/a/none/x"))
    check("roots", tool("read", "/local/domain/0/name") == "Domain-0\n" and "xenstored" in tool("list", "/tool"))


def test_watch():
    p = subprocess.Popen(["xenstore-watch", "-n", "4", "/w"], env=env, stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    for value in ("1", "2"):
        tool("write", "/w/x", value)
        time.sleep(0.1)
    tool("rm", "/w")
    check("watch", p.communicate(timeout=10)[0] == "/w\n/w/x\n/w/x\n/w\n")


def test_big():
    names = ["entry-%04d" % i for i in range(2000)]
    for i in range(0, 2000, 250):
        tool("write", *sum((["/big/" + n, "x"] for n in names[i:i + 250]), []))
    check("big-directory", tool("list", "/big").split() == names)


def test_restart():
    global daemon
    tree = tool("ls", "-fp")
    for how, sig in (("term", signal.SIGTERM), ("kill", signal.SIGKILL)):
        tool("write", "/late/" + how, "x" * 100)
        tree = tool("ls", "-fp")
        daemon.send_signal(sig)
        daemon.wait()
        daemon = start()
        check("restart-" + how, tool("ls", "-fp") == tree)
    with open(folder + "/state", "r+b") as f:      # a record that was not finished
        f.seek(0, 2)
        f.write(b"\xff\0\0\0C")
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    daemon = start()
    check("restart-torn", tool("ls", "-fp") == tree)
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    with open(folder + "/state", "r+b") as f:
        data = bytearray(f.read())
        for i in range(200, len(data), 97):
            data[i] ^= 0x5a
        f.seek(0)
        f.write(data)
    daemon = start()
    check("restart-damaged", "Domain-0" in tool("read", "/local/domain/0/name"))


def test_live_update():
    c = Client()
    check("live-watch", c.ask(WATCH, b"/live\0t\0")[1] == b"OK\0" and c.receive() == (EVENT, b"/live\0t\0"))
    tx = int(c.ask(TRANSACTION_START, b"\0")[1][:-1])
    check("live-write", c.ask(WRITE, b"/live/x\0v", tx)[1] == b"OK\0")
    d = Client()
    d.ask(0, b"live-update\0-f\0" + DAEMON.encode() + b"\0")
    check("live-update", d.ask(0, b"live-update\0-s\0")[1] == b"OK\0")
    check("live-same-socket", d.ask(READ, b"/local/domain/0/domid\0") == (READ, b"0"))
    check("live-same-process", daemon.poll() is None)
    check("live-event", c.receive() == (EVENT, b"/live\0t\0"))
    check("live-transaction", c.ask(READ, b"/live/none\0", tx) == (ERROR, b"ENOENT\0") and
          c.ask(TRANSACTION_END, b"T\0", tx) == (ERROR, b"EAGAIN\0"))
    d.ask(WRITE, b"/live/y\0v")
    check("live-watch-kept", c.receive() == (EVENT, b"/live/y\0t\0"))


def test_bad():
    c = Client()
    c.send(WRITE, b"")
    check("bad-empty", c.receive() == (ERROR, b"EINVAL\0"))
    c.s.sendall(struct.pack("<4I", WRITE, 1, 0, 100000))
    try:
        c.receive()
        check("bad-length", False, "answered")
    except OSError:
        check("bad-length", True)
    half = Client()
    half.s.sendall(b"\x02\0\0")
    half.close()
    deaf = Client()
    deaf.s.setblocking(False)
    try:
        for _ in range(200000):
            deaf.s.sendall(struct.pack("<4I", READ, 1, 0, 23) + b"/local/domain/0/domid\0\0")
    except BlockingIOError:
        pass
    check("deaf-client-harms-nobody", tool("read", "/local/domain/0/domid") == "0\n")


def test_many():
    clients = [Client() for _ in range(200)]
    for i, c in enumerate(clients):
        c.ask(WATCH, b"/many/%d\0t\0" % i)
        c.receive()
    begin = time.time()
    for i, c in enumerate(clients):
        c.send(WRITE, b"/many/%d/x\0v" % ((i + 1) % 200))
    events = 0
    for c in clients:
        events += sum(c.receive()[0] == EVENT for _ in range(2))
    check("200-clients", events == 200, events)
    check("200-clients-in-time", time.time() - begin < 5)


def test_control():
    c = Client()
    check("control-check", c.ask(0, b"check\0")[1] == b"OK\0")
    check("control-help", b"live-update" in c.ask(0, b"help\0")[1])
    check("control-quota", c.ask(0, b"quota\0set\0nodes\x00500\0")[1] == b"OK\0" and b"500 nodes owned" in c.ask(0, b"quota\0")[1])
    check("control-quota-domain", c.ask(0, b"quota\0set\x007\0nodes\x00200\0")[1] == b"OK\0" and
          b"of      200 (its own) nodes owned" in c.ask(0, b"quota\x007\0")[1])
    check("control-unknown", c.ask(0, b"nonsense\0") == (ERROR, b"ENOSYS\0"))
    check("control-stat", b"requests: " in c.ask(0, b"stat\0")[1])


def main():
    global daemon
    if not shutil.which("xenstore-ls"):
        print("xenstore-ls is missing: scripts/packages.sh installs it\n0 passed, 1 failed")
        return 1
    daemon = start("--fresh")
    try:
        for test in (test_clients, test_watch, test_big, test_restart, test_live_update, test_bad, test_many, test_control):
            test()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        if failed:
            print(open(folder + "/log").read()[-3000:])
        shutil.rmtree(folder)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
