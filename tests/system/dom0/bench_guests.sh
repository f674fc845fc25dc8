# SPDX-License-Identifier: MIT
# What creating, running and destroying guests costs, for bench/run.py: lines "BENCH NAME VALUE". With Debian's tools (image
# -stock) or with ours, whichever is there. Times are of domain 0's clock, in microseconds.
. /scripts/lib.sh
. /scripts/services
if [ -e /scripts/vif-plain ]; then xm=xl bridge=xenbr0 net=10.77.0 more=,script=/scripts/vif-plain how=,script=/scripts/block-plain
else xm=xm bridge=zbr0 net=10.77.0 more='' how=''
fi
now() { mixload time 0; }
# took NAME COMMAND...: microseconds
took() {
    what=$1; shift
    before=$(now)
    "$@" >/tmp/out 2>&1 || { echo "not ok $what: $(tail -n 1 /tmp/out)"; return 1; }
    echo "BENCH $what $(($(now) - before))"
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
# hear NAME: what the guest's console says goes to /tmp/log, until its end.
hear() { : > /tmp/log; $xm console "$1" < /dev/null >> /tmp/log 2>&1 & reader=$!; }
# until_says WORDS: false if the console ends before, or does not say it within a minute
until_says() {
    polls=3000
    until grep -q "$1" /tmp/log; do
        usleep 20000
        [ -d /proc/$reader ] && [ $((polls -= 1)) -gt 0 ] || { echo "not ok console: no '$1' but '$(tail -n 2 /tmp/log)'"; return 1; }
    done
}
# each NAME COUNT COMMAND...: microseconds of one of several; the command gets 1, 2, ... as its last word
each() {
    what=$1 count=$2; shift 2
    before=$(now)
    for n in $(seq "$count"); do "$@" "$n" >/tmp/out 2>&1 || { echo "not ok $what: $(tail -n 1 /tmp/out)"; return 1; }; done
    echo "BENCH $what $((($(now) - before) / count))"
}

# --- a stock kernel -------------------------------------------------------------------------------------------------
config one zendo.role=check
took warm-create $xm create -p /tmp/one.cfg
list() { $xm list; }
each guest-list 5 list
$xm destroy one
sleep 1
took guest-create-paused $xm create -p /tmp/one.cfg
took guest-destroy $xm destroy one

config up "zendo.role=check zendo.stay=1"
before=$(now)
took guest-create $xm create /tmp/up.cfg
hear up
until_says "guest: up is up" && echo "BENCH guest-create-to-init $(($(now) - before))"
took guest-destroy-running $xm destroy up
wait $reader

# --- tiny ones --------------------------------------------------------------------------------------------------------
tiny() { # NAME WORDS
    printf 'name = "%s"\nkernel = "/data/pair.elf"\nextra = "%s"\nmemory = 16\nvcpus = 1\n' "$1" "$2" > /tmp/$1.cfg
}
for n in $(seq 0 12); do tiny t$n ""; done
tiny_create() { $xm create -p /tmp/t$1.cfg; }
tiny_destroy() { $xm destroy t$1; }
tiny_create 0 > /tmp/out
free=$(free_mb)
each guest-create-tiny 12 tiny_create
echo "BENCH guest-memory-beyond-kib $(((free - $(free_mb) - 12 * 16) * 1024 / 12))"
each guest-destroy-tiny 12 tiny_destroy
# The second of two guests has the number after the first one's; it is told the port that the first one offers.
first=$(($($xm domid t0) + 13))
tiny ping "peer=$((first + 1))"
$xm create /tmp/ping.cfg > /tmp/out 2>&1
[ "$($xm domid ping)" = $first ] || echo "not ok pair: $($xm list)"
hear ping
until_says "pair: port [0-9]"
tiny pong "peer=$first port=$(sed -n 's/.*pair: port \([0-9]*\).*/\1/p' /tmp/log)"
kill $reader
$xm create /tmp/pong.cfg > /tmp/out 2>&1
hear pong
until_says "pair: round-trip-ns [0-9]"
sed -n 's/.*pair: round-trip-ns \([0-9]*\).*/BENCH guest-event-round-trip-ns \1/p' /tmp/log
kill $reader
for n in t0 ping pong; do $xm destroy $n; done

# --- devices ------------------------------------------------------------------------------------------------------------
modprobe null_blk nr_devices=1 gb=1 || echo "not ok null_blk"
modprobe loop
config io "zendo.role=bench zendo.disk=xvda zendo.ip=$net.2/24 zendo.net=$net.1" \
    "disk = [ 'phy:/dev/nullb0,xvda,w$how' ]
vif = [ 'bridge=$bridge$more' ]"
nc -ll -p 9 -e sh -c 'cat > /dev/null' &
nc -ll -p 19 -e sh -c 'dd if=/dev/zero bs=64k count=256 2>/dev/null' &
took guest-create-devices $xm create /tmp/io.cfg
hear io
until_says "guest: measured"
sed -n 's/.*guest: figure \([a-z0-9-]* [0-9]*\).*/BENCH guest-\1/p' /tmp/log
grep -a "guest: .* fails" /tmp/log | sed "s/^/not ok /"
! grep -q "guest: .* fails" /tmp/log || { xenstore-ls -f /local/domain/0/backend; dmesg | tail -n 5; cat /tmp/log; }
took guest-destroy-devices $xm destroy io
echo BENCH-END
