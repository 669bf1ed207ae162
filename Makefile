# Everything a developer or a newcomer types. The work is done by cargo and the scripts in hack/.
PREFIX ?= /usr/local
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help build try test test-unit test-host test-vm e2e attacks faults fuzz soak conformance bench bench-shim bench-images lint docs install uninstall deb sbom reproducible clean

help: ## list what can be made
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## static binaries: bin/orlop, bin/orlop-tools and bin/containerd-shim-orlop-v2
	@hack/build.sh

try: ## install what is missing, build, and run a container that shows its isolation
	@hack/setup.sh build
	@hack/build.sh
	@hack/try.sh

test: ## install what is missing and run every test; ends with a summary
	@hack/setup.sh build test vm
	@hack/test.sh unit host vm systemd newest

test-unit: ## the crates' own tests: no root, no binary needed
	@hack/test.sh unit

test-host: ## the integration tests on this machine, as root
	@hack/test.sh host

test-vm: ## those that depend on the kernel once more, in the test VM: pure cgroup v2, every capability
	@hack/test.sh vm systemd newest

e2e: ## orlop under real engines: containerd, Docker, Podman, Kubernetes' interface; fetches some 2 GB of Debian's packages
	@hack/setup.sh build e2e
	@hack/engines
	@hack/test.sh e2e

attacks: ## every published vulnerability of runtimes, played at full length against orlop, runc and crun
	@hack/setup.sh build test bench
	@hack/attacks

conformance: ## runc's own test suite with orlop, and with runc beside it; takes hours, hack/conformance has options
	@hack/setup.sh conformance build vm
	@hack/conformance

faults: ## every fault at every system call of every command and of the shim, and what is left after each; an hour
	@hack/setup.sh build test
	@hack/faults

fuzz: ## bytes that nobody meant, guided by coverage, for everything that reads bytes; FUZZ_SECONDS for each of 14 readers
	@hack/setup.sh build fuzz
	@hack/fuzz

soak: ## thousands of containers one after another and at once, and what the machine has to show for it; half an hour
	@hack/setup.sh build test
	@hack/soak

bench: ## orlop, other runtimes and the kernel's own cost side by side in one run
	@hack/setup.sh build bench
	@hack/build.sh
	@hack/bench.d/peers || echo "bench: no newer crun could be fetched" >&2
	@hack/bench

bench-shim: ## the shim beside containerd's own, in one run
	@hack/setup.sh build e2e
	@hack/build.sh
	@hack/bench-shim

bench-images: ## unpacking images, beside Podman and umoci; writes the table in docs/images.md
	@hack/setup.sh build test vm
	@hack/build.sh
	@hack/bench-images --write

lint: ## formatting, clippy with warnings denied, the kernel feature table, types for aarch64
	@hack/setup.sh lint
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	hack/kernel-features
	@hack/check-aarch64

docs: ## the documentation as a site, target/site/index.html, which needs no network
	@hack/setup.sh build
	@hack/docs

install: build ## install below PREFIX (/usr/local): programs, manual pages, completions
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) hack/install

uninstall: ## remove what make install has put below PREFIX
	@DESTDIR=$(DESTDIR) PREFIX=$(PREFIX) hack/install -r

deb: build ## Debian packages: target/deb/*.deb
	@hack/setup.sh package
	@hack/deb

sbom: ## what the binaries are linked from, as SPDX: target/orlop.spdx.json
	@hack/setup.sh build package
	@hack/sbom

reproducible: ## build the last commit twice, in two directories, and compare the bytes
	@hack/setup.sh build
	@hack/reproducible

clean: ## remove everything that was built
	cargo clean
	rm -rf bin
