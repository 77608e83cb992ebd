# `make demo` and `make test` install what is missing first; both work on a fresh Debian machine.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export PATH := $(HOME)/.cargo/bin:$(PATH)

DEMO := tests/corpus/models/vit_tiny_forward
NEXTEST := 0.9
MDBOOK := 0.5
# The bridge to MLIR is outside of the workspace: only it needs LLVM.
LLVM := /usr/lib/llvm-22
MLIR := MLIR_SYS_220_PREFIX=$(LLVM) TABLEGEN_220_PREFIX=$(LLVM) LIBCLANG_PATH=$(LLVM)/lib
BRIDGE := --manifest-path compiler/mlir/Cargo.toml --locked

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

.PHONY: mlir-tools
mlir-tools: rust
	@if ! command -v mlir-opt-22 >/dev/null || ! test -x $(LLVM)/bin/llvm-config; then \
	  echo "installing LLVM and MLIR 22"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); $$SUDO apt-get update -q && $$SUDO apt-get install -y -q \
	    libmlir-22-dev llvm-22-dev libclang-22-dev libpolly-22-dev libzstd-dev mlir-22-tools; fi

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
	cargo check -p ferrite-cli --no-default-features --locked
	cargo nextest run --workspace --locked --no-fail-fast
	cargo test --workspace --doc --locked --quiet
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	$(MAKE) test-mlir

.PHONY: test-mlir
test-mlir: test-tools mlir-tools ## The bridge to MLIR: format, lints, tests. Part of `test`.
	cargo build --workspace --locked
	cargo fmt --manifest-path compiler/mlir/Cargo.toml --check
	$(MLIR) cargo clippy $(BRIDGE) --all-targets -- -D warnings
	$(MLIR) cargo test $(BRIDGE)

.PHONY: mlir
mlir: mlir-tools ## Builds `ferrite-mlir` into compiler/mlir/target/release.
	$(MLIR) cargo build --release $(BRIDGE)

.PHONY: bless
bless: rust ## Rewrites what filetests expect and what the book shows; read the diff.
	BLESS=1 cargo test --locked -p ferrite-tests -- filetest page_of
	BLESS=1 cargo test --locked -p ferrite-cli --test cli -- what_the_book_shows
	@if test -x $(LLVM)/bin/llvm-config; then BLESS=1 $(MLIR) cargo test $(BRIDGE) -- definitions_in_the_book; \
	  else echo "docs/dialects is left as it is: no LLVM 22 (make mlir-tools)"; fi

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
