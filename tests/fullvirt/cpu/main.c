/* SPDX-License-Identifier: MIT */
/*
 * What a kernel may expect of a processor at ring 0: long mode, flags, control registers, exceptions
 * with their frames, interrupts, user mode, system calls, page tables that change, code that changes.
 *
 * Each test says PASS or FAIL and its name; the exit port says whether any failed. A way to run the
 * processor that misses one of the instructions that ring 3 executes without a trap fails by name. The
 * same file on QEMU must pass: what is expected here is what hardware does.
 */
#include <stdint.h>

#define PORT_UART 0x3f8
#define PORT_EXIT 0xf4
#define USER_VA   0x8000000000ull
#define VECTORS   48
#define IRQ0      32

struct frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern char entries[], syscall_entry[], gdt_pointer[];
extern uint64_t gdt[], table4[512], table2[512], stack_top[];
long go_user(uint64_t rip, uint64_t rsp);
_Noreturn void leave_user(long value);
void trap(struct frame *f);
long user_call(long a, long b, long nr);
void test_main(uint32_t start_info);
extern uint64_t skip_to;

static uint64_t idt[VECTORS][2] __attribute__((aligned(16)));
static uint8_t tss[104] __attribute__((aligned(16)));
static uint64_t per_cpu[2]; /* kernel stack, user's stack pointer */
static uint8_t kernel_stack[8192] __attribute__((aligned(16)));
static uint64_t user_table3[512] __attribute__((aligned(4096)));
static uint64_t user_table2[512] __attribute__((aligned(4096)));
static volatile uint64_t user_table1[512] __attribute__((aligned(4096)));
static uint8_t user_pages[8][4096] __attribute__((aligned(4096)));
static uint64_t other_table4[512] __attribute__((aligned(4096)));
static uint64_t other_table3[512] __attribute__((aligned(4096)));
static uint64_t other_table2[512] __attribute__((aligned(4096)));
static uint64_t other_table1[512] __attribute__((aligned(4096)));

static volatile struct frame last;
static volatile uint64_t last_cr2;
static volatile unsigned ticks, traps;
uint64_t skip_to; /* where a trap goes on; 0: where it happened */
static unsigned failures;

/* ---- ports and text ---------------------------------------------------------------------------- */

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void say(const char *text)
{
	for (; *text; text++) {
		while (!(in8(PORT_UART + 5) & 0x20))
			continue;
		out8(PORT_UART, (uint8_t)*text);
	}
}

static void say_hex(uint64_t n)
{
	char text[19] = "0x";

	for (unsigned i = 0; i < 16; i++)
		text[2 + i] = "0123456789abcdef"[n >> (60 - 4 * i) & 15];
	text[18] = 0;
	say(text);
}

static void check(const char *name, uint64_t got, uint64_t wanted)
{
	say(got == wanted ? "PASS " : "FAIL ");
	say(name);
	if (got != wanted) {
		say(": ");
		say_hex(got);
		say(" in place of ");
		say_hex(wanted);
		failures++;
	}
	say("\n");
}

/* ---- entries ----------------------------------------------------------------------------------- */

void trap(struct frame *f)
{
	uint64_t cr2;

	if (f->vector == IRQ0) {
		ticks++;
		out8(0x20, 0x20);
		return;
	}
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	last_cr2 = cr2;
	last = *f;
	traps++;
	if (skip_to) {
		f->rip = skip_to;
		skip_to = 0;
		return;
	}
	if (f->vector == 3 || f->vector == 40)
		return;
	if ((f->cs & 3) == 3)
		leave_user(-(long)f->vector);
	say("FAIL all: an exception that nobody waits for: vector ");
	say_hex(f->vector);
	say(" at ");
	say_hex(f->rip);
	say(" cr2 ");
	say_hex(cr2);
	say("\n");
	out8(PORT_EXIT, 1);
	for (;;)
		__asm__ volatile("cli; hlt");
}

long user_call(long a, long b, long nr)
{
	switch (nr) {
	case 0:
		leave_user(a);
	case 1:
		return a + b;
	default:
		return -38;
	}
}

/* ---- set-up ------------------------------------------------------------------------------------ */

