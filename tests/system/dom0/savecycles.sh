# SPDX-License-Identifier: MIT
# A guest with a disk and a network, which checks itself (role save), saved and restored zendo.cycles= times; everything is then as it was:
# domain 0's own account here, the hypervisor's in the harness (soak.py), and the guest's clock. Each guest goes through 25 of them, then
# a fresh one comes: Debian's network front end loses 1 MB of the guest's memory (its receive ring) each time it is resumed.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
dd if=/dev/zero of=/tmp/disk.img bs=1M count=0 seek=32 2>/dev/null
last() { xm console --last g 2>/dev/null | tr -d '\r' | grep "^guest: tick" | tail -n 1; }
of() { echo "$line" | sed -n "s/.* $1 \([^ ]*\).*/\1/p"; }
offset() { clockof 10.77.0.2 2>/dev/null | cut -d ' ' -f 1; }
close_to() { [ -n "$1" ] && [ -n "$2" ] && [ $(($1 - $2)) -gt -50 ] && [ $(($1 - $2)) -lt 50 ]; }
near() { close_to "$1" 0 || close_to "$1" "$2"; } # see save.sh
cycle() { xm save -q g /tmp/g.save && xm restore -q /tmp/g.save; }
moved() { line=$(last); [ "$(of tick)" -gt "${1:-0}" ] 2>/dev/null; }
life() {
    cat > /tmp/g.cfg <<END
name = "g"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=g zendo.role=save zendo.fill=2 zendo.ip=10.77.0.2/24 zendo.ping=10.77.0.1 zendo.disk=xvda"
memory = 128
vcpus = 1
disk = [ "file:/tmp/disk.img,xvda,w" ]
vif = [ "bridge=zbr0" ]
on_crash = "preserve"
END
    xm create -q /tmp/g.cfg && wait_for 90 moved 2 && cycle && wait_for 60 moved 4
}
gone() { [ "$(xm list | wc -l)" = 2 ] && ! ls /sys/class/net | grep -q '^vif'; }
settle() { wait_for 10 gone; sleep 2; }

# What is made once (kernel caches, the kernel's pages for mappings of others) is made before.
for i in 1 2; do yes "warm-up-$i" life; xm destroy g; done
settle
rm -f /tmp/g.save
holdings > /tmp/before
for d in $daemons; do echo "zendo: $d $(rss $d) kB"; done
state before
answers() { now=$(offset); [ -n "$now" ]; }
fresh() { xm destroy g 2>/dev/null; life && wait_for 20 answers && before=$now; }
# The guest's clock and memory, and what it has complained of.
well() {
    now=$(offset)
    near "$now" "$before" || { echo "zendo: clock $before ms before, $now ms now"; return 1; }
    line=$(last)
    [ "$(of mem)" = ok ] && ! xm console --last g | grep -E "differs|cannot be written|BUG|Oops|Call Trace"
}
# What a guest that is not well has said last, whole.
says() { xm console --last g | tr -d '\r' | tail -n 120 | sed 's/^/zendo: guest: /'; xm list | sed 's/^/zendo: /'; }
bad=0 least=0 most=0
for i in $(seq "$(word cycles)"); do
    [ $((i % 25)) != 1 ] || fresh || { bad=$((bad + 1)); echo "zendo: no guest for cycle $i"; break; }
    line=$(last)
    tick=$(of tick)
    cycle || { bad=$((bad + 1)); echo "zendo: cycle $i failed"; says; break; }
    [ $((i % 10)) = 0 ] || continue
    wait_for 60 moved "$tick" || { bad=$((bad + 1)); echo "zendo: after cycle $i it does not go on"; says; break; }
    well || { bad=$((bad + 1)); echo "zendo: after cycle $i it is not well"; says; break; }
    [ "$now" -ge "$least" ] || least=$now
    [ "$now" -le "$most" ] || most=$now
    [ $((i % 50)) != 0 ] || echo "zendo: $i cycles, $(cut -d' ' -f1 /proc/uptime) s up, clock $before ms before, $now ms now"
done
is cycles "$bad" 0
wait_for 30 moved "$((tick + 2))"
yes well well
echo "zendo: clocks were $least to $most ms from ours"
xm destroy g
settle
rm -f /tmp/g.save
holdings > /tmp/after
same_holdings /tmp/before /tmp/after
for d in $daemons; do echo "zendo: $d $(rss $d) kB"; done
state after
clean_log
