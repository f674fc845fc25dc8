# SPDX-License-Identifier: MIT
# What log-dirty costs, with -icount (a nanosecond is an instruction): a CLEAN of a guest of 512 MB that sleeps, and a write to a page
# that is not marked, as the difference between writing zendo.mb= megabytes with a fault for each page and without.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
tiny_config idle
sed -i 's|^memory.*|memory = 512|' /tmp/idle.cfg
yes create-idle xm create -q /tmp/idle.cfg
yes idle-up wait_for 60 printed idle "idle is up"
logdirty "$(xm domid idle)" cost 20
is cost-idle "$?" 0
xm destroy idle
stock_config rw "zendo.name=rw zendo.role=rewrite zendo.mb=$(word mb)"
sed -i 's|^memory.*|memory = 512|' /tmp/rw.cfg
yes create-rw xm create -q /tmp/rw.cfg
turns() { grep -c "guest: wrote" /var/lib/zendo/console/rw; }
wrote() { [ "$(turns)" -ge "$1" ]; }
yes writes wait_for 100 wrote 5
echo "zendo: without logging: $(sed -n 's/.*in \([0-9]* us\).*/\1/p' /var/lib/zendo/console/rw | tail -n 4 | tr '\n' ' ')"
n=$(turns)
logdirty "$(xm domid rw)" cost 40
is cost-rw "$?" 0
echo "zendo: meanwhile: $(sed -n 's/.*in \([0-9]* us\).*/\1/p' /var/lib/zendo/console/rw | tail -n +$((n + 1)) | tr '\n' ' ')"
xm destroy rw
clean_log
