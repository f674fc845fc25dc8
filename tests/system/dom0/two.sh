# SPDX-License-Identifier: MIT
# A host of two (tests/system/two_hosts.py): the network between them with a bridge for guests, then it does what the harness types.
. /scripts/lib.sh
me=$(word me)
export PATH=$PATH:/usr/sbin:/data     # zendod, too, goes by moveload to the other host
[ ! -e /scripts/services ] || . /scripts/services
hostname "host$me"
mkdir -p /var/lib/zendo /etc/zendo
[ -d /sys/class/net/xenbr0 ] || ip link add xenbr0 type bridge
ip addr flush dev eth0
ip link set eth0 up
ip link set eth0 master xenbr0
ip link set xenbr0 address "52:54:00:00:01:1$me" up
ip addr add "10.0.2.1$me/24" dev xenbr0
ip route add default via 10.0.2.2 2>/dev/null
ip link set eth1 mtu 9000 up
ip addr add "10.0.3.1$me/24" dev eth1
# Whoever comes to port 8003 gets a receiver: the other end of -s "moveload to 8003". The file fault breaks it (migrate_fault.c).
printf '#!/bin/sh\nexport ZENDO_MIGRATE_FAULT=$(cat /tmp/fault 2>/dev/null)\nrm -f /tmp/fault\nexec %s migrate-receive 2>>/tmp/receive.log\n' "$(basename "$(which xm xl | head -n 1)")" > /tmp/receive
chmod 755 /tmp/receive
moveload listen 8003 /tmp/receive
echo "zendo: host $me is ready"
while read -r line; do
    [ "$line" != quit ] || break
    eval "$line"
    echo "zendo: did $?"
done
