# SPDX-License-Identifier: Apache-2.0
# One Makefile, non-recursive. `make help` lists what it can do, with these variables:
#   CC=gcc|clang-14   SAN=address,undefined   COV=1 (coverage)   DEV=1 (-Werror; set where CI is)   V=1 (show commands)
#   OUT=build (where all variants go)   B=$(OUT)/<variant>   VERSION=v0.1.0   PREFIX=/usr/local   DESTDIR=

CC      := gcc
SAN     :=
COV     :=
DEV     := $(if $(CI),1,)
PREFIX  := /usr/local
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo v0.1.0)
OUT     ?= build
variant := $(notdir $(CC))$(if $(SAN),$(if $(findstring fuzzer,$(SAN)),-fuzz,-san))$(if $(COV),-cov)$(if $(DEV),-dev)
B       := $(OUT)/$(variant)
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-7s %s\n' '$1' '$(subst $(B)/,,$2)')

libs    := libcurl jansson yaml-0.1 openssl libevent libcares
warn    := -std=gnu17 -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wformat=2 -Wvla -Walloca -Wcast-qual -Wcast-align \
	-Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion -Wconversion -Wsign-conversion -Wswitch-enum -Wdate-time
gccwarn := -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wjump-misses-init -Wtrampolines -Wbidi-chars=any
harden  := -O2 -g -fPIE -fstack-protector-strong -fstack-clash-protection -fno-common -U_FORTIFY_SOURCE \
	$(if $(filter x86_64,$(shell uname -m)),-fcf-protection=full,-mbranch-protection=standard)
gcchard := -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr
is_gcc  := $(if $(findstring clang,$(CC)),,1)
# The sanitizers and the coverage see the calls themselves, not what _FORTIFY_SOURCE makes of them.
kind    := $(if $(SAN),-O1 -fno-omit-frame-pointer -fsanitize=$(SAN) -fno-sanitize-recover=all,$(if \
	$(COV),-O0 --coverage -fprofile-update=atomic,-D_FORTIFY_SOURCE=3))

CPPFLAGS := -D_GNU_SOURCE -Ipkg -include base/banned.h $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(libs) 2>/dev/null))
CFLAGS   := $(warn) $(harden) $(if $(is_gcc),$(gccwarn) $(gcchard)) $(if $(DEV),-Werror) -ffile-prefix-map=$(CURDIR)=. $(kind)
LDFLAGS  := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed $(if $(SAN),-fsanitize=$(SAN)) $(if $(COV),--coverage)
LDLIBS   := $(shell pkg-config --libs $(libs) 2>/dev/null) -lresolv
testlibs := -lcmocka -levent_openssl

