# SPDX-License-Identifier: MIT
# Our xenstored as domain 0's store: the kernel's own ring, Debian's clients, restarts by SIGTERM and kill -9.
. /scripts/lib.sh
. /scripts/services
ring_works() {
    dmesg -c >/dev/null
    xenstore-write control/sysrq h
    yes "$1" wait_for 10 sh -c 'dmesg | grep -q "sysrq: HELP"'    # the kernel's watch, its transaction
}
restart() {
    xenstore-ls -fp | grep -v sysrq > /tmp/before
    kill "-$1" "$(cat /run/zendo/xenstored.pid)"
    wait_for 5 sh -c '! pidof xenstored' || fail "ends-$1" "still runs"
    yes "start-$1" xenstored
    xenstore-ls -fp | grep -v sysrq > /tmp/after
    is "tree-$1" "$(diff /tmp/before /tmp/after 2>&1)" ""
    ring_works "kernel-$1"
}
yes answers xenstore-exists /local/domain/0/name
yes kernel-wrote wait_for 10 xenstore-exists /local/domain/0/control/feature-reboot
ring_works kernel
yes write xenstore-write /test/a 1 /test/b 2
is read "$(xenstore-read /test/b)" 2
is relative "$(xenstore-read domid)" 0
is special "$(timeout 2 xenstore-watch -n 1 @releaseDomain)" @releaseDomain
restart TERM
restart KILL
[ -z "$(cat /var/log/zendo/xenstored.log | grep -v 'ready\|ended\|records read')" ] || sed 's/^/log: /' /var/log/zendo/xenstored.log
clean_log
