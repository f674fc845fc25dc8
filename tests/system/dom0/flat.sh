# SPDX-License-Identifier: MIT
# What one command costs with few and with many guests there, by a clock that counts instructions (-icount): thousands of them.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
guests=$(word guests)
spent() { cut -d' ' -f1 "/proc/$(daemon_pid "$1")/schedstat"; }
# cost NAME COMMAND...: the mean of five turns, and the part that the daemons have in it
cost() {
    what=$1; shift
    for d in $daemons; do eval "s_$d=$(spent $d)"; done
    t0=$(us)
    for i in 1 2 3 4 5; do "$@" > /dev/null || echo "not ok $what: $*"; done
    echo "zendo: $there there: $what $((($(us) - t0) / 5)) us; xenstored $((($(spent xenstored) - s_xenstored) / 5000)) xenconsoled $((($(spent xenconsoled) - s_xenconsoled) / 5000)) zendod $((($(spent zendod) - s_zendod) / 5000))"
}
turn=0
create() { turn=$((turn + 1)); xm create -q "/tmp/x$turn.cfg"; }
destroy() { turn=$((turn + 1)); xm destroy "x$turn"; }
settle() { sleep 1; }
look() {
    cost true true
    turn=0; cost create create; settle
    cost list-name xm list x1
    cost domid xm domid x1
    cost pause xm pause x2
    cost list xm list
    turn=0; cost destroy destroy; settle
}
for i in $(seq "$guests"); do tiny_config "t$i"; done
for i in 1 2 3 4 5; do tiny_config "x$i"; done
there=0
xm create -q /tmp/t1.cfg; xm destroy t1
for n in 1 20 100 "$guests"; do
    while [ $there -lt $n ]; do there=$((there + 1)); xm create -q /tmp/t$there.cfg; done
    settle
    look
done
