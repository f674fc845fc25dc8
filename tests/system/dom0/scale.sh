# SPDX-License-Identifier: MIT
# zendo.guests= tiny guests (200) at once: what the first, the 20th and the last take to make and to destroy, what one costs in
# memory, and that they cost nothing while they sleep. The harness measures QEMU's own use of CPU between "quiet" lines.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
guests=$(word guests)
quiet() { sync; sleep 3; echo "zendo: quiet $1"; read -r answer; for d in $daemons; do eval "q_$d=$(ticks $d)"; done; sleep 10; echo "zendo: quiet end"; read -r answer
    for d in $daemons; do eval "echo \"zendo: $1: $d \$((\$(ticks $d) - q_$d)) ticks in 10 s, \$(rss $d) kB, \$(fds $d) descriptors\""; done; }

for i in $(seq "$guests"); do tiny_config "t$i"; done
yes warm-up xm create -q /tmp/t1.cfg
yes warm-up-end xm destroy t1
sleep 1
holdings > /tmp/before; free=$(free_mb)
processes=$(processes)
quiet none
bad=0
for i in $(seq "$guests"); do
    timed xm create -q "/tmp/t$i.cfg" || bad=$((bad + 1))
    eval "create_$i=$took"
done
is all-created "$bad" 0
is listed "$(xm list | grep -c '^t[0-9]')" "$guests"
echo "zendo: memory a guest: $(((free - $(free_mb)) * 1024 / guests)) KiB of which its own are 4096"
yes last-is-up wait_for 60 printed "t$guests" "guest: idle is up"
is no-process-per-guest "$(($(processes) - processes))" 0
quiet all
timed xm list; echo "zendo: list $took us"
(sleep 1; echo; sleep 2; printf '\035') | timeout 20 xm console "t$guests" 2>&1 | grep -a "idle: woken"
yes answers printed "t$guests" "idle: woken"
bad=0
for i in $(seq "$guests"); do
    timed xm destroy "t$i" || bad=$((bad + 1))
    eval "destroy_$i=$took"
done
is all-destroyed "$bad" 0
# The same five again with nothing else there: the machine under the machine may be slower now than it was at the start.
for i in 1 2 3 4 5; do timed xm create -q "/tmp/t$i.cfg"; eval "again_$i=$took"; done
for i in 1 2 3 4 5; do yes "destroy-again-$i" xm destroy "t$i"; done
# mean NAME FIRST LAST: of five, since the machine under the machine has other work
mean() { sum=0; for k in $(seq "$2" "$3"); do eval "sum=\$((sum + ${1}_$k))"; done; echo $((sum / ($3 - $2 + 1))); }
for what in create destroy; do
    a=$(mean $what 1 5); b=$(mean $what 18 22); c=$(mean $what $((guests - 4)) "$guests")
    echo "zendo: $what, us: 1st $a, 20th $b, ${guests}th $c"
    again=$(mean again 1 5)
    [ $what = destroy ] || { echo "zendo: create, us: 1st again $again"; [ "$again" -lt "$a" ] || a=$again; }
    [ $what = create ] || c=$a a=$(mean $what $((guests - 4)) "$guests") # the first was with all the others there
    yes "$what-flat" [ $((c * 4)) -le $((a * 5)) ]
done
sleep 2
holdings > /tmp/after
same_holdings /tmp/before /tmp/after
is same-free-memory "$(free_mb)" "$free"
clean_log
