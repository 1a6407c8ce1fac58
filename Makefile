# Lastfluss: a PGXS extension, and the commands around it.
#
#   make, make install, make installcheck   as every PGXS extension (PG_CONFIG=…)
#   make demo, demo-check, demo-stop        a private server with made-up traffic in ./demo
#   make test                               everything that is tested, with its own set-up
#   make unitcheck                          the unit tests of src/flow/ alone
#   make coverage                           which lines of src/flow/ they reach
#   make fuzz SECONDS=60                    any datagrams against src/flow/
#   make bench PARTS=… SECONDS=8            figures, of all or of these parts (bench.sh)
#   make truth SECONDS=600                  flows of real exporters against the kernel's counters
#   make crash ROUNDS=10                    the server dies at random moments under load
#   make locked MINUTES=10 RATE=100000      traffic locked for long, at so many records a second
#   make dashboards                         dashboards/*.json by their generator
#   make pictures                           checks and draws the dashboards (npm, Chromium)
#   make fresh                              demo and test in a new Debian chroot (root)
#   make fresh-server                       README's installation in one, to softflowd's first row (root)
#   make test-timescale                     make test in trixie beside TimescaleDB (root)
#   make test-majors                        make test on each PostgreSQL of Debian's suites (root)
#   make test PG_CONFIG=…                   make test on this one (with assertions, say)
#   make test-asan, make test-valgrind      tests of the server under a checker of memory
#   make test-upgrade                       pg_upgrade with data, bookworm to trixie (root)
#   make dist                               the release's archives, of what is committed
#   make test-package                       Debian packages of it, tried in a chroot (root)
#
#   WERROR=1                                warnings are errors (CI; never a user's build)
#   with_llvm=no                            no bitcode for the JIT, so no clang

