# Everything a person or CI calls. `make help` lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CARGO  := cargo --locked
RUST   := engine/Cargo.toml
ROOMS  := corefile engine keystore registrars server signer zones zoneward
# Tests against peers each have a loopback address of their own, so they run side by side.
JOBS   ?= 4
LIVE_JOBS ?= 6
# Seconds of fuzzing in `make test`: of work, shared by six targets on two threads.
FUZZ_SECONDS ?= 120

.DEFAULT_GOAL := help
.PHONY: help build run check format lint types contracts rust unit fuzz peers live test bench lock proto clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

$(VENV)/.requirements: requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

SOURCES := $(shell find engine -name target -prune -o \( -name '*.rs' -o -name 'Cargo.*' \) -print)

$(VENV)/.engine: $(VENV)/.requirements pyproject.toml $(SOURCES)
	PATH="$(abspath $(BIN)):$$PATH" MATURIN_PEP517_ARGS="--locked" \
	    $(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	touch $@

build: $(VENV)/.engine ## the engine and everything it needs, into .venv

run: build ## the example zones, signed and served on 127.0.0.1:5300
	@exec $(BIN)/zoneward run -c examples/Corefile

check: format lint types contracts rust unit ## all that needs no peers and no root

format: $(VENV)/.requirements
	$(BIN)/ruff format --check .
	cargo fmt --manifest-path $(RUST) --all --check

lint: $(VENV)/.requirements
	$(BIN)/ruff check .
	$(CARGO) clippy --quiet --manifest-path $(RUST) --workspace --all-targets -- -D warnings

types: build
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest engine._native --allowlist tools/stubtest.allow

contracts: build
	$(BIN)/lint-imports

rust:
	$(CARGO) test --quiet --manifest-path $(RUST) --package zoneward-core

unit: build
	$(BIN)/pytest -q -n $(JOBS) --dist worksteal tests/unit tests/property

fuzz: ## a minute of hostile bytes for every parser
	ZONEWARD_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CARGO) test --quiet --manifest-path $(RUST) \
	    --package zoneward-core --test hostile_bytes -- --test-threads 2

peers: ## Debian's name servers and tools that the tests talk to
	sh tools/peers.sh

# Most of them wait for time, not for a processor.
live: build
	$(BIN)/pytest -q -n $(LIVE_JOBS) --dist worksteal tests/peers

test: check peers fuzz live ## everything: what CI runs

bench: build peers ## speed and memory beside the peers, in one run
	$(CARGO) build --quiet --release --manifest-path $(RUST) --package zoneward-core --example udp_echo
	$(BIN)/python -m bench

lock: ## resolve the Python dependencies anew
	$(PYTHON) -m venv $(VENV)/.lock && $(VENV)/.lock/bin/pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(VENV)/.lock/bin/python tools/lock.py requirements.lock

proto: ## write the messages of etcd's API anew, from zones/etcd/rpc.proto
	$(PYTHON) -m venv $(VENV)/.proto && $(VENV)/.proto/bin/pip install --quiet grpcio-tools
	$(VENV)/.proto/bin/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. zones/etcd/rpc.proto

clean:
	rm -rf $(VENV) engine/target engine/_native*.so
