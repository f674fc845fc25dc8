# SPDX-License-Identifier: MIT
# Three busy guests with weights 256:512:1024 and a fourth with a cap of 25 %, one vCPU each, on two CPUs for 30 s: 1.75 CPUs are
# left for the three, so the heaviest can have all of one. And how late a guest that sleeps most of the time is woken beside them.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
guest_start() {    # NAME WEIGHT CAP
    cat > "/tmp/$1.cfg" <<END
name = "$1"
kernel = "/data/vmlinuz"
ramdisk = "/data/guest.gz"
extra = "console=hvc0 quiet zendo.name=$1 zendo.role=busy"
memory = 96
vcpus = 1
cpu_weight = $2
cap = $3
END
    yes "create-$1" timeout 60 xm create "/tmp/$1.cfg"
}
computes() { grep -q "guest: computes" "/var/lib/zendo/console/$1"; }
used() { xm list "$1" | awk 'NR == 2 { print int($6 * 10) }'; } # tenths of a second
# late: what the guest "sleeper" says of 300 wake-ups, all of them from now on: microseconds, 9 of 10
sleeper=/var/lib/zendo/console/sleeper
late() { had=$(grep -c "idle: late" $sleeper); wait_for 60 later; sed -n "$((had + 2))s/.*9 of 10 \([0-9]*\).*/\1/p" $sleeper; }
later() { [ "$(grep -c "idle: late" $sleeper)" -ge $((had + 2)) ]; }
# near NAME GOT WANTED: within 5 %
near() { if [ "$2" -gt 0 ] && [ $(($2 * 100)) -ge $(($3 * 95)) ] && [ $(($2 * 100)) -le $(($3 * 105)) ]; then pass "$1"; else fail "$1" "$2 and not $3"; fi; }

tiny_config sleeper late
yes create-sleeper xm create -q /tmp/sleeper.cfg
sleep 4
alone=$(late)
names="light middle heavy capped"
guest_start light 256 0; guest_start middle 512 0; guest_start heavy 1024 0; guest_start capped 1024 25
for g in $names; do yes "computes-$g" wait_for 120 computes "$g"; done
sleep 2
for g in $names; do eval "before_$g=$(used "$g")"; done
up=$(now_ms)
beside=$(late)
while [ $(($(now_ms) - up)) -lt 30000 ]; do sleep 1; done
for g in $names; do eval "ran_$g=$(($(used "$g") - before_$g))"; done
took=$((($(now_ms) - up) / 100))
echo "zendo: in $took tenths: light $ran_light middle $ran_middle heavy $ran_heavy capped $ran_capped; late $alone us alone, $beside us beside"
near cap "$ran_capped" $((took / 4))
three=$((ran_light + ran_middle + ran_heavy))
near weight-256 "$ran_light" $((three / 7))
near weight-512 "$ran_middle" $((three * 2 / 7))
near weight-1024 "$ran_heavy" $((three * 4 / 7))
tail -n 3 $sleeper
if [ $((beside - alone)) -le 5000 ]; then pass wakes-promptly; else fail wakes-promptly "$beside us late, $alone us alone"; fi
yes destroy-sleeper xm destroy sleeper
for g in $names; do yes "destroy-$g" xm destroy "$g"; done
clean_log
