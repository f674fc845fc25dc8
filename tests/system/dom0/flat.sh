# SPDX-License-Identifier: MIT
# What one command costs with few and with many guests there, by a clock that counts instructions (-icount): thousands of them.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
guests=$(word guests)
spent() { cut -d' ' -f1 "/proc/$(daemon_pid "$1")/schedstat"; }
# cost NAME COMMAND...: the mean of five turns, which becomes $NAME_GUESTS, and the part that the daemons have in it
cost() {
    what=$1; shift
    for d in $daemons; do eval "s_$d=$(spent $d)"; done
    t0=$(us)
    for i in 1 2 3 4 5; do "$@" > /dev/null || fail "$what" "$*"; done
    took=$((($(us) - t0) / 5))
    eval "${what}_$there=$took"
    for d in $daemons; do eval "s_$d=\$((($(spent $d) - s_$d) / 5000))"; done
    echo "zendo: $there there: $what $took, of it xenstored $s_xenstored, xenconsoled $s_xenconsoled, zendod $s_zendod"
}
turn=0
create() { turn=$((turn + 1)); xm create -q "/tmp/x$turn.cfg"; }
destroy() { turn=$((turn + 1)); xm destroy "x$turn"; }
settle() { sleep 1; }
look() {
    turn=0; cost create create; settle
    cost list_name xm list x1
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
# flat NAME PERCENT: with all there it costs so much more than with one, at most
flat() {
    eval "few=\$${1}_1 many=\$${1}_$guests"
    if [ $((many * 100)) -le $((few * (100 + $2))) ]; then pass "flat-$1"; else fail "flat-$1" "$few with one there, $many with $guests"; fi
}
for what in list_name domid pause; do flat $what 5; done
for what in create destroy; do flat $what 10; done
clean_log
