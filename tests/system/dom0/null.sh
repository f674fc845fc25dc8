# SPDX-License-Identifier: MIT
# The scheduler with a CPU of its own for each vCPU (sched=null), three CPUs, domain 0 on one: guests have the other two, a
# third one waits until one of them has ended.
. /scripts/lib.sh
. /scripts/services
. /scripts/guests.sh
up() { printed "$1" "idle is up"; }
cpu_of() { xm vcpu-list "$1" | awk 'NR == 2 { print $4 }'; }
is scheduler "$(xm info | sed -n 's/^xen_scheduler *: //p')" null
for g in a b c; do tiny_config $g; done
for g in a b; do
    yes "create-$g" xm create -q "/tmp/$g.cfg"
    yes "up-$g" wait_for 20 up $g
done
cpus="$(cpu_of a) $(cpu_of b)"
case $cpus in "1 2"|"2 1") pass cpus-of-their-own ;; *) fail cpus-of-their-own "$cpus" ;; esac
yes create-c xm create -q /tmp/c.cfg
sleep 5
if up c; then fail waits-for-a-cpu "it runs: $(xm vcpu-list)"; else pass waits-for-a-cpu; fi
yes destroy-a xm destroy a
yes gets-its-cpu wait_for 20 up c
for g in b c; do yes "destroy-$g" xm destroy $g; done
stock_config stock "zendo.name=stock zendo.ip=10.77.0.2/24" "vif = [ 'bridge=zbr0' ]"
yes create-stock xm create -q /tmp/stock.cfg
yes up-stock wait_for 120 printed stock "guest: stock is up"
yes answers wait_for 20 ping -c 1 -W 2 10.77.0.2
yes pause xm pause stock
yes unpause xm unpause stock
yes answers-again wait_for 20 ping -c 1 -W 2 10.77.0.2
yes shutdown timeout 60 xm shutdown -w stock
clean_log
