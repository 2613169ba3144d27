# SPDX-License-Identifier: MIT
# `make help` lists the targets. All products go into build/.
VERSION = 0.1.0
PREFIX = /usr/local
DESTDIR =
LIBDIR = $(PREFIX)/lib
comma = ,
# CROSS=aarch64-linux-gnu- builds for another machine
CROSS =
CC = $(CROSS)gcc
CXX = $(CROSS)g++
OPT = -O2
# More flags for the allocator, over those of its kind of build
MORE =
MORE_OBJECTS =
MORE_STATIC =
MORE_INTERNAL =
EXPORTS = alloc/api/exports.map
# make Q= shows whole command lines
Q = @

WARN = -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wundef -Wpointer-arith
# The compiler must not read malloc into these files: they are malloc.
NO_BUILTIN = $(addprefix -fno-builtin-,malloc calloc realloc free memalign aligned_alloc posix_memalign)
ALLOC_FLAGS = -std=gnu11 -D_GNU_SOURCE -Ialloc -g $(WARN) $(NO_BUILTIN) -fvisibility=hidden -fno-plt -fPIC
LINK_FLAGS = -shared -Wl,-soname,libmyalloc.so -Wl,--version-script=$(EXPORTS) -Wl,-z,nodelete -Wl,-z,now \
             -Wl,-z,relro -Wl,-z,noseparate-code -Wl,--sort-section=name -Wl,--no-undefined -Wl,--hash-style=gnu
# A stand-in for Criterion (builds for other machines): CRITERION=-Itests/builds/include
CRITERION = -lcriterion
TOOL_FLAGS = -std=gnu11 -D_GNU_SOURCE -g -O2 $(WARN)
TEST_FLAGS = -std=gnu11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -Wno-deprecated-declarations -Wno-use-after-free \
             -Wno-unknown-warning-option -fno-builtin -pthread -Itests
