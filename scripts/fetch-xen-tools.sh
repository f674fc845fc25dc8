#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch-xen-tools.sh DIR: the stock tools of Xen 4.17 (xl, both store daemons, xenconsoled, xentop, the clients of the store,
# the hotplug scripts and what these call), for an image whose domain 0 is run by them: `make stock-image`.
set -eu
dir=$1
bin=usr/lib/xen-4.17/bin
"$(dirname "$0")/fetch-programs.sh" "$dir" xen-utils-4.17 xen-utils-common xenstore-utils bash mount util-linux iproute2 -- \
    $bin/xl $bin/oxenstored $bin/xenstored $bin/xenconsoled $bin/xenconsole $bin/xen-init-dom0 $bin/xentop $bin/libxl-save-helper \
    $bin/xenstore-control $bin/lsevtchn $bin/xenctx $bin/xen-diag $bin/xen-cpuid $bin/xenpm $bin/readnotes $bin/xen-hptool \
    usr/bin/xenstore usr/bin/xenstore-chmod usr/bin/xenstore-exists usr/bin/xenstore-list usr/bin/xenstore-ls usr/bin/xenstore-read \
    usr/bin/xenstore-rm usr/bin/xenstore-watch usr/bin/xenstore-write \
    etc/xen lib/x86_64-linux-gnu/libgcc_s.so.1 bin/bash sbin/losetup usr/bin/flock bin/ip
# (libgcc_s is named by no program: pthread_cancel loads it.)
root=$dir/root
mkdir -p "$root/usr/sbin"
# In the package these are links to a wrapper that looks which version runs.
for program in "$root/$bin"/*; do ln -sf "../lib/xen-4.17/bin/$(basename "$program")" "$root/usr/sbin/"; done