sources  := $(sort $(wildcard pkg/*/*.c))
tests    := $(filter %_test.c,$(sources))
fuzzers  := $(filter %_fuzz.c,$(sources))
benches  := $(filter %_bench.c,$(sources))
objects  := $(patsubst %.c,$(B)/%.o,$(filter-out $(tests) $(fuzzers) $(benches),$(sources)))
mains    := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard cmd/acme-dns-operator/*.c)))
program  := $(B)/acme-dns-operator
unit     := $(tests:pkg/%.c=$(B)/test/%)
fuzz     := $(fuzzers:pkg/%.c=$(B)/fuzz/%)
bench    := $(benches:pkg/%.c=$(B)/test/%)
replayer := $(B)/hack/fuzz_replay.o
explorer := $(B)/explore
model    := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard hack/explore/*.c)))

# This make asked pkg-config when it started; what may install packages goes on in a fresh one. It gets what was given on
# the command line, and a private B as the place of all variants.
asan     := address,undefined
out      := $(if $(filter command,$(firstword $(origin B))),$(B),$(OUT))
given     = $(filter-out B=% OUT=%,$(MAKEOVERRIDES))
script    = $(Q)MAKEFLAGS= OUT=$(out)
remake    = $(script) $(MAKE) --no-print-directory -j$$(nproc) $(given)
python    = "$$(hack/venv)/bin/python"
operator  = ACME_DNS_OPERATOR=$(abspath $(program))

.DEFAULT_GOAL := all
.PHONY: all demo test long unit e2e check asan cover bench fuzz image install clean help deps format explore explore-mutants
.PHONY: everything replay fuzzing coverage pytest run-demo run-bench run-image flags version

all: $(program) ## build the operator (release, hardened)

demo: ## show the operator at work (KEEP=1 leaves it running; DEMO_KUBECONFIG= and ACME_DNS_URL= name your own)
	$(Q)hack/install-deps build test
	$(remake) run-demo

test: ## install what is missing, build and test everything
	$(script) hack/test $(given)

long: ## the end-to-end tests that take long, on the sanitizer build
	$(Q)hack/install-deps build test
	$(remake) SAN=$(asan) PYTEST='-m long $(PYTEST)' pytest

unit: $(unit) ## the unit tests of this variant
	$(Q)hack/run-unit $(unit)

e2e: ## the end-to-end tests alone, on the sanitizer build (PYTEST='-k name' chooses)
	$(Q)hack/install-deps build test image
	$(remake) SAN=$(asan) pytest

check: ## hold the tree to the rules: format, floors, size, warnings, linters
	$(script) hack/check $(given)

explore: $(explorer) ## try every order of steps and faults up to a bound (EXPLORE='--most STATES SCENARIO...' chooses)
	$(Q)$(explorer) $(EXPLORE)

explore-mutants: ## show that the exploration finds each of the defects in hack/explore/mutants
	$(script) hack/explore-mutants $(given)

asan: ## the unit tests under ASan and UBSan
	$(remake) SAN=$(asan) unit

cover: ## coverage by the unit tests, per package, with its floors
	$(Q)hack/install-deps build test
	$(remake) COV=1 coverage

bench: ## figures of the release build: memory, CPU, requests per object, work on hostile input
	$(Q)hack/install-deps build test
	$(remake) run-bench

fuzz: ## run each fuzz target for FUZZ_SECONDS=60
	$(Q)hack/install-deps build test
	$(remake) CC=clang-14 SAN=fuzzer-no-link,$(asan) fuzzing

image: ## build/image: the root file system and the OCI archive of it
	$(Q)hack/install-deps build image
	$(remake) run-image

install: $(program) ## copy the operator to $(DESTDIR)$(PREFIX)/bin
	install -D -m 755 $(program) $(DESTDIR)$(PREFIX)/bin/acme-dns-operator

clean: ## remove what make built here (caches outside the checkout stay)
	rm -rf build

help: ## this text
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

deps: ## install what building, testing, checking and the image need
	$(Q)hack/install-deps build test check image

format: ## format the C sources and the Python
	$(Q)hack/check-format --fix

# What follows is for the targets above and for the scripts.

everything: $(program) $(unit) $(fuzz) $(bench) $(explorer)

replay: $(fuzz)
	$(Q)hack/fuzz replay $(fuzz)

fuzzing: $(fuzz)
	$(Q)OUT=$(out) hack/fuzz run $(fuzz)

coverage: $(unit)
	$(Q)hack/coverage $(B) $(unit)

pytest: $(program)
	$(Q)hack/peers >/dev/null
	$(Q)$(operator) $(python) -m pytest e2e $(or $(PYTEST),-n 2 --dist loadfile --no-loadscope-reorder)

run-demo: $(if $(STOP),,$(program))
	$(Q)$(operator) $(python) -m e2e.demo

run-bench: $(program) $(bench)
	$(Q)set -e; for each in $(bench); do "$$each"; done
	$(Q)hack/peers kubernetes >/dev/null
	$(Q)$(operator) $(python) -m e2e.bench

run-image: $(program)
	$(Q)OPERATOR=$(abspath $(program)) VERSION='$(VERSION)' hack/image

flags:
	@echo '$(CPPFLAGS) -DVERSION="" $(warn)'

$(B)/lib.a: $(objects)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcsD $@ $^

$(program): $(mains) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c Makefile
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(defines) $(CFLAGS) -MMD -MP -c -o $@ $<

$(mains): $(B)/version
$(mains): private defines = -DVERSION='"$(VERSION)"'

# Written anew only when it changes, so that a new version is compiled in and an old one costs nothing.
$(B)/version: version
	@mkdir -p $(@D) && echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

$(B)/test/%: $(B)/pkg/%.o $(B)/lib.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/lib.a $(LDLIBS) $(testlibs)

$(explorer): $(model) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# libFuzzer brings a main; without it ours replays what the corpora hold.
$(B)/fuzz/%: $(B)/pkg/%.o $(replayer) $(B)/lib.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< \
		$(if $(findstring fuzzer,$(SAN)),-fsanitize=fuzzer,$(replayer)) $(B)/lib.a $(LDLIBS) $(testlibs)

-include $(patsubst %.o,%.d,$(objects) $(mains) $(replayer) $(model) $(sources:%.c=$(B)/%.o))
.SECONDARY:
