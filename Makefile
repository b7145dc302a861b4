# Every target has a sentence after ##, which "make help" prints. The work is done by scripts, which install what they need.

CALLS    ?= 3
SECONDS  ?= 8
FUZZTIME ?= 20s
PKG      ?= ./...

.DEFAULT_GOAL := help
.PHONY: help build run demo clients peers compat test test-go race fuzz bench verify lint generate docs man deb cover clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build bin/weir, also linked as bin/rtpengine and bin/rtpengine-ctl
	@scripts/build

run: build ## Build and start the daemon on this host, no configuration file needed (ARGS="--interface=eth0 ..." adds options)
	@bin/weir serve $(ARGS)

demo: ## Place real calls through Kamailio and Weir in network namespaces (CALLS=3 SECONDS=8, or WEBRTC=1 for a browser's)
	@scripts/demo --calls $(CALLS) --seconds $(SECONDS) $(if $(WEBRTC),--webrtc) $(ARGS)

clients: ## Have curl, the npm package rtpengine-client and Kamailio (hold, resume, fork) use Weir
	@scripts/clients

peers: ## Have baresip (RTP, SDES, DTLS-SRTP), Chromium and a pion client call each other through Weir (ARGS="-run Baresip -v")
	@scripts/peers $(ARGS)

compat: build ## Run rtpengine's own test suite against Weir (WEIR_PEER_SUITE=its repository WEIR_PEER_RUNNER=a runner)
	@scripts/compat $(ARGS)

test: ## Run every test: Go tests with the race detector, then real calls and clients (ARGS=--quick leaves those out)
	@scripts/test $(ARGS)

test-go: ## Run the Go tests alone (PKG=./media/... picks some)
	@scripts/test --go $(PKG)

race: ## Run the Go tests alone, with the race detector (PKG=./media/... picks some)
	@scripts/test --race $(PKG)

fuzz: ## Fuzz every parser for FUZZTIME (20s) each
	@scripts/fuzz $(FUZZTIME)

bench: ## Measure packets, calls per second, delay and memory, next to Debian's rtpengine (ARGS=--json prints one object)
	@scripts/bench $(ARGS)

verify: ## Load and run the BPF programs on Debian's kernels in qemu
	@scripts/verify $(ARGS)

lint: ## Check format, go vet, staticcheck, spelling, shell scripts and house rules
	@scripts/lint

generate: ## Compile the BPF programs again, with clang-19, llvm-19 and libbpf-dev (the result is committed)
	@scripts/generate

docs: ## Write the generated pages of the documentation again (the result is committed)
	@go run ./cmd/weir docs .

man: docs ## Write the man pages again, into packaging/man (with the rest of the generated pages)

deb: ## Build bin/weir_VERSION_ARCH.deb (ARGS=--test installs, upgrades and removes it under a systemd of its own, with a call)
	@scripts/deb $(ARGS)

cover: ## Show the test coverage of each package (PKG=./media/... picks some)
	@scripts/test --cover $(PKG)

clean: ## Remove what the build made
	@rm -rf bin
