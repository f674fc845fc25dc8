# SPDX-License-Identifier: MIT
# A guest with two vCPUs forks, execs and maps memory, and checks what it finds, while its memory is copied by what log-dirty
# says (logdirty.c): zendo.times= times on and off, in zendo.rounds= rounds. Stopped, no page may differ that is not in the last bitmap.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
# The guest's image with mixload in it: an archive behind the other.
mkdir -p /tmp/more/bin
cp /scripts/bin/mixload /tmp/more/bin/
(cd /tmp/more && find . | cpio -o -H newc 2>/dev/null | gzip -1) > /tmp/more.gz
cat /data/guest.gz /tmp/more.gz > /tmp/load.gz
stock_config load "zendo.name=load zendo.role=mixload"
sed -i -e 's|^ramdisk.*|ramdisk = "/tmp/load.gz"|' -e 's|^vcpus.*|vcpus = 2|' -e "s|^memory.*|memory = $(word mb)|" /tmp/load.cfg
rounds_right() { sed -n 's/.*guest: \([0-9]*\) rounds of load are right.*/\1/p' /var/lib/zendo/console/load | tail -n 1; }
more_rounds() { [ "$(rounds_right)" -gt "$1" ]; }
yes create xm create -q /tmp/load.cfg
yes works wait_for 120 printed load "1 rounds of load are right"
free=$(free_mb)
logdirty "$(xm domid load)" "$(word rounds)" 300 "$(word times)" check
is nothing-missed "$?" 0
is memory-back "$(free_mb)" "$free"
n=$(rounds_right)
yes goes-on wait_for 120 more_rounds "$((n + 1))"
is load-right "$(grep -c 'load is wrong' /var/lib/zendo/console/load)" 0
logdirty "$(xm domid load)" 1 50 "$(word times)"
is nothing-missed-in-short-rounds "$?" 0
xm destroy load
clean_log
