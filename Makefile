# SPDX-License-Identifier: Apache-2.0
# make            the program, build/ttt         make demo     set-up, data, training, resume, text
# make compare    four systems compared           make race     seconds and joules to a given loss
# make test       set-up and all tests           make f64      the same sources with real = double
# make bench      timed, after verifying         make soak     hours of kills
# make fuzz       parsers and damaged input, SECONDS=60 each; needs clang
# make deps       Debian packages                make install, uninstall, smoke PREFIX=...
# make dist       the last commit as a tarball that builds without git
# make info       what would be built, and with what
# make V=1 shows commands; WERROR=no: warnings are no errors (so it is outside of a git checkout);
# make SAN=1 builds with sanitizers, CHECK=1 with a comparison of
# arguments that must agree between ranks, V3=1 without AVX-512 code, each into its own tree;
# MPI=mpich with Debian's MPICH, into a tree that holds only what knows MPI.
#
# Every library can be pointed elsewhere, for example on a cluster:
#   make BLAS_CFLAGS=-I$OPENBLAS/include BLAS_LIBS="-L$OPENBLAS/lib -lopenblas"

, := ,
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX     ?= g++
mpich   := $(filter mpich,$(MPI))
MPICC   ?= mpicc$(if $(mpich),.mpich)
PKG     ?= pkg-config
PREFIX  ?= /usr/local
LOCAL   := build$(if $(F64),/f64)$(if $(CHECK),/check)$(if $(SAN),/san)$(if $(V3),/v3)$(if $(FUZZ),/fuzz)
BUILD   := $(LOCAL)$(if $(mpich),/mpich)

pkg      = $(shell $(PKG) $(1) $(2) 2>/dev/null)
ZSTD_CFLAGS    ?= $(call pkg,--cflags,libzstd)
ZSTD_LIBS      ?= $(or $(call pkg,--libs,libzstd),-lzstd)
YAML_CFLAGS    ?= $(call pkg,--cflags,yaml-0.1)
YAML_LIBS      ?= $(or $(call pkg,--libs,yaml-0.1),-lyaml)
XXHASH_CFLAGS  ?= $(call pkg,--cflags,libxxhash)
XXHASH_LIBS    ?= $(or $(call pkg,--libs,libxxhash),-lxxhash)
JANSSON_CFLAGS ?= $(call pkg,--cflags,jansson)
JANSSON_LIBS   ?= $(or $(call pkg,--libs,jansson),-ljansson)
SPM_CFLAGS     ?= $(call pkg,--cflags,sentencepiece)
SPM_LIBS       ?= $(or $(call pkg,--libs,sentencepiece),-lsentencepiece -lsentencepiece_train)
BLAS_CFLAGS    ?= $(call pkg,--cflags,openblas)
BLAS_LIBS      ?= $(or $(call pkg,--libs,openblas),-lopenblas)
SCALAPACK_LIBS ?= $(or $(filter -lscalapack%,$(call pkg,--libs-only-l,scalapack-$(or $(mpich),openmpi))),-lscalapack$(if $(mpich),-mpich))
ZLIB_CFLAGS    ?= $(call pkg,--cflags,zlib)
ZLIB_LIBS      ?= $(or $(call pkg,--libs,zlib),-lz)
CMOCKA_CFLAGS  ?= $(call pkg,--cflags,cmocka)
CMOCKA_LIBS    ?= $(or $(call pkg,--libs,cmocka),-lcmocka)

# Libraries that only `ttt bench gemm` compares with, where they are; DNNL=no and XSMM=no leave them out.
has      = $(shell printf '\#include <$(1)>\n\#if $(3)\n\#error another version\n\#endif\n' | $(CC) $(2) -E -x c - >/dev/null 2>&1 && echo yes)
DNNL_CFLAGS    ?=
DNNL           ?= $(call has,oneapi/dnnl/dnnl.h,$(DNNL_CFLAGS),DNNL_VERSION_MAJOR != 2)
DNNL_LIBS      ?= -ldnnl
XSMM_CFLAGS    ?=
XSMM           ?= $(call has,libxsmm.h,$(XSMM_CFLAGS),0)
XSMM_LIBS      ?= -lxsmm
COMPARED_CFLAGS := $(if $(filter yes,$(DNNL)),-DTTT_ONEDNN $(DNNL_CFLAGS)) $(if $(filter yes,$(XSMM)),-DTTT_LIBXSMM $(XSMM_CFLAGS))
COMPARED_LIBS   := $(if $(filter yes,$(DNNL)),$(DNNL_LIBS)) $(if $(filter yes,$(XSMM)),$(XSMM_LIBS))