static void wrmsr(uint32_t index, uint64_t value)
{
	__asm__ volatile("wrmsr"
	                 :
	                 : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t rdmsr(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static void set_up(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uintptr_t)idt };
	uint64_t base = (uintptr_t)tss;

	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t at = (uintptr_t)entries + 16 * i;

		idt[i][0] = (at & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (at >> 16 & 0xffff) << 48;
		if (i == 3)
			idt[i][0] |= 3ull << 45;
		idt[i][1] = at >> 32;
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
	*(uint64_t *)(void *)(tss + 4) = (uintptr_t)kernel_stack + sizeof(kernel_stack);
	gdt[5] = 0x67 | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[6] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(0x28));
	per_cpu[0] = (uintptr_t)kernel_stack + sizeof(kernel_stack) - 2048;
	wrmsr(0xc0000101, (uintptr_t)per_cpu);
	wrmsr(0xc0000102, 0x1234);
	wrmsr(0xc0000081, 0x10ull << 48 | 8ull << 32);
	wrmsr(0xc0000082, (uintptr_t)syscall_entry);
	wrmsr(0xc0000084, 0x700);
}

static void start_timer(void)
{
	out8(0x20, 0x11);
	out8(0xa0, 0x11);
	out8(0x21, IRQ0);
	out8(0xa1, IRQ0 + 8);
	out8(0x21, 4);
	out8(0xa1, 2);
	out8(0x21, 1);
	out8(0xa1, 1);
	out8(0x21, 0xfe);
	out8(0xa1, 0xff);
	out8(0x43, 0x34);
	out8(0x40, 1193 & 0xff); /* 1 ms */
	out8(0x40, 1193 >> 8);
}

static void stop_timer(void)
{
	out8(0x21, 0xff);
}

/* An instruction that shall fault, with one operand %0; the program goes on behind it. */
#define FAULTS(insn, operand) \
	__asm__ volatile("movq $1f, skip_to\n\t" insn "\n1:" : : "r"(operand) : "rax", "memory")

/* ---- tests ------------------------------------------------------------------------------------- */

static uint64_t flags(void)
{
	uint64_t f;

	__asm__ volatile("pushfq; pop %0" : "=r"(f));
	return f;
}

static void test_flags(void)
{
	uint64_t f;

	__asm__ volatile("cli");
	check("flags after cli", flags() & 0x3200, 0);
	__asm__ volatile("sti; nop");
	check("flags after sti", flags() & 0x3200, 0x200);
	__asm__ volatile("pushfq; cli; popfq; pushfq; pop %0" : "=r"(f));
	check("popf brings IF back", f & 0x200, 0x200);
	__asm__ volatile("push $2; popfq; pushfq; pop %0; " : "=r"(f));
	check("popf clears IF", f & 0x200, 0);
	__asm__ volatile("cli");
}

static void test_sensitive(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) table;
	uint64_t n, cr0, cr3, cr4;
	uint16_t sel;
	uint32_t a = 0, b, c = 0, d;

	__asm__ volatile("mov %%cs, %0" : "=r"(n));
	check("mov from cs", n & 0xffff, 8);
	__asm__ volatile("sgdt %0" : "=m"(table));
	check("sgdt", table.base, (uintptr_t)gdt);
	__asm__ volatile("sidt %0" : "=m"(table));
	check("sidt", table.base, (uintptr_t)idt);
	__asm__ volatile("str %0" : "=r"(sel));
	check("str", sel, 0x28);
	__asm__ volatile("smsw %0" : "=r"(n));
	check("smsw", n & 1, 1);
	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	check("cr0", cr0 & 0x80010001, 0x80010001);
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	check("cr3", cr3, (uintptr_t)table4);
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	check("cr4", cr4 & 0x20, 0x20);
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	check("cpuid", a >= 1, 1);
	check("MSRs", rdmsr(0xc0000082), (uintptr_t)syscall_entry);
	wrmsr(0xc0000100, 0x123456789000);
	check("FS base", rdmsr(0xc0000100), 0x123456789000);
	__asm__ volatile("swapgs");
	n = rdmsr(0xc0000101);
	__asm__ volatile("swapgs");
	check("swapgs", n, 0x1234);
	check("swapgs again", rdmsr(0xc0000101), (uintptr_t)per_cpu);
}

static void test_exceptions(void)
{
	unsigned before = traps;

	__asm__ volatile("int3");
	check("int3", traps - before, 1);
	check("int3: vector", last.vector, 3);
	FAULTS("ud2", 0);
	check("ud2", last.vector, 6);
	FAULTS("movq $1, (%0)", 0x7000000000ull);
	check("page fault", last.vector, 14);
	check("page fault: error code", last.error, 2);
	check("page fault: cr2", last_cr2, 0x7000000000ull);
	check("page fault: cs", last.cs, 8);
	FAULTS("mov (%0), %%rax", 0x8000000000000000ull);
	check("non-canonical address", last.vector, 13);
	__asm__ volatile("int $40");
	check("int 40", last.vector, 40);
}

