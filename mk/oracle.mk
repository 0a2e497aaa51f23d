# make oracle: random layers and command lines against torch, scipy and nibabel, with Debian's python3 (whose
# packages they are), random networks that torch exports, and ONNX's own test data. ORACLE_FLAGS="--seed 1 --count
# 20000" for another run of the first, ONNX_FLAGS="--seed 1" for one of the networks.

ORACLE_PYTHON ?= /usr/bin/python3
ORACLE_FLAGS  ?=
ONNX_FLAGS    ?=

.PHONY: oracle run-oracle
oracle: deps-oracle
	@$(MAKE) --no-print-directory run-oracle
run-oracle: all $(BUILD)/oracle_driver $(BUILD)/damage_driver
	$(ORACLE_PYTHON) tests/oracle/oracle.py $(BUILD) $(ORACLE_FLAGS)
	$(ORACLE_PYTHON) tests/oracle/onnx_testdata.py $(BUILD)
	OMP_NUM_THREADS=1 $(ORACLE_PYTHON) tests/oracle/onnx_networks.py $(BUILD) $(ONNX_FLAGS)
