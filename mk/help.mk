# `make help`, and sweeping up.

define HELP
make            build $(BUILD)/voxconv and $(BUILD)/libvoxconv.a
make demo       filter the sample volumes and write pictures of a slice to $(BUILD)/demo/
make test       build and run all unit and command tests
make deps       install the packages that building, demo and tests need (Debian)
make asan       the whole test suite under AddressSanitizer and UndefinedBehaviorSanitizer
make oracle     compare random layers with torch, scipy and nibabel
make fault      let every call of the system fail once (7 minutes; FAULT=short: under one)
make stress     end runs at any moment, break pipes, flip every bit of small files (STRESS=short: half a minute)
make fuzz       libFuzzer on everything read from outside (SECONDS=600: each target for so long)
make tsan       the library's threads under ThreadSanitizer (TSAN=short: a minute)
make bigmem     filter volumes of 4 to 6 GB and measure peak memory (needs 13 GB of disk, minutes)
make bench      measure the speed of layers beside others' (make bench-deps installs those)
make bench-e2e  measure whole commands beside others'
make lint       clang-format, clang-tidy, cppcheck, shellcheck
make samples    write data/samples/ again
make install    to DESTDIR and PREFIX ($(PREFIX)): command, library, header, pkg-config file, man pages
make clean      remove $(BUILD)/ and the other build folders

Variables: BUILD=folder  CC=clang  ISAL=no  CFLAGS=...  SANITIZE=address,undefined
endef
export HELP

.PHONY: help clean
help:
	@echo "$$HELP"

clean:
	rm -rf $(BUILD) build-asan build-clang build-noisal build-fuzz build-tsan