# .xz, .bz2, .lz4 and archives as input of ttt prep; ARCHIVE=no leaves it out.
ARCHIVE_CFLAGS ?= $(call pkg,--cflags,libarchive)
ARCHIVE        ?= $(call has,archive.h,$(ARCHIVE_CFLAGS),0)
ARCHIVE_LIBS   ?= $(or $(call pkg,--libs,libarchive),-larchive)

# The commit is git's; a release that was unpacked from `make dist` has it in .commit.
VERSION := $(shell sed -n 's/^.define TTT_VERSION "\(.*\)"/\1/p' src/base/version.h)
COMMIT  := $(shell cat .commit 2>/dev/null || git describe --always --dirty 2>/dev/null)
# What CC is and compiles for: where it is not 1, it is not.
TARGET  := $(shell echo 'clang=__clang__ x86_64=__x86_64__' | $(CC) -E -P -x c - 2>/dev/null)
CLANG   := $(filter clang=1,$(TARGET))
# The wrapper of an MPI takes the compiler it was built with, unless it is told another: two of them
# bring two OpenMP libraries.
ifdef CLANG
export OMPI_CC ?= $(CC)
export MPICH_CC ?= $(CC)
endif
# Another compiler than that of the people who work on it may warn of something new.
WERROR  ?= $(if $(wildcard .git),yes,no)
ERRORS  := $(if $(filter yes,$(WERROR)),-Werror)
WARN    := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(ERRORS)
# clang says of inlined loops of one turn that it did not unroll them.
WARN    += $(if $(CLANG),-Wno-pass-failed)
# Sanitizer checks add branches on NULL that gcc then warns of: it says so itself.
WARN    += $(if $(SAN),$(if $(CLANG),,-Wno-format-overflow -Wno-format-truncation -Wno-stringop-overflow))
# Nobody reads errno after a square root, nor catches traps of comparisons: loops with them
# vectorise only without (AVX2 has no masks).  Products and sums are fused where the source says so.
OPT     := -O3 -g -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=off $(if $(SAN),-fsanitize=address$(,)undefined -fno-omit-frame-pointer -DTTT_NO_CLONES)
# libFuzzer sees which branches an input takes; sanitizers end the program at their first finding.
FUZZER  := -fsanitize=address$(,)undefined -fno-sanitize=vptr$(,)function -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ifdef FUZZ
OPT     := -O1 -g -fopenmp $(FUZZER) -fsanitize=fuzzer-no-link -DTTT_NO_CLONES
WARN    := -Wall
endif
CPPFLAGS += -I. -MMD -MP -D_GNU_SOURCE $(if $(F64),-DTTT_F64) $(if $(CHECK),-DCHECK_AGREE) $(if $(V3),-DTTT_V3) $(ZSTD_CFLAGS) $(YAML_CFLAGS) \
            $(XXHASH_CFLAGS) $(JANSSON_CFLAGS) $(BLAS_CFLAGS) $(COMPARED_CFLAGS) $(ZLIB_CFLAGS) $(if $(filter yes,$(ARCHIVE)),$(ARCHIVE_CFLAGS))
CFLAGS  += -std=c11 $(OPT) $(WARN)
# With clang this makes what CLONES stands for (src/base/real.h).
CLONER  := $(if $(CLANG),$(if $(SAN)$(FUZZ),,$(if $(filter x86_64=1,$(TARGET)),src/base/clones.awk)))
LDLIBS  := $(COMPARED_LIBS) $(BLAS_LIBS) $(ZSTD_LIBS) $(YAML_LIBS) $(XXHASH_LIBS) \
           $(JANSSON_LIBS) $(ZLIB_LIBS) $(if $(filter yes,$(ARCHIVE)),$(ARCHIVE_LIBS)) $(SPM_LIBS) -lstdc++ -ldl -lpthread -lm $(LDLIBS_EXTRA)

