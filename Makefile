# SPDX-License-Identifier: MIT
# `make help` lists the targets. All products go into build/.
VERSION = 0.1.0
# The library's name in programs that are linked with it. Its number is the first of the version, which rises when such programs
# would no longer run; the installed file has the whole version in its name.
SONAME = libmyalloc.so.$(firstword $(subst ., ,$(VERSION)))
SHARED_NAME = libmyalloc.so.$(VERSION)
PREFIX = /usr/local
DESTDIR =
LIBDIR = $(PREFIX)/lib
# CROSS=aarch64-linux-gnu- builds for another machine
CROSS =
# The caller's compiler and flags, from the command line or the environment. CPPFLAGS, CFLAGS and LDFLAGS are for what is
# installed: the libraries, the command, measure. Builds with checks and test programs have flags of their own, which are part
# of the tests.
ifeq ($(origin CC),default)
CC = $(CROSS)gcc
endif
ifeq ($(origin CXX),default)
CXX = $(CROSS)g++
endif
CFLAGS ?= -O2
# A warning of a newer compiler must not end the build of who only wants the library; CI systems set CI.
WERROR ?= $(if $(CI),-Werror)
# More flags for the allocator in every kind of build, over all others; for coverage.
MORE =
MORE_OBJECTS =
MORE_STATIC =
MORE_INTERNAL =
EXPORTS = alloc/api/exports.map
# make Q= shows whole command lines
Q = @
define newline


endef

WARN = -Wall -Wextra $(WERROR) -Wshadow -Wstrict-prototypes -Wundef -Wpointer-arith
# The compiler must not read malloc into these files: they are malloc.
NO_BUILTIN = $(addprefix -fno-builtin-,malloc calloc realloc free memalign aligned_alloc posix_memalign)
# What it needs stands behind the caller's flags and wins; -g and the warnings stand before them and may be taken back.
ALLOC_FLAGS = -std=gnu11 -D_GNU_SOURCE -Ialloc $(NO_BUILTIN) -fvisibility=hidden -fno-plt -fPIC
LINK_FLAGS = -fPIC -shared -nostartfiles -Wl,-soname,$(SONAME) -Wl,--version-script=$(EXPORTS) -Wl,-z,nodelete -Wl,-z,now \
             -Wl,-z,relro -Wl,--no-undefined -Wl,--hash-style=gnu $(NAMED_LINKER) $(if $(UNORDERED),,$(ORDER_FLAGS))
# What lies where, for linkers that take a script for it, as GNU ld and lld do. Builds with checks do without the caller's flags,
# but are linked by the linker that these name.
ORDER_FLAGS = -Wl,-z,noseparate-code -Wl,--sort-section=name -Wl,-T,alloc/kit/pages.ld
NAMED_LINKER = $(filter -fuse-ld=% --ld-path=%,$(CFLAGS) $(LDFLAGS))
UNORDERED := $(firstword $(filter gold mold,$(shell $(CC) $(NAMED_LINKER) -Wl,--version 2>/dev/null | head -n 1)))
TOOL_FLAGS = -g $(WARN) $(CPPFLAGS) $(CFLAGS) -std=gnu11 -D_GNU_SOURCE -Ialloc -Ibuild

