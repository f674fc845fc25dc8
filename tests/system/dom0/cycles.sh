# SPDX-License-Identifier: MIT
# zendo.tiny= tiny guests made and destroyed one after the other, and zendo.stock= stock ones that run with a disk and a network.
# Everything is then as it was: domain 0's own account here, the hypervisor's in the harness (soak.py).
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
tiny_config tiny
tiny_cycle() { xm create -q $1 /tmp/tiny.cfg && xm destroy tiny; }
stock_cycle() {
    stock_config stock "zendo.name=turn$1 zendo.ip=10.77.0.2/24" "disk = [ 'file:/data/disk.img,xvda,w' ]
vif = [ 'bridge=zbr0' ]"
    xm create -q /tmp/stock.cfg && wait_for 120 printed stock "guest: turn$1 is up" && xm destroy stock
}
gone() { [ "$(xm list | wc -l)" = 2 ] && ! ls /sys/class/net | grep -q '^vif'; }
settle() { wait_for 10 gone; sleep 2; }

# What is made once (kernel caches, the kernel's pages for mappings of others) is made before.
for i in 1 2; do yes "warm-up-tiny-$i" tiny_cycle -p; yes "warm-up-stock-$i" stock_cycle "warm$i"; done
settle
holdings > /tmp/before
for d in $daemons; do echo "zendo: $d $(rss $d) kB"; done
state before
bad=0
for i in $(seq "$(word tiny)"); do
    paused=-p; [ $((i % 4)) != 0 ] || paused=
    tiny_cycle $paused || bad=$((bad + 1))
    [ $((i % 100)) != 0 ] || echo "zendo: $i cycles, $(cut -d' ' -f1 /proc/uptime) s up"
done
is tiny-cycles "$bad" 0
bad=0
for i in $(seq "$(word stock)"); do stock_cycle "$i" || bad=$((bad + 1)); done
is stock-cycles "$bad" 0
settle
holdings > /tmp/after
same_holdings /tmp/before /tmp/after
for d in $daemons; do echo "zendo: $d $(rss $d) kB"; done
state after
clean_log
