# The network card works: DHCP from QEMU's user network, then pings its gateway.
. /scripts/lib.sh
yes card wait_for 10 test -e /sys/class/net/eth0
ip link set eth0 up
cat > /tmp/udhcpc <<'END'
[ "$1" = bound ] && ip addr add $ip/24 dev eth0 && ip route add default via $router
END
chmod +x /tmp/udhcpc
yes dhcp udhcpc -i eth0 -n -q -t 8 -T 1 -s /tmp/udhcpc
yes ping ping -c 3 -W 2 10.0.2.2
clean_log