INTERNAL = $(filter-out alloc/os/% %/start.c %/libc.c %/new.c %/introspect.c %/mcheck.c,$(wildcard alloc/*/*.c))
INTERNAL_OBJECTS = $(patsubst alloc/%.c,build/debug/%.o,$(INTERNAL))

# What every program runs comes first in the library, the diagnostics behind it, so that they take no memory until used.
DIAGNOSTICS = $(wildcard alloc/callers/*.c alloc/protect/*.c alloc/observe/*.c) \
              $(patsubst %,alloc/%.c,api/front_watched api/introspect api/mcheck kit/random process/all_locks process/verify)
SOURCES = $(filter-out $(DIAGNOSTICS),$(wildcard alloc/*/*.c)) $(DIAGNOSTICS)
TOOLS = $(filter-out tools/measure.c,$(wildcard tools/*.c))

all: build/libmyalloc.so build/libmyalloc.a build/myalloc build/libmyalloc.so-gdb.py manual build/measure

help:
	@echo 'make            the library, shared and static, and the myalloc command, into build/'
	@echo 'make demo       a real program with the system malloc and with myalloc, side by side'
	@echo 'make test       installs what the tests need and runs them all'
	@echo 'make install    PREFIX=/usr/local DESTDIR=; make uninstall'
	@echo 'make debug ubsan fault    builds of the library with checks, for tests'
	@echo 'make schedule   a build of the library whose threads are delayed at random, for tests'
	@echo 'make soak       the stress tests for much longer, also with the schedule perturbed; SOAK_SECONDS=3600 of'
	@echo '               them a server whose memory must stay flat'
	@echo 'make model      the models of concurrency in their large configurations'
	@echo 'make fuzz       fuzzes calls and options, SECONDS_PER_TARGET=300 each; make fuzz-coverage tells which lines are reached'
	@echo "make suites     other projects' own tests, all of them that we run, on the system malloc and on myalloc"
	@echo 'make builds     every compiler, optimisation, C library and machine that it is tested on'
	@echo 'make coverage   which lines the tests run, at least 95 in a hundred'
	@echo 'make bench      compares the installed allocators in half an hour; make bench-quick in three minutes'
	@echo 'make bench-deps installs the allocators and what the comparison needs'
	@echo 'make clean'
	@echo 'CC=clang CXX=clang++ build with clang, OPT=-O3 with other optimisation'

# A change of compiler or flags rebuilds: the stamp's content is the command line.
build/flags: FORCE
	@mkdir -p build
	@echo '$(CC) $(CXX) $(OPT) $(MORE) $(ALLOC_FLAGS) $(TEST_FLAGS)' | cmp -s - $@ || \
	    echo '$(CC) $(CXX) $(OPT) $(MORE) $(ALLOC_FLAGS) $(TEST_FLAGS)' > $@

# One build of the allocator: $(1) the folder of its objects, $(2) its flags.
define allocator
build/$(1)/%.o: alloc/%.c build/flags
	@mkdir -p $$(@D)
	$$(Q)echo '  CC $$@' && $$(CC) $$(ALLOC_FLAGS) $(2) $$(MORE) -MMD -MP -c -o $$@ $$<
-include $$(patsubst alloc/%.c,build/$(1)/%.d,$$(SOURCES))
endef
objects = $(patsubst alloc/%.c,build/$(1)/%.o,$(SOURCES))

$(eval $(call allocator,shared,$$(OPT)))
$(eval $(call allocator,static,$$(OPT) -DMYALLOC_STATIC=1))
$(eval $(call allocator,debug,-O1 -DMYALLOC_DEBUG=1))
$(eval $(call allocator,fault,-O1 -fno-optimize-sibling-calls -DMYALLOC_FAULT=1 -DMYALLOC_DEBUG=1))
$(eval $(call allocator,ubsan,-O1 -DMYALLOC_DEBUG=1 -fsanitize=undefined -fsanitize-undefined-trap-on-error))
$(eval $(call allocator,tsan,-O1 -DMYALLOC_STATIC=1 -fsanitize=thread))
# Instrumented, but with callbacks of our own.
$(eval $(call allocator,schedule,-O1 -fsanitize=thread))

build/libmyalloc.so: $(call objects,shared) $(EXPORTS)
	$(Q)echo '  CC $@' && $(CC) $(OPT) $(LINK_FLAGS) -o $@ $(call objects,shared) $(MORE_OBJECTS)
build/libmyalloc-%.so: $(EXPORTS)
	$(Q)echo '  CC $@' && $(CC) $(LINK_FLAGS) -o $@ $(filter %.o,$^)
build/libmyalloc-debug.so: $(call objects,debug)
build/libmyalloc-fault.so: $(call objects,fault)
build/libmyalloc-ubsan.so: $(call objects,ubsan)
build/libmyalloc-schedule.so: $(call objects,schedule) build/schedule/perturb.o
build/schedule/perturb.o: tests/proofs/schedule/perturb.c build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(ALLOC_FLAGS) -O2 -c -o $@ $<
# One object, so that the linker takes all of it or nothing, with the inner names hidden from the program's. Its code goes
# into a section of its own name: backtrace.c tells our frames from the program's by it.
build/libmyalloc.a: $(call objects,static)
	$(Q)echo '  AR $@' && rm -f $@ && $(CROSS)ld -r -o build/static/myalloc.o $^ $(MORE_STATIC) && \
	    $(CROSS)objcopy --localize-hidden --rename-section .text=myalloc_text --rename-section .text.unlikely=myalloc_text \
	    --remove-section '.gnu.lto_*' build/static/myalloc.o && $(CROSS)ar rcs $@ build/static/myalloc.o

debug: build/libmyalloc-debug.so
fault: build/libmyalloc-fault.so
ubsan: build/libmyalloc-ubsan.so
schedule: build/libmyalloc-schedule.so

# The command reads options by the library's own table and parser. It knows where the library is installed: there is one for
# each such place, because LIBDIR may be named only when `make` has been run.
INSTALLED = build/installed$(LIBDIR)/myalloc
TOOL_SHARES = $(patsubst %,alloc/%.c,kit/tunables kit/environment kit/report kit/text kit/readonly os/os_fault os/memory os/files os/system)
build/myalloc $(INSTALLED): $(TOOLS) $(TOOL_SHARES) $(wildcard tools/*.h alloc/*/*.h alloc/*/*.def) build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TOOL_FLAGS) -Ialloc -DMYALLOC_VERSION='"$(VERSION)"' -DMYALLOC_LIBDIR='"$(LIBDIR)"' -o $@ \
	    $(TOOLS) $(TOOL_SHARES)
# Beside the library, where gdb looks for it.
build/libmyalloc.so-gdb.py: tools/gdb/libmyalloc.so-gdb.py
	@mkdir -p $(@D)
	$(Q)cp $< $@
# The list of options in its page comes from the command, and so from the library's table.
MANUAL = build/man/myalloc.1 build/man/myalloc.3 build/man/myalloc_options.7
manual: $(MANUAL)
build/man/%: tools/man/%
	@mkdir -p $(@D)
	$(Q)cp $< $@
build/man/myalloc_options.7: tools/man/myalloc_options.7.in tools/man/tunables.awk build/myalloc
	@mkdir -p $(@D)
	$(Q)env -i build/myalloc options --json | awk -f tools/man/tunables.awk > build/tunables.mdoc && \
	    sed -e '/^@TUNABLES@$$/{r build/tunables.mdoc' -e 'd;}' $< > $@

build/measure: tools/measure.c build/flags
	$(Q)echo '  CC $@' && $(CC) $(TOOL_FLAGS) -static -o $@ $<

# ---- tests ----------------------------------------------------------------------------------------------------------

plain_sources = $(foreach dir,stress fork misuse fault options mcheck protect,$(wildcard tests/programs/$(dir)/*.c)) \
                $(wildcard tests/proofs/golden/*.c tests/tools/gdb/*.c)
plain = $(patsubst tests/%.c,build/tests/%,$(plain_sources))
API_TESTS = $(patsubst tests/unit/%.c,build/tests/unit/%,$(wildcard tests/unit/api_*.c)) \
            $(patsubst tests/unit/%.cc,build/tests/unit/%,$(wildcard tests/unit/api_*.cc))
OS_TESTS = build/tests/unit/os_linux
INTERNAL_TESTS = $(patsubst tests/unit/%.c,build/tests/unit/%,$(wildcard tests/unit/internal_*.c))
BENCH_TESTS = $(patsubst tests/tools/bench/allocator_%.c,build/tests/tools/bench/%.so,$(wildcard tests/tools/bench/allocator_*.c)) \
              $(patsubst tests/tools/bench/load_%.c,build/tests/tools/bench/%,$(wildcard tests/tools/bench/load_*.c)) build/tests/tools/bench/nothing
TRACE_TESTS = $(foreach name,$(basename $(notdir $(wildcard tests/programs/trace/*.c))),\
                  build/tests/programs/trace/$(name) build/tests/programs/trace/$(name)_static)
TSAN_TESTS = $(patsubst tests/proofs/tsan/%.c,build/tests/proofs/tsan/%,$(wildcard tests/proofs/tsan/*.c))
STATIC_TESTS = $(patsubst tests/programs/static/%.c,build/tests/programs/static/%,$(wildcard tests/programs/static/*.c)) \
               $(patsubst tests/programs/static/%.cc,build/tests/programs/static/%,$(wildcard tests/programs/static/*.cc))

FUZZ_TESTS = $(addprefix build/tests/proofs/fuzz/,replay replay_open replay_static options) build/fuzz/calls build/fuzz/options

test-programs: all debug fault ubsan schedule $(plain) $(BENCH_TESTS) $(API_TESTS) $(INTERNAL_TESTS) $(OS_TESTS) $(TSAN_TESTS) \
    $(STATIC_TESTS) $(TRACE_TESTS) build/tests/programs/protect/sampled_static build/tests/programs/mcheck/faults_static \
    build/tests/programs/mcheck/linked_static $(FUZZ_TESTS)

$(patsubst tests/unit/%.c,build/tests/unit/%,$(wildcard tests/unit/api_*.c)): build/tests/%: tests/%.c build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -o $@ $< build/libmyalloc.a $(CRITERION)
$(patsubst tests/unit/%.cc,build/tests/unit/%,$(wildcard tests/unit/api_*.cc)): build/tests/%: tests/%.cc build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CXX $@' && $(CXX) -std=c++17 -g -O1 -Wall -Wextra -fno-builtin -fsized-deallocation -Itests -o $@ $< \
	    build/libmyalloc.a $(CRITERION)
# Tests of inner layers run on the system malloc, with an OS layer that the test directs.
$(INTERNAL_TESTS): build/tests/%: tests/%.c tests/unit/os_fake.c tests/unit/os_fake.h $(INTERNAL_OBJECTS)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -DMYALLOC_DEBUG=1 -o $@ $< tests/unit/os_fake.c \
	    $(INTERNAL_OBJECTS) $(CRITERION) $(MORE_INTERNAL)
# The OS layer itself, which can be told to refuse.
OS_OBJECTS = $(patsubst %,build/fault/os/%.o,memory files system os_fault)
build/tests/unit/os_linux: tests/unit/os_linux.c $(OS_OBJECTS)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -DMYALLOC_FAULT=1 -o $@ $< $(OS_OBJECTS) $(CRITERION) $(MORE_INTERNAL)
$(TSAN_TESTS): build/tests/%: tests/%.c $(call objects,tsan)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -fsanitize=thread -o $@ $< \
	    $(filter-out %/libc.o %/new.o %/introspect.o %/mcheck.o,$(call objects,tsan))
$(patsubst tests/programs/static/%.c,build/tests/programs/static/%,$(wildcard tests/programs/static/*.c)): build/tests/%: tests/%.c build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -static -o $@ $< build/libmyalloc.a
$(patsubst tests/programs/static/%.cc,build/tests/programs/static/%,$(wildcard tests/programs/static/*.cc)): build/tests/%: tests/%.cc build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CXX $@' && $(CXX) -std=c++17 -g -O1 -Wall -Wextra -pthread -Itests -static -o $@ $< build/libmyalloc.a
# -rdynamic: some names are there for the loader, those of static functions are not. No -O1: each line has its own code.
build/tests/programs/trace/%_static: tests/programs/trace/%.c tests/tap.h build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -O0 -fomit-frame-pointer -static -o $@ $< build/libmyalloc.a
build/tests/programs/trace/%: tests/programs/trace/%.c tests/tap.h build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -O0 -fomit-frame-pointer -rdynamic -o $@ $<
build/tests/programs/fork/streams: EXTRA = -rdynamic
build/tests/programs/mcheck/linked build/tests/programs/mcheck/linked_static: EXTRA = -lmcheck
build/tests/programs/protect/%_static: tests/programs/protect/%.c build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -static -o $@ $< build/libmyalloc.a
build/tests/programs/mcheck/%_static: tests/programs/mcheck/%.c build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -static -o $@ $< build/libmyalloc.a $(EXTRA)
$(filter build/tests/programs/misuse/%,$(plain)): tests/programs/misuse/misuse.h
$(plain): build/tests/%: tests/%.c tests/tap.h tests/programs/options/json.h build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -o $@ $< -ldl $(EXTRA)

# Allocators whose faults are known, and programs to run on them.
build/tests/tools/bench/%.so: tests/tools/bench/allocator_%.c tests/tools/bench/spin.h build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -shared -fPIC -o $@ $<
build/tests/tools/bench/nothing: tests/tools/bench/static_nothing.c build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -static -o $@ $<
build/tests/tools/bench/%: tests/tools/bench/load_%.c tests/tools/bench/spin.h build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -o $@ $<

# ---- fuzzing --------------------------------------------------------------------------------------------------------

# The allocator in a closed sandbox (tests/proofs/fuzz/sandbox.h): under other names, its calls to libc redirected, its variables in
# sections that can be put back, without its constructor.
SEAL = --redefine-syms=build/fuzz.names --redefine-syms=tests/proofs/fuzz/redirect.txt \
       --rename-section .data=subject_data --rename-section .data.rel.ro.readonly=subject_data \
       --rename-section .bss=subject_bss --rename-section .bss.table=subject_bss \
       --remove-section=.init_array.00101 --remove-section=.rela.init_array.00101 \
       --remove-section=.init_array.101 --remove-section=.rela.init_array.101 \
       $(if $(filter %/start.o,$@),--redefine-sym start=subject_start --globalize-symbol=start --globalize-symbol=subject_start)
build/fuzz.names: $(EXPORTS)
	@mkdir -p $(@D)
	$(Q)sed 's/^{\|^global:\|^local:.*\|\*;\|^};//' $< | tr -s ' ;' '\n\n' | sed '/./s/.*/& subject_&/' | sed '/./!d' > $@
define closed # folder, compiler, flags
build/$(1)/%.o: alloc/%.c build/flags build/fuzz.names tests/proofs/fuzz/redirect.txt
	@mkdir -p $$(@D)
	$$(Q)echo '  CC $$@' && $(2) $$(ALLOC_FLAGS) -O1 -DMYALLOC_DEBUG=1 $(3) -MMD -MP -MF $$(@:.o=.d) -MT $$@ \
	    -c -o $$@.plain $$< && objcopy $$(SEAL) $$@.plain $$@
-include $$(patsubst alloc/%.c,build/$(1)/%.d,$$(SOURCES))
endef
# Everything else of a program in the sandbox: $(1) folder, $(2) compiler, $(3) flags.
define sandboxed
build/$(1)/tests/%.o: tests/proofs/fuzz/%.c $$(wildcard tests/proofs/fuzz/*.h) build/fuzz.names build/flags
	@mkdir -p $$(@D)
	$$(Q)echo '  CC $$@' && $(2) $$(TEST_FLAGS) $(3) -c -o $$@.plain $$< && \
	    objcopy $$(if $$(filter %/calls.o,$$@),--redefine-syms=build/fuzz.names) $$@.plain $$@
endef
$(eval $(call closed,fuzz,clang,-fsanitize=fuzzer-no-link$(comma)undefined -fsanitize-trap=undefined))
$(eval $(call closed,replay,$$(CC),))
$(eval $(call closed,coverage,clang,-fprofile-instr-generate -fcoverage-mapping))
$(eval $(call sandboxed,fuzz,clang,))
$(eval $(call sandboxed,replay,$$(CC),))
$(eval $(call sandboxed,coverage,clang,))
build/fuzz/calls: $(addprefix build/fuzz/tests/,fuzz_calls.o calls.o decode.o sandbox.o) $(call objects,fuzz)
	$(Q)echo '  CC $@' && clang -fsanitize=fuzzer -pthread -o $@ $^
build/tests/proofs/fuzz/replay: $(addprefix build/replay/tests/,replay.o calls.o decode.o sandbox.o) $(call objects,replay)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) -pthread -o $@ $^
# The parser needs no malloc, so the address sanitiser may watch it.
OPTIONS_SHARES = $(TOOL_SHARES)
build/fuzz/options: tests/proofs/fuzz/options.c $(OPTIONS_SHARES) $(wildcard alloc/*/*.h alloc/*/*.def) build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && clang $(TEST_FLAGS) -fno-omit-frame-pointer -Ialloc -DMYALLOC_DEBUG=1 \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $(filter %.c,$^)
build/tests/proofs/fuzz/options: tests/proofs/fuzz/options.c tests/proofs/fuzz/options_main.c $(OPTIONS_SHARES) \
    $(wildcard alloc/*/*.h alloc/*/*.def) build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -DMYALLOC_DEBUG=1 -fsanitize=address,undefined -fno-sanitize-recover=all \
	    -o $@ $(filter %.c,$^)
# Linked with the library, but run with one of its builds preloaded, whose name is the same.
build/tests/proofs/fuzz/replay_open: build/libmyalloc.so
build/tests/proofs/fuzz/replay_static: build/libmyalloc.a
build/tests/proofs/fuzz/replay_open build/tests/proofs/fuzz/replay_static: $(addprefix tests/proofs/fuzz/,replay.c calls.c decode.c open.c) \
    $(wildcard tests/proofs/fuzz/*.h)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -o $@ $(filter-out %.h,$^)

# How long each target runs; SEED=N repeats a run.
SECONDS_PER_TARGET = 300
fuzz:
	tests/setup test
	$(MAKE) all $(FUZZ_TESTS)
	tests/proofs/fuzz/run $(SECONDS_PER_TARGET) $(SEED)
# Lines of alloc/ that the kept inputs reach, and those found since.
build/coverage/replay: $(addprefix build/coverage/tests/,replay.o calls.o decode.o sandbox.o) $(call objects,coverage)
	$(Q)echo '  CC $@' && clang -fprofile-instr-generate -pthread -o $@ $^
fuzz-coverage:
	tests/setup fuzz-coverage
	$(MAKE) build/coverage/replay
	$(Q)rm -f build/coverage/*.profraw; LLVM_PROFILE_FILE=build/coverage/%4m.profraw build/coverage/replay --quiet \
	    tests/proofs/fuzz/corpus/calls/* $(wildcard build/fuzz/found/calls/new/*)
	$(Q)llvm-profdata merge -o build/coverage/all.profdata build/coverage/*.profraw && \
	    llvm-cov report build/coverage/replay -instr-profile=build/coverage/all.profdata alloc/

test:
	tests/setup test
	$(MAKE) test-programs
	tests/run

soak: test-programs
	tests/run --soak
	tests/proofs/schedule/schedule.test --seeds 64 --effort 10

model:
	tests/setup test
	tests/proofs/model/model.test --big

suites:
	tests/setup suites
	$(MAKE) all
	tests/outside/suites/run

builds: test-programs
	tests/setup test
	tests/proofs/builds/builds.test --all
	tests/proofs/builds/aarch64.test --all
	tests/proofs/builds/musl.test --all

# What it runs, in the tree that it makes.
coverage-programs: build/libmyalloc.so build/myalloc $(plain) $(API_TESTS) $(INTERNAL_TESTS) $(OS_TESTS) $(STATIC_TESTS) \
    $(TRACE_TESTS) build/tests/programs/protect/sampled_static build/tests/programs/mcheck/faults_static build/tests/programs/mcheck/linked_static

coverage:
	tests/setup coverage
	tests/proofs/builds/coverage --html build/coverage.html

demo:
	tests/setup demo
	$(MAKE) all
	tools/demo

include bench/bench.mk

# ---- installation ---------------------------------------------------------------------------------------------------

BINDIR = $(PREFIX)/bin
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
# gdb looks beside the library, where it must be told to trust scripts, and under its own auto-load folder: on Debian,
# GDBDIR=/usr/share/gdb/auto-load$(LIBDIR).
GDBDIR = $(LIBDIR)
COMPLETIONDIR = $(PREFIX)/share/bash-completion/completions

install: all $(INSTALLED) install-harness
	install -d $(addprefix $(DESTDIR),$(LIBDIR)/pkgconfig $(BINDIR) $(INCLUDEDIR) $(MANDIR)/man1 $(MANDIR)/man3 \
	    $(MANDIR)/man7 $(COMPLETIONDIR) $(GDBDIR))
	install -m 755 build/libmyalloc.so $(DESTDIR)$(LIBDIR)/libmyalloc.so
	install -m 644 build/libmyalloc.a $(DESTDIR)$(LIBDIR)/libmyalloc.a
	install -m 755 $(INSTALLED) $(DESTDIR)$(BINDIR)/myalloc
	install -m 644 alloc/base/myalloc.h $(DESTDIR)$(INCLUDEDIR)/myalloc.h
	install -m 644 build/man/myalloc.1 $(DESTDIR)$(MANDIR)/man1/myalloc.1
	install -m 644 build/man/myalloc.3 $(DESTDIR)$(MANDIR)/man3/myalloc.3
	install -m 644 build/man/myalloc_options.7 $(DESTDIR)$(MANDIR)/man7/myalloc_options.7
	install -m 644 tools/completion/myalloc $(DESTDIR)$(COMPLETIONDIR)/myalloc
	install -m 644 tools/gdb/libmyalloc.so-gdb.py $(DESTDIR)$(GDBDIR)/libmyalloc.so-gdb.py
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' tools/myalloc.pc.in \
	    > $(DESTDIR)$(LIBDIR)/pkgconfig/myalloc.pc
	chmod 644 $(DESTDIR)$(LIBDIR)/pkgconfig/myalloc.pc

uninstall:
	rm -f $(addprefix $(DESTDIR),$(LIBDIR)/libmyalloc.so $(LIBDIR)/libmyalloc.a $(LIBDIR)/pkgconfig/myalloc.pc \
	    $(BINDIR)/myalloc $(INCLUDEDIR)/myalloc.h $(MANDIR)/man1/myalloc.1 $(MANDIR)/man3/myalloc.3 \
	    $(MANDIR)/man7/myalloc_options.7 $(COMPLETIONDIR)/myalloc \
	    $(GDBDIR)/libmyalloc.so-gdb.py)
	rm -rf $(DESTDIR)$(PREFIX)/share/myalloc

clean:
	rm -rf build

# The value of a variable, for tests that compile a changed copy of a source.
print-%:
	@echo '$($*)'

FORCE:
.PHONY: all manual help debug fault ubsan schedule test test-programs soak model suites fuzz fuzz-coverage builds coverage \
    coverage-programs demo install uninstall clean FORCE
.SECONDARY:
