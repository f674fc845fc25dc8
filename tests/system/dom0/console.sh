# SPDX-License-Identifier: MIT
# Our xenconsoled beside whatever tools this image has: what a guest prints is kept beyond its end, stock `xl console` and our
# `xm console` both work, a restart of the daemon loses nothing that comes later. Stock tools: their daemon gives way to ours.
. /scripts/lib.sh
. /scripts/services
history=/var/lib/zendo/console
[ ! -e /run/xen/xenconsoled.pid ] || kill "$(cat /run/xen/xenconsoled.pid)"
tool=xl; daemon=/usr/sbin/xenconsoled; [ ! -e /usr/sbin/xenconsoled-zendo ] || daemon=/usr/sbin/xenconsoled-zendo
if [ -e /run/zendo/xenconsoled.pid ]; then kill "$(cat /run/zendo/xenconsoled.pid)"; sleep 1; fi

start_daemon() { mkdir -p /var/log/zendo; $daemon --log=all --timestamp; }
guest_config() {    # NAME WORDS
    cat > "/tmp/$1.cfg" <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=$1 $2"
memory = 128
vcpus = 1
END
}
kept() { grep -q "$2" "$history/$1"; }
last() { timeout 15 xm console --last "$1" > "/tmp/last.$1" 2>&1 && grep -q "$2" "/tmp/last.$1"; }

yes start start_daemon
yes socket [ -S /run/zendo/console.sock ]
[ -S /run/zendo/console.sock ] || exit 1    # the rest could not fail for its own reasons
no_second() { ! $daemon 2>/tmp/second; }
yes second-refused no_second
yes second-says grep -q "another xenconsoled runs" /tmp/second

guest_config a ""
yes create timeout 90 $tool create /tmp/a.cfg
id=$($tool domid a) || exit 1
yes tty-node wait_for 10 sh -c "xenstore-read /local/domain/$id/console/tty | grep -q /dev/pts/"
yes guest-up wait_for 90 kept a "guest: a is up"
yes last-of-running last a "guest: a is up"
# talk COMMAND WANTED CLIENT...: types the command into a client's console until the wanted words come, at most 30 s; then the leaving key.
talk() {
    typed=$1 wanted=$2; shift 2; rm -f /tmp/talk
    (sleep 1; printf '%s\r' "$typed"; wait_for 30 grep -q "$wanted" /tmp/talk; printf '\035'; sleep 1) | timeout 45 "$@" > /tmp/talk 2>&1
    tail -n 5 /tmp/talk; grep -q "$wanted" /tmp/talk
}
yes xm-console talk 'echo one-$((40 + 2))' one-42 xm console a
# Stock xl forwards input from a terminal only; so its pseudo terminal is typed into by hand, and it shows what our client types.
if [ "$daemon" != /usr/sbin/xenconsoled ]; then
    tty=$(xenstore-read "/local/domain/$id/console/tty")
    printf 'echo two-$((40 + 3))\r' > "$tty"
    yes tty-input wait_for 20 kept a two-43
    xl console a > /tmp/stock 2>&1 < /dev/null & xl=$!
    sleep 3
    yes xm-beside-xl talk 'echo six-$((40 + 6))' six-46 xm console a
    yes xl-console wait_for 10 grep -q six-46 /tmp/stock
    kill $xl
fi

# The daemon goes and comes; what the guest says meanwhile is in the ring.
kill "$(cat /run/zendo/xenconsoled.pid)"
yes stop wait_for 10 sh -c '[ ! -e /run/zendo/xenconsoled.pid ]'
yes restart start_daemon
yes after-restart talk 'echo three-$((40 + 4))' three-44 xm console a
# A guest that prints as fast as it can: the daemon stays small, and what is kept is bounded.
(printf 'while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done\r'; sleep 1; printf '\035') | timeout 30 xm console a > /dev/null 2>&1
pid=$(cat /run/zendo/xenconsoled.pid)
ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
was=$(ticks); sleep 8; spent=$(($(ticks) - was))
echo "console: $spent ticks of CPU in 8 s under a guest that prints without end, $(awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status") kB"
# 200 looks a second at most; an emulator on a busy host makes them dear. Without that limit it would be all of 800.
yes spam-cpu sh -c "[ -d /proc/$pid ] && [ $spent -gt 0 ] && [ $spent -lt 560 ]"
yes kept-bounded [ "$(du -sk "$history" | cut -f 1)" -lt 600 ]
yes destroy $tool destroy a
yes last-of-dead wait_for 5 last a yyyyyyyy
yes client-ends sh -c '! timeout 20 xm console a 2>/tmp/gone && grep -q . /tmp/gone'

# One that ends at once.
guest_config b "zendo.role=none-such"
$tool create /tmp/b.cfg >/dev/null 2>&1
yes short-life wait_for 60 kept b "guest: b is up"
$tool destroy b 2>/dev/null
yes last-of-short wait_for 5 last b "guest: b is up"
yes log grep -q '^\[.*guest: b is up' /var/log/zendo/console/b.log
yes hv-log [ -s /var/log/zendo/console/hypervisor.log ]
yes says-nothing sh -c '[ -e /var/log/zendo/xenconsoled.log ] && ! grep . /var/log/zendo/xenconsoled.log'
clean_log
