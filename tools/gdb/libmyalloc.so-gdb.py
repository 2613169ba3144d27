# SPDX-License-Identifier: MIT
"""GDB commands that look at myalloc's heap: `myalloc block ADDRESS`, `myalloc heap`, `myalloc check`.

GDB loads this file by itself when it stands beside the library, with `-gdb.py` behind the name of its real file, if it may:
    add-auto-load-safe-path /usr/local/lib
in ~/.config/gdb/gdbinit. Otherwise, and for static programs: source PATH/libmyalloc.so-gdb.py

Memory is only read, so all works on a core file as on a live process. The structures are found by the library's debug
information. A process stopped inside the allocator may be between two states; a second look after `finish` then helps.
"""
import struct

import gdb

CHAIN_MOST = 1 << 24  # blocks; a list that is longer goes in a circle


# ---- reading --------------------------------------------------------------------------------------------------------

class Unknown(gdb.GdbError):
    """One line that says what cannot be told."""


def static(file, name):
    """A variable of the allocator, by the file that defines it: several have a `table`."""
    try:
        return gdb.parse_and_eval(f"'alloc/{file}'::{name}")
    except gdb.error:
        raise Unknown("myalloc: libmyalloc is not loaded here, or has no debug information (stripped?): "
                      "these commands need the library as it was built, with -g") from None


def number(value):
    """A plain int of a value, atomic or not."""
    return int(value)


def read(address, length):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, length))
    except gdb.error:
        raise Unknown(f"myalloc: cannot read {length} bytes at {address:#x}: not mapped, or not in the core file") from None


def word(address):
    return struct.unpack("<Q", read(address, 8))[0]


class Record:
    """Reads named integer fields of an array of structures out of bytes, far faster than one gdb.Value each."""

    def __init__(self, kind, names):
        kind = kind.strip_typedefs()
        self.size = kind.sizeof
        places = dict(self._places(kind, 0))
        self.fields = {}
        for name in names:
            if name not in places:
                raise Unknown(f"myalloc: {kind} has no field {name}: this script is of another version than the library")
            self.fields[name] = places[name]

    def _places(self, kind, base):
        for field in kind.fields():
            inner = field.type.strip_typedefs()
            at = base + field.bitpos // 8
            if not field.name:
                yield from self._places(inner, at)
            else:
                yield field.name, (at, inner.sizeof)

    def decode(self, data, index=0):
        base = index * self.size
        return {name: int.from_bytes(data[base + at:base + at + size], "little")
                for name, (at, size) in self.fields.items()}


def target_of(pointer):
    return pointer.type.strip_typedefs().target()


# ---- the heap -------------------------------------------------------------------------------------------------------

