# SPDX-License-Identifier: MIT
# The comparison of allocators (README.md here), included by the Makefile.

# What is installed of it for `myalloc compare`.
HARNESS_DIR = $(PREFIX)/share/myalloc/bench
HARNESS_PROGRAMS = bench/run bench/replay bench/advise
HARNESS_FILES = $(wildcard bench/*.py bench/*.j2)

bench-deps:
	tests/setup bench
bench: bench-deps all debug
	bench/run --json build/bench.json --html build/bench.html
bench-quick: bench-deps all debug
	bench/run --quick --json build/bench-quick.json --html build/bench-quick.html

bench-cores: bench-deps all
	bench/cores --json build/cores.json

# Whether a replay tells what the program would take, for ten programs.
replay-validate: bench-deps all
	bench/validate

install-harness: build/measure
	install -d $(DESTDIR)$(HARNESS_DIR)
	install -m 755 $(HARNESS_PROGRAMS) $(DESTDIR)$(HARNESS_DIR)
	install -d $(DESTDIR)$(PRIVATEDIR)
	install -m 755 build/measure $(DESTDIR)$(PRIVATEDIR)
	ln -sf $(shell realpath -m --relative-to=$(HARNESS_DIR) $(PRIVATEDIR))/measure $(DESTDIR)$(HARNESS_DIR)/measure
	install -m 644 $(HARNESS_FILES) $(DESTDIR)$(HARNESS_DIR)

.PHONY: bench-deps bench bench-quick bench-cores replay-validate install-harness
