# SPDX-License-Identifier: MIT
"""The suites: where each comes from, how it is made ready, its units, and how their output is read.

A unit is what the suite itself runs as one (a test file). Reading its output gives how many tests passed, the names of
those that failed, and how many were skipped.
"""
import dataclasses
import re
import shlex
import shutil
import subprocess


@dataclasses.dataclass
class Unit:
    name: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    limit: int = 300


@dataclasses.dataclass
class Result:
    passed: int = 0
    failed: set = dataclasses.field(default_factory=set)
    skipped: int = 0


def shell(command, cwd):
    """Runs a step of preparation; its output is shown only if it fails."""
    done = subprocess.run(command, shell=True, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{command}\n" + "\n".join(done.stdout.splitlines()[-15:]))


def read_tap(output):
    result, plan, seen = Result(), None, 0
    for line in output.splitlines():
        if found := re.match(r"(not )?ok\b ?(\d*)(.*)", line):
            seen += 1
            if re.search(r"# *skip", line, re.I):
                result.skipped += 1
            elif found.group(1) and not re.search(r"# *todo", line, re.I):
                result.failed.add((found.group(2) + found.group(3)).strip())
            else:
                result.passed += 1
        elif found := re.match(r"1\.\.(\d+)(.*)", line):
            plan = int(found.group(1))
            result.skipped += plan == 0
    if plan is not None and plan != seen:
        result.failed.add(f"plan of {plan}, {seen} seen")
    return result


class Suite:
    """One suite. `source` names a Debian source package that is fetched and built, `version` says what is tested."""
    name = source = ""
    expected = {}  # what must differ, "UNIT: TEST" -> the reason

    def build(self, tree):
        """Makes the unpacked source ready, once."""

    def place(self, tree, work):
        """Fills the folder that the units run in; each allocator has its own."""

    def units(self, short, work, slot):
        """In the short run a part of them. `slot` is a small number of the allocator's own, for ports."""
        raise NotImplementedError

    def read(self, unit, output, work):
        raise NotImplementedError


class CPython(Suite):
    """CPython's regression tests: every object through malloc; those about threads also as it is used."""
    name = "cpython"
    objects = ("json dict gc mmap list set bytes unicode re ctypes pickle tracemalloc zlib array deque sort long "
               "lzma weakref descr memoryview tuple struct exceptions generators buffer code float complex heapq itertools "
               "functools collections ordered_dict string copy marshal codecs csv decimal memoryio xml_etree "
               "contextlib coroutines types enum dataclasses typing ast compile syntax grammar bisect").split()
    threads = "threading fork1 thread queue threading_local".split()
    longer = ("io subprocess faulthandler bz2 asyncio concurrent_futures multiprocessing_fork multiprocessing_spawn posix os "
              "signal socket selectors ssl mailbox zipfile tarfile shutil pathlib email hashlib datetime statistics random "
              "fractions tokenize inspect unittest importlib builtin iter slice range property super class call gzip logging "
              "pickletools plistlib minidom sax unicodedata ucn deque dict_version dictviews peepholer trace sys "
              "sys_settrace embed httplib ftplib http_cookies urllib wsgiref xmlrpc argparse").split()

    def units(self, short, work, slot):
        for prefix, names in (("malloc", self.objects + ([] if short else self.threads) + ([] if short else self.longer)),
                              ("", self.threads)):
            for name in dict.fromkeys(names):
                yield Unit(f"test_{name}" + (", PYTHONMALLOC=malloc" if prefix else ""),
                           ["/usr/bin/python3.11", "-m", "test", "-v", f"test_{name}"],
                           {"PYTHONMALLOC": prefix} if prefix else {}, 600)

    def read(self, unit, output, work):
        ran = sum(map(int, re.findall(r"^Ran (\d+) tests? in", output, re.M)))
        failed = set(re.findall(r"^(?:FAIL|ERROR): (.*)", output, re.M)) | set(re.findall(r"^test (\S+ crashed)", output, re.M))
        skipped = sum(map(int, re.findall(r"^(?:OK|FAILED) \(.*skipped=(\d+)", output, re.M)))
        expected = sum(map(int, re.findall(r"^(?:OK|FAILED) \(.*expected failures=(\d+)", output, re.M)))
        if ran == 0 and re.search(r"^test_\w+ skipped", output, re.M):
            skipped += 1
            ran += 1
        return Result(max(ran - skipped - expected - len(failed), 0), failed, skipped)


class Perl(Suite):
    """perl's core tests, by the installed perl and its modules."""
    name = source = "perl"
    folders = "base cmd comp op re uni mro io lib".split()
    few = ("base cmd comp mro op/a op/b op/c op/d op/e op/f op/g op/h op/i op/l op/m op/p op/s op/u re/p re/reg_ re/regexp.t "
           "re/rx uni").split()

    def place(self, tree, work):
        for path in tree.iterdir():
            if path.name in ("t", "lib"):  # written into
                shutil.copytree(path, work / path.name, symlinks=True)
            else:
                (work / path.name).symlink_to(path)
        asked = ("print join ' ', @Config{qw(privlib archlib)}, '/usr/lib/'.qx(dpkg-architecture -qDEB_HOST_MULTIARCH)"
                 " =~ s/\\s//r.'/perl-base'")
        roots = subprocess.run(["/usr/bin/perl", "-MConfig", "-e", asked], capture_output=True, text=True)
        for root in roots.stdout.split():
            shell(f"cp -rL {root}/. lib/ && ln -sf /usr/bin/perl t/perl && ln -sf /usr/bin/perl perl", work)

    def units(self, short, work, slot):
        root = work / "t"
        for path in sorted(path for folder in self.folders for path in (root / folder).glob("*.t")):
            name = str(path.relative_to(root))
            if short and not any(name.startswith(prefix) for prefix in self.few):
                continue
            words = path.read_text(errors="replace").split("\n", 1)[0].split()
            switches = words[1:] if words and words[0].startswith("#!") else []
            yield Unit(name, ["sh", "-c", 'cd t && exec /usr/bin/perl "$@"', "perl", *switches, name])

    def read(self, unit, output, work):
        return read_tap(output)


class Sqlite(Suite):
    """SQLite's own tests, by its testfixture: among them those in which each allocation in turn is refused."""
    name, source = "sqlite", "sqlite3"
    few = ("malloc mallocA mallocB mallocC mallocF mallocI malloc3 malloc5 malloc6 malloc7 memdb memsubsys1 memsubsys2 "
           "select1 select4 insert2 trigger2 thread001 thread002 index sort zeroblob json101 fts3aa in").split()
    more = re.compile(r"malloc|mem|.*malloc|thread|fault|.*fault|select|insert|trigger|index|sort|json|fts3|in\b|where|join|"
                      r"with|window|alter|attach|blob|backup|cache|"
                      r"wal\d?$|vtab|view|pager\d|fuzz$|fuzz[23]$|rowid|table|trans|temp|"
                      r"pcache")
    slow = "veryquick all full quick extraquick mallocAll permutations soak valgrind journaltest inmemory_journal rtree " \
           "fts3 fts5 session".split()  # lists of other files

    def build(self, tree):
        shell("mkdir -p bld && cd bld && ../configure CFLAGS='-O1 -g0' && make testfixture", tree)

    def place(self, tree, work):
        shell(f"cp {tree}/bld/testfixture {work}", work)
        (work / "test").symlink_to(tree / "test")

    def units(self, short, work, slot):
        chosen = self.few if short else sorted(
            path.stem for path in (work / "test").glob("*.test")
            if path.stem not in self.slow and self.more.match(path.stem))
        for name in chosen:
            yield Unit(name, ["./testfixture", f"test/{name}.test"])

    def read(self, unit, output, work):
        found = re.search(r"^(\d+) errors out of (\d+) tests", output, re.M)
        if found is None:
            return Result(0, {"no summary"})
        failed = set(" ".join(re.findall(r"^!Failures on these tests: (.*)", output, re.M)).split())
        if int(found.group(1)) and not failed:
            failed = {f"{found.group(1)} errors"}
        return Result(int(found.group(2)) - int(found.group(1)), failed, len(re.findall(r"^\. ", output, re.M)))


class Redis(Suite):
    """Redis' own tests, by the installed server."""
    name = source = "redis"
    few = "type/string type/incr type/hash type/list-2 type/set type/zset bitops keyspace scan sort geo".split()
    more = ("hyperloglog type/list type/list-3 type/stream type/stream-cgroups dump expire aofrw other multi quit auth acl "
            "protocol scripting functions introspection introspection-2 limits obuf-limits bitfield memefficiency maxmemory "
            "lazyfree pubsub slowlog info pendingquerybuf querybuf tracking client-eviction networking shutdown pause").split()
    expected = {"unit/type/string: trim on SET with big value":
                "asks for at most 42000 usable bytes behind 33000, jemalloc's size; here large blocks are whole units, 49152. "
                "The test runs only because the server takes its allocator for jemalloc",
                **{f"unit/memefficiency: Active defrag{of}":
                   "the server asks jemalloc's own statistics how fragmented memory is, and jemalloc serves nothing then"
                   for of in ("", " big keys", " big list", " edge case", " eval scripts")}}

    def place(self, tree, work):
        shell(f"cp -r {tree}/tests {tree}/runtest {tree}/redis.conf {tree}/sentinel.conf {work} && "
              f"mkdir -p {work}/src {work}/tests/tmp", work)
        for program in "server cli benchmark check-aof check-rdb sentinel".split():
            (work / "src" / f"redis-{program}").symlink_to(f"/usr/bin/redis-{program}")

    def units(self, short, work, slot):
        for name in self.few + ([] if short else self.more):
            yield Unit(f"unit/{name}", ["./runtest", "--clients", "1", "--baseport", str(21111 + 4000 * slot),
                                        "--portcount", "2000", "--single", f"unit/{name}"])

    def read(self, unit, output, work):
        output = re.sub(r"\x1b\[[0-9;]*m", "", output)
        failed = {name.strip() for name in re.findall(r"^\[(?:err|exception)\]: (.*?)(?: in tests/.*)?$", output, re.M)}
        return Result(len(re.findall(r"^\[ok\]: ", output, re.M)), failed,
                      len(re.findall(r"^\[(?:skip|ignore)\]: ", output, re.M)))


class StressNg(Suite):
    """stress-ng's stressors that allocate, map and fork, each checking what it reads back."""
    name = "stress-ng"
    stressors = "malloc brk mmap fork vm mremap clone vfork pthread sigsegv stack zlib qsort".split()

    def units(self, short, work, slot):
        seconds = 2 if short else 20
        common = ["stress-ng", "--verify", "--temp-path", str(work), "--oomable"]
        together = [word for name in self.stressors[:9] for word in (f"--{name}", "1")]
        yield Unit("all together", [*common, *together, "--vm-bytes", "64m", "-t", str(2 * seconds)])
        yield Unit("malloc, with threads",
                   [*common, "--malloc", "2", "--malloc-pthreads", "4", "--malloc-touch", "-t", str(seconds)])
        yield Unit("malloc, cleared when freed", [*common, "--malloc", "2", "--malloc-zerofree", "-t", str(seconds)])
        for name in self.stressors if not short else ():
            yield Unit(name, [*common, f"--{name}", "2", "-t", str(seconds // 2)])

    def read(self, unit, output, work):
        failed = set(re.findall(r"^stress-ng: (?:fail|error): +\[\d+\] (.*)", output, re.M))
        return Result(0 if failed else 1, failed)


class Bash(Suite):
    """bash's tests, by the installed bash: what a test prints beyond what is expected is a failure."""
    name = source = "bash"

    def build(self, tree):
        for program in "recho zecho printenv xcase".split():
            shell(f"touch config.h && gcc -w -I. -Iinclude -Ilib -include stdlib.h -include string.h -include unistd.h "
                  f"-o tests/{program} support/{program}.c", tree)

    def place(self, tree, work):
        shell(f"cp -r {tree}/tests {work}", work)

    def units(self, short, work, slot):
        for path in sorted((work / "tests").glob("run-*")):
            if path.name not in ("run-all", "run-minimal", "run-gprof"):
                yield Unit(path.name, ["sh", "-c", f"cd tests && exec sh {path.name}"],
                           {"THIS_SH": "/bin/bash", "BUILD_DIR": "..", "BASH_TSTOUT": str(work / "out"), "TMPDIR": str(work),
                            "PATH": ".:/usr/bin:/bin:/usr/sbin:/sbin"})

    def read(self, unit, output, work):
        differs = re.search(r"^([<>]|\d+(,\d+)?[acd]\d+)", output, re.M)
        return Result(0, {"output differs"}) if differs else Result(1)


class Gawk(Suite):
    """gawk, built here, and its test-suite."""
    name = source = "gawk"

    def build(self, tree):
        shell("./configure --disable-mpfr CFLAGS='-O1 -g0' && make -C support && make gawk && make -C extension", tree)

    def place(self, tree, work):
        shell(f"cp -r {tree}/. {work}", work)

    def units(self, short, work, slot):
        yield Unit("make check", ["sh", "-c", "cd test && make -k check; ls -d _*; exit 0"], {"TERM": "dumb"}, 600)

    def read(self, unit, output, work):
        names = set(re.findall(r"^([a-z][A-Za-z0-9_-]*)$", output, re.M))
        failed = set(re.findall(r"^_([A-Za-z0-9_-]+)$", output, re.M))
        return Result(len(names - failed), failed)


class Jq(Suite):
    """jq's tests, by the installed jq."""
    name = source = "jq"

    def place(self, tree, work):
        shell(f"cp -r {tree}/tests {work} && ln -s /usr/bin/jq {work}/jq", work)

    def units(self, short, work, slot):
        for name in "jq onig base64 optional".split():
            yield Unit(f"{name}.test", ["/usr/bin/jq", "-L", "tests/modules", "--run-tests", f"tests/{name}.test"])
        yield Unit("shtest", ["sh", "tests/shtest"], {"NO_VALGRIND": "1"})

    def read(self, unit, output, work):
        failed = set(re.findall(r"^\*\*\* (.*)", output, re.M))
        return Result(max(len(re.findall(r"^Testing '", output, re.M)), 1) - len(failed), failed)


class Git(Suite):
    """git, built here, and a part of its tests."""
    name = source = "git"
    few = ("t0000 t0001 t0002 t0003 t0021 t0027 t0060 t0061 t0090 t1001 t1006 t1300 t1400 t1450 t2200 t3200 t3400 t3404 "
           "t3700 t3903 t4013 t4014 t4015 t4034 t4200 t4202 t4216 t5300 t5302 t5310 t5318 t5319 t5510 t5601 t6000 t6012 "
           "t6030 t6300 t6422 t6500 t7003 t7004 t7102 t7400 t7508 t7600 t7700 t7810 t7900 t8002 t9300 t9350").split()

    def build(self, tree):
        shell("make -j2 NO_GETTEXT=1 NO_TCLTK=1 NO_CURL=1 NO_EXPAT=1 NO_PERL=1 NO_PYTHON=1 NO_OPENSSL=1 "
              "CFLAGS='-O1 -g0' all", tree)

    def place(self, tree, work):
        (work / "tree").symlink_to(tree)

    def units(self, short, work, slot):
        for number in self.few:
            for path in sorted((work / "tree" / "t").glob(number + "-*.sh")):
                yield Unit(path.stem, ["sh", "-c", f"cd tree/t && exec sh ./{path.name} --root={shlex.quote(str(work))}"],
                           {"TEST_NO_MALLOC_CHECK": "1", "TEST_OUTPUT_DIRECTORY": str(work), "GIT_TEST_CHAIN_LINT": "0"}, 600)

    def read(self, unit, output, work):
        return read_tap(output)


SUITES = [Jq(), Gawk(), Bash(), StressNg(), Perl(), Sqlite(), Redis(), Git(), CPython()]  # short ones first
SHORT = ("cpython", "perl", "stress-ng")  # what needs no build of its own
