/* SPDX-License-Identifier: MIT */
/*
 * Full virtualization on KVM: a few instructions at ring 0, on a whole virtual PC, and what they reach.
 * The programs are 32-bit code as a PVH entry finds it. Without a usable /dev/kvm there is one test,
 * which prints the reason.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hypervisor-stub/engines/kvm/hvm.h"
#include "hypervisor-stub/fullvirt/pc.h"

#define ENTRY 0x100000u
#define RAM   (8u << 20)

static char why[512];
static struct fv_machine m;
static struct fv_pc *pc;
static char said[256];
static size_t nr_said;

/* ---- a machine ------------------------------------------------------------------------------------ */

static ssize_t put(void *arg, const void *bytes, size_t len)
{
	(void)arg;
	if (len > sizeof(said) - 1 - nr_said)
		len = sizeof(said) - 1 - nr_said;
	memcpy(said + nr_said, bytes, len);
	nr_said += len;
	return (ssize_t)len;
}

static void on_kick(void *arg)
{
	(void)arg;
	fv_way_hvm.kick(&m);
}

static void on_power(void *arg, enum fv_power what, unsigned code)
{
	(void)arg;
	fv_end(&m,
	       what == FV_POWER_OFF     ? FV_END_POWEROFF
	       : what == FV_POWER_RESET ? FV_END_RESET
	                                : FV_END_CODE,
	       code, NULL);
}

static void setup(void)
{
	struct fv_pc_config c = {
		.host = { .kick = on_kick, .power = on_power },
		.console.put = put,
		.nr_ram = 2,
	};

	memset(&m, 0, sizeof(m));
	m.ram_bytes = RAM;
	m.entry = ENTRY;
	m.start_info = 0x1234;
	ck_assert_int_eq(fv_way_hvm.create(&m, why, sizeof(why)), 0);
	c.ram[0] = (struct fv_pc_ram){ 0, FV_HOLE, m.ram };
	c.ram[1] = (struct fv_pc_ram){ FV_HOLE_END, RAM - FV_HOLE_END, m.ram + FV_HOLE_END };
	ck_assert_int_eq(fv_pc_create(&pc, &c, why, sizeof(why)), 0);
	m.bus = pc->bus;
	nr_said = 0;
	memset(said, 0, sizeof(said));
}

static void teardown(void)
{
	fv_pc_destroy(pc);
	fv_way_hvm.destroy(&m);
	ck_assert_ptr_null(m.ram);
}

#define BLOB(name, text)                                                                       \
	extern const char name[], name##_end[];                                                \
	__asm__(".section .rodata\n.balign 16\n" #name ":\n.code32\n" text "\n.code64\n" #name \
	        "_end:\n.previous\n")

static void run_blob(const char *from, const char *end)
{
	memcpy(m.ram + ENTRY, from, (size_t)(end - from));
	fv_way_hvm.run(&m);
	ck_assert(!fv_uart_run(pc->uart)); /* what has waited for the end of its line */
}

#define RUN(name) run_blob(name, name##_end)

#define OFF       "mov $0x2000, %eax\n mov $0x604, %edx\n out %ax, %dx\n 1: jmp 1b\n"

/* ---- normal --------------------------------------------------------------------------------------- */

/* Looks at ebx, cr0 and the flags; says a letter by out, and the rest by rep outsb. */
BLOB(hello, "mov $0x9000, %esp\n"
            "cmp $0x1234, %ebx\n jne 2f\n"
            "mov %cr0, %eax\n test $0x80000001, %eax\n js 2f\n jz 2f\n"
            "pushf\n testl $0x200, (%esp)\n jnz 2f\n"
            "mov $0x3f8, %edx\n mov $'o', %al\n out %al, %dx\n"
            "call 3f\n 3: pop %esi\n add $(4f - 3b), %esi\n mov $5, %ecx\n cld\n rep outsb\n"
            "2:\n" OFF "4: .ascii \"k, ab\"");

START_TEST(a_pvh_entry_finds_what_it_is_promised)
{
	RUN(hello);
	ck_assert_int_eq(atomic_load(&m.end), FV_END_POWEROFF);
	ck_assert_str_eq(said, "ok, ab");
	ck_assert_uint_ge(atomic_load(&m.exits[FV_EXIT_PORT]), 2);
}
END_TEST

/*
 * The interrupt controller at vector 0x20, the timer at 50 Hz; three ticks wake the processor from
 * hlt and say a letter each. The handler returns with interrupts off, so that no host is too slow.
 */
BLOB(ticks,
     "mov $0x9000, %esp\n"
     "call 3f\n 3: pop %esi\n"
     "lea (4f - 3b)(%esi), %eax\n"
     "mov %ax, 0x8100\n movw $8, 0x8102\n movw $0x8e00, 0x8104\n shr $16, %eax\n mov %ax, 0x8106\n"
     "movw $0x1ff, 0x8200\n movl $0x8000, 0x8202\n lidt 0x8200\n"
     "movl $0, 0x8300\n movl $0, 0x8304\n movl $0x0000ffff, 0x8308\n movl $0x00cf9b00, 0x830c\n"
     "movl $0x0000ffff, 0x8310\n movl $0x00cf9300, 0x8314\n"
     "movw $23, 0x8400\n movl $0x8300, 0x8402\n lgdt 0x8400\n"
     "mov $0x11, %al\n out %al, $0x20\n mov $0x20, %al\n out %al, $0x21\n"
     "mov $4, %al\n out %al, $0x21\n mov $1, %al\n out %al, $0x21\n mov $0xfe, %al\n out %al, "
     "$0x21\n"
     "mov $0x34, %al\n out %al, $0x43\n mov $0x37, %al\n out %al, $0x40\n mov $0x5d, %al\n out "
     "%al, "
     "$0x40\n"
     "xor %ebx, %ebx\n"
     "2: sti\n hlt\n cli\n cmp $3, %ebx\n jb 2b\n" OFF "4: push %eax\n push %edx\n"
     "mov $0x3f8, %edx\n mov $'t', %al\n out %al, %dx\n inc %ebx\n"
     "mov $0x20, %al\n out %al, $0x20\n pop %edx\n pop %eax\n pop %ecx\n add $8, %esp\n jmp "
     "*%ecx");