class Heap:
    """What the allocator's structures say now."""

    def __init__(self):
        layout = static("observe/layout.c", "layout")
        self.shift = number(layout["unit_shift"])
        self.step, self.exact = number(layout["class_step"]), number(layout["exact_classes"])
        self.sizes = static("base/sizeclass.c", "class_sizes")
        self.class_count, self.home_words = number(layout["class_count"]), number(layout["home_words"])
        self.states = {field.name: field.enumval for field in layout["state"].type.strip_typedefs().fields()}
        regions = static("heap/region.c", "regions")
        self.regions = []
        for index in range(number(static("heap/region.c", "region_count"))):
            region = regions[index]
            spans = region["spans"]
            self.regions.append({"base": number(region["base"]), "frontier": number(region["frontier"]),
                                 "mapped": number(region["mapped"]), "spans": number(spans),
                                 "home": number(region["home"])})
            kind = target_of(spans)
            self.span = Record(kind, ("few_bits", "units", "head", "live", "carved", "capacity", "class", "state"))
            self.few = self.span.fields["few_bits"][1] * 8
        for region in self.regions:
            region["data"] = read(region["spans"], region["frontier"] * self.span.size) if region["frontier"] else b""
        self.transfers = self.find_transfers()

    def find_transfers(self):
        """Where each class hands chains from thread to thread: once in each of its rows, which are its shards."""
        table = static("heap/central_shards.c", "central_classes")
        count = number(static("heap/central_shards.c", "central_class_count"))
        count = min(count, table.type.strip_typedefs().range()[1] + 1)
        kind = table.type.strip_typedefs().target()
        row = Record(kind, ("index",))
        data = read(number(table.address), count * row.size) if count else b""
        found = [[] for _ in range(self.class_count)]
        for at in range(count):
            index = row.decode(data, at)["index"]
            if index >= self.class_count:
                raise Unknown(f"myalloc: row {at} of the size classes is damaged, or this script is of another version than "
                              f"the library: class {index}")
            found[index].append(table[at]["transfer"])
        return found

    def bytes_of(self, index):
        """Size of a class's blocks; alloc/base/sizeclass.h says the same, and spans() compares the two."""
        if index <= self.exact:
            return index * self.step
        return number(self.sizes[index])

    def region_at(self, address):
        for region in self.regions:
            if region["base"] <= address < region["base"] + (region["mapped"] << self.shift):
                return region
        return None

    def span_at(self, region, unit):
        span = self.span.decode(region["data"], unit)
        span["address"] = region["base"] + (unit << self.shift)
        span["bytes"] = span["units"] << self.shift
        span["kind"] = next((name for name, value in self.states.items() if value == span["state"]), "?")
        if span["kind"] == "SPAN_SMALL":
            span["size"] = self.bytes_of(span["class"])
            if span["size"] == 0 or span["capacity"] != span["bytes"] // span["size"]:
                raise Unknown(f"myalloc: the span at {span['address']:#x} is damaged, or this script is of another version "
                              f"than the library: class {span['class']}, {span['units']} units, {span['capacity']} blocks")
            span["home"] = self.home_bits(region, unit, span)
        return span

    def home_bits(self, region, unit, span):
        """Bit k says that block k is at home: in the span itself, if that has room for so many. Words beyond those that the
        capacity needs are left from a free span's links."""
        length = (span["capacity"] + 63) // 64 * 8
        if span["capacity"] <= self.few:
            return span["few_bits"] & ((1 << length * 8) - 1)
        return int.from_bytes(read(region["home"] + unit * self.home_words * 8, length), "little")

    def spans(self, region):
        unit = 0
        while unit < region["frontier"]:
            span = self.span_at(region, unit)
            yield span
            heads = ("SPAN_SMALL", "SPAN_LARGE", "SPAN_HELD", "SPAN_SHELVED", "SPAN_CACHED", "SPAN_FREE")
            unit += span["units"] if span["kind"] in heads and span["units"] else 1

    def span_of(self, region, address):
        """The span that an address below the frontier lies in."""
        unit = (address - region["base"]) >> self.shift
        while True:
            span = self.span_at(region, unit)
            if span["kind"] in ("SPAN_PART", "SPAN_TAIL"):
                return self.span_at(region, span["head"])
            if span["kind"] != "SPAN_NONE" or unit == 0:
                return span
            unit -= 1


def chain(head, most=CHAIN_MOST):
    """Addresses of the blocks of a list."""
    seen = 0
    while head:
        yield head
        seen += 1
        if seen > most:
            raise Unknown(f"myalloc: the list that holds {head:#x} goes in a circle: a block was freed twice")
        head = word(head)


def threads_by_cache(caches):
    """Names of threads by their cache's address: it lies in the static TLS block, just below the thread pointer."""
    pointers = []
    selected, frame = gdb.selected_thread(), None
    try:
        frame = gdb.selected_frame()
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            pointers.append((int(gdb.parse_and_eval("(unsigned long)$fs_base")), thread.num))
    except gdb.error:
        pass
    finally:
        if selected is not None and selected.is_valid():
            selected.switch()
            if frame is not None and frame.is_valid():
                frame.select()
    names = {}
    for cache in caches:
        above = sorted((pointer - cache, thread) for pointer, thread in pointers if pointer > cache)
        names[cache] = f"thread {above[0][1]}" if above and above[0][0] < 1 << 20 else "a thread"
    return names


