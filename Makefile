# `make` lists what there is.

target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## the release binary, in target/release
	cargo build --locked --release --bin upstreamd

.PHONY: packages
packages: ## the .deb and the .rpm, in target/packages
	@packaging/build

.PHONY: container
container: ## a container image from scratch, in target/packages
	@packaging/container/build

.PHONY: demo
demo: ## the main job on a loopback upstream with real TLS; no network, no key
	@cargo build --locked --profile demo --bin upstreamd --example demo
	@$(target)/demo/examples/demo
	@echo
	@echo 'Built without link-time optimization, to be quick; `make build` and `make bench` have it.'

.PHONY: test
test: ## everything; installs what it needs beside the Rust toolchain
	@tests/install
	@tests/run

.PHONY: check
check: ## the quick part of it: format, lints, unit and integration tests
	@tests/install
	@tests/run format clippy tests

.PHONY: coverage
coverage: ## lines that tests reach; fails below 95 %
	@tests/coverage

.PHONY: bench
bench: ## against HAProxy and nginx, and with all features: time, latency, memory (bench/README.md)
	@bench/run
	@bench/run --cost

.PHONY: clean
clean: ## what all of these left behind
	cargo clean
	rm -rf bench/target tests/sdk/node/node_modules
