# make tsan: the library's threads under ThreadSanitizer. TSAN=short is the form for every change, under 90 seconds.
#
# clang with LLVM's OpenMP: gcc's libgomp is not instrumented, and every barrier of it would be a false report. Archer, a
# part of libomp, tells ThreadSanitizer what OpenMP orders; tests/tsan/run.sh loads it and counts the reports. The file
# that -include names shows it the kernel's vectors, which the compiler does not instrument.

TSAN       ?= long
TSAN_CC    ?= clang
TSAN_FLAGS := -O1 -g -include tests/tsan/seen.h
TSAN_SRC   := $(filter-out tests/tsan/canary.c,$(wildcard tests/tsan/*.c))
TSAN_OBJ   := $(TSAN_SRC:%.c=$(BUILD)/%.o)
DEPS_TSAN  := clang libomp-dev bats python3 jq

$(TSAN_OBJ) $(BUILD)/tests/tsan/canary.o: $(FLAGS_STAMP)
$(LIB_OBJ) $(CLI_OBJ): $(if $(findstring seen.h,$(CFLAGS)),tests/tsan/seen.h)

$(BUILD)/tsan_scenarios: $(TSAN_OBJ) $(BUILD)/libvoxconv.a
	$(LINK)

$(BUILD)/tsan_canary: $(BUILD)/tests/tsan/canary.o $(BUILD)/libvoxconv.a
	$(LINK)

.PHONY: tsan run-tsan
tsan:
	@sh mk/deps.sh $(DEPS_BUILD) $(DEPS_TSAN)
	@$(MAKE) --no-print-directory run-tsan BUILD=build-tsan CC=$(TSAN_CC) SANITIZE=thread CFLAGS="$(TSAN_FLAGS)"
run-tsan: all $(BUILD)/tsan_scenarios $(BUILD)/tsan_canary
	@bash tests/tsan/run.sh $(BUILD) $(TSAN)
