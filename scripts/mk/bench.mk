# Zendo beside the reference hypervisor, as a table: bench/run.py says how. make bench [T="entry guest linux guests save wall"].
.PHONY: bench
BENCH_GUESTS := $(B)/dom0-amd64.gz $(B)/dom0-amd64-stock.gz $(B)/data-amd64.img
bench: $(HV) $(B)/guests/bench.elf $(B)/kernel/$(FLAVOUR)/version $(if $(filter-out entry guest linux wall,$(or $(T),all)),$(BENCH_GUESTS))
	python3 bench/run.py --hv $(HV) --guest $(B)/guests/bench.elf --kernel $(B)/kernel/$(FLAVOUR)/vmlinuz \
	  --build $(B)/bench --out $(B)/bench.json $(T)
