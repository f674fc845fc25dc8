# Zendo beside the reference hypervisor, as a table: bench/run.py says how. make bench [T="entry guest linux wall"].
.PHONY: bench
bench: $(HV) $(B)/guests/bench.elf $(B)/kernel/$(FLAVOUR)/version
	python3 bench/run.py --hv $(HV) --guest $(B)/guests/bench.elf --kernel $(B)/kernel/$(FLAVOUR)/vmlinuz \
	  --build $(B)/bench --out $(B)/bench.json $(T)
