#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""relocd.py: the relocation daemon and its client on this machine's loopback, with an `xm` that only echoes: bytes come through whole,
and who has no certificate, a stranger's, or one that is not on the list does not get in. Ends in "N passed, N failed"."""
import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build/bin/relocd")
folder = tempfile.mkdtemp(prefix="relocd-")
passed = failed = 0


def check(name, ok, why=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print("%s %s%s" % ("ok" if ok else "not ok", name, "" if ok else ": %s" % (why,)))


def path(name):
    return os.path.join(folder, name)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=folder)


def authority(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".pem",
            "-days", "2", "-subj", "/CN=" + name)


def host(name, by, dns="localhost"):
    """A host's certificate: its common name is its own, so that lists can tell hosts apart; the DNS name is what it is called by."""
    with open(path(name + ".ext"), "w") as f:
        f.write("subjectAltName=DNS:%s,DNS:%s\n" % (dns, name))
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
    openssl("x509", "-req", "-in", name + ".csr", "-CA", by + ".pem", "-CAkey", by + ".key", "-CAcreateserial", "-out", name + ".pem", "-days", "2",
            "-extfile", name + ".ext")
    os.chmod(path(name + ".key"), 0o600)


def conf(name, by="ca", listen=None, allow=()):
    file = path(name + ".conf")
    with open(file, "w") as f:
        f.write("# a comment\ncertificate %s\nkey %s\nauthority %s\n" % (path(name + ".pem"), path(name + ".key"), path(by + ".pem")))
        f.write("listen %s\n" % listen if listen else "")
        f.write("".join("allow %s\n" % a for a in allow))
    return file


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def client(name, port, data, by="ca", to="localhost"):
    """Sends data; what comes back, and what was said."""
    p = subprocess.run([PROGRAM, "--config", conf(name, by), "--connect", to, "--port", str(port)], input=data, capture_output=True, timeout=60)
    return p.stdout, p.stderr.decode()


def make_xm():
    """The receiver: says how much came and its sum, once it has seen an end mark."""
    os.mkdir(path("bin"))
    with open(path("bin/xm"), "w") as f:
        f.write("#!%s\nimport hashlib, sys\nassert sys.argv[1:] == ['migrate-receive']\nb = b''\nwhile not b.endswith(b'END!'):\n"
                "    more = sys.stdin.buffer.read1(65536)\n    if not more: break\n    b += more\n"
                "sys.stdout.write('%%d %%s' %% (len(b), hashlib.md5(b).hexdigest()))\n" % sys.executable)
    os.chmod(path("bin/xm"), 0o755)


def test_all(port):
    data = os.urandom(3 << 20) + b"END!"
    want = ("%d %s" % (len(data), hashlib.md5(data).hexdigest())).encode()
    out, err = client("here", port, data)
    check("allowed-host", out == want, (out, err))
    out, err = client("other", port, b"END!")
    check("host-not-on-list", out == b"", (out, err))
    out, err = client("stranger", port, b"END!", by="ca")
    check("stranger's-certificate", out == b"", (out, err))
    out, err = client("here", port, b"END!", by="wrong")
    check("server-of-another-authority", out == b"" and "not good" in err, (out, err))
    out, err = client("here", port, b"END!", to="127.0.0.1")
    check("server-by-another-name", out == b"" and "not good" in err, (out, err))
    context = ssl.create_default_context(cafile=path("ca.pem"))
    said = b""
    try:
        with socket.create_connection(("localhost", port), 10) as raw, context.wrap_socket(raw, server_hostname="localhost") as s:
            s.sendall(b"END!")
            said = s.recv(100)
    except OSError:
        pass
    check("no-certificate", said == b"", said)
    with socket.create_connection(("localhost", port), 10) as raw:
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        raw.settimeout(20)
        try:
            said = raw.recv(4000)
        except ConnectionResetError:
            said = b""
    check("no-tls", b"migrate" not in said and len(said) < 100, said)
    log = open(path("log")).read()
    check("log-names-the-host", "host 'other': may not send guests here" in log or "other" in log, log)
    out, err = client("here", port, data)
    check("still-serves", out == want, (out, err))
    before = len(open(path("log")).readlines())
    for _ in range(150):
        with socket.create_connection(("localhost", port), 10) as raw:
            raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
    time.sleep(1)
    lines = len(open(path("log")).readlines()) - before
    check("log-has-a-limit", 0 < lines <= 125, "%d lines for 150 connections" % lines) # a minute may begin meanwhile
    out, err = client("here", port, data)
    check("serves-after-strangers", out == want, (out, err))


def test_refusals():
    file = conf("here", allow=["a"])
    os.chmod(path("here.key"), 0o644)
    p = subprocess.run([PROGRAM, "--config", file, "--connect", "localhost"], capture_output=True, text=True, timeout=20)
    os.chmod(path("here.key"), 0o600)
    check("open-key", p.returncode == 1 and "chmod 600" in p.stderr, p.stderr)
    with open(path("bad.conf"), "w") as f:
        f.write("listen nowhere\n")
    p = subprocess.run([PROGRAM, "--config", path("bad.conf")], capture_output=True, text=True, timeout=20)
    check("bad-line", p.returncode == 1 and "bad.conf:1" in p.stderr, p.stderr)
    p = subprocess.run([PROGRAM, "--config", path("none.conf")], capture_output=True, text=True, timeout=20)
    check("no-file", p.returncode == 1 and "no relocation daemon" in p.stderr, p.stderr)


def main():
    make_xm()
    for name in ("ca", "wrong"):
        authority(name)
    host("here", "ca")
    host("other", "ca", dns="other.example")
    host("stranger", "wrong")
    port = free_port()
    server = None
    try:
        file = conf("here", listen="[::]:%d" % port, allow=["here"])
        env = dict(os.environ, PATH=path("bin") + ":" + os.environ["PATH"])
        with open(path("log"), "w") as log:
            server = subprocess.Popen([PROGRAM, "--foreground", "--config", file], env=env, stderr=log)
        time.sleep(0.5)
        test_all(port)
        test_refusals()
    finally:
        if server:
            server.terminate()
            server.wait()
        shutil.rmtree(folder)
    print("%d passed, %d failed" % (passed, failed))
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
