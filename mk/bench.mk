# The benchmark of one layer: build/bench_conv3d PROBLEM..., or all of tests/bench/problems.txt.

BENCH_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/*.c))

$(BUILD)/bench_conv3d: $(BENCH_OBJ) $(BUILD)/libvoxconv.a
	$(CC) $(ALL_CFLAGS) $^ $(LDFLAGS) $(LIBS) -o $@

.PHONY: bench
bench: $(BUILD)/bench_conv3d
	$(BUILD)/bench_conv3d $$(cat tests/bench/problems.txt)
