# SPDX-License-Identifier: MIT
# What saving and restoring costs, the whole command each time, for bench/run.py: lines "BENCH NAME VALUE". With Debian's tools
# (image -stock) or with ours, whichever is there. Times are of domain 0's clock, in microseconds. Guests that hold little.
. /scripts/lib.sh
. /scripts/services
if [ -e /scripts/vif-plain ]; then xm=xl; else xm=xm; fi
now() { mixload time 0; }
took() {
    what=$1; shift
    before=$(now)
    "$@" >/tmp/out 2>&1 || { echo "not ok $what: $(tail -n 1 /tmp/out)"; return 1; }
    echo "BENCH $what $(($(now) - before))"
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
echo BENCH-END
