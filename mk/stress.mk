# make stress: signals, pipes and damaged files (tests/stress/). STRESS=short for less than a minute of it,
# STRESS_FLAGS="--seed 7" for other random moments, STRESS_FLAGS="--only signals" for a part.

STRESS       ?= full
STRESS_FLAGS ?=

$(BUILD)/step.so: tests/stress/step.c
	@mkdir -p $(@D)
	$(SAY_LD)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -fPIC -shared $(WARNINGS) $< -o $@ -ldl

.PHONY: stress
stress: all $(BUILD)/damage_driver $(BUILD)/step.so
	@python3 tests/stress/stress.py $(BUILD) $(STRESS) $(STRESS_FLAGS)
