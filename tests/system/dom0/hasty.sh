# SPDX-License-Identifier: MIT
# Guests that are destroyed at any moment of their beginning, made anew or restored, zendo.cycles= times: nothing of them stays in the store.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
dd if=/dev/zero of=/tmp/disk.img bs=1M count=0 seek=32 2>/dev/null
stock_config g "zendo.name=g zendo.role=save zendo.fill=2 zendo.ip=10.77.0.2/24 zendo.disk=xvda" 'disk = [ "file:/tmp/disk.img,xvda,w" ]
vif = [ "bridge=zbr0" ]'
up() { xm console --last g 2>/dev/null | grep -q "^guest: tick"; }
gone() { [ "$(xm list | wc -l)" = 2 ] && ! ls /sys/class/net | grep -q '^vif'; }
nodes() { xenstore-ls -f / | sed 's/ = .*//' | sort; }
yes boots xm create -q /tmp/g.cfg
yes up wait_for 90 up
yes saved xm save -q g /tmp/g.save
wait_for 10 gone
nodes > /tmp/before
# What there is more and less than before, and what the kernel and the store say of devices.
left() {
    diff /tmp/before /tmp/after
    xenstore-ls -f / | grep backend
    ls /sys/bus/xen-backend/devices
}
bad=0
for i in $(seq "$(word cycles)"); do
    if [ $((i % 2)) = 0 ]; then xm create -q /tmp/g.cfg; else xm restore -q /tmp/g.save; fi || { bad=$((bad + 1)); echo "zendo: no guest in round $i"; }
    usleep $((i * 7919 % 1500 * 1000))
    xm destroy g || bad=$((bad + 1))
    wait_for 10 gone
    nodes > /tmp/after
    cmp -s /tmp/before /tmp/after || { bad=$((bad + 1)); echo "zendo: round $i left:"; left | sed 's/^/zendo: /'; cp /tmp/after /tmp/before; }
done
is left-over "$bad" 0
clean_log