# Code and variables that every program uses come first in the library, those of few programs behind, without memory till used.
SELDOM = $(wildcard alloc/callers/*.c alloc/protect/*.c alloc/observe/*.c alloc/heap/*_walk.c) \
         $(patsubst %,alloc/%.c,base/exponential heap/cache_counted heap/collapse heap/slab heap/span_shelf \
                                api/dlopen api/front_aside api/front_watched api/introspect api/mcheck \
                                kit/finding kit/path kit/probe kit/random kit/report kit/symbolizer kit/text kit/tunables \
                                os/files os/filter os/locked os/process process/all_locks process/background process/control process/end_signals \
                                process/exit process/verify)
SOURCES = $(filter-out $(SELDOM),$(wildcard alloc/*/*.c)) $(SELDOM)
TOOLS = $(filter-out tools/measure.c,$(wildcard tools/*.c))

all: build/libmyalloc.so build/$(SONAME) build/libmyalloc.a build/myalloc build/libmyalloc.so-gdb.py manual build/measure record

help:
	@echo 'make            the library, shared and static, and the myalloc command, into build/'
	@echo 'make demo       a real program with the system malloc and with myalloc, side by side'
	@echo 'make test       installs what the tests need and runs them all; make check is the same'
	@echo 'make test-long  the same in whole, where make test has short versions'
	@echo 'make install    PREFIX=/usr/local DESTDIR=; make uninstall'
	@echo 'make dist       the last commit as build/$(DIST).tar.gz'
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
	@echo 'make bench-cores counts what up to 64 cores would wait for under each allocator; qemu runs them in turns'
	@echo 'make replay-validate holds ten real programs beside the replays of their recordings'
	@echo 'make bench-deps installs the allocators and what the comparison needs'
	@echo 'make clean'
	@echo 'CC=clang CXX=clang++ build with clang, CFLAGS=-O3 with other optimisation, LDFLAGS=-fuse-ld=lld by another linker;'
	@echo 'CPPFLAGS; WERROR=-Werror'

# A change of compiler or flags rebuilds: the stamp holds them, in the form in which `make` takes them.
SETTINGS = CC CXX CROSS CPPFLAGS CFLAGS LDFLAGS WERROR MORE MORE_OBJECTS MORE_STATIC MORE_INTERNAL EXPORTS CRITERION
define stamp
$(foreach name,$(SETTINGS),$(name)=$($(name))$(newline))# $(ALLOC_FLAGS) $(LINK_FLAGS) $(TOOL_FLAGS) $(TEST_FLAGS)
endef
build/flags: export STAMP = $(stamp)
build/flags: FORCE
	@mkdir -p build
	@printf '%s\n' "$$STAMP" | cmp -s - $@ || printf '%s\n' "$$STAMP" > $@

# One build of the allocator: $(1) the folder of its objects, $(2) its flags.
define allocator
build/$(1)/%.o: alloc/%.c build/flags
	@mkdir -p $$(@D)
	$$(Q)echo '  CC $$@' && $$(CC) -g $$(WARN) $(2) $$(ALLOC_FLAGS) $$(MORE) -MMD -MP -c -o $$@ $$<
-include $$(patsubst alloc/%.c,build/$(1)/%.d,$$(SOURCES))
endef
objects = $(patsubst alloc/%.c,build/$(1)/%.o,$(SOURCES))

$(eval $(call allocator,shared,$$(CPPFLAGS) $$(CFLAGS)))
# No LTO: `ld -r` joins machine code.
$(eval $(call allocator,static,$$(CPPFLAGS) $$(CFLAGS) -fno-lto -DMYALLOC_STATIC=1))
# The linker writes a file in many small pieces, and so the kernel holds it: each process that maps it takes longer by 3 % of
# all that /bin/true does. Copied, as `install` does, it is held in large pieces.
build/libmyalloc.so: $(call objects,shared) $(EXPORTS) alloc/kit/pages.ld
	$(if $(UNORDERED),@echo '  $(UNORDERED) takes no alloc/kit/pages.ld: each process has up to 10 page faults more at its start')
	$(Q)echo '  CC $@' && $(CC) $(CFLAGS) $(LDFLAGS) $(LINK_FLAGS) -o $@.linked $(call objects,shared) $(MORE_OBJECTS) && \
	    cp $@.linked $@.copied && rm $@.linked && mv $@.copied $@
# For programs that are linked with the library where it is built.
build/$(SONAME): build/libmyalloc.so
	$(Q)ln -sf $(<F) $@
# One object, so that the linker takes all of it or nothing, with the inner names hidden from the program's. Its code goes
# into a section of its own name: unwind.c tells our frames from the program's by it.
build/libmyalloc.a: $(call objects,static)
	$(Q)echo '  AR $@' && rm -f $@ && $(CROSS)ld -r -o build/static/myalloc.o $^ $(MORE_STATIC) && \
	    $(CROSS)objcopy --localize-hidden --rename-section .text=myalloc_text --rename-section .text.unlikely=myalloc_text \
	    --rename-section .text.startup=myalloc_text \
	    build/static/myalloc.o && $(CROSS)ar rcs $@ build/static/myalloc.o

# The command reads options by the library's own table and parser. It knows where the library is installed: there is one for
# each such place, because LIBDIR may be named only when `make` has been run.
INSTALLED = build/installed$(LIBDIR)/myalloc
TOOL_SHARES = $(patsubst %,alloc/%.c,kit/tunables kit/environment kit/report kit/symbolizer kit/finding kit/path kit/text \
                  kit/thread_names kit/readonly base/sizeclass os/kernel os/os_fault os/memory os/self os/files os/filter \
                  os/process os/system os/pages)
# The pages of `myalloc report --html`, `myalloc why --html` and `myalloc show --html` as strings of C, with what all begin with.
PAGE_STRINGS = $(patsubst %,build/%_page.h,report why show)
$(PAGE_STRINGS): build/%_page.h: tools/page_top.html tools/%_page.html
	@mkdir -p $(@D)
	$(Q)sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n" \\/' -e '1i #define @NAME@ \\' -e '$$a ""' $^ | \
	    sed "1s/@NAME@/$$(echo $*_PAGE | tr a-z A-Z)/" > $@
$(sort build/myalloc $(INSTALLED)): $(PAGE_STRINGS) $(TOOLS) $(TOOL_SHARES) $(wildcard tools/*.h alloc/*/*.h alloc/*/*.def) build/flags
	@mkdir -p $(@D)
	$(Q)echo '  CC $@' && $(CC) $(TOOL_FLAGS) -DMYALLOC_VERSION='"$(VERSION)"' -DMYALLOC_SONAME='"$(SONAME)"' \
	    -DMYALLOC_LIBDIR='"$(LIBDIR)"' $(LDFLAGS) -o $@ $(TOOLS) $(TOOL_SHARES) -lm
# Beside the library, where gdb looks for it, by the name of the real file.
build/libmyalloc.so-gdb.py: tools/gdb/libmyalloc.so-gdb.py
	@mkdir -p $(@D)
	$(Q)cp $< $@
# The list of options in its page comes from the command, and so from the library's table.
PAGES_1 = $(notdir $(wildcard tools/man/*.1))
MANUAL = $(addprefix build/man/,$(PAGES_1) myalloc.3 myalloc_options.7)
manual: $(MANUAL)
build/man/%: tools/man/%
	@mkdir -p $(@D)
	$(Q)cp $< $@
build/man/myalloc_options.7: tools/man/myalloc_options.7.in tools/man/tunables.awk build/myalloc
	@mkdir -p $(@D)
	$(Q)env -i build/myalloc options --json | awk -f tools/man/tunables.awk > build/tunables.mdoc && \
	    sed -e '/^@TUNABLES@$$/{r build/tunables.mdoc' -e 'd;}' $< > $@

# What `myalloc record` preloads. zstd becomes a part of it, so that it neither brings the program a library nor uses its own; it
# is not built where that is not there (Debian's libzstd-dev).
ZSTD = $(findstring /,$(shell $(CC) -print-file-name=libzstd.a))
RECORDER = build/libmyalloc-record.so
RECORDER_SOURCES = $(wildcard tools/recorder/*.c)
$(RECORDER): $(RECORDER_SOURCES) $(wildcard tools/recorder/*.h) tools/recording_format.h build/flags
	$(Q)echo '  CC $@' && $(CC) $(TOOL_FLAGS) -fPIC -fexceptions -fvisibility=hidden -fno-builtin -shared -Wl,-soname,$(@F) \
	    -Wl,-z,now -Wl,-z,nodelete -Wl,--exclude-libs,ALL -Wl,--no-undefined $(LDFLAGS) -o $@ $(RECORDER_SOURCES) -l:libzstd.a

# What `myalloc replay` runs under each allocator.
REPLAYER = build/myalloc-replay
$(REPLAYER): $(wildcard tools/replayer/*.[ch]) tools/plan.h tools/recording_format.h build/flags
	$(Q)echo '  CC $@' && $(CC) $(TOOL_FLAGS) -fno-builtin -pthread $(LDFLAGS) -o $@ $(wildcard tools/replayer/*.c)

record: $(if $(ZSTD),$(RECORDER)) $(REPLAYER)

build/measure: tools/measure.c build/flags
	$(Q)echo '  CC $@' && $(CC) $(TOOL_FLAGS) $(LDFLAGS) -static -no-pie -o $@ $<

demo:
	tests/setup demo
	$(MAKE) all
	tools/demo

# ---- installation ---------------------------------------------------------------------------------------------------

BINDIR = $(PREFIX)/bin
INCLUDEDIR = $(PREFIX)/include
MANDIR = $(PREFIX)/share/man
# gdb looks beside the library, where it must be told to trust scripts, and under its own auto-load folder: on Debian,
# GDBDIR=/usr/share/gdb/auto-load$(LIBDIR).
GDBDIR = $(LIBDIR)
COMPLETIONDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
FISHDIR = $(PREFIX)/share/fish/vendor_completions.d
HEADERS = myalloc.h myalloc.hpp
# Files of the command's own that are for one kind of machine.
PRIVATEDIR = $(LIBDIR)/myalloc
CMAKEDIR = $(LIBDIR)/cmake/myalloc
# What is installed with the paths and the version in it: FOLDER/NAME, of tools/NAME.in.
FILLED_IN = $(LIBDIR)/pkgconfig/myalloc.pc $(CMAKEDIR)/myalloc-config.cmake $(CMAKEDIR)/myalloc-config-version.cmake
FILLINGS = 's|@PREFIX@|$(PREFIX)|' 's|@LIBDIR@|$(LIBDIR)|' 's|@INCLUDEDIR@|$(INCLUDEDIR)|' 's|@VERSION@|$(VERSION)|' \
           's|@SHARED_NAME@|$(SHARED_NAME)|' 's|@SONAME@|$(SONAME)|' \
           's|@INCLUDEDIR_FROM_LIBDIR@|$(shell realpath -m --relative-to=$(LIBDIR) $(INCLUDEDIR))|'
fill_in = sed $(addprefix -e ,$(FILLINGS)) tools/$(notdir $(1)).in > $(DESTDIR)$(1) && chmod 644 $(DESTDIR)$(1)

# A relative path would mean another folder to each program that reads it, and make splits a path at its blanks.
one_path = $(if $(word 2,$($(1))),$(error $(1)='$($(1))': a path with a blank in it cannot be installed to))
absolute = $(call one_path,$(1))$(if $(filter /%,$($(1))),,$(error $(1)='$($(1))' must be a path from /))
ifneq ($(filter install uninstall,$(MAKECMDGOALS)),)
$(call one_path,DESTDIR)$(foreach name,PREFIX LIBDIR BINDIR INCLUDEDIR MANDIR GDBDIR COMPLETIONDIR ZSHDIR FISHDIR CMAKEDIR,$(call absolute,$(name)))
endif

install: all $(INSTALLED) install-harness
	install -d $(addprefix $(DESTDIR),$(LIBDIR)/pkgconfig $(CMAKEDIR) $(BINDIR) $(INCLUDEDIR) $(MANDIR)/man1 $(MANDIR)/man3 \
	    $(MANDIR)/man7 $(COMPLETIONDIR) $(ZSHDIR) $(FISHDIR) $(GDBDIR))
	install -m 755 build/libmyalloc.so $(DESTDIR)$(LIBDIR)/$(SHARED_NAME)
	ln -sf $(SHARED_NAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SHARED_NAME) $(DESTDIR)$(LIBDIR)/libmyalloc.so
	install -m 644 build/libmyalloc.a $(DESTDIR)$(LIBDIR)/libmyalloc.a
	install -m 755 $(INSTALLED) $(DESTDIR)$(BINDIR)/myalloc
	install -d $(DESTDIR)$(PRIVATEDIR)
	install -m 755 $(REPLAYER) $(if $(ZSTD),$(RECORDER)) $(DESTDIR)$(PRIVATEDIR)
	install -m 644 $(addprefix alloc/base/,$(HEADERS)) $(DESTDIR)$(INCLUDEDIR)
	install -m 644 $(addprefix build/man/,$(PAGES_1)) $(DESTDIR)$(MANDIR)/man1
	install -m 644 build/man/myalloc.3 $(DESTDIR)$(MANDIR)/man3/myalloc.3
	install -m 644 build/man/myalloc_options.7 $(DESTDIR)$(MANDIR)/man7/myalloc_options.7
	install -m 644 tools/completion/myalloc $(DESTDIR)$(COMPLETIONDIR)/myalloc
	install -m 644 tools/completion/_myalloc $(DESTDIR)$(ZSHDIR)/_myalloc
	install -m 644 tools/completion/myalloc.fish $(DESTDIR)$(FISHDIR)/myalloc.fish
	install -m 644 tools/gdb/libmyalloc.so-gdb.py $(DESTDIR)$(GDBDIR)/$(SHARED_NAME)-gdb.py
	$(foreach file,$(FILLED_IN),$(call fill_in,$(file))$(newline)	)

uninstall:
	rm -f $(addprefix $(DESTDIR),$(addprefix $(LIBDIR)/,$(SHARED_NAME) $(SONAME) libmyalloc.so libmyalloc.a) $(FILLED_IN) \
	    $(BINDIR)/myalloc $(addprefix $(INCLUDEDIR)/,$(HEADERS)) $(addprefix $(MANDIR)/man1/,$(PAGES_1)) $(MANDIR)/man3/myalloc.3 \
	    $(MANDIR)/man7/myalloc_options.7 $(COMPLETIONDIR)/myalloc \
	    $(ZSHDIR)/_myalloc $(FISHDIR)/myalloc.fish \
	    $(GDBDIR)/$(SHARED_NAME)-gdb.py $(addprefix $(PRIVATEDIR)/,$(notdir $(RECORDER) $(REPLAYER)) measure))
	rm -rf $(DESTDIR)$(PREFIX)/share/myalloc
	for folder in $(DESTDIR)$(CMAKEDIR) $(DESTDIR)$(LIBDIR)/cmake $(DESTDIR)$(PRIVATEDIR); do \
	    [ ! -d "$$folder" ] || rmdir --ignore-fail-on-non-empty "$$folder"; done

# The sources of the last commit as one file, the same whoever makes it.
DIST = myalloc-$(VERSION)
dist:
	@git rev-parse --git-dir > /dev/null 2>&1 || { echo 'make dist: no git checkout here; it packs the last commit of one' >&2; exit 1; }
	@mkdir -p build
	git archive --format=tar --prefix=$(DIST)/ HEAD | gzip -n > build/$(DIST).tar.gz
	@echo build/$(DIST).tar.gz

clean:
	rm -rf build

# The value of a variable, for tests that compile a changed copy of a source.
print-%:
	@echo '$($*)'

include bench/bench.mk tests/proofs/fuzz.mk tests/tests.mk

FORCE:
.PHONY: all manual record help demo install uninstall dist clean FORCE
.SECONDARY:
