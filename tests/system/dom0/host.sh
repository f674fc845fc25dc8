# SPDX-License-Identifier: MIT
# What Debian's own tools say about the machine and its hypervisor: no guest is needed.
. /scripts/lib.sh
. /scripts/services
cpus=$(word cpus)
info() { xl info | sed -n "s/^$1 *: //p"; }
# A call that is not there must be said to be not there, and must not hang or succeed.
refused() { n=$1; shift; if said=$("$@" 2>&1); then fail "$n" "$* succeeded: $said"; else pass "$n"; fi; }

is info-cpus "$(info nr_cpus)" "$cpus"
is info-version "$(info xen_major).$(info xen_minor)" 4.17
is info-nodes "$(info nr_nodes)" 1
is info-topology $(($(info cores_per_socket) * $(info threads_per_core) >= 1)) 1
is info-khz $(($(info cpu_mhz | sed 's/\..*//') > 100)) 1
is info-memory $(($(info total_memory) > $(info free_memory) && $(info free_memory) > 100)) 1
yes info-caps sh -c 'xl info | grep "^virt_caps" | grep -w pv | grep -qvw hvm'
yes info-scheduler sh -c 'xl info | grep -q "^xen_scheduler *: credit"'
is info-hw-caps "$(info hw_caps | wc -w)" 1
yes info-numa sh -c 'xl info -n | grep -q "^ *0: .*10$"'
is info-topology-cpus "$(xl info -n | sed -n '/cpu:  *core/,/device/p' | grep -c '^ *[0-9]*: ')" "$cpus"
yes list sh -c 'xl list | grep -q "^Domain-0 *0 .* r-----"'
is vcpu-list "$(xl vcpu-list 0 | grep -c '^Domain-0')" "$cpus"
yes cpupool-list sh -c "xl cpupool-list | grep -Eq '^Pool-0 +$cpus +credit2? +y +1'"
refused cpupool-create xl cpupool-create 'name="p"' 'sched="credit"'
yes dmesg sh -c 'xl dmesg | grep -q "domain 0 starts"'
yes debug-keys xl debug-keys h
yes debug-keys-dmesg wait_for 5 sh -c 'xl dmesg | grep -q "list these keys"'
yes dmesg-clear xl dmesg -c
is dmesg-cleared "$(xl dmesg | grep -c 'domain 0 starts')" 0
yes xentop sh -c 'xentop -b -i 2 -d 1 | grep -c Domain-0 | grep -qx 2'
yes cpuid-sets sh -c 'xen-cpuid | grep -q "^Host"'
yes cpuid-pv sh -c 'xen-cpuid | grep -q "^PV"'
yes cpuid-policy sh -c 'xen-cpuid -p | grep -q "^PV Max policy"'
yes cpuid-leaves sh -c '[ $(xen-cpuid -p | grep -c "^  0000000[0-9a-d]:") -gt 15 ]'
refused hptool-online xen-hptool cpu-online 0
refused hptool-offline xen-hptool cpu-offline 0
yes xenpm-topology sh -c 'xenpm get-cpu-topology | grep -q "^CPU0"'
yes xenpm-frequency sh -c 'xenpm get-cpufreq-para 0 2>&1 | grep -q failed'
yes lsevtchn sh -c 'lsevtchn 0 | grep -q "Virtual IRQ"'
# Idle times grow, and not faster than time does.
idle() { xl info >/dev/null; xl vcpu-list 0 | awk '/^Domain-0/ { t += $6 } END { print int(t) }'; }
a=$(idle); sleep 2; b=$(idle)
is vcpu-time $((b - a <= 2 * cpus + 2)) 1
if [ -n "$(word verbose)" ]; then
    for c in "xl info -n" "xl list -v" "xl vcpu-list" "xl cpupool-list" "xen-cpuid" "xen-cpuid -p" "xenpm get-cpu-topology" "xenpm get-cpuidle-states" \
        "xenpm get-cpufreq-para" "xentop -b -i 1" "xl debug-keys q" "xl dmesg" "xen-diag gnttab_query_size 0" "xl sched-credit" "xl sched-credit2" \
        "xl cpupool-create name=\"p\"" "lsevtchn 0" "xl psr-hwinfo" "xl uptime" "xl pci-assignable-list" "xl getenforce" "xl claims" "xen-hptool cpu-offline 1"; do
        echo "--- $c"; timeout 20 $c 2>&1; echo "--- exit $?"
    done
fi
clean_log
