# make lint: formatting, two static analysers and the shell scripts. Tests are formatted and read by cppcheck too;
# clang-tidy keeps to what has no test framework's macros in it.

C_FILES     := $(wildcard include/*.h src/*/*.[ch] tests/*/*.[ch])
TIDY_FILES  := $(filter-out $(KERNEL_SRC),$(LIB_SRC) $(CLI_SRC)) $(wildcard tests/reference/*.c tests/tools/*.c)
SHELL_FILES := $(wildcard mk/*.sh tests/tools/*.sh tests/fuzz/*.sh .ci/run)
BATS_FILES  := $(wildcard tests/cli/*.bats tests/cli/*.bash)

# Not of use in tests: variables that bats sets or that live in a subshell, other files, single quotes around a
# script for bash -c, `cat file |` where the pipe is the point, ls in folders whose names are our own.
BATS_FINE   := SC1091,SC2002,SC2012,SC2016,SC2030,SC2031,SC2154

# cppcheck 2.10 takes `condition ? NULL : &local` for a read; vectors' right shift is defined by the compiler.
CPPCHECK_FINE := --suppress=uninitvar:src/cli/info.c --suppress=uninitvar:src/volume/input.c \
                 --suppress=shiftTooManyBitsSigned:src/kernel/vec_portable.h

.PHONY: lint run-lint lint-format lint-tidy lint-cppcheck lint-shell
lint: deps deps-lint
	@$(MAKE) --no-print-directory run-lint
run-lint: lint-format lint-tidy lint-cppcheck lint-shell
	@echo "lint: all clean"

lint-format:
	clang-format --dry-run -Werror $(C_FILES)

# An empty target per file, so that make runs them in parallel and only where something changed.
lint-tidy: $(TIDY_FILES:%.c=$(BUILD)/%.tidy)
$(BUILD)/%.tidy: %.c .clang-tidy $(wildcard include/*.h src/*/*.h)
	@mkdir -p $(@D)
	clang-tidy --quiet $< -- $(filter-out -W% -f% -M%,$(ALL_CFLAGS)) -fopenmp
	@touch $@

lint-cppcheck:
	cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,performance,portability \
	    --suppress=missingInclude --suppress=*:/usr/include/* $(CPPCHECK_FINE) -Iinclude -Isrc -Itests -D_GNU_SOURCE \
	    -DVOX_HAVE_ISAL=1 '-DVOX_VEC_HEADER="kernel/vec_portable.h"' -DVOX_ISA=portable \
	    '-DVOX_MATH_HEADER="kernel/math_portable.h"' \
	    src tests/reference tests/tools

lint-shell:
	shellcheck $(SHELL_FILES)
	shellcheck --shell=bats --exclude=$(BATS_FINE) $(BATS_FILES)
