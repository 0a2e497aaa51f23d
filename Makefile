# voxconv: `make demo` shows it at work, `make test` checks it, `make help` lists the rest.
#
#   BUILD=dir       where objects go (default build)
#   ISAL=no         build without ISA-L even where it is installed
#   CC=clang        any C11 compiler with OpenMP
#   SANITIZE=address,undefined   instrument everything (used by `make asan`)
#   V=1             show whole command lines

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= cc
CFLAGS  ?= -O2 -g
VERSION := $(shell sed -n 's/^\#define VOX_VERSION "\(.*\)"/\1/p' include/voxconv.h)

Q      := $(if $(V),,@)
SAY_CC  = @$(if $(V),,echo '  CC  $@')
SAY_LD  = @$(if $(V),,echo '  LD  $@')
define LINK
$(SAY_LD)
$(Q)$(CC) $(ALL_CFLAGS) $^ $(LDFLAGS) $(LIBS) -o $@
endef

# ---- What the compiler is told ------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
            -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wcast-qual
# No contraction: a fused multiply-add happens where the source says so and nowhere else (ARCHITECTURE.md).
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -Iinclude -Isrc -Itests -fopenmp -pthread -fPIC -ffp-contract=off \
             -fno-math-errno $(WARNINGS) $(CFLAGS) $(SANITIZE_FLAGS) -MMD -MP
SANITIZE_FLAGS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# nifticlib's headers name each other without their folder.
NIFTI_INCLUDE ?= /usr/include/nifti
ALL_CFLAGS += -isystem $(NIFTI_INCLUDE)
LIBS       = -lnifti2 -lz -ljansson -lzip -lsleef -lm

ISAL ?= $(shell pkg-config --exists libisal 2>/dev/null && echo yes || echo no)
ifeq ($(ISAL),yes)
ALL_CFLAGS += -DVOX_HAVE_ISAL=1
LIBS       += -lisal
endif

# ---- The kernels: an object per instruction set from each source --------------------------------
# Only these objects get instruction-set flags; the dispatcher that chooses among them gets none.

ARCH := $(shell $(CC) -dumpmachine | cut -d- -f1)
ISAS := portable
ISAFLAGS_portable :=
ifeq ($(ARCH),x86_64)
ISAS += avx2 avx512
# GCC's generic tuning costs the tiles up to a third of their speed. In tiles that take all 16 registers its elimination
# of dead code drives accumulators into memory, inside the loop: up to a sixth (GCC 12). Clang knows no such option.
ISAFLAGS_avx2   := -mavx2 -mfma -mtune=skylake $(shell $(CC) -fno-dce -E -x c /dev/null > /dev/null 2>&1 && echo -fno-dce)
ISAFLAGS_avx512 := -mavx512f -mavx512vl -mavx2 -mfma -mtune=skylake-avx512
endif
ifeq ($(ARCH),aarch64)
ISAS += neon
ISAFLAGS_neon :=
endif

# ---- Sources ------------------------------------------------------------------------------------

KERNEL_SRC := src/kernel/tile.c src/kernel/elementwise.c src/kernel/rows.c
LIB_SRC    := $(filter-out $(KERNEL_SRC),$(wildcard $(foreach d,base kernel layer stream volume weights model engine,src/$(d)/*.c)))
CLI_SRC    := $(wildcard src/cli/*.c)
UNIT_SRC   := $(wildcard tests/unit/*.c)
LIB_OBJ    := $(LIB_SRC:%.c=$(BUILD)/%.o) $(foreach s,$(KERNEL_SRC:.c=),$(ISAS:%=$(BUILD)/$(s).%.o))
CLI_OBJ    := $(CLI_SRC:%.c=$(BUILD)/%.o)
UNIT_OBJ   := $(UNIT_SRC:%.c=$(BUILD)/%.o)

.PHONY: all
all: $(BUILD)/voxconv $(BUILD)/libvoxconv.a

# Instrumented at -O3 the hundreds of unrolled tiles take minutes each, and where each variable is at each instruction
# takes as long to find out as the code itself.
KERNEL_CC = $(CC) $(patsubst -g,-g1,$(ALL_CFLAGS)) $(if $(SANITIZE),-O1,-O3) $(ISAFLAGS_$*) -DVOX_ISA=$* -DVOX_VEC_HEADER='"kernel/vec_$*.h"' \
            -DVOX_MATH_HEADER='"kernel/math_$*.h"' -c $< -o $@
$(BUILD)/src/kernel/tile.%.o: src/kernel/tile.c
	@mkdir -p $(@D)
	$(SAY_CC)
	$(Q)$(KERNEL_CC)
$(BUILD)/src/kernel/elementwise.%.o: src/kernel/elementwise.c
	@mkdir -p $(@D)
	$(SAY_CC)
	$(Q)$(KERNEL_CC)
$(BUILD)/src/kernel/rows.%.o: src/kernel/rows.c
	@mkdir -p $(@D)
	$(SAY_CC)
	$(Q)$(KERNEL_CC)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(SAY_CC)
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

$(BUILD)/libvoxconv.a: $(LIB_OBJ)
	@rm -f $@
	@$(if $(V),,echo '  AR  $@')
	$(Q)ar rcs $@ $^

$(BUILD)/voxconv: $(CLI_OBJ) $(BUILD)/libvoxconv.a
	$(LINK)

$(BUILD)/unit: $(UNIT_OBJ) $(BUILD)/libvoxconv.a
	$(LINK)

# Small programs of the tests: tests/tools/NAME.c becomes build/NAME.
.SECONDARY: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/tools/*.c))
$(BUILD)/%: $(BUILD)/tests/tools/%.o $(BUILD)/libvoxconv.a
	$(LINK)

include $(sort $(wildcard mk/*.mk))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
