# What the tests are linked with beside the library: the naive reference for the units, libpng for pictures.

REFERENCE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/reference/*.c))

$(BUILD)/unit: $(REFERENCE_OBJ)
