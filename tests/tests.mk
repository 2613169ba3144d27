# SPDX-License-Identifier: MIT
# Included by the Makefile: the builds of the allocator with checks, the test programs, and what runs them.

# A stand-in for Criterion (builds for other machines): CRITERION=-Itests/proofs/builds/include
CRITERION = -lcriterion -lm
TEST_FLAGS = -std=gnu11 -D_GNU_SOURCE -g -O1 -Wall -Wextra $(WERROR) -Wno-deprecated-declarations -Wno-use-after-free \
             -Wno-unknown-warning-option -fno-builtin -pthread -Itests
TEST_CXXFLAGS = -std=c++17 -g -O1 -Wall -Wextra $(WERROR) -Itests
# Tests of inner layers have the layers above and the OS of their own.
INTERNAL = $(filter-out alloc/os/% %/start.c %/libc.c %/prctl.c %/new.c %/introspect.c %/mcheck.c,\
               $(wildcard alloc/*/*.c))
INTERNAL_OBJECTS = $(patsubst alloc/%.c,build/debug/%.o,$(INTERNAL))

# ---- builds with checks ----------------------------------------------------------------------------------------------

$(eval $(call allocator,debug,-O1 -DMYALLOC_DEBUG=1))
$(eval $(call allocator,fault,-O1 -fno-optimize-sibling-calls -DMYALLOC_FAULT=1 -DMYALLOC_DEBUG=1))
$(eval $(call allocator,ubsan,-O1 -DMYALLOC_DEBUG=1 -fsanitize=undefined -fsanitize-undefined-trap-on-error))
$(eval $(call allocator,tsan,-O1 -DMYALLOC_STATIC=1 -fsanitize=thread))
# Instrumented, but with callbacks of our own.
$(eval $(call allocator,schedule,-O1 -fsanitize=thread))

build/libmyalloc-%.so: $(EXPORTS)
	$(Q)echo '  CC $@' && $(CC) $(LINK_FLAGS) -o $@ $(filter %.o,$^)
build/libmyalloc-debug.so: $(call objects,debug)
build/libmyalloc-fault.so: $(call objects,fault)
build/libmyalloc-ubsan.so: $(call objects,ubsan)
build/libmyalloc-schedule.so: $(call objects,schedule) build/schedule/perturb.o
build/schedule/perturb.o: tests/proofs/schedule/perturb.c build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) -g -O2 $(WARN) $(ALLOC_FLAGS) -c -o $@ $<
debug: build/libmyalloc-debug.so
fault: build/libmyalloc-fault.so
ubsan: build/libmyalloc-ubsan.so
schedule: build/libmyalloc-schedule.so

# ---- programs --------------------------------------------------------------------------------------------------------

# The programs of the sources tests/$(1).c and .cc
made_of = $(addprefix build/,$(basename $(wildcard tests/$(1).c tests/$(1).cc)))
API_TESTS = $(call made_of,unit/api_*)
OS_TESTS = build/tests/unit/os_linux
INTERNAL_TESTS = $(call made_of,unit/internal_*)
# Objects to preload with the library, or instead of it.
PRELOADS = build/tests/programs/kernel/intercept.so build/tests/programs/kernel/libmyalloc-planted.so
PLAIN_FOLDERS = stress fork misuse fault options mcheck protect kernel profile control record
plain = $(filter-out %/intercept %/planted %/record/operators,$(foreach folder,$(PLAIN_FOLDERS),$(call made_of,programs/$(folder)/*))) \
        build/tests/programs/reports/buggy build/tests/programs/reports/names \
        $(call made_of,proofs/golden/*) $(call made_of,tools/gdb/*)
BENCH_TESTS = $(patsubst %,%.so,$(subst /allocator_,/,$(call made_of,tools/bench/allocator_*))) \
              $(subst /load_,/,$(call made_of,tools/bench/load_*)) build/tests/tools/bench/nothing
TRACE_TESTS = $(foreach program,$(call made_of,programs/trace/*),$(program) $(program)_static)
TSAN_TESTS = $(call made_of,proofs/tsan/*)
STATIC_TESTS = $(call made_of,programs/static/*)
LINKED_TESTS = $(addprefix build/tests/programs/,protect/sampled_static mcheck/faults_static mcheck/linked_static)

LISTED = build/tests/programs/unwind/listed

# `myalloc report` with sanitizers, of which one process makes many runs.
REPORT_FUZZ = build/tests/tools/report_fuzz
$(REPORT_FUZZ): tests/tools/report_fuzz.c $(PAGE_STRINGS) $(TOOLS) $(TOOL_SHARES) $(wildcard tools/*.h) build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) -g -std=gnu11 -D_GNU_SOURCE -Ialloc -Ibuild -fsanitize=address,undefined \
	    -fno-sanitize-recover=all -DMYALLOC_VERSION='"0"' -DMYALLOC_SONAME='""' -DMYALLOC_LIBDIR='"/usr/lib"' -o $@ $< \
	    $(filter-out tools/myalloc.c,$(TOOLS)) $(TOOL_SHARES) -lm

test-programs: all debug fault ubsan schedule $(plain) $(PRELOADS) build/tests/programs/unwind/compare.so $(BENCH_TESTS) \
    build/tests/programs/record/operators $(LISTED)/libmyalloc.so $(REPORT_FUZZ) \
    $(API_TESTS) $(INTERNAL_TESTS) $(OS_TESTS) $(TSAN_TESTS) $(STATIC_TESTS) $(TRACE_TESTS) $(LINKED_TESTS) $(FUZZ_TESTS)

build/tests/unit/api_%: tests/unit/api_%.c build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -o $@ $< build/libmyalloc.a $(CRITERION)
build/tests/unit/api_%: tests/unit/api_%.cc build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CXX $@' && $(CXX) $(TEST_CXXFLAGS) -fno-builtin -fsized-deallocation -o $@ $< \
	    build/libmyalloc.a $(CRITERION)
# Tests of inner layers run on the system malloc, with an OS layer that the test directs.
build/tests/unit/internal_operand: alloc/base/operand_x86.h alloc/base/operand_aarch64.h
$(INTERNAL_TESTS): build/tests/%: tests/%.c tests/unit/os_fake.c tests/unit/os_fake.h tests/unit/spans.h \
    $(INTERNAL_OBJECTS)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -DMYALLOC_DEBUG=1 -o $@ $< tests/unit/os_fake.c \
	    $(INTERNAL_OBJECTS) $(CRITERION) $(MORE_INTERNAL)
# The OS layer itself, which can be told to refuse.
OS_OBJECTS = $(patsubst %,build/fault/os/%.o,kernel memory place locked self files filter pages process system os_fault)
build/tests/unit/os_linux: tests/unit/os_linux.c $(OS_OBJECTS)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -DMYALLOC_FAULT=1 -o $@ $< $(OS_OBJECTS) $(CRITERION) $(MORE_INTERNAL)
$(TSAN_TESTS): build/tests/%: tests/%.c $(call objects,tsan)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -Ialloc -fsanitize=thread -o $@ $< \
	    $(filter-out %/libc.o %/prctl.o %/new.o %/introspect.o %/mcheck.o,$(call objects,tsan))
build/tests/programs/static/%: tests/programs/static/%.c tests/tap.h build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -static -o $@ $< build/libmyalloc.a
build/tests/programs/static/%: tests/programs/static/%.cc build/libmyalloc.a
	@mkdir -p $(@D)
	$(Q)echo '  CXX $@' && $(CXX) $(TEST_CXXFLAGS) -pthread -static -o $@ $< build/libmyalloc.a
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

build/tests/programs/record/operators: tests/programs/record/operators.cc build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CXX $@' && $(CXX) $(TEST_CXXFLAGS) -pthread -o $@ $<

$(filter build/tests/programs/kernel/%,$(plain)): tests/programs/kernel/work.h
$(filter build/tests/programs/fork/%,$(plain)): tests/programs/fork/traffic.h
$(PRELOADS): build/tests/programs/kernel/%.so: build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -shared -fPIC -o $@ $(filter %.c,$^) -ldl
build/tests/programs/kernel/intercept.so: tests/programs/kernel/intercept.c
build/tests/programs/kernel/libmyalloc-planted.so: tests/programs/kernel/planted.c

# The unwinder alone, beside libgcc's.
UNWINDER = $(patsubst %,build/shared/%.o,$(patsubst alloc/%.c,%,$(filter-out %/stacks.c %/symtab.c %/modules.c %/backtrace.c,\
               $(wildcard alloc/callers/*.c))) $(patsubst %,os/%,kernel memory locked self files filter process system os_fault))
build/tests/programs/unwind/compare.so: tests/programs/unwind/compare.c $(UNWINDER)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -O2 -Ialloc -shared -fPIC -fvisibility=hidden -o $@ $< $(UNWINDER) -ldl

# The library as for a libc that has no _dl_find_object.
ASKING = callers/objects callers/code api/dlopen
$(LISTED)/%.o: alloc/%.c build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) -g $(WARN) $(CPPFLAGS) $(CFLAGS) $(ALLOC_FLAGS) $(MORE) -DMYALLOC_FINDS_OBJECTS=0 \
	    -MMD -MP -c -o $@ $<
-include $(ASKING:%=$(LISTED)/%.d)
$(LISTED)/libmyalloc.so: $(call objects,shared) $(ASKING:%=$(LISTED)/%.o) $(EXPORTS)
	$(Q)echo '  CC $@' && $(CC) $(CFLAGS) $(LDFLAGS) $(LINK_FLAGS) -o $@ $(ASKING:%=$(LISTED)/%.o) \
	    $(filter-out $(ASKING:%=build/shared/%.o),$(call objects,shared)) $(MORE_OBJECTS)

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

# ---- runs ------------------------------------------------------------------------------------------------------------

test check:
	tests/setup test
	$(MAKE) test-programs
	tests/run

test-long:
	tests/setup test
	$(MAKE) test-programs
	tests/run --long

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
	tests/proofs/builds/builds.test --long
	tests/proofs/builds/aarch64.test --long
	tests/proofs/builds/musl.test --long

# What it runs, in the tree that it makes.
coverage-programs: build/libmyalloc.so build/myalloc $(plain) $(API_TESTS) $(INTERNAL_TESTS) $(OS_TESTS) $(STATIC_TESTS) \
    $(TRACE_TESTS) $(LINKED_TESTS)

coverage:
	tests/setup coverage
	tests/proofs/builds/coverage --html build/coverage.html

.PHONY: debug fault ubsan schedule test check test-long test-programs soak model suites builds coverage coverage-programs
