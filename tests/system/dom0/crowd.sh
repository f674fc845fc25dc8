# SPDX-License-Identifier: MIT
# zendo.guests= stock guests (20) at once, each with a network: all come up, answer, and shut down when asked. Each is up before
# the next is made, so that what one takes to make can be compared. The first is made after one that had the kernel unpacked.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
guests=$(word guests)
config() { stock_config "s$1" "zendo.name=s$1 zendo.ip=10.77.0.$((10 + $1))/24" "vif = [ 'bridge=zbr0' ]"; }
is_up() { printed "s$1" "guest: s$1 is up"; }
answers() { wait_for 10 ping -c 1 -W 2 "10.77.0.$((10 + $1))"; }
alone() { [ "$(xm list | wc -l)" = 2 ] && ! ls /sys/class/net | grep -q '^vif'; }
# all NAME COMMAND: for each guest's number; those for which it fails are said
all() { lost=; for k in $(seq "$guests"); do "$2" "$k" || lost="$lost $k"; done; is "$1" "$lost" ""; }

for i in $(seq "$guests"); do config "$i"; done
yes warm-up xm create -q /tmp/s1.cfg
yes warm-up-is-up wait_for 120 is_up 1
yes warm-up-end xm shutdown -w s1
yes warm-up-gone wait_for 20 alone
holdings > /tmp/before; free=$(free_mb)
bad=0
for i in $(seq "$guests"); do
    rm -f "/var/lib/zendo/console/s$i"
    timed xm create -q "/tmp/s$i.cfg" || bad=$((bad + 1))
    eval "create_$i=$took"
    wait_for 120 is_up "$i" || break
done
is all-created "$bad" 0
all all-up is_up
is all-listed "$(xm list | grep -c '^s[0-9]')" "$guests"
is no-process-per-guest "$(processes)" "$(sed -n 's/^processes //p' /tmp/before)"
echo "zendo: memory a guest: $(((free - $(free_mb)) * 1024 / guests)) KiB of which its own are 98304"
all all-answer answers
eval "first=$create_1 last=\$create_$guests"
echo "zendo: create, us: 1st $first, ${guests}th $last; with nobody else starting"
said=; for i in $(seq "$guests"); do eval "said=\"\$said \$create_$i\""; done
echo "zendo: create, us, of all:$said"
up=$(now_ms)
yes all-shut-down timeout 300 xm shutdown -w -a
echo "zendo: shutdown of all took $(($(now_ms) - up)) ms"
yes all-gone wait_for 60 alone
sleep 2
holdings > /tmp/after
same_holdings /tmp/before /tmp/after
is same-free-memory "$(free_mb)" "$free"
clean_log
