# isocenter: `make` lists what there is to do.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export ISOCENTER_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/isocenter
export CLUSTER ?= local
export REGISTRY ?= localhost:5000
export PATH := $(CURDIR)/.venv/bin:$(ISOCENTER_CACHE)/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/hack
ifeq ($(CLUSTER),local)
export KUBECONFIG := $(ISOCENTER_CACHE)/cluster/kubeconfig
endif
# Paths that are linted, type-checked and formatted.
SOURCES := libs services operator pipeline devcloud infra tests hack bench
CONTRACT := pytest -q -n 2 --dist loadfile -p no:hypothesispytest tests/contract
TYPED := $(addsuffix /src,libs/core services/storescp services/tlm-proxy services/fetcher operator pipeline devcloud) infra/eks/isocenter_infra

.PHONY: help
help: ## list these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

.PHONY: demo demo-down
demo: cluster images ## run the whole chain on a real study: scanner to trained model
	python -m demo run

demo-down: init ## end the demo and, when it is local, the cluster
	python -m demo down
	@if [ "$(CLUSTER)" = local ]; then hack/cluster/down.sh --purge; fi

.PHONY: test check
test: ## pass every test there is, on a machine that has nothing installed
	hack/tiers.sh packages check infra serving interop devcloud faults+training browser authoring images demo cluster-tests system

check: ## what needs no cluster: lint, types, unit, contract, chart
	hack/tiers.sh lint type verify unit+contract+chart

.PHONY: init lint type unit serving devcloud contract chart faults training cluster-tests system
init: ## install the development environment into .venv
	@hack/venv.sh

lint: init ## style, import contracts, shell, YAML
	ruff check $(SOURCES)
	ruff format --check $(SOURCES)
	lint-imports
	git ls-files -co --exclude-standard '*.sh' .ci/run | xargs shellcheck -x
	yamllint -s .

type: init ## static types, strict
	mypy $(TYPED) hack/demo hack/generate

unit: init ## small tests, many, no network beyond loopback
	pytest -q -n 2 -m "not serving" tests/unit tests/repo

serving: init ## the Store SCP and the tile proxy as servers, over sockets
	pytest -q -n 2 -m serving tests/unit
	$(CONTRACT) -m serving

devcloud: init ## the local AWS's own tests
	pytest -q -n 2 devcloud/tests

contract: init ## the product against the local AWS, over HTTP
	$(CONTRACT) -m "not serving"

chart: init ## the charts, rendered and checked
	@hack/cluster/tools.sh helm kubeconform
	pytest -q -n 2 --dist worksteal tests/chart

faults: init ## kills, attacks and mutated input, the short version
	pytest -q tests/faults

training: init ## the training step, really training
	pytest -q tests/training

cluster-tests: cluster ## the charts and resources against a real API server
	pytest -q tests/cluster

system: init ## the chain that `make demo` ran, asserted
	pytest -q tests/system --ignore tests/system/test_upgrade.py --ignore tests/system/test_inner_loop.py

.PHONY: upgrade
upgrade: init ## upgrade and roll back under load, and skaffold's inner loop (after a demo)
	pytest -q tests/system/test_upgrade.py tests/system/test_inner_loop.py

.PHONY: infra
infra: helm ## the AWS stacks: synthesized, linted, deployed to moto, rights checked
	infra/eks/venv.sh
	.venv-infra/bin/python -m pytest -q -s --durations=3 tests/infra

.PHONY: browser bench-proxy
browser: init ## the viewer in headless Chromium, from login to pixels
	pytest -q tests/browser

bench-proxy: init ## the tile proxy beside its peers (bench/README.md)
	python -m bench.proxy

.PHONY: bench-storescp interop interop-senders
bench-storescp: packages init ## the Store SCP beside its peers (bench/README.md)
	python -m bench.storescp

interop: packages init ## the senders of others to the Store SCP: dcmtk, Orthanc, PixelMed…
	pytest -q tests/interop

interop-senders: packages ## build the one that has no package, dicom-rs (ten minutes)
	tests/interop/senders.sh

.PHONY: bench-dev
bench-dev: init ## seconds from a saved source to the pod that serves it (after a demo)
	@if [ "$(CLUSTER)" = local ]; then hack/cluster/tools.sh skaffold; fi
	python -m bench.inner_loop

.PHONY: docs
docs: init ## build the documentation into build/site; fails on a dead link
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "build/site/index.html"

.PHONY: soak
soak: init ## the long version of the kill and mutation tests (SOAK=100 rounds)
	SOAK=$${SOAK:-100} pytest -q -s -o timeout=3600 tests/faults

.PHONY: soak-storescp
soak-storescp: init ## the Store SCP's long kill, attack and fuzz tests (bench/README.md)
	SOAK=$${SOAK:-100} SOAK_STATE=$${SOAK_STATE:-build/soak-storescp} \
	  pytest -q -s -o timeout=3600 tests/faults/storescp

.PHONY: packages helm cluster cluster-up cluster-down images dev
packages: ## install the Debian packages that the cluster and the tests need
	@if [ "$(CLUSTER)" = local ]; then hack/cluster/packages.sh; fi

helm: # what the chart tests need, built from source when there is none
	@hack/cluster/tools.sh helm

cluster-up: ## start the local Kubernetes (from source, cached)
	hack/cluster/up.sh

cluster-down: ## end the local Kubernetes
	hack/cluster/down.sh

cluster: init
	@if [ "$(CLUSTER)" = local ]; then $(MAKE) --no-print-directory cluster-up; fi

images: cluster ## build and push the images that changed
	hack/images.sh

.PHONY: sbom
sbom: init ## bills of materials and licences of the images, into build/sbom
	python -m sbom

dev: cluster ## rebuild and redeploy what changes, until Ctrl-C (after a demo)
	@if [ "$(CLUSTER)" = local ]; then hack/cluster/tools.sh skaffold; fi
	hack/dev.sh

.PHONY: generate verify authoring lock format
generate: init ## write CRDs, values.schema.json, references, coverage
	python -m generate
	python -m isocenter.devcloud.coverage

verify: init ## fail when something generated is stale
	python -m generate --check

authoring: init ## regenerate the pipeline's definition with the sagemaker SDK, compare
	pipeline/authoring/generate.sh --verify

lock: init ## resolve constraints.txt anew
	hack/lock.sh

format: init ## format the Python sources
	ruff check --fix -q $(SOURCES) || true
	ruff format $(SOURCES)
