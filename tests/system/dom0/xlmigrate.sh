# SPDX-License-Identifier: MIT
# Debian's own xl moves a guest under load while it runs, from this machine to this machine (zendo.times= times): it asks for log-dirty
# like anyone else. The guest's load checks itself (mixload.c) on two vCPUs.
. /scripts/lib.sh
. /scripts/services
console_log=/tmp/console
mkdir -p /tmp/more/bin
cp /scripts/bin/mixload /tmp/more/bin/
(cd /tmp/more && find . | cpio -o -H newc 2>/dev/null | gzip -1) > /tmp/more.gz
cat /data/guest.gz /tmp/more.gz > /tmp/load.gz
cat > /tmp/load.cfg <<END
name = "load"
kernel = "/data/vmlinuz"
ramdisk = "/tmp/load.gz"
extra = "console=hvc0 quiet zendo.name=load zendo.role=mixload"
memory = 112
vcpus = 2
END
rm /tmp/more.gz
listen() { xl console load > $console_log 2>/dev/null & }
rounds() { sed -n 's/.*guest: \([0-9]*\) rounds of load are right.*/\1/p' $console_log | tail -n 1; }
at_least() { n=$(rounds); [ "${n:-0}" -ge "$1" ]; }
yes create timeout 60 xl create /tmp/load.cfg
listen
yes works wait_for 120 at_least 1
for i in $(seq "$(word times)"); do
    n=$(rounds)
    old=$(xl domid load)
    if said=$(timeout 200 xl migrate -s '' load 'xl migrate-receive' 2>&1); then pass "migrate-$i"; else fail "migrate-$i" "$said"; fi
    is "another-domain-$i" "$([ "$(xl domid load)" != "$old" ] && echo yes)" yes
    is "one-copy-$i" "$(xl list | awk 'NR > 1 && $1 ~ /^load/' | wc -l)" 1
    listen
    yes "goes-on-$i" wait_for 120 at_least $((n + 1))
    is "right-$i" "$(grep 'load is wrong' $console_log)" ""
done
xl destroy load
clean_log
