# SPDX-License-Identifier: MIT
# What creating, running and destroying guests costs, for bench/run.py: lines "BENCH NAME VALUE". With Debian's tools (image
# -stock) or with ours, whichever is there. Times are of domain 0's clock, in 10 ms.
. /scripts/lib.sh
if [ -e /scripts/services ]; then . /scripts/services; xm=xl bridge=xenbr0 net=10.77.0 more=,script=/scripts/vif-plain how=,script=/scripts/block-plain
else xm=xm bridge=$(ls -d /sys/class/net/*/bridge | head -n 1 | cut -d/ -f5) more='' how=''
    net=$(ip -4 -o addr show dev "$bridge" | sed 's/.*inet \([0-9]*\.[0-9]*\.[0-9]*\)\..*/\1/')
fi
now() { read -r up rest < /proc/uptime; echo "${up%.*}${up#*.}"; }
# took NAME COMMAND...: milliseconds
took() {
    what=$1; shift
    before=$(now)
    "$@" >/tmp/out 2>&1 || { echo "not ok $what: $(tail -n 1 /tmp/out)"; return 1; }
    echo "BENCH $what $((($(now) - before) * 10))"
}
config() {
    cat > /tmp/$1.cfg <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=$1 $2"
memory = 96
vcpus = 1
$3
END
}
free_mb() { $xm info | sed -n 's/^free_memory *: //p'; }
until_says() { until grep -q "$1" /tmp/log; do usleep 20000; [ -d /proc/$reader ] || return 1; done; }

config one zendo.role=check
config two zendo.role=check
took warm-create $xm create -p /tmp/one.cfg
$xm destroy one
sleep 1
free=$(free_mb)
took guest-create-paused $xm create -p /tmp/one.cfg
echo "BENCH guest-memory-beyond-mb $((free - $(free_mb) - 96))"
took guest-list $xm list
took guest-destroy $xm destroy one

config up "zendo.role=check zendo.stay=1"
before=$(now)
$xm create /tmp/up.cfg
: > /tmp/log
$xm console up < /dev/null >> /tmp/log 2>&1 & reader=$!
until_says "guest: up is up" && echo "BENCH guest-create-to-init $((($(now) - before) * 10))"
took guest-destroy-running $xm destroy up
wait $reader

modprobe null_blk nr_devices=1 gb=1 || echo "not ok null_blk"
modprobe loop
config io "zendo.role=bench zendo.disk=xvda zendo.ip=$net.2/24 zendo.net=$net.1" \
    "disk = [ 'phy:/dev/nullb0,xvda,w$how' ]
vif = [ 'bridge=$bridge$more' ]"
nc -ll -p 9 -e sh -c 'cat > /dev/null' &
nc -ll -p 19 -e sh -c 'dd if=/dev/zero bs=64k count=1024 2>/dev/null' &
took guest-create-devices $xm create /tmp/io.cfg
: > /tmp/log
$xm console io < /dev/null >> /tmp/log 2>&1 & reader=$!
until_says "guest: measured"
sed -n 's/.*guest: figure \([a-z0-9-]* [0-9]*\).*/BENCH guest-\1/p' /tmp/log
grep -a "guest: .* fails" /tmp/log | sed "s/^/not ok /"
took guest-destroy-devices $xm destroy io
echo BENCH-END
