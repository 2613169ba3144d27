// SPDX-License-Identifier: MIT
//! memory [small|large|wrong]: keeps many small objects, or 64 MiB in large blocks; or frees a block with another layout than
//! it has, which MYALLOC_OPTIONS=check:3 tells.
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;

#[global_allocator]
static ALLOCATOR: myalloc::Myalloc = myalloc::Myalloc;

#[repr(align(4096))]
struct Page([u8; 4096]);

fn wrong() {
    let layout = |bytes| Layout::from_size_align(bytes, 8).unwrap();
    unsafe { ALLOCATOR.dealloc(ALLOCATOR.alloc(layout(100)), layout(70)) }
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    match what.as_str() {
        "small" => words.extend((0..800_000).map(|i| format!("{i:040}"))),
        "large" => blocks.extend((0..64).map(|_| vec![1; 1 << 20])),
        "wrong" => wrong(),
        _ => (),
    }
    let tag = CStr::from_bytes_with_nul(b"pages\0").unwrap();
    let pages: Vec<Page> = myalloc::tagged(tag, || (0..10).map(|i| Page([i; 4096])).collect());
    let sum: usize = pages.iter().map(|page| page.0[17] as usize).sum();
    println!("{} words, {} blocks, pages at a multiple of {}, {sum}", words.len(), blocks.len(), std::mem::align_of::<Page>());
}