MODULE_big = lastfluss
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/flow/*.c)))

EXTENSION = lastfluss
DATA = $(wildcard sql/lastfluss--*.sql)
PGFILEDESC = "lastfluss - traffic by ASN and interface from NetFlow, IPFIX and sFlow"

# As CREATE EXTENSION takes it.
LASTFLUSS_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" lastfluss.control)

PG_CPPFLAGS = -Isrc -Isrc/flow -DLASTFLUSS_VERSION='"$(LASTFLUSS_VERSION)"'
# Calls within the library, of which each record takes some, go straight.
SHLIB_LINK = -lyaml -Wl,-Bsymbolic-functions
PG_CFLAGS = -std=gnu11 -fno-semantic-interposition
ifdef WERROR
# Callbacks have the parameters that the server gives them.
PG_CFLAGS += -Wextra -Wno-unused-parameter -Werror
endif

# sql/ holds both: names with "--" are installed, the others are tests.
REGRESS = $(patsubst sql/%.sql,%,$(sort $(filter-out sql/lastfluss--%,$(wildcard sql/*.sql))))
REGRESS_OPTS = --inputdir=.
TAP_TESTS = 1
PROVE_TESTS = src/test/t/*.pl

GENERATOR = src/test/generator/generator
BENCH_FLOW = src/test/bench_flow
EXTRA_CLEAN = $(GENERATOR) $(BENCH_FLOW) src/test/unit/build src/test/fuzz/build tmp_check log

.PHONY: demo demo-check demo-stop test test-asan test-valgrind test-timescale test-majors \
	test-package test-upgrade dist fresh fresh-server setup unitcheck coverage fuzz truth \
	crash locked generator bench bench-flow dashboards pictures show-regress

all:

# These do not need the server's headers: the scripts bring them (setup.sh).

demo:
	@bash src/test/demo.sh start

demo-check:
	@bash src/test/demo.sh check

demo-stop:
	@bash src/test/demo.sh stop

test:
	@bash src/test/run.sh

fresh:
	@bash src/test/fresh.sh

fresh-server:
	@bash src/test/fresh_server.sh

test-timescale:
	@SUITES=trixie TIMESCALE=required bash src/test/majors.sh

# Tests that send the server all kinds of datagrams, and those of what happens to it while
# it collects, for ASan with all of pg_regress.  Valgrind takes ten times as long, and gives
# processes no title, by which some tests look for them.
ASAN_TESTS = 001 002 003 004 005 009 010 012 014 017 018 020 021 022 023 050 061 062 070 $(REGRESS)
VALGRIND_TESTS = 001 005 009 017 050 asn captures knownlinks slots yaml

test-asan:
	@CHECKER=asan TESTS="$${TESTS:-$(ASAN_TESTS)}" bash src/test/run.sh

test-valgrind:
	@CHECKER=valgrind TESTS="$${TESTS:-$(VALGRIND_TESTS)}" bash src/test/run.sh

test-majors:
	@bash src/test/majors.sh

test-upgrade:
	@bash src/test/pg_upgrade.sh

test-package:
	@bash src/test/package.sh

# The same bytes for the same commit, wherever and whenever: times are the commit's, of
# which zip keeps those of the clock on the wall.
DIST = lastfluss-$(LASTFLUSS_VERSION)
DIST_COMMIT = HEAD

dist:
	git -c tar.umask=0022 archive --format=tar --prefix=$(DIST)/ $(DIST_COMMIT) | gzip -9n >$(DIST).tar.gz
	TZ=UTC git archive --format=zip -9 --prefix=$(DIST)/ -o $(DIST).zip $(DIST_COMMIT)

setup:
	@bash src/test/setup.sh test

unitcheck:
	$(MAKE) -C src/test/unit check

coverage:
	@bash src/test/coverage.sh

dashboards:
	@perl dashboards/generate.pl

pictures:
	@bash src/test/dashboards/pictures.sh

# As an argument: to bash, SECONDS is a clock.
SECONDS ?= 60

fuzz:
	@bash src/test/fuzz/fuzz.sh '$(SECONDS)'

bench: SECONDS = 8
bench:
	@bash src/test/bench.sh '$(PARTS)' '$(SECONDS)'

# What the receiver spends on a record, in a program of its own (see there).
bench-flow: $(BENCH_FLOW)

$(BENCH_FLOW): src/test/bench_flow.c $(wildcard src/flow/*.[ch])
	$(CC) -O2 -g -std=gnu11 -Wall -Wextra $(if $(WERROR),-Werror) -Isrc/flow -o $@ $(filter %.c,$^)

# A test of "make test" at its full length.  It takes three to four minutes more than
# that: building, and traffic before and after what is measured.
truth: SECONDS = 600
truth:
	@LASTFLUSS_TRUTH_SECONDS='$(SECONDS)' TESTS=060_truth VERBOSE=1 \
		TAP_LIMIT=$$(($(SECONDS) + 600)) bash src/test/run.sh

# Beside "make test", because they take minutes.  Each says what it found; SEED=
# repeats a crash test, PERIOD=, WINDOW=, BUFFERS= and ASNS= change locked.
ROUNDS ?= 10

crash:
	@LASTFLUSS_ROUNDS='$(ROUNDS)' LASTFLUSS_SEED='$(SEED)' TAP_FILES=src/test/long/crash.pl \
		TESTS=crash VERBOSE=1 TAP_LIMIT=$$(($(ROUNDS) * 60 + 300)) bash src/test/run.sh

MINUTES ?= 10
RATE ?= 100000

locked:
	@LASTFLUSS_MINUTES='$(MINUTES)' LASTFLUSS_RATE='$(RATE)' LASTFLUSS_PERIOD='$(PERIOD)' \
		LASTFLUSS_WINDOW='$(WINDOW)' LASTFLUSS_BUFFERS='$(BUFFERS)' LASTFLUSS_ASNS='$(ASNS)' \
		TAP_FILES=src/test/long/locked.pl TESTS=locked VERBOSE=1 \
		TAP_LIMIT=$$(($(MINUTES) * 60 + 600)) bash src/test/run.sh

generator: $(GENERATOR)

$(GENERATOR): $(wildcard src/test/generator/*.[ch])
	$(CC) -O2 -std=gnu11 -Wall -Wextra $(if $(WERROR),-Werror) -o $@ $(filter %.c,$^) -lm

show-regress:
	@echo $(REGRESS)

# The rest is PGXS. It is left out where it cannot work, so that the targets
# above are there on a machine that has nothing yet.
PG_CONFIG ?= pg_config
PG_MAJOR := $(shell $(PG_CONFIG) --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9][0-9]*\).*/\1/p')
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

ifeq ($(PG_MAJOR),)
PG_MISSING = "$(PG_CONFIG)" is not there; install PostgreSQL with its server headers (Debian: postgresql-server-dev-NN) or name it with PG_CONFIG=
else ifneq ($(shell test $(PG_MAJOR) -ge 15 && echo yes),yes)
PG_MISSING = PostgreSQL 15 or later is needed, and "$(PG_CONFIG)" belongs to $(PG_MAJOR); name another with PG_CONFIG=
else ifeq ($(PGXS),)
PG_MISSING = the server headers of PostgreSQL $(PG_MAJOR) are not installed (Debian: postgresql-server-dev-$(PG_MAJOR))
endif

ifdef PG_MISSING

all install uninstall installcheck clean:
	@echo 'lastfluss: $(PG_MISSING)' >&2; exit 1

else

include $(PGXS)

# PGXS of most packages does not track headers; a change in one rebuilds all.
$(OBJS): $(wildcard src/*.h src/flow/*.h)
src/version.o: lastfluss.control

installcheck: $(GENERATOR)

endif
