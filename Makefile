# Builds, installs and tests pgraft.  "make help" lists the targets.
#
# PGXS builds the shim in a directory of its own under artifacts/, one for each
# PostgreSQL it is built for; this file then runs a second time there, with
# PGRAFT_SHIM_BUILD set.  So only the shim needs PostgreSQL's headers, and
# setup, demo and test work before they are installed.

PG_CONFIG ?= pg_config
SHIM_OBJECTS := pgraft guc guc_check guc_findings initial_cluster shmem answers worker core_loader \
	core_wire core_client status_map log_bridge sql_result sql_status sql_cluster sql_log sql_kv \
	sql_recovery sql_health sql_settings

ifdef PGRAFT_SHIM_BUILD

MODULE_big = pgraft
OBJS = $(SHIM_OBJECTS:%=shim/%.o)
EXTENSION = pgraft
DATA = pgraft--1.0.sql
PGFILEDESC = "pgraft - Raft consensus inside PostgreSQL"
# -isystem keeps the strict warnings to our own code.  PG_FUNCTION_ARGS and
# PostgreSQL's hooks have arguments that not every function uses.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) $(PGRAFT_CPPFLAGS)
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Werror -Wno-unused-parameter
SHLIB_LINK = -ldl -lpthread
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard $(srcdir)/shim/*.h) $(srcdir)/Makefile

else

TOP := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
ARTIFACTS := $(TOP)/artifacts
ifdef NEXT
# Beside the real build: what stands for the next release in tests of upgrades.
ARTIFACTS := $(TOP)/artifacts/next
CORE_OPTIONS := -p:PgRaftNextVersion=true --artifacts-path $(ARTIFACTS)/dotnet
export PGRAFT_CPPFLAGS := -DPGRAFT_VERSION='"1.1"'
endif
RID := linux-$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)
CORE := $(ARTIFACTS)/core/pgraft_core.so
CORE_SOURCES = $(shell find $(TOP)/src $(TOP)/build \( -name bin -o -name obj \) -prune -o \
	\( -name '*.cs' -o -name '*.csproj' -o -name '*.props' -o -name '*.targets' -o -name '*.html' \) -print) \
	$(wildcard $(TOP)/global.json $(TOP)/.editorconfig)
# Major version, and a sum over the rest: two installations of one version share no objects.
SHIM_DIR = $(ARTIFACTS)/shim/pg$(shell $(PG_CONFIG) --version 2>/dev/null | \
	sed 's/[^0-9]*\([0-9]*\).*/\1/')-$(shell $(PG_CONFIG) 2>/dev/null | cksum | cut -d' ' -f1)
SHIM_MAKE = $(MAKE) -C $(SHIM_DIR) -f $(TOP)/Makefile PGRAFT_SHIM_BUILD=1 PG_CONFIG='$(PG_CONFIG)' \
	with_llvm=no

export PG_CONFIG

.DEFAULT_GOAL := all
.PHONY: all help shim core install uninstall setup stage demo test test-long chaos fault-runs mutations \
	pictures verify fix bench clean check-headers check-dotnet

all: shim core ## build the shim and the core

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(TOP)/Makefile | expand -t 14
	@echo "Variables: PG_CONFIG (default pg_config), DESTDIR, KEEP=1 for demo and fault-runs, TIER for test,"
	@echo "  SECONDS, SEED, NODES, OPTIONS for chaos"

check-headers:
	@test -f "$$($(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h" || { \
	  echo "pgraft: PostgreSQL's server headers are not installed for $(PG_CONFIG)." >&2; \
	  echo "pgraft: run build/setup.sh (or make setup), or set PG_CONFIG." >&2; exit 1; }

check-dotnet:
	@command -v dotnet >/dev/null || { \
	  echo "pgraft: the .NET SDK is not installed; run build/setup.sh (or make setup)." >&2; exit 1; }

shim: check-headers ## build the C shim
	@mkdir -p $(SHIM_DIR)/shim
	@$(SHIM_MAKE) --no-print-directory all

core: $(CORE) ## build the core library (NativeAOT)

$(CORE): $(CORE_SOURCES) | check-dotnet
	dotnet publish $(TOP)/src/PgRaft.Native -c Release -r $(RID) -o $(ARTIFACTS)/core --nologo \
	  $(CORE_OPTIONS)
	@test -f $@ && touch $@