START_TEST(an_interrupt_wakes_the_processor)
{
	RUN(ticks);
	ck_assert_msg(atomic_load(&m.end) == FV_END_POWEROFF, "%d %s", atomic_load(&m.end), m.text);
	ck_assert_str_eq(said, "ttt");
	ck_assert_uint_eq(atomic_load(&m.exits[FV_EXIT_INTERRUPT]), 3);
	ck_assert_uint_ge(atomic_load(&m.exits[FV_EXIT_HLT]), 1);
}
END_TEST

/* ---- limits --------------------------------------------------------------------------------------- */

/* In the hole and above all memory: all bits set; a store there changes nothing. 0xf4 tells the sum. */
BLOB(nowhere, "mov $0xa0000, %esi\n movl $1, (%esi)\n mov (%esi), %eax\n"
              "and 0x70000000, %eax\n inc %eax\n"
              "movb $5, 0xb8001\n movzwl 0xb8000, %ecx\n inc %cx\n or %ecx, %eax\n"
              "mov $0xf4, %edx\n out %eax, %dx\n 1: jmp 1b");

START_TEST(where_nothing_is_all_bits_are_set)
{
	RUN(nowhere);
	ck_assert_int_eq(atomic_load(&m.end), FV_END_CODE);
	ck_assert_uint_eq(m.code, 0);
	ck_assert_uint_eq(m.ram[0xa0000], 0);
}
END_TEST

/* As interrupts are off it can only be ended. */
BLOB(spin, "1: jmp 1b");

static void *stop_soon(void *arg)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	fv_end(&m, FV_END_STOPPED, 0, NULL);
	fv_way_hvm.kick(&m);
	return arg;
}

START_TEST(a_guest_that_never_leaves_is_stopped)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, stop_soon, NULL), 0);
	RUN(spin);
	pthread_join(t, NULL);
	ck_assert_int_eq(atomic_load(&m.end), FV_END_STOPPED);
}
END_TEST

BLOB(asleep, "movw $0x1ff, 0x8200\n movl $0x8000, 0x8202\n lidt 0x8200\n 1: sti\n hlt\n jmp 1b");

START_TEST(a_guest_that_sleeps_is_stopped)
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, stop_soon, NULL), 0);
	RUN(asleep);
	pthread_join(t, NULL);
	ck_assert_int_eq(atomic_load(&m.end), FV_END_STOPPED);
}
END_TEST

/* ---- hostile -------------------------------------------------------------------------------------- */

BLOB(three_faults, "ud2");
BLOB(halted, "cli\n hlt");

START_TEST(a_guest_that_cannot_go_on_is_told_about)
{
	if (_i)
		RUN(halted);
	else
		RUN(three_faults);
	ck_assert_int_eq(atomic_load(&m.end), FV_END_CRASH);
	ck_assert_uint_gt(strlen(m.text), 10);
}
END_TEST

/* A string of ports over the end of memory, and reads from every port. */
BLOB(ports, "mov $0x7ffff0, %edi\n mov $0x1f0, %edx\n mov $64, %ecx\n cld\n rep insl\n"
            "xor %edx, %edx\n 2: in %dx, %eax\n inc %dx\n cmp $0x500, %dx\n jne 2b\n" OFF);

START_TEST(ports_of_every_kind_end_nothing)
{
	RUN(ports);
	ck_assert_msg(atomic_load(&m.end) == FV_END_POWEROFF, "%d %s", atomic_load(&m.end), m.text);
}
END_TEST

/* ---- the suite ------------------------------------------------------------------------------------ */

START_TEST(there_is_a_sentence_when_it_cannot_be_used)
{
	ck_assert_uint_gt(strlen(why), 20);
}
END_TEST

static TCase *new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *engine_hvm_suite(void);

Suite *engine_hvm_suite(void)
{
	Suite *s = suite_create("engine_hvm");
	TCase *normal, *limits, *hostile;

	if (fv_way_hvm.probe(why, sizeof(why))) {
		TCase *none = tcase_create("normal");

		printf("SKIP engine_hvm: %s\n", why);
		tcase_add_test(none, there_is_a_sentence_when_it_cannot_be_used);
		suite_add_tcase(s, none);
		return s;
	}
	normal = new_case(s, "normal");
	tcase_add_test(normal, a_pvh_entry_finds_what_it_is_promised);
	tcase_add_test(normal, an_interrupt_wakes_the_processor);
	limits = new_case(s, "limits");
	tcase_add_test(limits, where_nothing_is_all_bits_are_set);
	tcase_add_test(limits, a_guest_that_never_leaves_is_stopped);
	tcase_add_test(limits, a_guest_that_sleeps_is_stopped);
	hostile = new_case(s, "hostile");
	tcase_add_loop_test(hostile, a_guest_that_cannot_go_on_is_told_about, 0, 2);
	tcase_add_test(hostile, ports_of_every_kind_end_nothing);
	return s;
}
