// SPDX-License-Identifier: MIT
//! myalloc as the allocator of a Rust program:
//!
//!     #[global_allocator]
//!     static ALLOCATOR: myalloc::Myalloc = myalloc::Myalloc;
//!
//! The library serves malloc, which is what Rust's own allocator calls, so a program that is linked with it, or preloads it,
//! runs on it without a line of this. What the crate adds: it brings the library into the program, aligned memory comes without
//! a detour by posix_memalign, and a block's size and alignment are told when it is freed, so that the library's checks find
//! one that is freed with another layout than it has.
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};

extern "C" {
    fn malloc(bytes: usize) -> *mut c_void;
    fn calloc(count: usize, bytes: usize) -> *mut c_void;
    fn realloc(block: *mut c_void, bytes: usize) -> *mut c_void;
    fn aligned_alloc(align: usize, bytes: usize) -> *mut c_void;
    fn sdallocx(block: *mut c_void, bytes: usize, flags: c_int);
    fn myalloc_tag(tag: *const c_char);
    fn myalloc_tag_now() -> *const c_char;
}

/// What every block is aligned to.
const BLOCK_ALIGN: usize = 16;

/// The allocator. It has no state; any thread may use it, also in a forked child. Null where there is no memory.
pub struct Myalloc;

unsafe impl GlobalAlloc for Myalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= BLOCK_ALIGN {
            malloc(layout.size()).cast()
        } else {
            aligned_alloc(layout.align(), layout.size()).cast()
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= BLOCK_ALIGN {
            return calloc(1, layout.size()).cast();
        }
        let block = self.alloc(layout);
        if !block.is_null() {
            block.write_bytes(0, layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let log = if layout.align() <= BLOCK_ALIGN { 0 } else { layout.align().trailing_zeros() };
        sdallocx(block.cast(), layout.size(), log as c_int);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if layout.align() <= BLOCK_ALIGN {
            return realloc(block.cast(), bytes).cast();
        }
        let moved = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
        if !moved.is_null() {
            moved.copy_from_nonoverlapping(block, bytes.min(layout.size()));
            self.dealloc(block, layout);
        }
        moved
    }
}

/// Runs `work` with a tag on what this thread allocates (myalloc_tag); the former tag is back when it returns or unwinds.
pub fn tagged<T>(tag: &CStr, work: impl FnOnce() -> T) -> T {
    struct Former(*const c_char);
    impl Drop for Former {
        fn drop(&mut self) {
            unsafe { myalloc_tag(self.0) }
        }
    }
    let _former = Former(unsafe { myalloc_tag_now() });
    unsafe { myalloc_tag(tag.as_ptr()) };
    work()
}
