# SPDX-License-Identifier: Apache-2.0
# Every command of this repository. `make` alone lists them.

VERSION ?= 0.1.0

# Pinned tools; each is built once, through the Go proxy, into $(CACHE)/bin.
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION := v1.9.0
# (controller-gen is pinned next to what it generates, in api/v1/generate.go.)

# Debian packages that tests, demo and packaging use in addition to Go, make and git.
PACKAGES := binutils buildah busybox-static ca-certificates conmon cpio debootstrap e2fsprogs gcc iproute2 libc6-dev mount openssh-client qemu-system-x86 rpm rpm2cpio rpmlint runc secilc systemd systemd-container tar util-linux

# What is expensive and kept: these tools, the Debian tree, and the programs of the test nodes.
CACHE ?= $(CURDIR)/.cache
DIST ?= dist

# The Go flags of the whole repository. Shipped programs are static; the race detector needs cgo.
TAGS := containers_image_openpgp,exclude_graphdriver_btrfs,containers_image_ostree_stub
export GOFLAGS := -buildvcs=false -tags=$(TAGS)
LDFLAGS  = -s -w -X main.version=$(1)
GO_BUILD = CGO_ENABLED=0 go build -trimpath -ldflags '$(call LDFLAGS,$(1))'
GO_TEST  = CGO_ENABLED=1 go test -race
TESTED   = '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}'
MODULES := . ignition test test/shim test/critest test/alerts

# Same sources, same bytes: times in packages and images are those of the last commit. Payloads have none unless it is set outside.
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)

GOLANGCI_LINT := $(CACHE)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

.DEFAULT_GOAL := help
.PHONY: help build test test-cluster test-nodes bench lint generate verify payload man test-payload demo e2e e2e-kata soak rpm machineconfig images fuzz deps
.DELETE_ON_ERROR:

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the shipped programs into bin/
	$(call GO_BUILD,$(VERSION)) -o bin/ ./cmd/...

# In tests and the demo the control planes and simulations collect their garbage less often than Go does by itself: memory is not short, processors are.
test demo e2e: export GOGC := 400

test: deps ## Run every test; those on systemd nodes need root, and say so where they are skipped
	@if [ "$$(id -u)" -ne 0 ]; then echo "Not root: tests on systemd nodes will be skipped. 'sudo make test' runs everything."; \
	elif ! command -v systemd-nspawn >/dev/null; then echo "No systemd-nspawn: tests on systemd nodes will be skipped."; fi
	# EVERY: the race detector needs few interrupted changes; test-cluster interrupts many.
	EVERY=40 $(GO_TEST) -timeout 20m ./...
	cd ignition && $(GO_TEST) -timeout 10m ./...
	cd test/shim && $(GO_TEST) -timeout 10m ./...
	# Not with the race detector: it would compile Prometheus a second time.
	cd test/alerts && CGO_ENABLED=0 go test -vet=off -count 1 -timeout 10m ./...
	# Nodes mostly wait.
	@$(MAKE) --no-print-directory --jobs=2 test-cluster test-nodes

# No vet, and no package without tests: both would compile all of Kubernetes once more. Never cached: they run programs that Go does not track.
test-cluster:
	# The race detector watches what can have races of ours: the bed, the controller, which runs in the test, and the shipped programs on nodes.
	cd test && $(GO_TEST) -vet=off -p 2 -parallel 4 -count 1 -timeout 40m ./suites/controller $$(go list -f $(TESTED) ./bed/...)
	# Simulations again, without the race detector: with many more seeds, interrupted at more changes (EVERY=1: at all), and with every errno for every class of changes.
	# The same seeds are the same lives: Go remembers the results of the first two as long as the code is the same. Those that follow open so many files that this would last longer than they do.
	CGO_ENABLED=0 SEEDS=2000 go test -run TestEveryWorld ./nodeagent/plan
	CGO_ENABLED=0 SEEDS=600 STEPS=200000 go test -run 'TestEveryCluster|TestALeader' ./controller/decide
	# The same with the real agent on each node.
	cd test && CGO_ENABLED=0 SEEDS=270 STEPS=200000 go test -vet=off -count 1 -timeout 20m ./suites/handshake
	CGO_ENABLED=0 EVERY=5 go test -count 1 -skip TestAChangeThatFails ./nodeagent/crash
	CGO_ENABLED=0 EVERY=1 go test -count 1 -run TestAChangeThatFails ./nodeagent/crash

# The longest packages first.
test-nodes:
	cd test && CGO_ENABLED=0 go test -vet=off -p 3 -count 1 -timeout 40m ./suites/nodes ./suites/emulated $$(go list -f $(TESTED) ./... | grep -v -e /bed -e /suites/controller -e /suites/copying -e /suites/handshake)

