# `make demo` and `make test` install what is missing first; both work on a fresh Debian machine.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)

DEMO := tests/corpus/models/vit_tiny_forward
NEXTEST := 0.9
MDBOOK := 0.5

.PHONY: help
help: ## Lists the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

.PHONY: rust
rust:
	@if ! command -v cc >/dev/null; then \
	  echo "installing a C linker"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); $$SUDO apt-get update -q && $$SUDO apt-get install -y -q gcc libc6-dev; fi
	@if ! command -v cargo >/dev/null; then \
	  echo "installing Rust"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  if $$SUDO apt-get update -q && $$SUDO apt-get install -y -q rustup; then rustup default stable; \
	  else $$SUDO apt-get install -y -q curl ca-certificates; \
	    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c rustfmt -c clippy; fi; fi

.PHONY: python
python:
	@if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "installing Python"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); $$SUDO apt-get update -q && $$SUDO apt-get install -y -q python3 python3-venv; fi

.PHONY: test-tools
test-tools: rust
	@command -v rustfmt >/dev/null && command -v cargo-clippy >/dev/null || rustup component add rustfmt clippy
	@command -v cargo-nextest >/dev/null || cargo install --locked --version '^$(NEXTEST)' cargo-nextest

.PHONY: demo
demo: rust ## Compiles tiny ViT, runs it in the cycle-level simulator, checks the numbers; pictures in demo-out/.
	cargo build --release --locked -p ferrite-cli
	mkdir -p demo-out
	target/release/neuronx-cc compile $(DEMO)/model.stablehlo.mlir --framework XLA --target inf2 \
	  --output demo-out/vit_tiny.neff --logfile demo-out/log-neuron-cc.txt
	target/release/ferrite validate --case $(DEMO) --target inf2 --profile demo-out
	@test -s demo-out/trace.json && test -s demo-out/timeline.png
	@echo "open demo-out/trace.json in https://ui.perfetto.dev, or look at demo-out/timeline.png"

.PHONY: test
test: test-tools ## Everything CI runs: format, lints, tests, documentation.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo nextest run --workspace --locked --no-fail-fast
	cargo test --workspace --doc --locked --quiet
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

.PHONY: bless
bless: rust ## Rewrites what filetests expect and what the book shows; read the diff.
	BLESS=1 cargo test --locked -p ferrite-tests -- filetest page_of
	BLESS=1 cargo test --locked -p ferrite-cli --test cli -- what_the_book_shows

.PHONY: bench
bench: rust ## Compiles and profiles the benchmark cases into benches/results/.
	cargo run --release --locked -p ferrite-benches --bin record -- $(BENCH)

.PHONY: check-external
check-external: rust python ## Compares with JAX, PyTorch, S3, Ray and others from PyPI; says what is skipped and why.
	cargo build --release --locked -p ferrite-cli
	tests/external/run.sh $(SECTIONS)

.PHONY: book
book: rust ## Builds the book with mdBook, installed if it is missing, into docs/book.
	@command -v mdbook >/dev/null || cargo install --locked --version '^$(MDBOOK)' mdbook
	mdbook build docs
