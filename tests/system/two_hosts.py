# SPDX-License-Identifier: MIT
"""Two hosts in QEMU on one Ethernet, a world behind it, and what watches from there.

    host 1 ---- eth1, 10.0.3.0/24: what the hosts have to say to each other ---- host 2
      |                                                                            |
      eth0, 10.0.2.0/24: guests -------- Switch (this program) -------- eth0: guests
                                             |
                                  the world: 10.0.2.2 (this program's disks and clients)

    with TwoHosts("name") as t:
        t.one.run("xm list")
        t.one.run("xm migrate --live -s 'moveload to 8003' demo 10.0.3.12")

A guest has 10.0.2.50; datagrams to it go through t.probe. Network disks: t.disk.port, the same for both hosts.
"""
import base64
import json
import os
import re
import select
import selectors
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from machine import SLOW, Trouble, end_with_parent

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "build/system")
BUILD = os.path.join(ROOT, "build")
GUEST = "10.0.2.50"


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def renice(proc, nice):
    """As far as we may; before it has threads of its own, which take it over."""
    try:
        os.setpriority(os.PRIO_PROCESS, proc.pid, nice)
    except OSError:
        pass


class Switch:
    """An Ethernet switch that learns where addresses are. QEMU's hub is none: its user network would answer for everybody."""

    def __init__(self, folder, names):
        self.poll, self.where, self.ports, self.moves = selectors.DefaultSelector(), {}, [], []
        for name in names:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(os.path.join(folder, name))
            listener.listen(1)
            self.poll.register(listener, selectors.EVENT_READ, (self.accept, name))
        self.stop = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def accept(self, listener, name):
        s, _ = listener.accept()
        for o in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            s.setsockopt(socket.SOL_SOCKET, o, 1 << 20)
        port = [s, name, bytearray()]
        self.ports.append(port)
        self.poll.register(s, selectors.EVENT_READ, (self.take, port))

    def take(self, s, port):
        try:
            data = s.recv(262144)
        except OSError:
            data = b""
        if not data:
            self.poll.unregister(s)
            self.ports.remove(port)
            self.where = {mac: p for mac, p in self.where.items() if p is not port}
            s.close()
            return
        buf, at = port[2], 0
        buf += data
        out = {}
        while len(buf) - at >= 4:
            n = int.from_bytes(buf[at:at + 4], "big") + 4
            if len(buf) - at < n:
                break
            frame = bytes(buf[at:at + n])
            at += n
            to, source = frame[4:10], frame[10:16]
            if self.where.get(source) is not port:
                if source in self.where:
                    self.moves.append((time.monotonic(), source.hex(":"), port[1]))
                self.where[source] = port
            known = None if to[0] & 1 else self.where.get(to)
            for p in ([known] if known else self.ports):
                if p is not port:
                    out.setdefault(id(p), (p, []))[1].append(frame)
        del buf[:at]
        for p, frames in out.values():
            try:
                p[0].sendall(b"".join(frames))
            except OSError:
                pass

    def run(self):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        except OSError:
            pass
        while not self.stop:
            for key, _ in self.poll.select(0.5):
                key.data[0](key.fileobj, key.data[1])


