# SPDX-License-Identifier: MIT
# The guest that changes its page tables by every way there is, on two vCPUs, and checks what it sees (guests/hammer): copied by
# what log-dirty says (logdirty.c), zendo.times= times on and off. It must not notice, and no page may be missed.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
tiny_config hammer
sed -i -e 's|idle.elf|hammer.elf|' -e 's|^vcpus.*|vcpus = 2|' -e 's|^memory.*|memory = 16|' /tmp/hammer.cfg
steps() { sed -n 's/.*guest: hammer 0x\([0-9a-f]*\) 0x\([0-9a-f]*\) steps are right.*/0x\1 0x\2/p' /var/lib/zendo/console/hammer | tail -n 1; }
yes create xm create -q /tmp/hammer.cfg
yes works wait_for 60 printed hammer "steps are right"
before=$(steps)
free=$(free_mb)
logdirty "$(xm domid hammer)" "$(word rounds)" 100 "$(word times)" check
is nothing-missed "$?" 0
logdirty "$(xm domid hammer)" 0 0 "$(word times)"
is nothing-missed-at-once "$?" 0
is memory-back "$(free_mb)" "$free"
after=$(steps)
goes_on() { [ "$(steps)" != "$after" ]; }
yes goes-on wait_for 30 goes_on
echo "zendo: steps $before, $after, $(steps)"
is right "$(grep 'is wrong' /var/lib/zendo/console/hammer | head -n 1)" ""
xm destroy hammer
clean_log
