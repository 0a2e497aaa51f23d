# Speed. `build/bench_conv3d PROBLEM...` is the benchmark of one layer; `make bench` runs all of
# tests/bench/problems.txt beside the peers that are installed, in turn; `make bench-e2e` does it with whole commands on
# a scan, `make bench-networks` with whole networks. `make bench-deps` brings the peers.

BENCH_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/*.c))

$(BUILD)/bench_conv3d: $(BENCH_OBJ) $(BUILD)/libvoxconv.a
	$(LINK)

.PHONY: bench bench-e2e bench-networks bench-deps
bench: $(BUILD)/bench_conv3d
	python3 tests/bench/bench.py $(BUILD)

bench-e2e: $(BUILD)/voxconv
	$(ORACLE_PYTHON) tests/bench/bench_e2e.py $(BUILD)

bench-networks: $(BUILD)/voxconv
	$(ORACLE_PYTHON) tests/bench/bench_networks.py $(BUILD)

# torch from Debian; ONNX Runtime from npm (its install script would fetch a GPU library: not wanted). Debian's npm does
# not go with a Node.js from elsewhere, which brings its own.
bench-deps:
	sh mk/deps.sh python3-torch python3-nibabel python3-scipy mrtrix3 mricron-data hyperfine \
	    $(if $(shell command -v npm),,nodejs npm)
	mkdir -p build-bench
	cd build-bench && npm install --ignore-scripts --no-save onnxruntime-node
