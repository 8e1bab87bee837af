# MetalLB in Rust. `make help` lists the targets.

# Images and programs of the demo and the tests are built like a release, but without link-time optimisation: seconds
# instead of minutes when something changes. `make images PROFILE=release` builds what is shipped.
PROFILE ?= quick-release
OPERATOR_IMAGE ?= localhost/metallb-operator:dev
DATAPLANE_IMAGE ?= localhost/metallb-dataplane:dev
# Minutes that the machine is kept busy for `make bench`, and how often each fault happens there.
MINUTES ?= 10
RUNS ?= 20
# Seconds for each fuzz target of `make soak`, and how many times as long as in `make test` the random tests go on there.
SOAK ?= 60
TIMES ?= 100

HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BIN := target/$(HOST)/$(PROFILE)
# The lab, the demo and the like: never shipped, so never worth a long build.
TOOLS := target/$(HOST)/quick-release
IMAGES := target/images
export STEPS := $(CURDIR)/target/steps
export METALLB_IMAGES ?= $(CURDIR)/$(IMAGES)
STEP := tests/steps/step
COMMA := ,
# Not --quiet: the first time it takes minutes, and silence would look like a standstill.
# A static program relocates itself when it starts; packed, the list of places takes 7 kB and not 1.2 MB, which would stay in
# memory. The C library understands that from 2.36 on.
PACKED := $(shell getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ split($$2, v, "."); \
	if (v[1] > 2 || v[2] >= 36) print "-C link-arg=-Wl,-z,pack-relative-relocs" }')
# Functions that came out alike are made one: generic code is compiled for each type that it is used with, and much of it does not
# differ. LLVM's linker does that, which Rust brings along and links with by default on x86-64.
LLD := $(wildcard $(shell rustc --print sysroot 2>/dev/null)/lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld/ld.lld)
ALIKE := $(if $(and $(LLD),$(filter x86_64-unknown-linux-gnu,$(HOST))),-C link-arg=-Wl$(COMMA)--icf=all)
STATIC := env RUSTFLAGS="-C target-feature=+crt-static $(PACKED) $(ALIKE)" cargo build --target $(HOST)
# The lab makes network namespaces.
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo --preserve-env,)

# What needs a whole cluster, or several.
CLUSTERS := kind|olm|takeover

.DEFAULT_GOAL := help
.PHONY: help setup tools programs pack images demo test test-takeover lint unit scenarios test-kind bundle validate test-olm bench soak generate audit clean begin

help: ## Show this
	@echo "make TARGET; a fresh Debian-like machine needs Rust and Go, the rest is installed"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: begin ## A cluster, MetalLB on it, a service reached, a node lost (KEEP=1 leaves it up)
	@$(MAKE) --no-print-directory images
	@$(STEP) "demo" $(AS_ROOT) env KEEP=$(KEEP) $(TOOLS)/demo
	@$(MAKE) --no-print-directory summary

test: begin ## Everything CI runs
	@$(MAKE) --no-print-directory images
	@$(MAKE) --no-print-directory lint validate unit scenarios
	@$(MAKE) --no-print-directory summary

begin:
	@mkdir -p target && : >$(STEPS)
	@$(STEP) "setup" tests/steps/setup

tools: programs
	@$(STEP) "tools of the lab" $(TOOLS)/lab tools --install

programs:
	@$(STEP) "programs, static (quick-release)" $(STATIC) --workspace --bins --profile quick-release
ifneq ($(PROFILE),quick-release)
	@$(STEP) "programs of the images ($(PROFILE))" $(STATIC) --workspace --profile $(PROFILE) \
		--bin metallb-operator --bin metallb-controller --bin metallb-speaker --bin kubectl-metallb
endif

images: tools pack ## The two images, as OCI archives in target/images; and the tools of the lab

pack: programs ## The two images, and nothing else
	@mkdir -p $(IMAGES)
	@$(STEP) "image of the operator" $(TOOLS)/pack-image --name $(OPERATOR_IMAGE) --output $(IMAGES)/operator.tar \
		$(BIN)/metallb-operator=/manager
	@$(STEP) "image of the dataplane" $(TOOLS)/pack-image --name $(DATAPLANE_IMAGE) --output $(IMAGES)/dataplane.tar \
		$(BIN)/metallb-controller=/controller $(BIN)/metallb-speaker=/speaker

lint: ## Formatting, and clippy with warnings as errors
	@$(STEP) "formatting" cargo fmt --all --check
	@$(STEP) "clippy" cargo clippy --workspace --all-targets -- -D warnings