local := $(sort $(wildcard src/*/*.c)) $(sort $(wildcard src/*/*.cc)) \
         $(filter-out data_prep/unpack_$(if $(filter yes,$(ARCHIVE)),none,libarchive).c,$(sort $(wildcard data_prep/*.c))) $(sort $(wildcard jobs/*.c))
app   := $(sort $(wildcard mpi/app/*.c mpi/bench/*.c))
dist  := $(filter-out $(app),$(sort $(wildcard mpi/*/*.c)))
unit  := $(sort $(wildcard tests/unit/test_*.c))
fuzz  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
mpi   := $(sort $(wildcard tests/mpi/test_*.c))
mpish := $(sort $(wildcard tests/mpi/test_*.sh))
mpix  := $(filter-out $(mpi),$(sort $(wildcard tests/mpi/*.c)))
tlib  := $(sort $(wildcard tests/lib/*.c))
shims := $(sort $(wildcard tests/fault/*.c))
tools := $(sort $(wildcard tests/tools/*.c))
obj    = $(patsubst %.cc,$(LOCAL)/%.o,$(patsubst %.c,$(LOCAL)/%.o,$(patsubst mpi/%.c,$(BUILD)/mpi/%.o,$(1))))
exe    = $(patsubst tests/mpi/%.c,$(BUILD)/tests/mpi/%,$(filter tests/mpi/%,$(1))) $(patsubst %.c,$(LOCAL)/%,$(filter-out tests/mpi/%,$(1)))
say    = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)

JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
# Our own -j only where nobody gave one.
par     = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: all f64 deps test test-unit test-mpi test-mpich mpich-short test-layers test-e2e test-slurm test-fuzz fuzz fuzz-programs demo compare race bench soak install clean \
        info FORCE
.SECONDARY:
.DELETE_ON_ERROR:
all: $(BUILD)/ttt

f64:
	@$(MAKE) --no-print-directory F64=1 all

$(LOCAL)/jobs/slurm_script.o: jobs/slurm.sh  # it is part of the program

# What ttt launch starts processes with, if nobody says otherwise.
$(call obj,mpi/app/cmd_launch.c mpi/app/cmd_series.c): CPPFLAGS += -DTTT_MPIRUN='"mpirun$(if $(mpich),.mpich)"'

$(BUILD)/mpi/%.o: mpi/%.c
	@mkdir -p $(@D)
	$(call say,MPICC)$(MPICC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(LOCAL)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)$(if $(CLONER),awk -f $(CLONER) $< | $(CC) $(CPPFLAGS) -MF $(@:.o=.d) $(CFLAGS) -c -o $@ -x c -,$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<)

$(LOCAL)/%.o: %.cc
	@mkdir -p $(@D)
	$(call say,CXX)$(CXX) -I. -MMD -MP $(SPM_CFLAGS) -std=c++17 $(OPT) -Wall -Wextra $(ERRORS) -c -o $@ $<

# With another compiler everything is compiled again.
$(LOCAL)/compiler.txt: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CXX) $(TARGET)' | cmp -s - $@ || echo '$(CC) $(CXX) $(TARGET)' > $@
$(call obj,$(local) $(app) $(dist) $(tlib) $(unit) $(mpi) $(mpix) $(wildcard tests/fuzz/*.c)): $(LOCAL)/compiler.txt $(CLONER)

# Only one object knows the commit and PREFIX, so a new one recompiles one file.
$(LOCAL)/version.txt: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT) $(PREFIX)' | cmp -s - $@ || echo '$(COMMIT) $(PREFIX)' > $@
$(LOCAL)/src/base/build_info.o: $(LOCAL)/version.txt
$(LOCAL)/src/base/build_info.o: CPPFLAGS += $(if $(COMMIT),-DTTT_COMMIT='"$(COMMIT)"') -DTTT_PREFIX='"$(abspath $(PREFIX))"'
FORCE:

$(BUILD)/ttt: $(call obj,$(app) $(dist) $(local))
	$(call say,LINK)$(MPICC) $(CFLAGS) -o $@ $^ $(SCALAPACK_LIBS) $(LDLIBS)

# Unit tests link everything that needs no MPI.
$(sort $(BUILD)/tests/%.o $(LOCAL)/tests/%.o): CPPFLAGS += $(CMOCKA_CFLAGS)
$(LOCAL)/tests/unit/%: $(LOCAL)/tests/unit/%.o $(call obj,$(tlib) $(local))
	$(call say,LINK)$(CC) $(CFLAGS) -o $@ $^ $(CMOCKA_LIBS) $(LDLIBS)
$(BUILD)/tests/mpi/%.o: tests/mpi/%.c
	@mkdir -p $(@D)
	$(call say,MPICC)$(MPICC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(BUILD)/tests/mpi/%: $(BUILD)/tests/mpi/%.o $(call obj,$(tlib) $(dist) $(local))
	$(call say,LINK)$(MPICC) $(CFLAGS) -o $@ $^ $(CMOCKA_LIBS) $(SCALAPACK_LIBS) $(LDLIBS)

# With gcc a target runs files (replay.c), with FUZZ=1 and clang libFuzzer makes them.
$(LOCAL)/tests/fuzz/fuzz_%: $(LOCAL)/tests/fuzz/fuzz_%.o $(call obj,tests/fuzz/fuzz.c $(if $(FUZZ),,tests/fuzz/replay.c) $(local))
	$(call say,LINK)$(CC) $(CFLAGS) $(if $(FUZZ),-fsanitize=fuzzer) -o $@ $^ $(LDLIBS)
fuzz-programs: $(call exe,$(fuzz))
test-fuzz: fuzz-programs
	@sh tests/fuzz/replay.sh $(abspath $(call exe,$(fuzz)))
fuzz: all
	@$(if $(filter no,$(DEPS)),:,sh .ci/deps.sh clang libclang-rt-14-dev libomp-dev)
	@$(MAKE) --no-print-directory $(par) FUZZ=1 CC=$(or $(CLANG),clang) CXX=$(or $(CLANG),clang)++ fuzz-programs
	@sh tests/fuzz/run.sh $(or $(SECONDS),60)

# DEPS=no: the libraries are there in some other way.
deps:
	@$(if $(filter no,$(DEPS)),:,sh .ci/deps.sh)

# Set-up, build, every test; the last line is "N passed, N failed".  MPI=mpich: those that start
# several processes, with MPICH.
test:
	@$(if $(filter no,$(DEPS)),:,sh .ci/deps.sh mpich libmpich-dev libscalapack-mpich-dev)
	@$(MAKE) --no-print-directory $(par) all
	@$(MAKE) --no-print-directory $(par) F64=1 all
	@MAKE='$(MAKE) $(par)' sh tests/run_all.sh

demo: deps
	@$(MAKE) --no-print-directory $(par) all
	@sh jobs/demo.sh

# The paper's four systems, equally large, on the same tokens: about a quarter of an hour.
compare: deps
	@$(MAKE) --no-print-directory $(par) all
	@sh jobs/compare.sh

# From an empty folder to a held-out loss of 3.80 nats, with each recipe of the demo.
race: deps
	@$(MAKE) --no-print-directory $(par) all
	@sh tests/bench/race.sh $(BUILD)/ttt

# The limits of this machine, the kernels compared with them, then training and the rest of a run as
# tables: half an hour on two cores.
bench: all
	$(BUILD)/ttt bench gemm
	$(BUILD)/ttt bench stream
	$(BUILD)/ttt bench kernels
	@for t in table rest widths scaling noise context; do sh tests/bench/$$t.sh $(BUILD)/ttt || exit 1; echo; done
	@sh tests/bench/grid.sh $(BUILD)/ttt
	@sh tests/bench/eigen.sh $(BUILD)/ttt

# Hours of faults: KILLS=1000 of a process and of random ranks of grids, SIGNALS=100, STEAL=600 and
# STORM=900 seconds; a sequence of 262,144 tokens.
soak: all $(BUILD)/tests/mpicheck.so $(shims:%.c=$(LOCAL)/%.so)
	@KILLS=$(or $(KILLS),1000) TIMEOUT=100000 sh tests/run_e2e.sh tests/e2e/test_kill.sh tests/e2e/test_grid.sh
	@sh tests/bench/bf16.sh $(BUILD)/ttt
	@LONG=262144 TIMEOUT=100000 sh tests/run_e2e.sh tests/e2e/test_long.sh
	@LONG=1 sh tests/run_e2e.sh tests/slurm/test_slurm.sh
	@SIGNALS=$(or $(SIGNALS),100) TIMEOUT=100000 sh tests/run_e2e.sh tests/e2e/test_launch.sh
	@STEAL=$(or $(STEAL),600) TIMEOUT=100000 sh tests/run_e2e.sh tests/e2e/test_watchdog.sh
	@STORM=$(or $(STORM),900) TIMEOUT=100000 sh tests/run_e2e.sh tests/e2e/test_storm.sh

test-unit: $(call exe,$(unit))
	@sh tests/run_unit.sh $^

test-mpi: $(BUILD)/tests/mpicheck.so $(call exe,$(mpi) $(mpix))
	@BUILD=$(BUILD) sh tests/run_mpi.sh $(call exe,$(mpi)) $(mpish)

# Preloaded under mpirun: is MPI used as it should be?
$(BUILD)/tests/mpicheck.so: $(wildcard tests/mpicheck/*.c) tests/mpicheck/mpicheck.h
	@mkdir -p $(@D)
	$(call say,SO)$(MPICC) -I. -D_GNU_SOURCE -std=c11 -O2 -g $(WARN) -fvisibility=hidden -shared -fPIC -o $@ $(filter %.c,$^) -ldl -lpthread

# Libraries that tests preload; never part of the program.
$(LOCAL)/tests/fault/%.so: tests/fault/%.c
	@mkdir -p $(@D)
	$(call say,SO)$(CC) -I. -MMD -MP -MF $(@:.so=.d) -D_GNU_SOURCE -std=c11 -O2 -g $(WARN) -shared -fPIC -o $@ $< -ldl

test-e2e: all f64 $(BUILD)/tests/mpicheck.so $(shims:%.c=$(LOCAL)/%.so)
	@sh tests/run_e2e.sh

# The short form of `make test MPI=mpich`, where MPICH is installed.
test-mpich:
	@if ! command -v mpicc.mpich >/dev/null; then \
	    echo "  skipped: there is no mpicc.mpich (Debian: libmpich-dev)"; echo "0 passed, 0 failed"; else \
	    $(MAKE) --no-print-directory $(par) all && \
	    $(MAKE) --no-print-directory $(par) MPI=mpich mpich-short; fi
mpich-short: all $(BUILD)/tests/mpicheck.so $(BUILD)/tests/mpi/test_reduce
	@sh tests/run_e2e.sh tests/mpi/mpich.sh

# A SLURM cluster of two nodes on this machine; needs root.
test-slurm: all
	@sh tests/run_e2e.sh tests/slurm/test_slurm.sh tests/slurm/test_slurm_status.sh

test-layers: all
	@sh tests/check_checks.sh
	@sh tests/check_layers.sh tests/layers.txt
	@sh tests/check_circles.sh $(LOCAL)
	@sh tests/check_spdx.sh
	@sh tests/check_tags.sh
	@sh tests/check_headers.sh
	@sh tests/check_equations.sh
	@sh tests/check_readme.sh
	@sh tests/check_vectors.sh $(LOCAL) tests/vectors.txt

# DESTDIR is put in front of PREFIX, for packages.
.PHONY: uninstall smoke dist
install: all
	@sh jobs/packages/install.sh $(BUILD)/ttt $(abspath $(PREFIX)) $(DESTDIR)
uninstall:
	@sh jobs/packages/install.sh --remove $(abspath $(PREFIX)) $(DESTDIR)
# Does what was installed work?  As any user, on 1 and 2 processes.
smoke:
	@sh $(DESTDIR)$(abspath $(PREFIX))/share/ttt/smoke.sh

# The last commit as build/ttt-VERSION.tar.gz, which builds without git.
dist:
	@mkdir -p build
	@git describe --always HEAD > build/.commit
	git archive --prefix=ttt-$(VERSION)/ --add-file=build/.commit -o build/ttt-$(VERSION).tar.gz HEAD

info:
	@echo "CC=$(CC) $(TARGET) MPICC=$(MPICC) BUILD=$(BUILD) VERSION=$(VERSION) COMMIT=$(COMMIT) PREFIX=$(PREFIX)"
	@echo "CPPFLAGS=$(CPPFLAGS)"
	@echo "CFLAGS=$(CFLAGS)"
	@echo "LDLIBS=$(LDLIBS)"
	@echo "$(words $(local)) local, $(words $(dist) $(app)) MPI sources, $(words $(unit)) unit tests"

clean:
	rm -rf build

-include $(shell find $(LOCAL) -name '*.d' 2>/dev/null)
