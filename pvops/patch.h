/* SPDX-License-Identifier: MIT */
/*
 * Call sites of operations, and their rewriting at boot.
 *
 * A site is compiled as an indirect call through the table, `call *pv_ops + offset`, with room behind
 * it, and a row in the section .pv_patch: where it is, which operation (by its offset in struct
 * pv_ops), how long. pv_patch_apply() goes through the rows once, when the set of operations has been
 * chosen and before a second vCPU runs. It puts there the set's own code for the operation when there
 * is some that fits (struct pv_patch_code), else a direct call; the rest becomes no-operations. So a
 * site costs what direct code costs, whichever set is in force.
 *
 * Invariant: nobody but pv_patch_apply() writes code.
 */
#ifndef PVOPS_PATCH_H
#define PVOPS_PATCH_H

#include <stddef.h>
#include <stdint.h>

/* One row of .pv_patch; made by PV_PATCH_SITE(). */
struct pv_patch_site {
	uint8_t *at;
	uint16_t op; /* offset in struct pv_ops */
	uint8_t len;
	uint8_t is_jump; /* `jmp *` in place of `call *` */
	uint32_t zero;
};

_Static_assert(sizeof(struct pv_patch_site) == 16, "as PV_PATCH_SITE writes it");

/* Code of one set for one operation. */
struct pv_patch_code {
	uint16_t op;
	const uint8_t *start, *end;
	const uint8_t *relative; /* a 4-byte displacement in it that is relative, or NULL */
};

struct pv_patch_set {
	const struct pv_patch_code *codes;
	size_t nr_codes;
	const void *table; /* its struct pv_ops, for direct calls */
};

/*
 * pv_patch_one - rewrite one site
 *
 * table: where the sites' indirect calls look: what the site must say now is checked against it
 * Returns 0; -XEN_EINVAL when the site is not as it was compiled, or nothing fits; then it is as
 * it was.
 */
int pv_patch_one(const struct pv_patch_site *site, const struct pv_patch_set *set,
                 const void *table);

/*
 * pv_patch_apply - rewrite all sites, and look whether each is as it should be
 *
 * Context: one vCPU. Crashes when a site cannot be rewritten.
 */
void pv_patch_apply(const struct pv_patch_set *set);

extern const struct pv_patch_set pv_patch_set_xen, pv_patch_set_native;

#ifndef PV_HOSTED_TEST

/* All rows. (Set by the linker script.) */
extern const struct pv_patch_site pv_patch_start[], pv_patch_end[];

/* Room for the longer of the two sets' code (patch_xen.S, native/patch_native.S). */
#define PV_PATCH_LEN_CALL    9
#define PV_PATCH_LEN_SAVE    17
#define PV_PATCH_LEN_RESTORE 27
#define PV_PATCH_LEN_DISABLE 13
#define PV_PATCH_LEN_ENABLE  23
#define PV_PATCH_LEN_ENABLED 16

#define PV_PATCH_STR2(x)     #x
#define PV_PATCH_STR(x)      PV_PATCH_STR2(x)

/* In an asm with the operand [op_offset]. 7: the length of the indirect call. */
#define PV_PATCH_SITE(len)                                                \
	"771: call *pv_ops + %c[op_offset]\n"                             \
	".fill " PV_PATCH_STR(len) " - 7, 1, 0x90\n"                      \
				   ".pushsection .pv_patch, \"a\"\n"      \
				   ".balign 8\n"                          \
				   ".quad 771b\n"                         \
				   ".short %c[op_offset]\n"               \
				   ".byte " PV_PATCH_STR(len) ", 0\n"     \
							      ".long 0\n" \
							      ".popsection\n"

/* Calls of a C function with up to four arguments: what C calls destroy is lost. */
#define PV_PATCH_LOST "r8", "r9", "r10", "r11", "cc", "memory"
#define PV_PATCH_CALL0(o)                                                      \
	({                                                                     \
		uint64_t pv_rax;                                               \
		__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_CALL)              \
		                 : "=a"(pv_rax)                                \
		                 : [op_offset] "i"(o)                          \
		                 : "rdi", "rsi", "rdx", "rcx", PV_PATCH_LOST); \
		pv_rax;                                                        \
	})
#define PV_PATCH_CALL1(o, a)                                            \
	({                                                              \
		uint64_t pv_rax, pv_rdi = (uint64_t)(a);                \
		__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_CALL)       \
		                 : "=a"(pv_rax), "+D"(pv_rdi)           \
		                 : [op_offset] "i"(o)                   \
		                 : "rsi", "rdx", "rcx", PV_PATCH_LOST); \
		pv_rax;                                                 \
	})
#define PV_PATCH_CALL2(o, a, b)                                                  \
	({                                                                       \
		uint64_t pv_rax, pv_rdi = (uint64_t)(a), pv_rsi = (uint64_t)(b); \
		__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_CALL)                \
		                 : "=a"(pv_rax), "+D"(pv_rdi), "+S"(pv_rsi)      \
		                 : [op_offset] "i"(o)                            \
		                 : "rdx", "rcx", PV_PATCH_LOST);                 \
		pv_rax;                                                          \
	})
#define PV_PATCH_CALL3(o, a, b, c)                                                        \
	({                                                                                \
		uint64_t pv_rax, pv_rdi = (uint64_t)(a), pv_rsi = (uint64_t)(b);          \
		uint64_t pv_rdx = (uint64_t)(c);                                          \
		__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_CALL)                         \
		                 : "=a"(pv_rax), "+D"(pv_rdi), "+S"(pv_rsi), "+d"(pv_rdx) \
		                 : [op_offset] "i"(o)                                     \
		                 : "rcx", PV_PATCH_LOST);                                 \
		pv_rax;                                                                   \
	})
#define PV_PATCH_CALL4(o, a, b, c, d)                                                      \
	({                                                                                 \
		uint64_t pv_rax, pv_rdi = (uint64_t)(a), pv_rsi = (uint64_t)(b);           \
		uint64_t pv_rdx = (uint64_t)(c), pv_rcx = (uint64_t)(d);                   \
		__asm__ volatile(PV_PATCH_SITE(PV_PATCH_LEN_CALL)                          \
		                 : "=a"(pv_rax), "+D"(pv_rdi), "+S"(pv_rsi), "+d"(pv_rdx), \
		                   "+c"(pv_rcx)                                            \
		                 : [op_offset] "i"(o)                                      \
		                 : PV_PATCH_LOST);                                         \
		pv_rax;                                                                    \
	})
#define PV_PATCH_PICK(o, a, b, c, d, name, ...) name
#define PV_PATCH_CALL(...)                                                                         \
	PV_PATCH_PICK(__VA_ARGS__, PV_PATCH_CALL4, PV_PATCH_CALL3, PV_PATCH_CALL2, PV_PATCH_CALL1, \
	              PV_PATCH_CALL0, 0)                                                           \
	(__VA_ARGS__)

#endif /* PV_HOSTED_TEST */

#endif /* PVOPS_PATCH_H */