class Host:
    """One QEMU whose domain 0 runs two.sh: commands in, output and exit code out."""

    def __init__(self, number, argv, log):
        self.number, self.argv, self.text, self.at = number, argv, "", 0
        self.log = open(log, "wb")
        self.changed = threading.Condition()
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=end_with_parent)
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        while True:
            data = os.read(self.proc.stdout.fileno(), 65536)
            with self.changed:
                if data:
                    self.log.write(data)
                    self.log.flush()
                    self.text += data.decode("latin-1").replace("\r", "")
                else:
                    self.text += "\nQEMU has ended\n"
                self.changed.notify_all()
            if not data:
                return

    def wait_for(self, pattern, timeout):
        want, end = re.compile(pattern, re.M), time.time() + timeout * SLOW
        with self.changed:
            while True:
                m = want.search(self.text, self.at)
                if m:
                    self.at = m.end()
                    return m
                ended = "QEMU has ended" in self.text[self.at:]
                if ended or time.time() > end or re.search(r"\(Z\).*PANIC", self.text):
                    raise Trouble("host %d: %s waiting for /%s/; last: %s" % (self.number, "ended" if ended else "%d s over" % (timeout * SLOW), pattern,
                                                                          self.text[-600:]))
                self.changed.wait(0.5)

    def send(self, text):
        self.proc.stdin.write(text.encode())
        self.proc.stdin.flush()

    def start(self, command):
        """Types it; finish() waits for its end."""
        with self.changed:
            self.at = len(self.text)
        self.send(command + "\n")

    def finish(self, timeout=60):
        start = self.at
        code = int(self.wait_for(r"^zendo: did (\d+)\n", timeout).group(1))
        lines = self.text[start:self.at].splitlines()[1:-1]     # without the echo and the end
        return code, "\n".join(line for line in lines if not line.startswith("(Z)"))

    def run(self, command, timeout=60):
        self.start(command)
        return self.finish(timeout)

    def must(self, command, timeout=60):
        code, text = self.run(command, timeout)
        if code:
            raise Trouble("host %d: %s: exit code %d: %s" % (self.number, command, code, text))
        return text

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()


class Disk:
    """A network disk for both hosts at once: a file in memory, served by the NBD protocol."""

    def __init__(self, megabytes):
        self.file = tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.file.truncate(megabytes << 20)
        self.size = megabytes << 20
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.requests = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def format(self):
        """A file system on it, before anybody uses it."""
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "/proc/self/fd/%d" % self.file.fileno()], check=True, pass_fds=[self.file.fileno()])

    def faults(self):
        """What is wrong with the file system when nobody uses it any more, after what its journal says has been done: text, or nothing."""
        path, fds = "/proc/self/fd/%d" % self.file.fileno(), [self.file.fileno()]
        subprocess.run(["/sbin/e2fsck", "-E", "journal_only", "-y", path], pass_fds=fds, capture_output=True)
        found = subprocess.run(["/sbin/e2fsck", "-fn", path], pass_fds=fds, capture_output=True, text=True)
        return found.stdout + found.stderr if found.returncode else ""

    def accept(self):
        while True:
            try:
                s, _ = self.server.accept()
            except OSError:
                return
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    @staticmethod
    def take(s, n):
        b = b""
        while len(b) < n:
            more = s.recv(n - len(b))
            if not more:
                raise OSError("closed")
            b += more
        return b

    def serve(self, s):
        try:
            s.sendall(b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 1))
            self.take(s, 4)
            while True:
                _, option, length = struct.unpack(">8sII", self.take(s, 16))
                self.take(s, length)
                if option == 1:
                    break
                s.sendall(struct.pack(">QIII", 0x3e889045565a9, option, 0x80000001, 0))
            s.sendall(struct.pack(">QH", self.size, 5) + bytes(124))   # has flags, can flush
            while True:
                _, kind, handle, at, length = struct.unpack(">IIQQI", self.take(s, 28))
                kind &= 0xffff
                body = self.take(s, length) if kind == 1 else b""
                if kind == 2:
                    return
                if kind == 1:
                    os.pwrite(self.file.fileno(), body, at)
                out = os.pread(self.file.fileno(), length, at) if kind == 0 else b""
                self.requests += 1
                s.sendall(struct.pack(">IIQ", 0x67446698, 0, handle) + out)
        except OSError:
            pass
        finally:
            s.close()


