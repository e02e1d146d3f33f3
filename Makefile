# delete_guard: built with PGXS, see README.md.
#
#   make && make install       build and install for the server of pg_config
#   make installcheck          run regress, isolation and TAP tests on a running server
#   make check                 run every test on a throw-away server of its own
#   make check-core         PostgreSQL's own regression suite, with the extension and without
#   make demo [KEEP=1]         replay the incident on a throw-away server
#   make bench [FULL=1]        measure beside other ways to do it; make bench-quick for ratios only
#   make alert-demo            show an attempt as it reaches a person, by way of Prometheus
#
# Settings for check: ONLY="regress pgtap" (some kinds of test), REGRESS="install a b",
# COPT=-Werror, KEEP=1 (leave the directory), PG_CONFIG=/path/to/pg_config.

EXTENSION  = delete_guard
MODULE_big = delete_guard
DG_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" delete_guard.control)
INSTALL_SQL = extension/delete_guard--$(DG_VERSION).sql

# Object files, bottom layer first.
OBJS = $(patsubst %,src/%.o,$(filter-out %.h,$(shell sed 's/[\#].*//' src/LAYERS)))

DATA       = $(filter-out $(INSTALL_SQL),$(wildcard extension/delete_guard--*--*.sql))
DATA_built = $(INSTALL_SQL)

# The options after -Wextra are for PostgreSQL's own headers.
PG_CPPFLAGS = -DDELETE_GUARD_VERSION='"$(DG_VERSION)"'
PG_CFLAGS   = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers

# One regress file per promise; install goes first and uninstall last.
ALL_REGRESS   := $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS       := $(filter install,$(ALL_REGRESS)) $(filter-out install uninstall,$(ALL_REGRESS)) \
                 $(filter uninstall,$(ALL_REGRESS))
# PGXS gives --inputdir=. first; the later one counts.
ISOLATION     := $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --load-extension=delete_guard
TAP_TESTS     := $(if $(wildcard test/t/*.pl),1)
PROVE_TESTS    = test/t/*.pl
EXTRA_CLEAN    = src/*.gcda src/*.gcno *.gcov results check-logs tmp_check output_iso

# These targets work before PostgreSQL is installed, so they must not include PGXS.
STANDALONE = alert-demo bench bench-quick check check-core demo layers headers style lint indent asserts coverage valgrind dist

ifneq (,$(filter-out $(STANDALONE),$(or $(MAKECMDGOALS),all)))
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
# Debian's pgxs.mk asks for bitcode even where its clang is not installed.
CLANG_OF_PGXS := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq (,$(shell command -v $(or $(CLANG_OF_PGXS),clang)))
override with_llvm = no
endif
# The headers of 15 declare functions without their parameters, which C23 takes for none.
ifneq (,$(findstring PostgreSQL 15,$(shell $(PG_CONFIG) --version)))
PG_CFLAGS += -std=gnu17
endif
include $(PGXS)
else
check:
	@REGRESS="$(if $(filter command% environment%,$(origin REGRESS)),$(REGRESS))" test/run-checks.sh
endif

# PGXS does not track headers in a stock build: an edited header rebuilds all.
$(OBJS): $(wildcard src/*.h) delete_guard.control

$(INSTALL_SQL): $(sort $(wildcard extension/parts/*.sql)) delete_guard.control
	cat $(filter %.sql,$^) > $@.tmp && mv $@.tmp $@

demo:                 ; @scripts/demo.sh
alert-demo:           ; @scripts/alert-demo.sh
bench:                ; @FULL="$(FULL)" DOC="$(DOC)" bench/run.sh
bench-quick:          ; @QUICK=1 bench/run.sh
layers headers style: ; @ONLY=$@ test/run-checks.sh
asserts:              ; @COPT="-Werror -DUSE_ASSERT_CHECKING" test/run-checks.sh
coverage:             ; @COVERAGE=1 COPT="--coverage -O0" test/run-checks.sh
valgrind:             ; @VALGRIND=1 ONLY=regress test/run-checks.sh
lint:                 ; @test/lint.sh
check-core:           ; @test/core-regress.sh
indent:               ; @scripts/indent.sh
dist:                 ; git archive --prefix=delete_guard-$(DG_VERSION)/ -o delete_guard-$(DG_VERSION).zip HEAD

.PHONY: $(STANDALONE)
