# Dunlin. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all

GO ?= go
BUILD := build
TOOLS := $(BUILD)/tools
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLUGINS := $(notdir $(patsubst %/plugin.toml,%,$(wildcard plugins/*/plugin.toml)))
# Plugins that are no modules: they need files, sockets, or databases.
PROCESSES := rule_engine bridge_mqtt
MODULES := $(filter-out $(PROCESSES),$(PLUGINS))
T ?= 30s
TEST_TIMEOUT ?= 20m
# Packages under test; `make test PKG=./core/session/...` narrows it.
PKG ?= ./...

comma := ,
EXE := $(shell $(GO) env GOEXE)

.PHONY: all
all: test lint ## test and lint

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | sort | \
		while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

.PHONY: build
build: plugins ## build the broker and the plugins into build/
	$(GO) build -trimpath -o $(BUILD)/dunlin$(EXE) ./cmd/dunlin

.PHONY: plugins
plugins: ## build every plugin into build/plugins, as WASM (where it can be one) and as a process
	@for p in $(PLUGINS); do \
		out=$(BUILD)/plugins/$$p; mkdir -p $$out; \
		case " $(PROCESSES) " in *" $$p "*) ;; *) \
			GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildmode=c-shared -ldflags='-s -w' -o $$out/$$p.wasm ./plugins/$$p;; esac; \
		$(GO) build -trimpath -ldflags='-s -w' -o $$out/$$p$(EXE) ./plugins/$$p; \
		cp plugins/$$p/plugin.toml $$out/; \
		[ ! -f plugins/$$p/schema.json ] || cp plugins/$$p/schema.json $$out/; \
	done

.PHONY: crash
crash: plugins ## kill the broker 200 times in each mode under clients and count what was lost (KILLS=, MESSAGES=, SEED=)
	$(GO) test -count=1 -v -timeout 2h ./test/crash -args -kills $(or $(KILLS),200) -messages $(or $(MESSAGES),1000000) -writers 8 -readers 3 -up 2s -seed $(or $(SEED),1)

.PHONY: run
run: build ## build, make a development certificate if there is none, and run in the foreground
	@$(BUILD)/dunlin$(EXE) cert dev --home .
	@exec $(BUILD)/dunlin$(EXE) foreground --home .

.PHONY: test
test: needs ## run all tests; PKG=./core/... narrows it
	.ci/test -timeout $(TEST_TIMEOUT) $(PKG)

.PHONY: race
race: needs ## run all tests under the race detector
	.ci/test -race -timeout $(TEST_TIMEOUT) $(PKG)

.PHONY: needs
needs: build
	@.ci/needs

.PHONY: lint
lint: ## gofmt, vet, staticcheck, and golangci-lint where it is installed
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt differs in:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	GOOS=wasip1 GOARCH=wasm $(GO) vet ./pluginsdk/... $(MODULES:%=./plugins/%/...)
	$(GO) run $(STATICCHECK) ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
		else echo "golangci-lint is not installed: its rules that matter most are tests in core/house_test.go"; fi

.PHONY: bench-plugins
bench-plugins: ## what a PUBLISH and an acl question cost with plugins of each kind
	$(GO) test -run '^$$' -bench 'BenchmarkPublish|BenchmarkACL' -benchtime 2s ./plugins/plugintest ./core/access

.PHONY: bench-hostile
bench-hostile: plugins ## attack a broker by its plugins, and reload every plugin 30 times, under load; prints what others notice
	$(GO) test -count=1 -v -run 'TestHostile|TestReloadsUnderLoad' -parallel 1 ./test -args -hostile 5s -reloads 30 | grep -E 'p99|^(---|ok|FAIL)'

.PHONY: bench-durable
bench-durable: build bench-peers ## durable QoS 1 in the three modes beside mosquitto and mochi, backlogs, and the recovery of 100,000 sessions with a million messages
	$(GO) run ./bench/durable -dunlin $(BUILD)/dunlin$(EXE)
	$(GO) test -run '^$$' -bench BenchmarkRecover -benchtime 3x ./core/registry -recover-sessions 100000

.PHONY: bench-rules
bench-rules: build ## messages a second that a rule matches and republishes, through a whole broker (RATES=, MESSAGES=, OTHER=)
	$(GO) run ./bench/rules -dunlin $(BUILD)/dunlin$(EXE) -plugins $(BUILD)/plugins -messages $(or $(MESSAGES),2000000) \
		-rates $(or $(RATES),50000$(comma)100000$(comma)200000$(comma)300000$(comma)0) -other $(or $(OTHER),0)

.PHONY: generate
generate: ## regenerate code and documents; needs protoc
	@command -v protoc >/dev/null || { echo "make generate needs protoc: apt-get install protobuf-compiler" >&2; exit 1; }
	@mkdir -p $(TOOLS)
	$(GO) build -o $(TOOLS)/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	PATH="$(CURDIR)/$(TOOLS):$$PATH" $(GO) generate ./...

.PHONY: man
man: ## regenerate docs/configuration.md and the man pages of docs/man
	$(GO) generate ./core/config ./cmd/dunlin

.PHONY: cross
cross: ## build for every system that is supported
	@for target in linux/amd64 linux/arm64 linux/arm/7 darwin/arm64 windows/amd64; do \
		IFS=/ read -r os arch arm <<<"$$target"; echo "build $$target"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch GOARM=$${arm:-} $(GO) build -o $(BUILD)/cross/$${target//\//-}/ ./cmd/... ; \
	done

.PHONY: check
check: generate ## everything that must hold before a commit: format, lint, generate, tidy, cross-build, a clean tree
	$(MAKE) lint cross plugins
	$(GO) mod tidy
	$(GO) mod verify
	@dirty=$$(git status --porcelain); [ -z "$$dirty" ] || { echo "the tree is not clean:"; echo "$$dirty"; exit 1; }

.PHONY: bench-bridge
bench-bridge: build ## messages a second and processor time through a bridge between two Dunlins, beside two mosquittos
	$(GO) run ./bench/bridge -dunlin $(BUILD)/dunlin$(EXE) -plugins $(BUILD)/plugins

.PHONY: bench
bench: build bench-peers ## run Dunlin beside other brokers and renew docs/performance.md (ROUNDS=, TIME=, CONNECTIONS=, ITEMS=, ONLY=row)
	$(GO) build -o $(BUILD)/compare ./bench/compare
	$(BUILD)/compare -rounds $(or $(ROUNDS),3) -time $(or $(TIME),2s) -connections $(or $(CONNECTIONS),8000) \
		-items $(or $(ITEMS),1000000) $(if $(ONLY),-only '$(ONLY)' -json '',-docs docs)

.PHONY: bench-peers
bench-peers:
	@[ -x /usr/sbin/mosquitto ] || command -v mosquitto >/dev/null || echo "mosquitto is left out: apt-get install mosquitto" >&2
	@mkdir -p $(BUILD)/peers
	@$(GO) build -o $(BUILD)/peers/floor ./bench/floor
	@for p in mochi nats; do $(GO) -C bench/peers/$$p build -o ../../../$(BUILD)/peers/$$p . || exit 1; done

# The benchmarks of the hot path: codec, matching, delivery, session, hooks, engine.
MICRO := ./core/packet ./core/topic ./core/router ./core/session ./core/hook ./core/channel ./core/conn
.PHONY: bench-micro
bench-micro: ## benchmarks of the hot path for benchstat (COUNT=6, BENCH=regexp)
	@$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -benchtime 200ms -count $(or $(COUNT),6) $(MICRO)

.PHONY: fuzz
fuzz: ## run every fuzz target for T (make fuzz T=30s)
	@grep -rlE '^func Fuzz' --include='*_test.go' core pluginsdk plugins | while read -r file; do \
		grep -oE '^func Fuzz[A-Za-z0-9_]*' "$$file" | while read -r _ name; do \
			echo "$$name in $$(dirname "$$file")"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(T) "./$$(dirname "$$file")" </dev/null; \
		done; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)
