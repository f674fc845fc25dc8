# SPDX-License-Identifier: MIT
# How late a guest that sleeps is woken beside four that compute, by a clock that counts instructions (-icount), so that what the
# host does meanwhile is not in it: 300 wake-ups at a time, alone and beside them; the worst one counts. One CPU for all.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
sleeper=/var/lib/zendo/console/sleeper
said() { grep -c "idle: late" $sleeper; }
more() { [ "$(said)" -ge "$wanted" ]; }
# late NAME: a row of 300 that began after this; $worst
late() {
    wanted=$(($(said) + 2))
    wait_for 200 more
    line=$(sed -n "${wanted}p" $sleeper)
    echo "zendo: $1: ${line#idle: }"
    worst=$(echo "$line" | sed 's/.*worst \([0-9]*\).*/\1/')
}
tiny_config sleeper late
yes create-sleeper xm create -q /tmp/sleeper.cfg
yes speaks wait_for 60 grep -q "idle: late" $sleeper
late alone; alone=$worst
for n in 1 2 3 4; do
    tiny_config "busy$n" busy
    echo "cpu_weight = $((128 << n))" >> "/tmp/busy$n.cfg"
    yes "create-busy$n" xm create -q "/tmp/busy$n.cfg"
done
for n in 1 2 3; do
    late "beside four"
    if [ "${worst:-99999}" -le $((alone + 1000)) ]; then pass "wakes-at-once-$n"; else fail "wakes-at-once-$n" "worst $worst us, alone $alone"; fi
done
xm list
for g in sleeper busy1 busy2 busy3 busy4; do yes "destroy-$g" xm destroy $g; done
clean_log