BENCH ?= .
bench: ## Run every benchmark; docs/performance.md says what they measure [BENCH=name]
	CGO_ENABLED=0 go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 3h $$(git grep -l '^func Benchmark' -- '*_test.go' ':!test' ':!ignition' | xargs -n 1 dirname | sort -u | sed 's|^|./|')
	# Those of test/ only where BENCH names one: they compile Kubernetes.
	@for dir in $$(git grep -lE '^func Benchmark[A-Za-z]*($(firstword $(subst /, ,$(BENCH))))' -- 'test/*_test.go' | xargs -rn 1 dirname | sort -u); do \
	  (cd test && CGO_ENABLED=0 go test -vet=off -run '^$$' -bench '$(BENCH)' -timeout 3h ./$${dir#test/}) || exit 1; done

lint: $(GOLANGCI_LINT) ## Run golangci-lint in every module
	@for m in $(MODULES); do echo "lint $$m"; (cd $$m && CGO_ENABLED=0 $(GOLANGCI_LINT) run --timeout 30m --allow-serial-runners ./...) || exit 1; done

generate: ## Generate deep copies and the CRD from api/v1
	go generate ./api/...

# The database changes without a commit here, so its findings are printed and fail nothing.
VULNDB ?= https://vuln.go.dev
verify: ## Check generated files, formatting, go.mod, and known vulnerabilities where their database can be reached [VULNDB=mirror]
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && cp -R go.mod go.sum api deploy "$$copy" && (cd "$$copy" && go generate ./api/...) && \
	diff -ru api "$$copy/api" && diff -ru deploy "$$copy/deploy" || { echo "generated files are out of date: run make generate" >&2; exit 1; }
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "not formatted: run gofmt -w on" $$unformatted >&2; exit 1; }
	@for m in $(MODULES) test/crio; do (cd $$m && go mod tidy -diff >/dev/null) || { echo "$$m/go.mod is out of date: run go mod tidy in $$m" >&2; exit 1; }; done
	@echo "generated files, formatting and go.mod are up to date"
	@if ! curl --fail --silent --max-time 5 --output /dev/null $(VULNDB)/index/db.json 2>/dev/null; then \
	  echo "known vulnerabilities are not checked: $(VULNDB) cannot be reached with curl"; \
	else for m in $(MODULES); do echo "govulncheck $$m"; (cd $$m && CGO_ENABLED=0 GOVULNDB=$(VULNDB) go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) -tags=$(TAGS) ./...) || echo "$$m has known vulnerabilities, or they could not be checked: see above"; done; fi

MAN_DIR ?= $(DIST)/man/man1
TO ?= oci:$(DIST)/payload:latest
SOURCES ?= payload/sources.toml
PROFILE ?= host-qemu
ARCHITECTURE ?= $(shell go env GOARCH)
payload: ## Build the payload from upstream's archives and push it [PROFILE=host-qemu SOURCES=payload/sources.toml ARCHITECTURE=amd64,arm64 TO=oci:dist/payload:latest]
	$(call GO_BUILD,$(VERSION)) -o bin/ ./cmd/kata-payload
	bin/kata-payload build --sources $(SOURCES) --profile $(PROFILE) --architecture $(ARCHITECTURE) --to $(TO)

man: ## Write the manual pages of kata-payload [MAN_DIR=dist/man/man1]
	$(call GO_BUILD,$(VERSION)) -o bin/ ./cmd/kata-payload
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) bin/kata-payload man $(MAN_DIR)

PAYLOAD_VERSION ?= 1.0.0
test-payload: ## Build the test payload, whose shim is from this repository, and push it [PAYLOAD_VERSION=1.0.0 TO=oci:dist/payload:latest]
	@rm -rf $(DIST)/payload-stage && mkdir -p $(DIST)/payload-stage/usr/bin
	cp -R test/payload/tree/. $(DIST)/payload-stage/ && chmod -R u=rwX,go=rX $(DIST)/payload-stage
	cd test/shim && $(call GO_BUILD,$(PAYLOAD_VERSION)) -o $(abspath $(DIST))/payload-stage/usr/bin/containerd-shim-kata-v2 .
	$(call GO_BUILD,$(VERSION)) -o bin/ ./cmd/kata-payload
	bin/kata-payload build --from $(DIST)/payload-stage --describe test/payload/payload.toml --set version=$(PAYLOAD_VERSION) --to $(TO)

demo: deps ## Show the whole story on three systemd nodes, as root [KEEP=1 leaves it running, NODE=qemu makes one a virtual machine]
	cd test && CGO_ENABLED=0 go run ./cmd/demo $(if $(KEEP),--keep) $(if $(NODE),--node=$(NODE))

e2e: deps ## Run tests of others with Kata on a systemd node, Kubernetes' and critest, power cuts at more moments, an older kernel, and other SELinux labels, as root [FOCUS=names ONLY=part ORDINARY=1 without Kata]
	cd test && CGO_ENABLED=0 go run ./cmd/e2e --reports=$(abspath $(DIST))/e2e --focus='$(FOCUS)' --only='$(ONLY)' $(if $(ORDINARY),--ordinary)

