# SPDX-License-Identifier: MIT
# What saving and restoring costs, the whole command each time, for bench/run.py: lines "BENCH NAME VALUE". With Debian's tools
# (image -stock) or with ours, whichever is there. Times are of domain 0's clock, in microseconds. Guests that hold little.
. /scripts/lib.sh
. /scripts/services
if [ -e /scripts/vif-plain ]; then xm=xl; else xm=xm; fi
now() { mixload time 0; }
# bench/profile.py save: the kernel's symbols first; the marks are for its plugin.
if grep -q zendo.symbols /proc/cmdline; then echo SYMBOLS; grep -i ' t ' /proc/kallsyms; echo SYMBOLS-END; fi
took() {
    what=$1; shift
    mixload mark 0
    before=$(now)
    "$@" >/tmp/out 2>&1 || { echo "not ok $what: $(tail -n 1 /tmp/out)"; return 1; }
    after=$(now)
    mixload mark 1
    echo "BENCH $what $((after - before))"
}
says() { tail -n 3 /tmp/log | grep -q "beat [0-9]"; }
for mb in 128 512; do
    cat > /tmp/g.cfg <<END
name = "g$mb"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=g zendo.role=check zendo.stay=1"
memory = $mb
vcpus = 1
END
    $xm create /tmp/g.cfg >/tmp/out 2>&1 || echo "not ok create: $(cat /tmp/out)"
    : > /tmp/log
    $xm console g$mb < /dev/null >> /tmp/log 2>&1 & reader=$!
    wait_for 60 says || echo "not ok guest: $(tail -n 2 /tmp/log)"
    took guest-save-$mb $xm save g$mb /tmp/g.save
    echo "BENCH guest-file-kib-$mb $(du -k /tmp/g.save | cut -f 1)"
    kill $reader 2>/dev/null
    took guest-restore-$mb $xm restore /tmp/g.save
    : > /tmp/log
    $xm console g$mb < /dev/null >> /tmp/log 2>&1 & reader=$!
    wait_for 30 says || echo "not ok goes on: $(tail -n 2 /tmp/log)"
    kill $reader 2>/dev/null
    $xm destroy g$mb
    rm -f /tmp/g.save
done
# A restored guest from the moment that it may run to the one when its disk and its network are connected anew; not with Debian's tools,
# which go through scripts.
if [ $xm = xm ]; then
    modprobe null_blk nr_devices=1 gb=1 || echo "not ok null_blk"
    printf '%s\n' 'name="io"' 'kernel="/data/vmlinuz"' 'ramdisk="/data/guest.gz"' 'extra="console=hvc0 quiet zendo.name=g zendo.role=check zendo.stay=1"' \
        memory=128 'disk=["phy:/dev/nullb0,xvda,w"]' 'vif=["bridge=zbr0"]' > /tmp/g.cfg
    xm create /tmp/g.cfg >/tmp/out 2>&1 || echo "not ok create: $(cat /tmp/out)"
    xm console io < /dev/null >> /tmp/log 2>&1 & reader=$!
    wait_for 60 says || echo "not ok guest: $(tail -n 2 /tmp/log)"
    kill $reader
    xm save io /tmp/g.save >/tmp/out 2>&1 && xm restore -p /tmp/g.save >/tmp/out 2>&1 || echo "not ok restore: $(cat /tmp/out)"
    id=$(xm domid io)
    paths=$(for kind in vbd vif; do echo "/local/domain/0/backend/$kind/$id/$(xenstore-list /local/domain/0/backend/$kind/$id)/state"; done)
    connected() { [ "$(xenstore-read $paths | tr -d '\n')" = 44 ]; }
    reconnects() { xm unpause io; polls=300; until connected; do usleep 5000; [ $((polls -= 1)) -gt 0 ] || { xenstore-read $paths; return 1; }; done; }
    took guest-reconnect reconnects
    xm destroy io
fi
echo BENCH-END
