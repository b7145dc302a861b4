# Every target has a sentence after ##, which "make help" prints. The work is done by scripts, which also install what they need.

CALLS   ?= 3
SECONDS ?= 8
FUZZTIME ?= 20s
.DEFAULT_GOAL := help
.PHONY: help build run demo test race fuzz bench verify lint generate cover clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

build: ## Build bin/weir, also linked as bin/rtpengine and bin/rtpengine-ctl
	@scripts/build

run: build ## Build and start the daemon on this host without a configuration file (ARGS="--interface=eth0 …" adds options)
	@bin/weir serve $(ARGS)

demo: ## Place real calls through Kamailio and Weir in network namespaces (CALLS=3 SECONDS=8)
	@scripts/demo --calls $(CALLS) --seconds $(SECONDS)

test: ## Run every test: Go tests with the race detector, then a real Kamailio call
	@scripts/test

race: ## Run the Go tests alone (PKG=./media/... picks some)
	@scripts/test --go-only $(PKG)

fuzz: ## Fuzz every parser for FUZZTIME (20s) each
	@scripts/fuzz $(FUZZTIME)

bench: ## Measure ns per packet and calls per second, next to Debian's rtpengine (ARGS=--json prints one object)
	@scripts/bench $(ARGS)

verify: ## Load and run the kernel programs on Debian's kernels in qemu
	@scripts/verify

lint: ## Check format, vet, staticcheck, shell scripts and house rules
	@scripts/lint

generate: ## Compile the BPF programs again (needs clang-19; the result is committed)
	@scripts/generate

cover: ## Show the test coverage of each package
	@scripts/test --cover

clean: ## Remove what the build made
	@rm -rf bin
