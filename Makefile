# SPDX-License-Identifier: Apache-2.0
# Verbs. meson builds; devtools/ holds what each verb does.

.PHONY: all run test bench asan tsan fuzz coverage lint format size clean deps help
.DEFAULT_GOAL := all

BUILD := build
EXAMPLE ?= two-hosts

help:
	@echo "make            build everything into $(BUILD)/"
	@echo "make run        two hosts talk through Sluice; STAY=1 leaves it up"
	@echo "make test       every test, with sanitizers and fuzzers"
	@echo "make bench      measure beside peers and limits; ONLY=table/exact"
	@echo "make asan tsan  the tests under one sanitizer"
	@echo "make fuzz       fuzz for SECONDS=60 a target"
	@echo "make coverage   lines and branches that the tests run"
	@echo "make lint       structure, layout, clang-tidy"
	@echo "make format     lay the code out"
	@echo "make size       the longest files, the size of what is installed"
	@echo "make clean      remove what was built"

deps:
	@devtools/deps run

all: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD)

run: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) >$(BUILD)/ninja.log || { cat $(BUILD)/ninja.log; false; }
	@STAY=$(STAY) examples/$(EXAMPLE).sh $(BUILD)

test:
	@devtools/deps test
	@devtools/test

asan tsan:
	@devtools/deps test
	@devtools/test $@

bench:
	@devtools/deps bench
	@devtools/bench $(ONLY)

fuzz:
	@devtools/deps test
	@devtools/fuzz $(or $(SECONDS),60)

coverage:
	@devtools/deps coverage
	@devtools/coverage

lint:
	@devtools/deps test
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) >/dev/null
	@ninja -C $(BUILD) >/dev/null
	@devtools/lint $(BUILD)

format:
	@devtools/deps test
	@devtools/format

size: all
	@devtools/check-size -v
	@size $(BUILD)/cli/sluice $(BUILD)/src/daemon/sluiced $(BUILD)/src/daemon/sluice-poll

clean:
	@rm -rf build build-*