e2e-kata: ## Install, update and remove a real Kata, with virtual machines, on an emulated node, as root [KATA=directory with a build or a release of Kata]
	@[ -d "$(KATA)" ] || { echo "KATA '$(KATA)' is no directory: make e2e-kata needs KATA=DIRECTORY with a release of Kata (kata-go-static-VERSION-ARCH.tar.zst, or opt/kata as it unpacks)," \
	  "or with a build: the files containerd-shim-kata-v2 (the Go shim), kata-agent (static), configuration-qemu.toml and virtiofsd, at any depth" >&2; exit 1; }
	@$(MAKE) --no-print-directory deps
	cd test && CGO_ENABLED=0 go test -vet=off -count 1 -v -timeout 3h ./suites/kata -kata='$(abspath $(KATA))'

N ?= 10000
SEED ?= 0
soak: deps ## Kill the agent of a systemd node at N random moments, as root [N=10000 SEED=that of an earlier run]
	cd test && CGO_ENABLED=0 go test -vet=off -count 1 -v -timeout 0 -run '^TestAnAgentKilledAtRandomMomentsKeepsItsNodeSound$$' ./suites/nodes -kills=$(N) -seed=$(SEED)

RPM_DIR ?= $(DIST)
RPM_ARCH := $(shell uname -m)
RPM_FILE = $(abspath $(RPM_DIR))/kata-node-agent-$(VERSION)-1.$(RPM_ARCH).rpm
rpm: ## Build the agent's RPM and print its path [RPM_DIR=dist AGENT_BINARY=other program to package]
	@command -v rpmbuild >/dev/null || { echo "rpmbuild is missing: run 'sudo make deps', or install rpm-build" >&2; exit 1; }
	$(if $(AGENT_BINARY),,$(call GO_BUILD,$(VERSION)) -o bin/ ./cmd/kata-node-agent)
	@mkdir -p $(RPM_DIR)
	SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) rpmbuild -bb --quiet --build-in-place --nodeps \
	  -D '_topdir $(abspath $(RPM_DIR))/rpmbuild' -D '_rpmdir $(abspath $(RPM_DIR))' -D '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
	  -D '_binary_payload w3.zstdio' -D 'dist %{nil}' \
	  -D 'agent_version $(VERSION)' -D 'agent_binary $(abspath $(or $(AGENT_BINARY),bin/kata-node-agent))' rpmspec/kata-node-agent.spec
	@rm -rf $(RPM_DIR)/rpmbuild && echo $(RPM_FILE)

ROLE ?= worker
machineconfig: ## Render MachineConfigs that install the agent from an image [AGENT_IMAGE=registry/repo@sha256:... ROLE=worker ALLOWED_PAYLOADS=registry/dir/]
	cd ignition && CGO_ENABLED=0 go run ./render --image '$(AGENT_IMAGE)' --role '$(ROLE)' --allowed-payloads '$(ALLOWED_PAYLOADS)' --out $(abspath $(DIST))/machineconfig

IMAGE_DIR ?= $(DIST)/images
BUILDAH = buildah --root $(abspath $(IMAGE_DIR))/.store --runroot $(abspath $(IMAGE_DIR))/.run --storage-driver vfs
images: $(if $(BIN),,build) ## Build the images of controller and agent as OCI layouts and print their digests [IMAGE_DIR=dist/images BIN=other programs]
	@command -v buildah >/dev/null || { echo "buildah is missing: run 'sudo make deps', or install buildah" >&2; exit 1; }
	@mkdir -p $(IMAGE_DIR)
	@for i in controller agent; do \
	  $(BUILDAH) bud --quiet --isolation chroot --timestamp $(SOURCE_DATE_EPOCH) --build-arg VERSION=$(VERSION) -f containerfiles/Containerfile.$$i \
	    -t oci:$(abspath $(IMAGE_DIR))/$$i:$(VERSION) $(or $(BIN),bin) >/dev/null || exit 1; \
	  echo "$(IMAGE_DIR)/$$i $$(grep -o 'sha256:[0-9a-f]*' $(IMAGE_DIR)/$$i/index.json)"; done
	@rm -rf $(IMAGE_DIR)/.store $(IMAGE_DIR)/.run

FUZZTIME ?= 30s
fuzz: ## Fuzz every target of the root module for a while [FUZZTIME=30s]
	@git grep -l '^func Fuzz' -- '*_test.go' ':!test' | xargs -n 1 dirname | sort -u | while read -r dir; do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s ./$$dir || exit 1; done; done

deps: ## Install missing Debian packages as root, else print the command
	@missing=$$(for p in $(PACKAGES); do dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null | grep -qx installed || echo $$p; done); \
	if [ -z "$$missing" ]; then exit 0; \
	elif ! command -v apt-get >/dev/null; then echo "Not Debian: please install what these Debian packages have:" $$missing; \
	elif [ "$$(id -u)" -ne 0 ]; then echo "Missing packages; run: sudo apt-get install -y --no-install-recommends" $$missing; \
	else echo "Installing" $$missing; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

$(GOLANGCI_LINT):
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION), once (some minutes)"
	@mkdir -p $(@D)/.new && cd / && GOFLAGS= CGO_ENABLED=0 GOBIN=$(@D)/.new go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION) && mv $(@D)/.new/golangci-lint $@