install: all ## install into PG_CONFIG's directories, below DESTDIR
	@$(SHIM_MAKE) --no-print-directory install
	install -D -m 755 $(CORE) "$(DESTDIR)$$($(PG_CONFIG) --pkglibdir)/pgraft_core.so"

uninstall: check-headers ## remove what install put there
	@mkdir -p $(SHIM_DIR)/shim
	@$(SHIM_MAKE) --no-print-directory uninstall
	rm -f "$(DESTDIR)$$($(PG_CONFIG) --pkglibdir)/pgraft_core.so"

setup: ## install what is missing: PostgreSQL, headers, compiler
	@$(TOP)/build/setup.sh

stage: all ## private copy of PostgreSQL with pgraft, under artifacts/stage
	@$(TOP)/build/stage.sh

# all and stage run in a second make, which sees what setup has installed.
demo: setup ## show three servers elect, replicate and fail over (KEEP=1 leaves them up)
	@$(MAKE) --no-print-directory all
	@$(TOP)/build/demo.sh

# The script reads TIER from the environment, where make puts it.
test: ## run all tests but the long ones (TIER="unit abi" runs some tiers)
	@$(TOP)/build/setup.sh --tests
	@$(MAKE) --no-print-directory all
	@$(TOP)/build/test.sh

test-long: ## tests that take minutes: idle memory and CPU, twenty failovers and starts, frozen leaders, large states, ten minutes of load at each distance and while members change, a power failure at every sync; not chaos, fault-runs
	@$(TOP)/build/setup.sh --tests
	@$(MAKE) --no-print-directory all
	@$(TOP)/build/test.sh --long

mutations: check-dotnet ## take the guards out one by one; each must be missed by a test
	@$(TOP)/tests/mutations/run.sh

fault-runs: check-dotnet ## seeded fault runs in one process (RUNS=100 SEED=1 SIZE=3, 5, 7 or 0: mixed; AT_ONCE=2; KEEP=1 keeps all histories)
	dotnet build $(TOP)/tests/PgRaft.Consensus.Tests -c Release --nologo -v q
	PGRAFT_FAULT_RUNS=$(or $(RUNS),100) PGRAFT_FAULT_SEED=$(or $(SEED),1) \
	  PGRAFT_FAULT_SIZE=$(or $(SIZE),0) PGRAFT_FAULT_AT_ONCE=$(or $(AT_ONCE),2) \
	  PGRAFT_FAULT_KEEP=$(ARTIFACTS)/fault-runs PGRAFT_FAULT_KEEP_ALL=$(or $(KEEP),0) \
	  $(TOP)/tests/PgRaft.Consensus.Tests/bin/Release/net10.0/PgRaft.Consensus.Tests \
	  -noLogo -noColor -explicit only -method '*.FaultTests.ManyRuns'

chaos: ## real servers under faults (SECONDS=60 SEED=random NODES=3 OPTIONS=--keep-history and others)
	@$(TOP)/build/setup.sh --tests
	@$(MAKE) --no-print-directory all
	@$(TOP)/build/chaos.sh $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(NODES),--nodes $(NODES)) $(OPTIONS)

pictures: ## take the pictures of the status page in docs/monitoring anew
	@$(TOP)/build/setup.sh --tests
	@$(MAKE) --no-print-directory all
	@$(TOP)/build/test.sh --tier cluster --filter '*StatusPagePicturesTests'
	cp $(ARTIFACTS)/screenshots/status-page*.png $(TOP)/docs/monitoring/

verify: ## check format, layering and style without writing
	@$(TOP)/build/verify.sh

fix: ## rewrite what verify can mend by itself
	@$(TOP)/build/fix.sh

bench: ## measure, beside etcd where it is installed (ETCD=1 fetches it; SECONDS=5 a line; PARTS=scrape)
	@$(TOP)/build/setup.sh $(if $(ETCD),--bench)
	@$(MAKE) --no-print-directory all
	dotnet build $(TOP)/tests/bench/Probes -c Release --nologo -v q
	@$(TOP)/tests/bench/run.sh $(or $(SECONDS),5) $(PARTS)

clean: ## remove what was built
	rm -rf $(ARTIFACTS)
	find $(TOP)/src $(TOP)/tests -depth -type d \( -name bin -o -name obj \) -exec rm -rf {} +

endif