class Probe:
    """Numbered datagrams to the guest every few milliseconds; when which came back. The longest silence between two is what a client sees."""

    def __init__(self, port, every_ms=5):
        self.to, self.every = ("127.0.0.1", port), every_ms / 1000
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.stop, self.back, self.status, self.sent = threading.Event(), [], None, 0
        self.asked = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        except OSError:
            pass
        due = time.monotonic()
        while not self.stop.is_set():
            now = time.monotonic()
            if now >= due:
                self.sent += 1
                self.socket.sendto(struct.pack("<Qd", self.sent, now), self.to)
                due = max(due + self.every, now)
            if select.select([self.socket], [], [], max(0, due - time.monotonic()))[0]:
                data = self.socket.recv(2048)
                if len(data) > 16:
                    self.status = json.loads(data)
                    self.status["at"] = time.time()
                    self.asked.set()
                else:
                    self.back.append(time.monotonic())

    def ask(self, timeout=10):
        """The guest's own counts."""
        end = time.time() + timeout * SLOW
        self.asked.clear()
        while time.time() < end:
            self.socket.sendto(b"?", self.to)
            if self.asked.wait(0.5):
                return self.status
        raise Trouble("the guest does not answer")

    def clock(self, times=20):
        """How far the guest's clocks are from this machine's, in ms: real, monotonic. The answer that was least late is the best."""
        all_ = []
        for _ in range(times):
            s = self.ask()
            all_.append((s["real"] / 1e3 - s["at"] * 1e3, s["mono"] / 1e3 - s["at"] * 1e3))
        return max(a for a, _ in all_), max(b for _, b in all_)

    def mark(self):
        return len(self.back)

    def silence(self, since=0):
        """The longest time without an answer since a mark, in ms."""
        t = self.back[max(0, since - 1):] + [time.monotonic()]
        return max(b - a for a, b in zip(t, t[1:])) * 1000 if len(t) > 1 else float("inf")

    def close(self):
        self.stop.set()
        self.thread.join()
        self.socket.close()


