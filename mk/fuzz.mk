# make fuzz SECONDS=n: libFuzzer on everything that reads bytes or words from outside, each target of tests/fuzz/ for n
# seconds, two at a time. `make test` and `make asan` replay the kept inputs of tests/fuzz/corpus/ without a fuzzer.

DEPS_FUZZ    := clang libclang-rt-dev libomp-dev python3
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_COMMON  := $(BUILD)/tests/fuzz/common.o
# The option parser is the command's: its objects without main().
FUZZ_CLI     := $(filter-out %/main.o,$(CLI_OBJ))
SECONDS      ?= 60

.PHONY: fuzz run-fuzz
fuzz: deps
	@sh mk/deps.sh $(DEPS_FUZZ)
	@$(MAKE) --no-print-directory run-fuzz BUILD=build-fuzz CC=clang SANITIZE=address,undefined FUZZER=yes \
	    CFLAGS="-O1 -g -Wno-pass-failed"
run-fuzz: all $(BUILD)/phantom $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%)
	@bash tests/fuzz/run.sh $(BUILD) $(SECONDS)

# Instrumented, the kernel's vectors take clang many minutes; no byte of a file decides what the kernel does.
ifdef FUZZER
SANITIZE_FLAGS += -fsanitize=fuzzer-no-link
$(ISAS:%=$(BUILD)/src/kernel/tile.%.o): SANITIZE_FLAGS =
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZ_COMMON) $(FUZZ_CLI) $(BUILD)/libvoxconv.a
	@mkdir -p $(@D)
	$(SAY_LD)
	$(Q)$(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $^ $(LDFLAGS) $(LIBS) -o $@
endif

# All targets, each under a name of its own, with a main() that runs a kept input once.
$(BUILD)/tests/fuzz/replay/%.o: tests/fuzz/fuzz_%.c
	@mkdir -p $(@D)
	$(SAY_CC)
	$(Q)$(CC) $(ALL_CFLAGS) -DLLVMFuzzerTestOneInput=fuzz_target_$* -c $< -o $@
# Compiled anew when there is another target.
$(BUILD)/tests/fuzz/replay.o: $(wildcard tests/fuzz/fuzz_*.c)
$(BUILD)/tests/fuzz/replay.o: ALL_CFLAGS += -DFUZZ_TARGETS="$(patsubst %,TARGET(%),$(FUZZ_TARGETS))"
$(BUILD)/replay: $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/replay/%.o) $(FUZZ_COMMON) $(BUILD)/tests/fuzz/replay.o \
                 $(FUZZ_CLI) $(BUILD)/libvoxconv.a
	$(LINK)
run-tests: $(BUILD)/replay

.SECONDARY: $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%.o) $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/replay/%.o) $(FUZZ_COMMON)
