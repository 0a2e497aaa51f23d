# make fault: every call of the system and of malloc fails once, in every scenario (tests/fault/); first with the
# ordinary build, then under sanitizers, which find what an error path does not give back. FAULT=short leaves the
# second half out and takes a part of the calls; FAULT_FLAGS="--only SCENARIO --kind KIND --verbose" looks closer.

FAULT       ?=
FAULT_FLAGS ?=
FAULT_RUN   := python3 tests/fault/fault.py

# Never instrumented: it stands between the program and its sanitizer.
$(BUILD)/faulty.so: tests/fault/faulty.c
	@mkdir -p $(@D)
	$(SAY_LD)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -g -fPIC -shared -fno-omit-frame-pointer $(WARNINGS) $< -o $@ -ldl

.PHONY: fault run-fault fault-build
fault: deps
	@$(MAKE) --no-print-directory run-fault
fault-build: $(BUILD)/voxconv $(BUILD)/faulty.so
ifeq ($(FAULT),short)
run-fault: fault-build
	@$(FAULT_RUN) $(BUILD)/voxconv $(BUILD)/faulty.so --short $(FAULT_FLAGS)
else
run-fault: fault-build
	@$(MAKE) --no-print-directory fault-build BUILD=build-asan SANITIZE=address,undefined CFLAGS="-O1 -g"
	@$(FAULT_RUN) $(BUILD)/voxconv $(BUILD)/faulty.so --asan build-asan/voxconv $(FAULT_FLAGS)
endif