class TwoHosts:
    def __init__(self, name, memory=1024, dom0_mem="384M", cpus=1, hv=None, flavour="amd64", extra="", disk_mb=64, dom0_extra="", cpu=("max", "max"), kernel="", nice=0):
        self.name, self.flavour = name, flavour
        self.hv = hv or os.environ.get("HV") or os.path.join(BUILD, "zendo.elf")
        self.tool = "xl" if "stock" in dom0_extra else "xm"
        self.memory, self.dom0_mem, self.cpus, self.extra, self.cpu, self.kernel = memory, dom0_mem, cpus, dom0_extra, cpu, kernel
        self.nice = nice                       # of the hosts and their world; below 0 where times are measured
        self.folder = tempfile.mkdtemp(prefix="zendo-two-")
        self.disk = Disk(disk_mb)
        self.udp = free_port(socket.SOCK_DGRAM)
        self.tcp = free_port()
        self.hosts, self.probe, self.world = [], None, None
        self.switch = Switch(self.folder, ("lan1", "lan2", "world"))

    def command(self, n):
        words = "console=hvc0 zendo.script=two.sh zendo.me=%d %s" % (n, self.kernel)
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-cpu", self.cpu[n - 1], "-smp", str(self.cpus), "-m", str(self.memory),
                "-nodefaults", "-vga", "none", "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none",
                "-drive", "file=%s/move-%s.img,format=raw,if=virtio,snapshot=on" % (BUILD, self.flavour)]
        place = "addr.type=unix,addr.path=%s/" % self.folder
        argv += ["-netdev", "stream,id=n0,server=off,%slan%d" % (place, n), "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:02:1%d,addr=4" % n,
                 "-netdev", "stream,id=n1,server=%s,%slink" % ("on" if n == 1 else "off", place),
                 "-device", "virtio-net-pci,netdev=n1,mac=52:54:00:00:03:1%d,addr=5" % n]
        return argv + ["-kernel", self.hv, "-append", "console=com1 com1=115200,8n1 dom0_mem=%s" % self.dom0_mem,
                       "-initrd", "%s/kernel/%s/vmlinuz %s,%s/dom0-%s%s.gz" % (BUILD, self.flavour, words.replace(",", ",,"), BUILD, self.flavour, self.extra)]

    def start_world(self):
        """QEMU's user network, in a machine without a processor: in one of the hosts it would take that one's time."""
        forward = "udp:127.0.0.1:%d-%s:6000,hostfwd=tcp:127.0.0.1:%d-%s:6000" % (self.udp, GUEST, self.tcp, GUEST)
        os.makedirs(LOGS, exist_ok=True)
        log = open(os.path.join(LOGS, self.name + "-world.log"), "wb")
        return subprocess.Popen(["qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "none",
                                 "-netdev", "user,id=world,hostfwd=" + forward,
                                 "-netdev", "stream,id=w,server=off,addr.type=unix,addr.path=%s/world" % self.folder,
                                 "-netdev", "hubport,id=h1,hubid=0,netdev=world", "-netdev", "hubport,id=h2,hubid=0,netdev=w"],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)

    def start(self, n):
        os.makedirs(LOGS, exist_ok=True)
        h = Host(n, self.command(n), os.path.join(LOGS, "%s-%d.log" % (self.name, n)))
        renice(h.proc, self.nice)
        if len(self.hosts) < n:
            self.hosts.append(h)
        else:
            self.hosts[n - 1] = h
        return h

    def __enter__(self):
        try:
            self.world = self.start_world()
            renice(self.world, self.nice)
            self.start(1)
            for _ in range(100):                   # the second one connects to the first one's socket
                if os.path.exists(self.folder + "/link"):
                    break
                time.sleep(0.1)
            self.start(2)
            for h in self.hosts:
                h.wait_for(r"^zendo: host \d is ready\n", 180)
            # A guest takes the time of the host that it is on; so these two have to agree, as by NTP. Host 1 sets its own as well: only
            # what is set reaches the hypervisor, whose clock it is.
            self.one.must("moveload serve 6001 > /dev/null 2>&1 & sleep 1; moveload sync 127.0.0.1 6001")
            self.two.must("sleep 1; moveload sync 10.0.3.11 6001")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.probe:
            self.probe.close()
        for h in self.hosts:
            h.kill()
        if self.world:
            self.world.kill()
            self.world.wait()
        self.switch.stop = True
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def one(self):
        return self.hosts[0]

    @property
    def two(self):
        return self.hosts[1]

    def connect_disk(self):
        for h in self.hosts:
            h.must("modprobe nbd max_part=0; [ -b /dev/nbd0 ] && moveload nbd 10.0.2.2 %d /dev/nbd0" % self.disk.port)

    def create(self, host, name="demo", memory=128, load="6000", disk=True, vcpus=1, more=""):
        """Makes a guest and waits until it answers."""
        stock = self.tool == "xl"      # Debian's scripts want a whole Debian
        block, vif = (",script=/scripts/block-plain", ",script=/scripts/vif-plain") if stock else ("", "")
        lines = ['name="%s"' % name, 'kernel="/data/vmlinuz"', 'ramdisk="/data/guest.gz"', "memory=%d" % memory, "vcpus=%d" % vcpus,
                 'extra="console=hvc0 quiet zendo.name=%s zendo.role=move zendo.ip=%s/24 zendo.gw=10.0.2.2 zendo.load=%s"' % (name, GUEST, load.replace(" ", ",")),
                 'vif=["bridge=xenbr0,mac=00:16:3e:00:00:50%s"]' % vif] + (['disk=["phy:/dev/nbd0,xvda,w%s"]' % block] if disk else []) + ([more] if more else [])
        host.must("printf '%%s\\n' %s > /tmp/%s.cfg" % (" ".join("'%s'" % line for line in lines), name))
        host.must("%s create -q /tmp/%s.cfg" % (self.tool, name), 120)
        self.probe = Probe(self.udp)
        return self.probe.ask(120)

    def other(self, host):
        return self.hosts[2 - host.number]

    def put(self, host, path, data):
        """A file for a host, through its console."""
        text = base64.b64encode(data).decode()
        host.must("rm -f %s.b64" % path)
        for i in range(0, len(text), 512):
            host.must("echo %s >> %s.b64" % (text[i:i + 512], path))
        host.must("base64 -d %s.b64 > %s && rm %s.b64" % (path, path, path))

    def move(self, host, name="demo", options="--live", timeout=300, way="-s 'moveload to 8003'"):
        """Moves it away from `host`; (exit code, what was printed, its JSON events)."""
        to = "10.0.3.1%d" % self.other(host).number
        code, text = host.run("xm migrate %s --json %s %s %s" % (options, way, name, to), timeout)
        events = []
        for line in text.splitlines():
            if line.startswith("{"):
                try:
                    events.append(json.loads(line))
                except ValueError:
                    pass
        return code, text, events
