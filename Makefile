# Self-describing: `make help`.
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR = $(PREFIX)/bin
LIBEXECDIR = $(PREFIX)/lib/rkt
# systemd looks for units below the prefix only in /usr and /usr/local.
SYSTEMDDIR ?= $(PREFIX)/lib/systemd
MANDIR = $(PREFIX)/share/man
SUITE ?=
SHELL = /bin/bash

SWIFT_RELEASE = swift build -c release --static-swift-stdlib

.DEFAULT_GOAL := help
.PHONY: help dependencies build test fuzz demo shell lint check install uninstall bench clean images

help: ## Show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dependencies: ## Install what building and testing needs (Debian 12)
	@scripts/install-dependencies.sh

build: dependencies ## Build rkt and pod-init (release)
	$(SWIFT_RELEASE)

images: dependencies ## Make the demo and test images from the distribution's packages
	@scripts/make-images.sh .build/images

test: build images ## Run all tests: unit tier and system tier (SUITE=bookworm|trixie|forky for one systemd)
	@scripts/test.sh $(SUITE)

fuzz: dependencies ## Fuzz what reads bytes of others (SECONDS=75 for each target, TARGET=… for one)
	@scripts/fuzz.sh --seconds $(or $(SECONDS),75) $(TARGET)

demo: build images ## Run redis and a client as one pod and look at it
	@scripts/demo.sh

shell: build images ## A shell in a booted test machine with rkt installed (SUITE=…)
	@scripts/shell.sh $(SUITE)

lint: ## Check formatting, import directions and shell scripts
	@scripts/lint.sh

check: lint test ## Lint and test

bench: build images ## Measure against podman, as ratios
	@bench/run.sh

install: ## Install to DESTDIR and PREFIX (after `make build`)
	@scripts/install.sh install "$(DESTDIR)" "$(PREFIX)" "$(SYSTEMDDIR)" "$(MANDIR)"

uninstall: ## Remove what `make install` installed
	@scripts/install.sh uninstall "$(DESTDIR)" "$(PREFIX)" "$(SYSTEMDDIR)" "$(MANDIR)"

clean: ## Remove what was built; test machines' trees stay (rm -rf .build removes them too)
	swift package clean