static void test_timer(void)
{
	unsigned before;

	start_timer();
	before = ticks;
	__asm__ volatile("sti");
	while (ticks - before < 3)
		__asm__ volatile("pause");
	before = ticks;
	while (ticks - before < 3)
		__asm__ volatile("sti; hlt; cli");
	before = ticks;
	for (volatile unsigned i = 0; i < 20000000; i++)
		continue;
	__asm__ volatile("cli");
	check("no interrupt while they are off", ticks - before, 0);
	stop_timer();
	check("timer", 1, 1);
}

/* Interrupts land everywhere in a loop that switches them off and on. */
static void test_storm(void)
{
	uint64_t sum = 0, wanted = 0;
	unsigned before = ticks;

	start_timer();
	for (unsigned i = 0; ticks - before < 30; i++) {
		uint64_t f;

		__asm__ volatile("pushfq; pop %0; cli" : "=r"(f) : : "memory");
		sum += i;
		wanted += i;
		__asm__ volatile("push %0; popfq" : : "r"(f | 0x200) : "memory", "cc");
		__asm__ volatile("sti; nop; cli; pushfq; pop %0" : "=r"(f) : : "memory");
		if (f & 0x200)
			sum++;
		__asm__ volatile("sti");
	}
	__asm__ volatile("cli");
	stop_timer();
	check("interrupts among cli and sti", sum, wanted);
}

static void map_user(unsigned page, uint64_t bits)
{
	user_table1[page] = (uintptr_t)user_pages[page] | bits;
}

static void invlpg(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static void load_cr3(const uint64_t *table)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(table) : "memory");
}

static void test_tables(void)
{
	volatile uint64_t *p = (volatile uint64_t *)(USER_VA + 3 * 4096);
	uint64_t *other;

	table4[1] = (uintptr_t)user_table3 | 7;
	user_table3[0] = (uintptr_t)user_table2 | 7;
	user_table2[0] = (uintptr_t)user_table1 | 7;
	map_user(3, 7);
	*(uint64_t *)(void *)user_pages[3] = 33;
	*(uint64_t *)(void *)user_pages[4] = 44;
	check("a new page", *p, 33);
	check("accessed", user_table1[3] & 0x60, 0x20);
	*p = 34;
	check("dirty", user_table1[3] & 0x60, 0x60);
	check("written", *(uint64_t *)(void *)user_pages[3], 34);
	user_table1[3] = (uintptr_t)user_pages[4] | 7;
	invlpg((uintptr_t)p);
	check("another page after invlpg", *p, 44);
	user_table1[3] = (uintptr_t)user_pages[3] | 7;
	load_cr3(table4);
	check("and back after a load of cr3", *p, 34);
	user_table1[3] = (uintptr_t)user_pages[3] | 5;
	invlpg((uintptr_t)p);
	FAULTS("movq $1, (%0)", p);
	check("read-only", last.error, 3);
	/* Another address space with other pages at the same address. */
	for (unsigned i = 0; i < 512; i++)
		other_table4[i] = table4[i];
	other_table4[1] = (uintptr_t)other_table3 | 7;
	other_table3[0] = (uintptr_t)other_table2 | 7;
	other_table2[0] = (uintptr_t)other_table1 | 7;
	other_table1[3] = (uintptr_t)user_pages[4] | 7;
	for (unsigned i = 0; i < 3; i++) {
		load_cr3(other_table4);
		check("the other address space", *p, 44 + i);
		*p = 45 + i;
		load_cr3(table4);
		check("and the first", *p, 34);
	}
	other = other_table1;
	load_cr3(other_table4);
	other[3] = 0;
	load_cr3(table4);
	load_cr3(other_table4);
	FAULTS("movq (%0), %%rax", p);
	check("a page that was taken away", last.error, 0);
	load_cr3(table4);
}

/* ---- user mode --------------------------------------------------------------------------------- */

extern const uint8_t user_code[], user_code_end[], user_read[], user_hlt[], user_loop[],
	user_calls[];
