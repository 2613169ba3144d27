/* SPDX-License-Identifier: MIT */
/* How many bytes of memory an instruction touches: of instructions as the assembler writes them; never by a look at bytes that
 * are not there; of bytes at random without harm. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#include "base/operand_x86.h"
#define MOST 15 /* bytes of an instruction */
#elif defined(__aarch64__)
#include "base/operand_aarch64.h"
#define MOST 4
#endif

/* An instruction between two labels, which is never run, and its row in the table. */
struct row {
    const unsigned char *start, *end;
    const char *text;
    uint64_t bytes, repeated;
};
extern const struct row __start_rows[], __stop_rows[];

#define ROW(bytes, repeated, text)                                                                                     \
    __asm__(".pushsection .text.never,\"ax\"\n771: " text "\n772: .popsection\n.pushsection .rodata\n"                  \
            "773: .asciz " #text "\n.popsection\n.pushsection rows,\"aw\"\n.balign 8\n.quad 771b, 772b, 773b, " #bytes \
            ", " #repeated "\n.popsection\n");
#define IS(bytes, text) ROW(bytes, 0, text)

#if defined(__x86_64__)
/* Moves of C's types, and what is done with them. */
IS(1, "movb $1, (%rax)") IS(2, "movw $1, (%rax)") IS(4, "movl $1, (%rax)") IS(8, "movq $1, (%rax)")
IS(1, "movb %al, 3(%rbx)") IS(1, "movb (%r9,%r10,2), %r11b") IS(2, "movw %ax, (%rbx)") IS(4, "movl %eax, (%rsp)")
IS(8, "movq %r8, 0x1234(%r12)") IS(8, "movq (%rip), %rax") IS(1, "movabsb %al, 0x1122334455667788")
IS(4, "movabsl %eax, 0x1122334455667788") IS(8, "movabsq 0x1122334455667788, %rax") IS(1, "movzbl (%rax), %ecx")
IS(1, "movsbq (%rax), %rcx") IS(2, "movzwl (%rax), %ecx") IS(2, "movswq (%r13), %rcx") IS(4, "movslq (%rax), %rcx")
IS(4, "movl %fs:(%rax), %ecx") IS(4, "addr32 movl (%eax), %ecx") IS(8, "movbe (%rax), %rcx")
IS(2, "movbe %cx, (%rax)") IS(8, "movnti %rcx, (%rax)") IS(1, "cmpb $0, (%rax)") IS(4, "cmpl $-1, 8(%rax)")
IS(2, "cmpw $0x1234, 8(%rax)") IS(8, "cmpq %rcx, (%rax)") IS(1, "testb $1, (%rax)") IS(4, "testl %ecx, (%rax)")
IS(1, "addb %cl, (%rax)") IS(4, "addl $100000, (%rax)") IS(8, "subq $1, (%rax)") IS(2, "xorw (%rax), %cx")
IS(4, "incl (%rax)") IS(1, "decb (%rax)") IS(8, "negq (%rax)") IS(1, "notb (%rax)") IS(4, "shll $3, (%rax)")
IS(8, "sarq %cl, (%rax)") IS(4, "imull $10, (%rax), %ecx") IS(8, "imulq (%rax), %rcx") IS(4, "imull (%rax)")
IS(8, "divq (%rax)") IS(4, "cmovel (%rax), %ecx") IS(1, "sete (%rax)") IS(4, "lock incl (%rax)")
IS(8, "lock cmpxchgq %rcx, (%rax)") IS(4, "lock xaddl %ecx, (%rax)") IS(8, "xchgq %rcx, (%rax)")
IS(1, "lock cmpxchgb %cl, (%rax)") IS(8, "cmpxchg8b (%rax)") IS(16, "cmpxchg16b (%rax)") IS(8, "btsq $3, (%rax)")
IS(8, "popcntq (%rax), %rcx") IS(4, "tzcntl (%rax), %ecx") IS(4, "crc32l (%rax), %ecx") IS(1, "crc32b (%rax), %ecx")
IS(8, "call *(%rax)") IS(8, "jmp *8(%rax)") IS(8, "pushq (%rax)") IS(8, "andnq (%rax), %rcx, %rdx")
IS(4, "rorxl $3, (%rax), %ecx")
/* Strings. */
IS(1, "movsb") IS(8, "movsq") IS(4, "stosl") IS(1, "lodsb") ROW(1, 1, "rep movsb") ROW(8, 1, "rep movsq")
ROW(4, 1, "rep movsl") ROW(1, 1, "rep stosb") ROW(8, 1, "rep stosq") IS(1, "repne scasb") IS(1, "repe cmpsb")
IS(2, "repe cmpsw")
/* Numbers with a point, and vectors. */
IS(4, "movss (%rax), %xmm0") IS(8, "movsd %xmm9, (%rax)") IS(4, "addss (%rax), %xmm0") IS(8, "mulsd (%rax), %xmm0")
IS(8, "ucomisd (%rax), %xmm0") IS(4, "cvtss2sd (%rax), %xmm0") IS(4, "cvtsi2sdl (%rax), %xmm0")
IS(8, "cvtsi2sdq (%rax), %xmm0") IS(8, "cvttsd2si (%rax), %rcx") IS(8, "cvtps2pd (%rax), %xmm0") IS(4, "flds (%rax)")
IS(8, "fstpl (%rax)") IS(10, "fldt (%rax)") IS(2, "fnstcw (%rax)") IS(8, "fildll (%rax)") IS(4, "ldmxcsr (%rax)")
IS(16, "movups (%rax), %xmm0") IS(16, "movaps %xmm0, (%rax)") IS(16, "movdqu (%rax), %xmm0")
IS(16, "movdqa %xmm0, (%rax)") IS(8, "movq (%rax), %xmm0") IS(8, "movq %xmm0, (%rax)") IS(4, "movd (%rax), %xmm0")
IS(8, "movlps (%rax), %xmm0") IS(8, "movhps %xmm0, (%rax)") IS(8, "movddup (%rax), %xmm0")
IS(16, "lddqu (%rax), %xmm0") IS(16, "movntdq %xmm0, (%rax)") IS(16, "pcmpeqb (%rax), %xmm0")
IS(16, "pminub (%rax), %xmm0") IS(16, "pshufd $1, (%rax), %xmm0") IS(16, "psllw (%rax), %xmm0")
IS(16, "pcmpistri $1, (%rax), %xmm0") IS(2, "pinsrw $1, (%rax), %xmm0") IS(1, "pextrb $1, %xmm0, (%rax)")
IS(8, "pmovzxbw (%rax), %xmm0") IS(16, "punpcklbw (%rax), %xmm0") IS(16, "aesenc (%rax), %xmm0")
IS(16, "ptest (%rax), %xmm0") IS(8, "movq (%rax), %mm0") IS(8, "paddb (%rax), %mm0") IS(4, "punpcklbw (%rax), %mm0")
IS(8, "pshufb (%rax), %mm0") IS(32, "vmovdqu (%rdi), %ymm0") IS(32, "vmovdqu %ymm8, (%rdi,%r9)")
IS(16, "vmovdqu (%rdi), %xmm0") IS(32, "vmovups %ymm0, (%rdi)") IS(32, "vpcmpeqb (%rdi), %ymm1, %ymm0")
IS(4, "vmovss (%rdi), %xmm0") IS(8, "vaddsd (%rdi), %xmm1, %xmm0") IS(32, "vfmadd231pd (%rdi), %ymm1, %ymm0")
IS(8, "vfmadd231sd (%rdi), %xmm1, %xmm0") IS(4, "vfmadd231ss (%rdi), %xmm1, %xmm0")
IS(8, "vbroadcastsd (%rdi), %ymm0") IS(1, "vpbroadcastb (%rdi), %ymm0") IS(16, "vinsertf128 $1, (%rdi), %ymm1, %ymm0")
IS(16, "vextracti128 $1, %ymm0, (%rdi)") IS(16, "vpmovzxbw (%rdi), %ymm0") IS(32, "vmovntdq %ymm0, (%rdi)")
IS(64, "vmovdqu64 (%rdi), %zmm0") IS(64, "vmovdqu64 %zmm17, 64(%rdi)") IS(32, "vmovdqu8 (%rdi), %ymm17")
IS(16, "vmovaps %xmm18, (%rdi)") IS(64, "vaddpd (%rdi), %zmm1, %zmm0")
/* AVX-512 in the other maps, as libc's string functions have it. */
IS(32, "vpcmpeqb (%rdi), %ymm16, %k0") IS(64, "vpcmpub $1, (%rdi), %zmm16, %k0") IS(32, "vpminub (%rdi), %ymm16, %ymm17")
IS(64, "vpternlogd $3, (%rdi), %zmm16, %zmm17") IS(32, "vpminud 64(%rdi), %ymm16, %ymm17") IS(64, "vptestmb (%rdi), %zmm1, %k1")
IS(16, "vbroadcasti32x4 (%rdi), %zmm16") IS(32, "vbroadcasti64x4 (%rdi), %zmm16") IS(4, "vpbroadcastd (%rdi), %zmm16")
IS(32, "vinserti64x4 $1, (%rdi), %zmm1, %zmm16") IS(16, "vextracti32x4 $1, %zmm16, (%rdi)") IS(32, "vpmovzxbw (%rdi), %zmm16")
IS(64, "vpsrlvw (%rdi), %zmm1, %zmm16") IS(64, "vprolvd (%rdi), %zmm1, %zmm16") IS(64, "vpdpbusd (%rdi), %zmm1, %zmm16")
IS(0, "vpmovwb %zmm16, (%rdi)") IS(0, "vpcmpeqb (%rdi), %ymm16, %k0{%k1}") IS(0, "vprolvd (%rdi){1to16}, %zmm1, %zmm16")
/* What shares its opcode with others. */
IS(8, "popq (%rax)") IS(2, "popw (%rax)") IS(2, "pushw (%rax)") IS(4, "movntss %xmm1, (%rax)") IS(8, "movntsd %xmm1, (%rax)")
IS(16, "aesdec (%rax), %xmm0") IS(0, "aesenc128kl (%rax), %xmm0") IS(16, "gf2p8mulb (%rax), %xmm0")
IS(16, "sha1nexte (%rax), %xmm0")
/* No memory; and of what nothing is known. */
IS(0, "movl %eax, %ecx") IS(0, "leaq 8(%rax), %rcx") IS(0, "nopw (%rax,%rax)") IS(0, "ret") IS(0, "push %rax")
IS(0, "prefetcht0 (%rax)") IS(0, "vmaskmovps (%rdi), %ymm1, %ymm0") IS(0, "vgatherdps %ymm1, (%rdi,%ymm2,4), %ymm0")
IS(0, "vmovdqu64 (%rdi), %zmm0{%k1}") IS(0, "vaddpd (%rdi){1to8}, %zmm1, %zmm0") IS(0, "xsave (%rax)")
IS(0, "fxsave (%rax)") IS(0, "kmovq (%rdi), %k1") IS(0, "syscall") IS(0, "ud2") IS(0, "addps %xmm1, %xmm0")
IS(0, "vpxor %ymm1, %ymm1, %ymm0")
#elif defined(__aarch64__)
__asm__(".arch armv8.3-a+lse+rcpc\n.arch_extension simd\n");
/* One register. */
IS(1, "ldrb w0, [x1]") IS(2, "ldrh w0, [x1, #2]") IS(4, "ldr w0, [x1, #8]") IS(8, "ldr x0, [x1, x2, lsl #3]")
IS(1, "ldrsb x0, [x1]") IS(2, "ldrsh w0, [x1]") IS(4, "ldrsw x0, [x1, #4]") IS(1, "strb wzr, [x1], #1")
IS(2, "strh w0, [x1, w2, sxtw]") IS(4, "str w0, [x1, #-4]!") IS(8, "str x0, [sp, #16]") IS(8, "ldur x0, [x1, #-3]")
IS(4, "stur w0, [x1, #-3]") IS(4, "ldtr w0, [x1]") IS(4, "ldursw x0, [x1, #-3]") IS(1, "ldr b0, [x1]")
IS(2, "str h0, [x1]") IS(4, "ldr s0, [x1], #4") IS(8, "str d0, [x1, #8]") IS(16, "ldr q0, [x1, #16]")
IS(16, "str q0, [x1, x2]") IS(16, "ldur q0, [x1, #-5]") IS(16, "str q0, [x1], #16") IS(8, "ldraa x0, [x1]")
/* Two. */
IS(8, "ldp w0, w1, [x2]") IS(16, "stp x0, x1, [sp, #-16]!") IS(16, "ldp x0, x1, [x2], #16")
IS(8, "ldpsw x0, x1, [x2]") IS(8, "stp s0, s1, [x2]") IS(16, "ldp d0, d1, [x2, #16]") IS(32, "stp q0, q1, [x2]")
IS(32, "ldnp q0, q1, [x2]") IS(16, "stnp x0, x1, [x2]")
/* Exclusive, ordered, atomic. */
IS(4, "ldxr w0, [x1]") IS(8, "stlxr w0, x1, [x2]") IS(1, "ldaxrb w0, [x1]") IS(16, "ldxp x0, x1, [x2]")
IS(8, "stxp w3, w0, w1, [x2]") IS(8, "ldar x0, [x1]") IS(4, "stlr w0, [x1]") IS(4, "cas w0, w1, [x2]")
IS(8, "casal x0, x1, [x2]") IS(16, "caspal x0, x1, x2, x3, [x4]") IS(8, "casp w0, w1, w2, w3, [x4]")
IS(4, "ldadd w0, w1, [x2]") IS(8, "swpal x0, x1, [x2]") IS(1, "ldsetb w0, w1, [x2]") IS(4, "ldapr w0, [x1]")
/* Structures of vectors. */
IS(16, "ld1 {v0.16b}, [x1]") IS(8, "st1 {v0.8b}, [x1], #8") IS(32, "ld2 {v0.4s, v1.4s}, [x1]")
IS(48, "st3 {v0.8h, v1.8h, v2.8h}, [x1], x2") IS(64, "ld4 {v0.2d, v1.2d, v2.2d, v3.2d}, [x1]")
IS(64, "st1 {v0.16b, v1.16b, v2.16b, v3.16b}, [x1]") IS(4, "ld1 {v0.s}[1], [x1]") IS(8, "st1 {v0.d}[1], [x1], #8")
IS(2, "ld2 {v0.b, v1.b}[3], [x1]") IS(6, "ld3 {v0.h, v1.h, v2.h}[3], [x1]") IS(1, "ld1r {v0.16b}, [x1]")
IS(8, "ld1r {v0.2d}, [x1]") IS(16, "ld4r {v0.4s, v1.4s, v2.4s, v3.4s}, [x1]")
/* No memory; and of what nothing is known. */
IS(0, "add x0, x1, x2") IS(0, "nop") IS(0, "ret") IS(0, "b .") IS(0, "prfm pldl1keep, [x0]")
IS(0, "prfum pldl1keep, [x0, #-3]") IS(0, "dc zva, x0") IS(0, "movi v0.16b, #0") IS(0, "cbz x0, .") IS(0, "bl .")
IS(0, "mrs x0, tpidr_el0") IS(0, "fadd d0, d0, d1")
#endif

/* The last bytes of a page, behind which nothing can be read. */
static unsigned char *edge(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(two != MAP_FAILED && mprotect(two + page, page, PROT_NONE) == 0);
    return two + page;
}

Test(operand, as_the_assembler_writes_it) {
    unsigned char *end = edge();
    bool repeated;
    cr_assert_gt(__stop_rows - __start_rows, 60);
    for (const struct row *row = __start_rows; row < __stop_rows; row++) {
        size_t length = (size_t)(row->end - row->start);
        memcpy(end - length, row->start, length);
        cr_expect_eq(operand_bytes(end - length, length, &repeated), row->bytes, "%s: %u", row->text,
                     operand_bytes(end - length, length, &repeated));
        cr_expect_eq(repeated, row->repeated != 0, "%s", row->text);
    }
}

/* As far as an instruction can be read it is known, or nothing is said of it. */
Test(operand, cut_off) {
    unsigned char *end = edge();
    bool repeated;
    for (const struct row *row = __start_rows; row < __stop_rows; row++)
        for (size_t length = 0; length < (size_t)(row->end - row->start); length++) {
            memcpy(end - length, row->start, length);
            uint32_t bytes = operand_bytes(end - length, length, &repeated);
            cr_expect(bytes == 0 || bytes == row->bytes, "%zu bytes of %s: %u", length, row->text, bytes);
        }
}

Test(operand, at_random) {
    unsigned char *end = edge();
    uint64_t state = 1;
    bool repeated;
    for (int i = 0; i < 2000000; i++) {
        size_t length = i % MOST + 1;
        uint64_t words[2];
        for (int w = 0; w < 2; w++)
            words[w] = state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        memcpy(end - length, (const char *)words + 1, length);
        cr_assert_leq(operand_bytes(end - length, length, &repeated), 64);
    }
}