# Test programs at once: most wait for API servers, routers and timers; those with a cluster compute more. Those that measure time run
# alone: what is late is taken for a fault.
AT_ONCE ?= $(shell echo $$(($$(nproc) + 1)))
CLUSTERS_AT_ONCE ?= $(shell echo $$((($$(nproc) + 2) / 2)))
ALONE := dataplane test (bfd|bgp)|kind test (bgp|rollout)
LONGEST := protocols lib metallb_protocols|kind test faults
unit: ## Unit, property and simulation tests, and those against an API server
	@$(STEP) "unit, property, simulation and API server tests" $(AS_ROOT) env PATH="$$PATH" \
		tests/steps/side-by-side $(AT_ONCE) '$(ALONE)' '$(LONGEST)' --invert-match 'tests/($(CLUSTERS))[[:space:]]'
	@$(STEP) "examples in the docs" cargo test --quiet --workspace --doc

scenarios: ## What users live through, on a whole cluster
	@$(STEP) "scenarios on a whole cluster" $(AS_ROOT) env PATH="$$PATH" \
		tests/steps/side-by-side $(CLUSTERS_AT_ONCE) '$(ALONE)' '$(LONGEST)' 'tests/kind[[:space:]]'

test-kind: begin ## Layer 2, admission and faults on a cluster of kind; needs Docker, kind and kubectl (KEEP=1 leaves it up)
	@$(MAKE) --no-print-directory pack
	@$(STEP) "scenarios on a cluster of kind" tests/kind/run-on-kind
	@$(MAKE) --no-print-directory summary

test-takeover: begin ## Clusters of upstream's MetalLB, in each mode, are taken over and handed back (builds those: 10 minutes the first time)
	@$(MAKE) --no-print-directory images
	@for mode in native frr frr_k8s; do $(STEP) "take-over from upstream's MetalLB, $$mode" $(AS_ROOT) env PATH="$$PATH" \
		cargo test --quiet --package metallb-takeover --lib --test $$mode -- --nocapture || exit 1; done
	@$(MAKE) --no-print-directory summary

test-olm: begin ## The bundle through the Operator Lifecycle Manager on a cluster: installed, used, upgraded, and back (4 minutes)
	@$(MAKE) --no-print-directory images validate
	@$(STEP) "installed and upgraded by OLM" $(AS_ROOT) env PATH="$$PATH" \
		cargo test --quiet --package metallb-olm -- --nocapture
	@$(MAKE) --no-print-directory summary

bench: begin ## Allocation, BGP, BFD, faults and memory, of a release build (MINUTES=10 of load, RUNS=20 of each fault)
	@$(MAKE) --no-print-directory images PROFILE=release
	@$(STEP) "bench of the decisions" cargo bench --quiet --package metallb-core
	@$(STEP) "simulation of a thousand speakers" cargo test --quiet --profile quick-release --package metallb-protocols --lib \
		liveness::tests::large -- --nocapture
	@$(STEP) "bench of the controller" $(TOOLS)/bench-controller --controller target/$(HOST)/release/metallb-controller
	@$(STEP) "bench of the speaker" $(AS_ROOT) $(TOOLS)/bench-speaker \
		--speaker target/$(HOST)/release/metallb-speaker --minutes $(MINUTES)
	@$(STEP) "bench of a whole cluster" $(AS_ROOT) $(TOOLS)/bench
	@$(STEP) "bench of faults" $(AS_ROOT) $(TOOLS)/bench-faults --runs $(RUNS)
	@ls -l $(IMAGES)/*.tar | awk '{printf "%8.1f MB  %s\n", $$5/1e6, $$9}'

soak: ## The random tests again, TIMES=100 as long (hours); each fuzz target for SOAK=60 seconds
	@METALLB_FUZZ_SECONDS=$(SOAK) cargo test --release --workspace --no-fail-fast --test fuzz
	@PROPTEST_CASES=$$((256 * $(TIMES))) cargo test --release --workspace --no-fail-fast --exclude metallb-lab --exclude metallb-scenarios \
		--exclude metallb-olm --exclude metallb-takeover --lib

bundle: begin ## Write bundle/ and catalog/ anew from the types, and ask the official validators
	@$(STEP) "bundle and catalog" $(MAKE) --no-print-directory generate
	@$(MAKE) --no-print-directory programs validate summary

# Both are built from their Go modules the first time (3 minutes), and take a second from then on.
validate:
	@$(STEP) "validators of the bundle" $(TOOLS)/lab tool validate-bundle bundle catalog
	@$(STEP) "opm validate" $(TOOLS)/lab tool opm validate catalog

generate: ## Write anew what follows from the types: crds/, config/, bundle/, catalog/, and pages of docs/
	@cargo run --quiet --package metallb-operator --bin generate

audit: ## Licences and sources of everything we link (needs cargo-deny)
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	@cargo deny check licenses bans sources

clean: ## Remove what was built here (the lab's tools stay in their cache)
	@cargo clean

.PHONY: summary
summary:
	@printf '\nTime of each step:\n'; cat $(STEPS)
