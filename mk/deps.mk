# What the project stands on, by Debian's names. `make deps` installs what is missing for building, demo
# and tests; `make deps-lint` and `make deps-oracle` what those two need on top. mk/deps.sh does the work.

DEPS_BUILD  := gcc make pkg-config libnifti2-dev libniftiio-dev zlib1g-dev libisal-dev libjansson-dev \
               libzip-dev libsleef-dev libprotobuf-c-dev protobuf-c-compiler
DEPS_TEST   := libcriterion-dev bats parallel libpng-dev python3 jq
DEPS_LINT   := clang libomp-dev clang-format clang-tidy cppcheck shellcheck
DEPS_ORACLE := python3-torch python3-scipy python3-nibabel mricron-data libonnx-testdata

.PHONY: deps deps-lint deps-oracle
deps:
	@sh mk/deps.sh $(DEPS_BUILD) $(DEPS_TEST)
deps-lint:
	@sh mk/deps.sh $(DEPS_BUILD) $(DEPS_LINT)
deps-oracle:
	@sh mk/deps.sh $(DEPS_BUILD) $(DEPS_ORACLE)
