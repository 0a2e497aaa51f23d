# demo, test, asan, bigmem. Each of the first three looks for its packages and then calls make again: what
# this make found out about the machine (ISA-L, say) was found out before they were installed.

REFERENCE_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/reference/*.c))
# Programs that the command tests call.
TEST_TOOLS := $(BUILD)/phantom $(BUILD)/slice_png

$(BUILD)/unit: $(REFERENCE_OBJ)
# tests/unit/test_stream_temporary.c looks at what is there when a file is about to be removed.
$(BUILD)/unit: LDFLAGS += -Wl,--wrap=unlink
$(BUILD)/unit: LIBS += -lcriterion
$(BUILD)/slice_png: LIBS += -lpng

.PHONY: demo run-demo test run-tests asan samples bigmem
demo: deps
	@$(MAKE) --no-print-directory run-demo
run-demo: all $(BUILD)/slice_png
	@bash tests/tools/demo.sh $(BUILD)

test: deps
	@$(MAKE) --no-print-directory run-tests
run-tests: all $(BUILD)/unit $(TEST_TOOLS)
	@bash tests/tools/run_tests.sh $(BUILD)

# Every process of the suite writes what its sanitizers find to a file; run_tests.sh counts those files as
# failures. That catches what an exit status does not: Criterion lets a leaking test pass.
asan:
	@$(MAKE) --no-print-directory test BUILD=build-asan SANITIZE=address,undefined CFLAGS="-O1 -g"

samples: $(BUILD)/phantom $(BUILD)/slice_png $(BUILD)/voxconv
	$(BUILD)/phantom data/samples
	bash tests/tools/picture.sh $(BUILD) data/samples/slice.png

bigmem: all
	bash tests/tools/bigmem.sh $(BUILD)