__asm__(".pushsection .rodata\n"
        "user_code:\n"
        "	mov $3, %edi; mov $4, %esi; mov $1, %eax; syscall\n"
        "	mov %rax, %rdi; xor %eax, %eax; syscall\n"
        "user_read:\n"
        "	mov user_target(%rip), %rax; mov (%rax), %rdi; xor %eax, %eax; syscall\n"
        "user_hlt:\n"
        "	hlt\n"
        "user_loop:\n"
        "	xor %edi, %edi\n"
        "1:	inc %rdi; cmp $400000000, %rdi; jb 1b\n"
        "	xor %eax, %eax; syscall\n"
        "user_calls:\n"
        "	xor %ebx, %ebx; movdqu user_code(%rip), %xmm5\n"
        "2:	mov %rbx, %rdi; mov $1, %esi; mov $1, %eax; syscall\n"
        "	mov %rax, %rbx; cmp $20000, %rbx; jb 2b\n"
        "	movdqu user_code(%rip), %xmm6; pcmpeqb %xmm5, %xmm6; pmovmskb %xmm6, %eax\n"
        "	cmp $0xffff, %eax; jne 3f\n"
        "	mov %rbx, %rdi; xor %eax, %eax; syscall\n"
        "3:	xor %edi, %edi; xor %eax, %eax; syscall\n"
        "	.balign 8\n"
        "user_target: .quad 0x100000\n"
        "user_code_end:\n"
        ".popsection\n");

static long user(const uint8_t *at)
{
	return go_user(USER_VA + (uint64_t)(at - user_code), USER_VA + 3 * 4096);
}

static uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void tell_cost(const char *what, uint64_t begin, unsigned count)
{
	uint64_t n = (rdtsc() - begin) / count;
	char text[24];
	unsigned i = sizeof(text) - 1;

	text[i] = 0;
	do
		text[--i] = (char)('0' + n % 10);
	while (n /= 10);
	say(what);
	say(": ");
	say(text + i);
	say(" TSC ticks\n");
}

static void test_user(void)
{
	unsigned before;
	uint64_t begin;

	for (unsigned i = 0; user_code + i != user_code_end; i++)
		user_pages[0][i] = user_code[i];
	map_user(0, 5);
	map_user(2, 7 | 1ull << 63);
	load_cr3(table4);
	check("user mode calls", (uint64_t)user(user_code), 7);
	check("user mode reads the kernel", (uint64_t)user(user_read), (uint64_t)-14);
	check("its error code", last.error, 5);
	check("its selectors", last.cs << 16 | last.ss, 0x23u << 16 | 0x1b);
	check("user mode halts", (uint64_t)user(user_hlt), (uint64_t)-13);
	before = ticks;
	start_timer();
	check("user mode computes", (uint64_t)user(user_loop), 400000000);
	stop_timer();
	check("and is interrupted", ticks - before > 10, 1);
	begin = rdtsc();
	check("many calls, registers kept", (uint64_t)user(user_calls), 20000);
	tell_cost("one system call", begin, 20000);
	start_timer();
	check("many calls among interrupts", (uint64_t)user(user_calls), 20000);
	stop_timer();
}

/* ---- code that changes --------------------------------------------------------------------------- */

static uint8_t code_page[4096] __attribute__((aligned(4096)));

static void test_code(void)
{
	static const uint8_t returns[] = { 0xb8, 1, 0, 0, 0, 0xc3 }; /* mov $1, %eax; ret */
	static const uint8_t pushes[] = { 0x9c, 0x58, 0x48, 0xc1, 0xe8, 9, 0x83, 0xe0, 1, 0xc3 };
	unsigned (*fn)(void) = (unsigned (*)(void))(uintptr_t)code_page;

	for (unsigned i = 0; i < sizeof(returns); i++)
		code_page[i] = returns[i];
	check("new code", fn(), 1);
	for (unsigned i = 2; i < 5; i++) {
		code_page[1] = (uint8_t)i;
		check("changed code", fn(), i);
	}
	for (unsigned i = 0; i < sizeof(pushes); i++)
		code_page[i] = pushes[i];
	check("code with pushf", fn(), 0);
}

static void test_costs(void)
{
	uint64_t begin = rdtsc();

	for (unsigned i = 0; i < 10000; i++)
		__asm__ volatile("pushfq; cli; popfq" : : : "memory");
	tell_cost("pushf, cli, popf", begin, 10000);
	begin = rdtsc();
	for (unsigned i = 0; i < 2000; i++)
		in8(PORT_UART + 5);
	tell_cost("in", begin, 2000);
	begin = rdtsc();
	for (unsigned i = 0; i < 1000; i++) {
		load_cr3(other_table4);
		load_cr3(table4);
	}
	tell_cost("two loads of cr3", begin, 1000);
}

void test_main(uint32_t start_info)
{
	say("processor test\n");
	set_up();
	check("start info", *(uint32_t *)(uintptr_t)start_info, 0x336ec578);
	test_flags();
	test_sensitive();
	test_exceptions();
	test_timer();
	test_storm();
	test_tables();
	test_user();
	test_code();
	test_costs();
	say("processor test done\n");
	out8(PORT_EXIT, failures != 0);
}
