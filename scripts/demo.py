#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make demo: boots a host in QEMU that runs scripts/demo/demo.sh, shows what it prints, and ends with 0 if all went well.

The outside world of the demo are two tiny web servers of this program on the loopback, which domain 0 sees behind 10.0.2.2:
the firewall lets one port through and not the other.
"""
import http.server
import os
import re
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/system"))
from machine import Machine, Trouble  # noqa: E402


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = b"zendo-demo: a page from outside, for %s\n" % self.headers.get("Host", "?").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        print("outside| %s asks for %s" % (self.client_address[0], self.path), flush=True)


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def command(ports):
    flavour = os.environ.get("FLAVOUR", "amd64")
    build = os.path.join(ROOT, "build")
    words = "console=hvc0 zendo.script=demo.sh zendo.open=%d zendo.closed=%d" % ports
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", os.environ.get("CPU", "max"), "-smp", os.environ.get("CPUS", "2"),
            "-m", os.environ.get("MEMORY", "2G"), "-nodefaults", "-vga", "std", "-display", "none", "-monitor", "none", "-serial", "stdio",
            "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0",
            "-drive", "file=%s/demo-%s.img,format=raw,if=virtio,snapshot=on" % (build, flavour),
            "-kernel", os.environ.get("HV", build + "/zendo.elf"), "-append", "console=com1 com1=115200,8n1 dom0_mem=512M",
            "-initrd", "%s/kernel/%s/vmlinuz %s,%s/dom0-%s.gz" % (build, flavour, words, build, flavour)]


def follow(m, show):
    """Shows the lines of the script as they come; gives (passed, failed)."""
    m.wait_for(r"zendo: script demo.sh starts\n", 120)
    while True:
        line = m.wait_for(r"^(.*)\n", 120).group(1)
        end = re.match(r"zendo: script demo.sh ends with (\d+)", line)
        if end:
            m.wait_exit(60)
            return end.group(1) == "0"
        print(line, flush=True)
        show.append(line)


def main():
    lines, why = [], "demo.sh failed"
    os.makedirs(os.path.join(ROOT, "build/system"), exist_ok=True)
    with Machine(command((serve(), serve())), os.path.join(ROOT, "build/system/demo.log")) as m:
        print("demo: a host boots", flush=True)
        try:
            ended = follow(m, lines)
        except Trouble as e:
            ended, why = False, str(e)
    passed = sum(1 for text in lines if text.startswith("ok "))
    failed = sum(1 for text in lines if text.startswith("not ok "))
    if not ended:
        print("demo: %s (build/system/demo.log has the console)" % why)
        failed += 1
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
