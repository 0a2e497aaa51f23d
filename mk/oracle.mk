# make oracle: random layers and command lines against torch, scipy and nibabel, with Debian's python3 (whose
# packages they are). ORACLE_FLAGS="--seed 1 --count 20000" for another run.

ORACLE_PYTHON ?= /usr/bin/python3
ORACLE_FLAGS  ?=

.PHONY: oracle run-oracle
oracle: deps-oracle
	@$(MAKE) --no-print-directory run-oracle
run-oracle: all $(BUILD)/oracle_driver $(BUILD)/damage_driver
	$(ORACLE_PYTHON) tests/oracle/oracle.py $(BUILD) $(ORACLE_FLAGS)
