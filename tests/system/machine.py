# SPDX-License-Identifier: MIT
"""A QEMU machine whose serial line is read and written by a test. No dependencies beyond python3.

    with Machine(argv, log="x.log") as m:
        m.wait_for(r"login:", 60)
        m.send("root\\n")
        m.wait_exit(30)

Whatever happens, the process it started (and only that one) is gone after the with block.
"""
import ctypes
import os
import re
import select
import subprocess
import time

# The hypervisor's own last words: no use in waiting on. (Z) is ours, (XEN) the reference's.
DEAD = re.compile(r"\((?:Z|XEN)\).*(?:PANIC|[Pp]anic|[Dd]om(?:ain |0 ?)?0? ?crashed)|Kernel panic - not syncing")
LIBC = ctypes.CDLL(None)
SLOW = float(os.environ.get("SLOW", "1"))       # stretches every timeout


def end_with_parent():
    """Runs in the child: PR_SET_PDEATHSIG, so that QEMU does not outlive a harness that was killed."""
    LIBC.prctl(1, 9)


class Trouble(Exception):
    """What was awaited did not come; the text says why."""


class Machine:
    def __init__(self, argv, log=None):
        self.argv, self.text, self.at = argv, "", 0
        self.log = open(log, "wb") if log else None
        self.proc = None

    def __enter__(self):
        self.started = time.time()
        self.proc = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, preexec_fn=end_with_parent)
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()
        if self.log:
            self.log.close()

    def read(self, seconds):
        """Takes what the machine says within so many seconds; False once it has ended."""
        if not select.select([self.proc.stdout], [], [], seconds)[0]:
            return True
        data = os.read(self.proc.stdout.fileno(), 65536)
        if self.log:
            self.log.write(data)
            self.log.flush()
        self.text += data.decode("latin-1").replace("\r", "")
        return bool(data)

    def send(self, text):
        self.proc.stdin.write(text.encode("latin-1"))
        self.proc.stdin.flush()

    def wait_for(self, pattern, timeout):
        """Waits for the pattern in what has not been matched yet; gives the match."""
        want, end = re.compile(pattern, re.M), time.time() + timeout * SLOW
        while True:
            m = want.search(self.text, self.at)
            if m:
                self.at = m.end()
                return m
            dead = DEAD.search(self.text, self.at)
            if dead:
                self.read(1)
                raise Trouble("waiting for /%s/: %s" % (pattern, dead.group(0)))
            if time.time() > end:
                raise Trouble("no /%s/ in %d s" % (pattern, timeout * SLOW))
            if not self.read(0.2):
                raise Trouble("QEMU ended (%s) before /%s/" % (self.proc.wait(), pattern))

    def wait_exit(self, timeout):
        """Waits for QEMU to end by itself; gives its exit code."""
        end = time.time() + timeout * SLOW
        while self.read(0.2):
            if time.time() > end:
                raise Trouble("QEMU still runs after %d s" % (timeout * SLOW))
        return self.proc.wait()

    def tail(self, lines=15):
        return self.text.splitlines()[-lines:]
