# SPDX-License-Identifier: MIT
# The cluster manager's resource agent for guests, as Debian's resource-agents has it, over our xm: first under both names, xl and xm,
# then with xm alone (the agent looks for xl first and speaks differently to xm).
. /scripts/lib.sh
. /scripts/services
export OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=demo OCF_RESOURCE_TYPE=Xen OCF_RESOURCE_PROVIDER=heartbeat
export OCF_RESKEY_xmfile=/tmp/demo.cfg OCF_RESKEY_CRM_meta_timeout=90000 HA_RSCTMP=/run/resource-agents
mkdir -p /run/resource-agents /var/log /var/run
sed 's/^name .*/name = "demo"/; s/^memory .*/memory = 128/' /etc/xen/demo.cfg > /tmp/demo.cfg
agent() { # NAME ACTION EXPECTED
    said=$(timeout 100 $OCF_ROOT/resource.d/heartbeat/Xen "$2" 2>&1)
    rc=$?
    if [ $rc = "$3" ]; then pass "$1-$2"; else fail "$1-$2" "exit code $rc and not $3: $(echo "$said" | tail -n 3 | tr '\n' ' ')"; fi
}
life() {
    agent "$1" validate-all 0
    agent "$1" monitor 7
    agent "$1" start 0
    agent "$1" start 0
    agent "$1" monitor 0
    yes "$1-listed" xm domid demo
    sleep 8
    agent "$1" stop 0
    agent "$1" monitor 7
    is "$1-gone" "$(xm list | wc -l)" 2
}
yes meta-data sh -c '$OCF_ROOT/resource.d/heartbeat/Xen meta-data | grep -q "<resource-agent name=\"Xen\""'
life as-xl
rm /usr/sbin/xl
life as-xm
