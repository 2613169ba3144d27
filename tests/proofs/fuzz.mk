# SPDX-License-Identifier: MIT
# Included by the Makefile: the fuzzed programs and their replays.
comma = ,
FUZZ_TESTS = $(addprefix build/tests/proofs/fuzz/,replay replay_open replay_static options) build/fuzz/calls \
             build/fuzz/options

# The allocator in a closed sandbox (tests/proofs/fuzz/sandbox.h): under other names, its calls to libc redirected, its
# variables in sections that can be put back, without its constructor.
SEAL = --redefine-syms=build/fuzz.names --redefine-syms=tests/proofs/fuzz/redirect.txt \
       --rename-section .data=subject_data --rename-section myalloc_readonly=subject_data \
       --redefine-sym __start_myalloc_readonly=__start_subject_data --redefine-sym __stop_myalloc_readonly=__stop_subject_data \
       --rename-section .bss=subject_bss --rename-section .bss.table=subject_bss \
       --remove-section=.init_array.00101 --remove-section=.rela.init_array.00101 \
       --remove-section=.init_array.101 --remove-section=.rela.init_array.101 \
       $(if $(filter %/start.o,$@),--redefine-sym start=subject_start --globalize-symbol=start --globalize-symbol=subject_start)
build/fuzz.names: tools/packaging/debian/libmyalloc0.symbols
	@mkdir -p $(@D)
	$(Q)sed -n '/^ MYALLOC/d;s/^ \(\w*\)@.*/\1 subject_\1/p' $< > $@
# sandbox.c has the place of the kernel.
sealed = $(filter-out %/os/kernel.o,$(call objects,$(1)))
define closed # folder, compiler, flags
build/$(1)/%.o: alloc/%.c build/flags build/fuzz.names tests/proofs/fuzz/redirect.txt
	@mkdir -p $$(@D)
	$$(Q)echo '  CC $$@' && $(2) -g $$(WARN) $$(ALLOC_FLAGS) -O1 -DMYALLOC_DEBUG=1 $(3) -MMD -MP -MF $$(@:.o=.d) -MT $$@ \
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
build/fuzz/calls: $(addprefix build/fuzz/tests/,fuzz_calls.o calls.o decode.o sandbox.o) $(call sealed,fuzz)
	$(Q)echo '  CC $@' && clang -fsanitize=fuzzer -pthread -o $@ $^
build/tests/proofs/fuzz/replay: $(addprefix build/replay/tests/,replay.o calls.o decode.o sandbox.o) $(call sealed,replay)
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
build/tests/proofs/fuzz/replay_open build/tests/proofs/fuzz/replay_static: \
    $(addprefix tests/proofs/fuzz/,replay.c calls.c decode.c open.c) $(wildcard tests/proofs/fuzz/*.h)
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TEST_FLAGS) -o $@ $(filter-out %.h,$^)

# How long each target runs; SEED=N repeats a run.
SECONDS_PER_TARGET = 300
fuzz:
	tests/setup test
	$(MAKE) all $(FUZZ_TESTS)
	tests/proofs/fuzz/run $(SECONDS_PER_TARGET) $(SEED)
# Lines of alloc/ that the kept inputs reach, and those found since.
build/coverage/replay: $(addprefix build/coverage/tests/,replay.o calls.o decode.o sandbox.o) $(call sealed,coverage)
	$(Q)echo '  CC $@' && clang -fprofile-instr-generate -pthread -o $@ $^
fuzz-coverage:
	tests/setup fuzz-coverage
	$(MAKE) build/coverage/replay
	$(Q)rm -f build/coverage/*.profraw; LLVM_PROFILE_FILE=build/coverage/%4m.profraw build/coverage/replay --quiet \
	    tests/proofs/fuzz/corpus/calls/* $(wildcard build/fuzz/found/calls/new/*)
	$(Q)llvm-profdata merge -o build/coverage/all.profdata build/coverage/*.profraw && \
	    llvm-cov report build/coverage/replay -instr-profile=build/coverage/all.profdata alloc/

.PHONY: fuzz fuzz-coverage
