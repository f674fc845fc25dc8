# SPDX-License-Identifier: MIT
# Run in domain 0 by `make demo`: a firewall, a log server and a client, each a guest; what they print is shown with their names
# in front. Words: zendo.open=PORT, zendo.closed=PORT: servers of the machine that QEMU runs on, domain 0's 10.0.2.2.
. /scripts/lib.sh
. /scripts/services
outside=10.0.2.2
start=$(now_ms)
seen() { grep -q "$2" "/tmp/$1.log"; }
check() { # WHAT SECONDS GUEST TEXT
    if wait_for "$2" seen "$3" "$4"; then pass "$1"; else fail "$1" "no '$4' from $3 in $2 s"; fi
}
make_guest() {
    name=$1
    shift
    echo "demo: xm create $name.cfg $*"
    if said=$(xm create "/data/$name.cfg" "$@" 2>&1); then pass "create-$name"; else fail "create-$name" "$said"; fi
    : > "/tmp/$name.log"
    (xm console "$name" </dev/null 2>&1 | tr -d '\r' | while read -r line; do
        echo "$line" >> "/tmp/$name.log"
        echo "$name| $line"
    done) &
}

xm network
make_guest firewall "port=$(word open)"
make_guest logserver
check firewall-ready 60 firewall "firewall: ready"
check logserver-ready 60 logserver "logserver: ready"
make_guest client "open='$outside:$(word open)'" "closed='$outside:$(word closed)'"
xm list
check client-address 60 client "client: address 192.168.50.1[0-2][0-9] router 192.168.50.1 log server 192.168.50.2"
check client-reaches-outside 30 client "client: outside says: zendo-demo"
check closed-port-is-closed 30 client "client: the closed port is closed"
check log-lines-arrive 30 logserver "from 192.168.50.1[0-2][0-9] client: has address"
check log-of-the-page-arrives 30 logserver "client: saw outside say: zendo-demo"
xm list
for name in client logserver firewall; do
    yes "shutdown-$name" timeout 60 xm shutdown -w $name
done
wait_for 10 sh -c '[ $(xm list | wc -l) = 2 ]'
is all-gone "$(xm list | awk 'NR > 2' | wc -l)" 0
xm list
echo "demo: $((($(now_ms) - start) / 1000)) s"