class Caches:
    """The threads' lists: for each thread and class the head, its length, and the spare chain."""

    def __init__(self, heap):
        self.threads = {}
        pointer = static("heap/cache.c", "caches")
        while pointer:
            cache = pointer.dereference()
            slow = cache["slow"].dereference()
            data, slow_data = (read(number(part.address), part.type.strip_typedefs().sizeof) for part in (cache, slow))
            bins = Record(cache["bins"].type.target(), ("head", "count", "limit"))
            at, slow_at = ({field.name: field.bitpos // 8 for field in part.type.strip_typedefs().fields() if field.name}
                           for part in (cache, slow))
            fast_count = int(cache["bins"].type.range()[1]) + 1
            lists = []
            for index in range(heap.class_count):
                bin_ = (bins.decode(data[at["bins"]:], index) if index < fast_count else
                        bins.decode(slow_data[slow_at["wide"]:], index - fast_count))
                spare, = struct.unpack_from("<Q", slow_data, slow_at["spare"] + 8 * index)
                count = bin_["count"] - (1 << 32) if bin_["count"] >> 31 else bin_["count"]
                length = count + bin_["limit"] if bin_["head"] else 0
                spare_length, = struct.unpack_from("<H", slow_data, slow_at["spare_length"] + 2 * index)
                lists.append((bin_["head"], length, spare, spare_length))
            self.threads[number(pointer)] = lists
            pointer = slow["next"]
        self.names = threads_by_cache(self.threads)

    def lists(self, index):
        """Each chain of the class: where it is, its head, its length."""
        for cache, lists in self.threads.items():
            head, length, spare, spare_length = lists[index]
            if head:
                yield f"on the list of {self.names[cache]}", head, length
            if spare:
                yield f"in the spare chain of {self.names[cache]}", spare, spare_length


def whole_chain(value):
    """(address of the first block, length) of a chain in one number (base/freelist.h)."""
    bits = 48 if gdb.selected_inferior().architecture().name() == "aarch64" else 47
    return number(value) & ((1 << bits) - 1), number(value) >> bits


def parked(heap, index):
    """Chains between threads: where, head, length."""
    for transfer in heap.transfers[index]:
        for at in range(transfer["parked"].type.strip_typedefs().range()[1] + 1):
            head, length = whole_chain(transfer["parked"][at])
            if head:
                yield "parked between threads", head, length
        if transfer["stack"]:
            stack = transfer["stack"].dereference()
            for at in range(number(stack["count"])):
                yield "parked between threads, on the stack of its class", *whole_chain(stack["chains"][at])
        orphan = transfer["orphans"]
        while orphan:
            head = number(orphan["chain"])
            yield "on the list of a thread that did not live on after fork", head, sum(1 for _ in chain(head))
            orphan = orphan["next"]


def address_map(table, kind, names):
    """The entries of a table of base/address_map.h, the address first among the names."""
    size = number(table["size"])
    if size:
        entry = Record(gdb.lookup_type(kind), names)
        data = read(number(table["entries"]), size * entry.size)
        yield from (found for found in (entry.decode(data, index) for index in range(size)) if found[names[0]])


def mappings():
    """(address, bytes) of each block with a mapping of its own."""
    for found in address_map(static("heap/mapped.c", "mappings"), "struct mapping", ("addr", "bytes")):
        if not found["bytes"] & 1:  # odd: freed, but kept
            yield found["addr"], found["bytes"]


# ---- who allocated it -----------------------------------------------------------------------------------------------

def stack(count):
    """Lines for a call stack that stacks.c keeps under a number."""
    if not count:
        return ["    (no call stack was recorded)"]
    words = static("callers/stacks.c", "words")
    kept = (words + count).cast(gdb.lookup_type("struct stack").pointer()).dereference()
    lines = []
    for level in range(number(kept["count"])):
        address = number(kept["frames"][level])
        call = address - 1  # in the call, not behind it
        block = gdb.block_for_pc(call)
        while block is not None and block.function is None:
            block = block.superblock
        line = gdb.find_pc_line(call)
        symbol = gdb.execute(f"info symbol {call:#x}", to_string=True).split(" in section")[0].strip()
        name = block.function.print_name if block is not None else symbol
        if name.startswith("No symbol"):
            name = "??"
        place = f" at {line.symtab.filename}:{line.line}" if line.symtab is not None else ""
        lines.append(f"    #{level} {call:#x} {name}{place}")
    return lines


def leak_record(address):
    """The leak report's record of the block that the address lies in."""
    for found in address_map(static("observe/leaks.c", "records"), "struct leaks_record", ("block", "bytes", "stack")):
        if found["block"] <= address < found["block"] + max(found["bytes"], 1):
            return found
    return None


def check_record(address):
    """The checks' record of the block, live or in quarantine, that the address lies in."""
    chunk = gdb.parse_and_eval("check_chunks")
    live = number(gdb.parse_and_eval("'alloc/protect/check_records.c'::CHECK_LIVE")) if chunk else 0
    while chunk:
        records = chunk["records"]
        entry = Record(records.type.target(), ("block", "plain", "bytes", "alloc_stack", "free_stack", "state"))
        count = records.type.strip_typedefs().range()[1] + 1
        data = read(number(records.address), count * entry.size)
        for index in range(count):
            found = entry.decode(data, index)
            if found["state"] >= live and found["block"] <= address < found["block"] + max(found["bytes"], 1):
                found["live"] = found["state"] == live
                found["calls"] = [records[index][name].string() if records[index][name] else "?"
                                  for name in ("alloc_call", "free_call")]
                return found
        chunk = chunk["next"]
    return None


def guarded_blocks(address):
    """(distance, block) of the guarded blocks whose slots the address touches: one it lies in, or before which it lies on the
    page that cannot be touched."""
    pool = gdb.parse_and_eval("guarded_pool")
    if not number(pool["start"]) <= address < number(pool["start"]) + number(pool["bytes"]):
        return None
    page, found = number(pool["sizes"][0]["stride"]) // 2, []
    for index in range(pool["sizes"].type.strip_typedefs().range()[1] + 1):
        size = pool["sizes"][index]
        first, stride = number(pool["start"]) + number(size["first"]), number(size["stride"])
        for at in {(place - first) // stride for place in (address, address + page)}:
            if 0 <= at < number(size["used"]):
                block = size["slots"][at]["block"]
                start, length = number(block["start"]), number(block["bytes"])
                far = max(start - address, address - (start + length) + 1, 0)
                found.append((far + (page * 8 if block["freed"] and far else 0), start, block))
    return [block for _, _, block in sorted(found, key=lambda entry: entry[:2])]


def guarded(address):
    """What there is to say of an address in guarded pages; None of any other."""
    blocks = guarded_blocks(address)
    if blocks is None:
        return None
    if not blocks:
        return f"{address:#x} is in guarded pages that no block had yet."
    block = blocks[0]
    start, length = number(block["start"]), number(block["bytes"])
    place = (f"{start - address} bytes before" if address < start else
             f"{address - start - length} bytes behind" if address >= start + length else f"{address - start} bytes into")
    lines = [f"{address:#x} is {place} a block of {length} bytes at {start:#x}, on guarded pages.",
             f"The block is {'freed; its pages cannot be touched' if block['freed'] else 'live'}.",
             f"Allocated by {block['alloc_call'].string()}, at:", *stack(number(block["alloc_stack"]))]
    if block["freed"]:
        lines += [f"Freed by {block['free_call'].string()}, at:", *stack(number(block["free_stack"]))]
    return "\n".join(lines)


def condition(record):
    """Of a block that is handed out, as far as the checks know better."""
    return "live" if record is None or record["live"] else "freed by the program, kept in quarantine by the checks"


def say_origin(address, record):
    if record is not None:
        print(f"The checks know it: {record['bytes']} bytes at {record['block']:#x}, "
              f"{'live' if record['live'] else 'freed, in quarantine'}; allocated by {record['calls'][0]}, at:")
        print("\n".join(stack(record["alloc_stack"])))
        if not record["live"]:
            print(f"Freed by {record['calls'][1]}, at:")
            print("\n".join(stack(record["free_stack"])))
        return
    record = leak_record(address)
    if record is not None:
        print(f"The leak record knows it: {record['bytes']} bytes were asked for, at:")
        print("\n".join(stack(record["stack"])))
    else:
        print("By whom it was allocated is not recorded (MYALLOC_OPTIONS=leaks:1 or check:3 does).")


# ---- commands -------------------------------------------------------------------------------------------------------

def no_argument(command, argument):
    if argument.strip():
        raise gdb.GdbError(f"myalloc: {command} takes no argument, '{argument.strip()}' was given")


class Myalloc(gdb.Command):
    """Look at myalloc's heap, of a process or of a core file."""

    def __init__(self):
        super().__init__("myalloc", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Block(gdb.Command):
    """What an address is to myalloc: the block it lies in, its size, whether it is live or where it is kept, who allocated it.
Usage: myalloc block ADDRESS
Who allocated it is known in a program that runs with MYALLOC_OPTIONS=leaks:1 or check:3, and of a block on guarded pages
(protect:sample). After a fault, `myalloc block $_siginfo._sifields._sigfault.si_addr` tells what it has hit."""

    def __init__(self):
        super().__init__("myalloc block", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument.strip():
            raise gdb.GdbError("myalloc: which address? Usage: myalloc block ADDRESS")
        try:
            address = int(gdb.parse_and_eval(argument).cast(gdb.lookup_type("unsigned long")))
        except gdb.error as error:
            raise gdb.GdbError(f"myalloc: {error}") from None
        heap = Heap()
        region = heap.region_at(address)
        if region is None:
            self.outside(address)
        elif address >= region["base"] + (region["frontier"] << heap.shift):
            print(f"{address:#x} is in memory taken from the OS, but never handed out.")
        else:
            self.inside(heap, region, address)

    def handed_out(self, address, what, start):
        record = check_record(address)
        print(f"{address:#x} is {address - start} bytes into {what}.\nThe block is {condition(record)}.")
        say_origin(address, record)

    def outside(self, address):
        text = guarded(address)
        if text is not None:
            print(text)
            return
        for start, length in mappings():
            if start <= address < start + length:
                self.handed_out(address, f"a block of {length} bytes at {start:#x}, with a mapping of its own", start)
                return
        print(f"{address:#x} is not myalloc's: not in its heap, and in no block with a mapping of its own.")

    def inside(self, heap, region, address):
        span = heap.span_of(region, address)
        where = f"span at {span['address']:#x} of {span['units']} unit{'' if span['units'] == 1 else 's'}"
        if span["kind"] == "SPAN_SMALL":
            self.small(heap, span, address, where)
        elif span["kind"] == "SPAN_LARGE" and address < span["address"] + span["bytes"]:
            self.handed_out(address, f"a large block of {span['bytes']} bytes at {span['address']:#x}", span["address"])
        elif span["kind"] == "SPAN_FREE" and address < span["address"] + span["bytes"]:
            print(f"{address:#x} is free: in a free {where}.")
        elif span["kind"] == "SPAN_SHELVED" and address < span["address"] + span["bytes"]:
            print(f"{address:#x} is free: in a shelved {where}.")
        elif span["kind"] == "SPAN_CACHED" and address < span["address"] + span["bytes"]:
            print(f"{address:#x} is free: a thread keeps the {where} for its next large block.")
        else:
            print(f"{address:#x} is in no span: foreign memory between parts of the heap.")

    def small(self, heap, span, address, where):
        index, offset = divmod(address - span["address"], span["size"])
        start = span["address"] + index * span["size"]
        what = (f"a block of {span['size']} bytes (class {span['class']}) at {start:#x}, "
                f"number {index} of {span['capacity']} in a {where}")
        if index >= span["capacity"]:
            print(f"{address:#x} is behind the last block of a {where}.")
            return
        state = self.state(heap, span, start, index)
        if state is None:
            self.handed_out(address, what, start)
            return
        print(f"{address:#x} is {offset} bytes into {what}.\nThe block is {state}.")

    def state(self, heap, span, start, index):
        """Where a free block is kept; None if it is live."""
        if index >= span["carved"]:
            return "free: never handed out"
        if span["home"] >> index & 1:
            return "free, at home in its span"
        lists = [*Caches(heap).lists(span["class"]), *parked(heap, span["class"])]
        for where, head, _ in lists:
            try:
                if start in chain(head):
                    return f"free, {where}"
            except Unknown as error:
                print(f"A list of its class is damaged ({where}; 'myalloc check' says more): {error}")
        return None


class Totals:
    """Blocks of one class."""

    def __init__(self):
        self.spans = self.out = self.home = self.listed = self.parked = 0

    @property
    def live(self):
        return self.out - self.listed - self.parked


def count_classes(heap, caches):
    totals = [Totals() for _ in range(heap.class_count)]
    others = {"SPAN_LARGE": [0, 0], "SPAN_CACHED": [0, 0], "SPAN_FREE": [0, 0]}
    for region in heap.regions:
        for span in heap.spans(region):
            if span["kind"] == "SPAN_SMALL":
                total = totals[span["class"]]
                total.spans += 1
                total.out += span["live"]
                total.home += span["capacity"] - span["live"]
            elif span["kind"] in others or span["kind"] == "SPAN_SHELVED":
                kind = "SPAN_FREE" if span["kind"] == "SPAN_SHELVED" else span["kind"]
                others[kind][0] += 1
                others[kind][1] += span["bytes"]
    for index in range(1, heap.class_count):
        totals[index].listed = sum(length for _, _, length in caches.lists(index))
        totals[index].parked = sum(length for _, _, length in parked(heap, index))
    return totals, others


class HeapCommand(gdb.Command):
    """Totals of myalloc's heap: classes of small blocks, large blocks, mappings, free spans, regions, threads' lists.
Usage: myalloc heap"""

    def __init__(self):
        super().__init__("myalloc heap", gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        no_argument("heap", argument)
        heap = Heap()
        caches = Caches(heap)
        totals, others = count_classes(heap, caches)
        self.classes(heap, totals)
        mapped = list(mappings())
        live = sum(total.live * heap.bytes_of(index) for index, total in enumerate(totals))
        blocks = sum(total.live for total in totals)
        print(f"small blocks:   {live} bytes in {blocks} live blocks")
        print(f"large blocks:   {others['SPAN_LARGE'][1]} bytes in {others['SPAN_LARGE'][0]} live blocks in the heap")
        if others["SPAN_CACHED"][0]:
            print(f"kept:           {others['SPAN_CACHED'][1]} bytes in {others['SPAN_CACHED'][0]} free large blocks, by threads")
        print(f"mappings:       {sum(length for _, length in mapped)} bytes in {len(mapped)} live blocks")
        live = static("protect/guarded.c", "live")
        if number(live["samples"]):
            print(f"guarded pages:  {number(live['bytes'])} bytes in {number(live['blocks'])} live blocks, of "
                  f"{number(live['samples'])} that there ever were")
        print(f"free spans:     {others['SPAN_FREE'][1]} bytes in {others['SPAN_FREE'][0]} spans")
        for number_, region in enumerate(heap.regions):
            kind = "brk heap" if number_ == 0 else f"arena {number_}"
            print(f"{kind + ':':15} {region['mapped'] << heap.shift} bytes at {region['base']:#x}, of which "
                  f"{region['frontier'] << heap.shift} in spans")
        for cache, lists in caches.threads.items():
            held = sum((length + spare) * heap.bytes_of(index) for index, (_, length, _, spare) in enumerate(lists))
            print(f"{caches.names[cache] + ':':15} {held} bytes on its lists (at {cache:#x})")

    def classes(self, heap, totals):
        print(f"{'class':>5} {'size':>6} {'spans':>6} {'live':>9} {'listed':>9} {'parked':>9} {'home':>9}")
        for index, total in enumerate(totals):
            if total.spans:
                print(f"{index:5} {heap.bytes_of(index):6} {total.spans:6} {total.live:9} {total.listed:9} "
                      f"{total.parked:9} {total.home:9}")


class Check(gdb.Command):
    """Follow all lists of free blocks in myalloc's heap and say what is wrong with them: overwritten links, double frees.
Usage: myalloc check"""

    def __init__(self):
        super().__init__("myalloc check", gdb.COMMAND_DATA, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        no_argument("check", argument)
        heap = Heap()
        caches = Caches(heap)
        self.seen, self.faults, self.lists = {}, 0, 0
        for region in heap.regions:
            for span in heap.spans(region):
                if span["kind"] == "SPAN_SMALL":
                    self.home(heap, span)
        for index in range(1, heap.class_count):
            for where, head, length in [*caches.lists(index), *parked(heap, index)]:
                self.follow(heap, index, where, head, length)
        followed = "1 list or span" if self.lists == 1 else f"{self.lists} lists and spans"
        print(f"{followed} with {len(self.seen)} free blocks followed, {self.faults} faults found.")

    def fault(self, text):
        self.faults += 1
        print(text)

    def home(self, heap, span):
        bits, carved = span["home"], span["carved"]
        where = f"at home in the span at {span['address']:#x}"
        self.lists += bits != 0
        for index in range(bits.bit_length()):
            if bits >> index & 1:
                self.seen[span["address"] + index * span["size"]] = where
        if bits >> carved or bin(bits).count("1") != carved - span["live"]:
            self.fault(f"{where}, {span['size']} bytes: {bin(bits).count('1')} blocks, "
                       f"the last number {bits.bit_length() - 1}, "
                       f"but {carved - span['live']} of {carved} are on the books.")

    def follow(self, heap, index, where, head, length):
        self.lists += 1
        count, before = 0, None
        try:
            for block in chain(head):
                wrong = self.wrong(heap, index, block)
                if wrong:
                    origin = (f"the first word of the free block {before:#x} was overwritten" if before
                              else "its head is damaged")
                    self.fault(f"{where}, {heap.bytes_of(index)} bytes: {block:#x} {wrong}; {origin}.")
                    return
                if block in self.seen:
                    self.fault(f"{where}: {block:#x} is also {self.seen[block]}: it was freed twice.")
                    return
                self.seen[block] = where
                count, before = count + 1, block
        except Unknown as error:
            self.fault(f"{where}: {error}")
            return
        if count != length:
            self.fault(f"{where}, {heap.bytes_of(index)} bytes: {count} blocks, but {length} are on the books.")

    def wrong(self, heap, index, block):
        region = heap.region_at(block)
        if region is None or block >= region["base"] + (region["frontier"] << heap.shift):
            return "is not in the heap"
        span = heap.span_of(region, block)
        if span["kind"] != "SPAN_SMALL" or span["class"] != index:
            return "is no block of this class"
        number_, rest = divmod(block - span["address"], span["size"])
        return "is not the start of a block" if rest or number_ >= span["carved"] else None


Myalloc()
Block()
HeapCommand()
Check()
