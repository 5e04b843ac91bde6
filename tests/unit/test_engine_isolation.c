/* SPDX-License-Identifier: MIT */
/*
 * What hostile guest code tries against the process engine: system calls, the trampoline, its own
 * exit page, its signal stack. After each attempt nothing of the host has changed, vcpu_run() has
 * returned, and another vCPU of the machine works.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "hypervisor-stub/engines/process/process.h"
#include "tests/fake/engine_world.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static struct world *w;
static struct hv_vcpu *v;
static struct hv_exit e;

static void setup(void)
{
	w = world_create(&hv_engine_process);
	v = &w->vcpu[0];
	world_layout(w, v->root_kernel);
}

static void teardown(void)
{
	world_destroy(w);
}

#define PUT(blob) world_code(w, v->root_kernel, blob, blob##_end)

WORLD_BLOB(blob_well, "mov $0x400800, %eax\n incl (%rax)\n" WORLD_CALL(29) "hlt\n");

/* The machine still works: vCPU 1, and vCPU 0 with a process of its own or a new one. */
static void check_all_is_well(void)
{
	struct hv_exit x;

	atomic_store(&w->stop_at_tick, false);
	w->vcpu[1].root_kernel = v->root_kernel;
	w->code_next = WORLD_CODE + 0xf000;
	world_enter_at(w, 1, PUT(blob_well));
	ck_assert_int_eq(world_run(w, 1, &x), 0);
	ck_assert_int_eq(x.kind, HV_EXIT_HYPERCALL);
	ck_assert_uint_eq(w->vcpu[1].regs.rax, 29);
	/* Only the mapper may write to the pipe of confirmations. */
	ck_assert_int_eq(
		poll(&(struct pollfd){ .fd = pe_of(&w->domain)->ack_read, .events = POLLIN }, 1, 0),
		0);
}

/* Runs, and kicks after a while, for what the guest does may last for ever. */
static void run_for_a_while(void)
{
	atomic_store(&w->stop_at_tick, true);
	atomic_store(&w->deadline, pe_now() + 3000000);
	ck_assert_int_eq(world_run(w, 0, &e), 0);
}

/* The same, for what must end by itself. */
static void run_to_exit(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		run_for_a_while();
		if (e.kind != HV_EXIT_KICKED)
			return;
	}
}

/* ---- system calls ------------------------------------------------------------------------------ */

WORLD_BLOB(blob_syscall, "1: mov %r12, %rax\n syscall\n hlt\n");

static const struct {
	int64_t nr;
	uint64_t rdi, rsi, rdx, r10, r8, r9;
} calls[] = {
	{ SYS_getpid, 0, 0, 0, 0, 0, 0 },
	{ SYS_exit_group, 3, 0, 0, 0, 0, 0 },
	{ SYS_kill, 0, SIGKILL, 0, 0, 0, 0 },
	{ SYS_write, PE_FD_ACK, PE_CTL + CTL_ACK, 8, 0, 0, 0 },
	{ SYS_mmap, 0x600000, 0x1000, 3, 0x11, PE_FD_MEMORY, 0 },
	{ SYS_munmap, 0x400000, 0x1000, 0, 0, 0, 0 },
	{ SYS_mprotect, PE_CTL, 0x1000, 3, 0, 0, 0 },
	{ SYS_ftruncate, PE_FD_MEMORY, 0, 0, 0, 0, 0 },
	{ SYS_clone, 0, 0, 0, 0, 0, 0 },
	{ SYS_rt_sigreturn, 0, 0, 0, 0, 0, 0 },
	{ SYS_rt_sigaction, SIGSEGV, 0x400000, 0, 8, 0, 0 },
	{ SYS_ptrace, 0, 0, 0, 0, 0, 0 },
	{ SYS_openat, 0, 0x400000, 0, 0, 0, 0 },
	{ SYS_futex, 0x400000, 0, 0, 0, 0, 0 },                   /* not the engine's words */
	{ SYS_futex, PE_STATE + STATE_GO, 6, 0, 0, 0, 0 },        /* FUTEX_LOCK_PI */
	{ SYS_futex, PE_STATE + STATE_GO, 3, 1, 1, PE_STATE, 0 }, /* FUTEX_REQUEUE */
	{ SYS_futex, PE_STATE + STATE_GO, 0x100000001, 0, 0, 0, 0 },
	{ SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0, 0 },
	{ SYS_seccomp, 1, 0, 0, 0, 0, 0 },
	{ SYS_getpid | 0x40000000, 0, 0, 0, 0, 0, 0 }, /* x32 */
	{ SYS_sched_setaffinity, 0, 8, 0x400000, 0, 0, 0 },
	{ -1, 0, 0, 0, 0, 0, 0 },
	{ 1000000, 0, 0, 0, 0, 0, 0 },
};

static void load_call(unsigned i)
{
	struct hv_regs *r = &v->regs;

	r->r12 = (uint64_t)calls[i].nr;
	r->rdi = calls[i].rdi;
	r->rsi = calls[i].rsi;
	r->rdx = calls[i].rdx;
	r->r10 = calls[i].r10;
	r->r8 = calls[i].r8;
	r->r9 = calls[i].r9;
}

START_TEST(no_system_call_of_the_guests_own_is_done)
{
	world_enter_at(w, 0, PUT(blob_syscall));
	load_call(_i);
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_SYSCALL);
	ck_assert_uint_eq(v->regs.rax, (uint64_t)calls[_i].nr);
	check_all_is_well();
}
END_TEST

/*
 * Two numbers that Linux does not show to filters since 6.11 and 6.18: they serve its own probes, and
 * refuse whoever is none. So the guest finds an error or #UD instead of its own system call.
 */
START_TEST(the_hosts_probe_calls_do_nothing)
{
	world_enter_at(w, 0, PUT(blob_syscall));
	v->regs.r12 = (uint64_t)_i;
	v->regs.rbx = 0x77;
	run_to_exit();
	ck_assert(e.kind == HV_EXIT_SYSCALL || (e.kind == HV_EXIT_EXCEPTION && e.vector == 6) ||
	          (e.kind == HV_EXIT_EXCEPTION && e.vector == 13 && (int64_t)v->regs.rax < 0));
	ck_assert_uint_eq(v->regs.rbx, 0x77);
	check_all_is_well();
}
END_TEST

WORLD_BLOB(blob_jump, "mov %r12, %rax\n jmp *%r13\n");

/* Addresses, in a guest process, of the trampoline's system call instructions. */
static unsigned find_gates(uint64_t *gate, unsigned max)
{
	size_t size = (uintptr_t)pe_tramp_end - (uintptr_t)pe_trampoline;
	const char *c = pe_trampoline;
	unsigned n = 0;

	for (size_t i = 0; i + 1 < size; i++) {
		if (c[i] == 0x0f && c[i + 1] == 0x05 && n < max)
			gate[n++] = pe_tramp_address(c + i);
	}
	return n;
}

START_TEST(the_trampolines_own_gates_let_nothing_pass)
{
	uint64_t gate[32];
	unsigned n = find_gates(gate, 32);

	ck_assert_uint_gt(n, 5);
	for (unsigned i = 0; i < n; i++) {
		w->code_next = WORLD_CODE;
		world_enter_at(w, 0, PUT(blob_jump));
		load_call(_i);
		v->regs.r13 = gate[i];
		run_to_exit();
		ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
		ck_assert_uint_eq(e.vector, 13);
		ck_assert_uint_eq(v->regs.rip, gate[i] + 2);
	}
	check_all_is_well();
}
END_TEST

START_TEST(even_the_mappers_own_calls_are_refused_there)
{
	static const uint64_t args[][7] = {
		{ SYS_mmap, 0x410000, 0x1000, 3, 0x11, PE_FD_MEMORY, 0 },
		{ SYS_munmap, 0, PE_WINDOW, 0, 0, 0, 0 },
		{ SYS_write, PE_FD_ACK, PE_CTL + CTL_ACK, 8, 0, 0, 0 },
		{ SYS_mmap, 0x410000, 0x1000, 1, 0x11, PE_FD_FOREIGN, 0 },
		{ SYS_close, PE_FD_FOREIGN, 0, 0, 0, 0, 0 },
	};
	uint64_t gate[32];
	unsigned n = find_gates(gate, 32);

	for (unsigned i = 0; i < n; i++) {
		w->code_next = WORLD_CODE;
		world_enter_at(w, 0, PUT(blob_jump));
		v->regs.r12 = args[_i][0];
		v->regs.rdi = args[_i][1];
		v->regs.rsi = args[_i][2];
		v->regs.rdx = args[_i][3];
		v->regs.r10 = args[_i][4];
		v->regs.r8 = args[_i][5];
		v->regs.r9 = args[_i][6];
		v->regs.r13 = gate[i];
		run_to_exit();
		ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
		ck_assert_uint_eq(e.vector, 13);
	}
	check_all_is_well();
}
END_TEST

WORLD_BLOB(blob_int80, "mov $20, %eax\n int $0x80\n hlt\n");
WORLD_BLOB(blob_sysenter, "mov $20, %eax\n sysenter\n hlt\n");
WORLD_BLOB(blob_vsyscall, "mov $0xffffffffff600000, %rax\n 1: call *%rax\n hlt\n");
WORLD_BLOB(blob_compat_int80,
           "mov $20, %eax\n ljmp *1f(%rip)\n 1: .long 0x100040, 0x23\n"
           ".skip 64 - (. - blob_compat_int80), 0x90\n .code32\n int $0x80\n hlt\n"
           ".code64\n");

START_TEST(the_host_has_no_other_doors)
{
	uint64_t at = PUT(blob_int80);

	world_enter_at(w, 0, at);
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	ck_assert_uint_eq(e.error_code, 0x402);
	ck_assert_uint_eq(v->regs.rip, at + 5);
	ck_assert_uint_eq(v->regs.rax, 20);

	world_enter_at(w, 0, PUT(blob_sysenter));
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);

	at = PUT(blob_vsyscall);
	world_enter_at(w, 0, at);
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 14);
	ck_assert_uint_eq(e.cr2, 0xffffffffff600000);
	ck_assert_uint_eq(v->regs.rip, 0xffffffffff600000);
	ck_assert_uint_eq(v->regs.rsp, WORLD_STACK + 16 * HV_PAGE_SIZE - 8);
	check_all_is_well();
}
END_TEST

START_TEST(nor_has_its_32_bit_side)
{
	world_enter_at(w, 0, PUT(blob_compat_int80));
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	ck_assert_uint_eq(e.error_code, 0x402);
	check_all_is_well();
}
END_TEST

/* ---- the group's pages ------------------------------------------------------------------------- */

WORLD_BLOB(blob_write, "movb $0x90, (%r12)\n hlt\n");
WORLD_BLOB(blob_touch, "movb (%r12), %al\n hlt\n");
WORLD_BLOB(blob_go, "mov 0x400000, %al\n jmp *%r12\n");

static const uint64_t read_only[] = { PE_CODE,
	                              PE_CODE + 0xfff,
	                              PE_CONST,
	                              PE_CTL,
	                              PE_CTL + CTL_REGS,
	                              PE_CTL + CTL_ORDERS,
	                              PE_CTL + PE_CTL_SIZE - 1,
	                              PE_M2P };

START_TEST(what_the_hypervisor_tells_cannot_be_written)
{
	world_enter_at(w, 0, PUT(blob_write));
	v->regs.r12 = read_only[_i];
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 14);
	ck_assert_uint_eq(e.cr2, read_only[_i]);
	ck_assert_uint_eq(e.error_code & 2, 2);
	check_all_is_well();
}
END_TEST

static const uint64_t not_there[] = { 0,
	                              PE_CONST + PE_CONST_SIZE,
	                              PE_CTL - 1,
	                              PE_CTL + PE_CTL_SIZE,
	                              PE_STATE - 1,
	                              PE_STATE + PE_STATE_SIZE,
	                              PE_TASK_END - 1,
	                              PE_WINDOW - 1,
	                              PE_GUEST_END };

START_TEST(nothing_is_left_of_the_process_that_it_was)
{
	world_enter_at(w, 0, PUT(blob_touch));
	v->regs.r12 = not_there[_i];
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 14);
	ck_assert_uint_eq(e.cr2, not_there[_i]);
}
END_TEST

static const uint64_t not_code[] = { PE_CONST, PE_CTL,   PE_STATE, PE_STATE + STATE_SIGSTACK,
	                             PE_M2P,   PE_WINDOW };

START_TEST(nothing_but_the_trampoline_can_be_executed)
{
	world_enter_at(w, 0, PUT(blob_go));
	v->regs.r12 = not_code[_i];
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 14);
	ck_assert_uint_eq(e.cr2, not_code[_i]);
}
END_TEST

static void read_all(const char *fmt, pid_t pid, char *text, size_t len)
{
	char path[64];
	ssize_t n, have = 0;
	int fd;

	snprintf(path, sizeof(path), fmt, (int)pid);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	while ((n = read(fd, text + have, len - 1 - (size_t)have)) > 0)
		have += n;
	text[have] = 0;
	close(fd);
}

/* Only root may look into a process that cannot be dumped. */
START_TEST(a_guest_process_has_three_descriptors_and_no_page_of_ours)
{
	char path[64], text[8192];
	struct dirent *de;
	unsigned fds = 0, maps = 0;
	DIR *dir;
	pid_t pid;

	world_enter_at(w, 0, PUT(blob_well));
	ck_assert_int_eq(world_run(w, 0, &e), 0);
	pid = ((struct pe_vcpu *)v->engine_priv)->current->pid;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir) {
		ck_assert_int_ne(geteuid(), 0);
		return;
	}
	while ((de = readdir(dir)))
		fds += de->d_name[0] != '.';
	closedir(dir);
	ck_assert_uint_eq(fds, 3);
	read_all("/proc/%d/maps", pid, text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		maps++;
		ck_assert_msg(strstr(line, "/memfd:") || strstr(line, "[vsyscall]"), "%s", line);
	}
	ck_assert_uint_lt(maps, 16);
	read_all("/proc/%d/status", pid, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "NoNewPrivs:\t1"));
	ck_assert_ptr_nonnull(strstr(text, "Seccomp:\t2"));
	read_all("/proc/%d/limits", pid, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "Max core file size        0                    0"));
}
END_TEST

/* ---- the exit record --------------------------------------------------------------------------- */

/* Reports an exit (kind in r12) by hand, and runs on instead of waiting for the answer. */
WORLD_BLOB(blob_forge, "mov %r13, %rax\n mov %r14, %rcx\n mov %r12d, 0x10(%rax)\n"
                       "mov (%rcx), %ebx\n inc %ebx\n mov %ebx, (%rax)\n lock incl 4(%rax)\n"
                       "1: incq 0x400000\n jmp 1b\n");

START_TEST(a_forged_exit_is_believed_as_far_as_it_is_possible)
{
	static const uint32_t kinds[] = { 0,
		                          PE_EXIT_HYPERCALL,
		                          PE_EXIT_SIGNAL,
		                          PE_EXIT_READY,
		                          PE_EXIT_SAVED,
		                          PE_EXIT_FAILED,
		                          77,
		                          ~0u };
	uint64_t at = PUT(blob_forge);

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		world_enter_at(w, 0, at);
		v->regs.r12 = kinds[i];
		v->regs.r13 = PE_STATE;
		v->regs.r14 = PE_CTL + CTL_ANSWERED;
		run_for_a_while();
		if (e.kind == HV_EXIT_HYPERCALL || e.kind == HV_EXIT_EXCEPTION)
			run_for_a_while(); /* it runs on: and can be stopped */
		ck_assert_msg(e.kind == HV_EXIT_KICKED || e.kind == HV_EXIT_DEAD, "kind %d",
		              e.kind);
	}
	check_all_is_well();
}
END_TEST

WORLD_BLOB(blob_once, "incq 0x400000\n hlt\n");

/*
 * A process that its vCPU has left runs on, and writes; then its root goes. When retire() is back,
 * it must be gone: its frames may be page tables, or lent by another domain and taken back.
 */
START_TEST(a_process_that_is_being_ended_writes_nothing_after_retire)
{
	mfn_t home = v->root_kernel;
	unsigned met = 0;

	for (unsigned i = 0; i < 100; i++) {
		mfn_t root = world_alloc(w, 1);
		struct hv_entry_change c = { .root = root };
		volatile uint64_t *word;
		uint64_t last;

		w->nr_runs = 4; /* those of home */
		world_map(w, root, WORLD_CODE, 16, world_find(w, home, WORLD_CODE)->mfn, "x");
		world_map(w, root, WORLD_DATA, 1, world_find(w, home, WORLD_DATA)->mfn, "w");
		v->root_kernel = root;
		w->code_next = WORLD_CODE;
		world_enter_at(w, 0, PUT(blob_once)); /* a miss later would stop it */
		run_to_exit();
		world_enter_at(w, 0, PUT(blob_forge));
		v->regs.r12 = PE_EXIT_SIGNAL;
		v->regs.r13 = PE_STATE;
		v->regs.r14 = PE_CTL + CTL_ANSWERED;
		run_for_a_while();
		v->root_kernel = home;
		world_enter_at(w, 0, PUT(blob_once));
		run_to_exit();
		word = (volatile uint64_t *)(void *)world_at(w, home, WORLD_DATA);
		last = *word;
		for (unsigned n = 0; n < 20 && *word == last; n++)
			usleep(100);
		met += *word != last;
		pthread_mutex_lock(&w->domain.lock);
		hv_engine_process.root_gone(&w->domain, root);
		hv_engine_process.retire(&w->domain,
		                         hv_engine_process.entry_changed(&w->domain, &c));
		pthread_mutex_unlock(&w->domain.lock);
		last = *word;
		usleep(200);
		ck_assert_uint_eq(*word, last);
	}
	ck_assert_uint_gt(met, 10);
}
END_TEST

WORLD_BLOB(blob_signal, "mov %r12, %rax\n mov %rbx, 0x20(%rax)\n mov %rbp, 0x28(%rax)\n"
                        "movl $11, 0x30(%rax)\n movl $2, 0x10(%rax)\n"
                        "mov (%r13), %ecx\n inc %ecx\n mov %ecx, (%rax)\n lock incl 4(%rax)\n"
                        "1: incq 0x400000\n jmp 1b\n");

START_TEST(a_forged_signal_frame_is_read_within_the_signal_stack_only)
{
	static const uint64_t at[] = { 0,
		                       PE_STATE,
		                       PE_STATE + STATE_SIGSTACK - 8,
		                       PE_STATE + STATE_SIGSTACK,
		                       PE_STATE + STATE_SIGSTACK + 3,
		                       PE_STATE + STATE_SIGSTACK + PE_SIGSTACK_SIZE - 64,
		                       PE_STATE + PE_STATE_SIZE,
		                       ~UINT64_C(0),
		                       ~UINT64_C(0) - 512,
		                       0xffff800000000000 };
	uint64_t code = PUT(blob_signal);

	for (unsigned i = 0; i < ARRAY_LEN(at) * ARRAY_LEN(at); i++) {
		world_enter_at(w, 0, code);
		v->regs.rbx = at[i % ARRAY_LEN(at)];
		v->regs.rbp = at[i / ARRAY_LEN(at)];
		v->regs.r12 = PE_STATE;
		v->regs.r13 = PE_CTL + CTL_ANSWERED;
		run_for_a_while();
		if (e.kind == HV_EXIT_EXCEPTION || e.kind == HV_EXIT_SYSCALL)
			ck_assert_uint_eq(v->regs.rflags & X86_FLAG_IOPL, 0);
	}
	check_all_is_well();
}
END_TEST

WORLD_BLOB(blob_calling, "1: inc %rbx\n" WORLD_CALL(29) "jmp 1b\n");

/* Whatever stands in the state page, vcpu_run() comes back and we stay alive. */
START_TEST(garbage_in_the_state_page_harms_its_guest_only)
{
	uint64_t at = PUT(blob_calling);
	unsigned deaths = 0;

	srand((unsigned)_i);
	world_enter_at(w, 0, at);
	for (unsigned i = 0; i < 400 && deaths < 10; i++) {
		struct pe_proc *p;

		run_for_a_while();
		if (e.kind == HV_EXIT_DEAD) {
			deaths++;
			world_enter_at(w, 0, at);
			continue;
		}
		if (e.kind == HV_EXIT_EXCEPTION)
			world_enter_at(w, 0, at);
		p = ((struct pe_vcpu *)v->engine_priv)->current;
		for (unsigned n = 0; p && n < 4; n++) {
			uint32_t junk = (uint32_t)rand() << (rand() % 32);
			unsigned where = (unsigned)rand() % (_i & 1 ? 0x240 : 0x80) & ~3u;

			memcpy(p->state + where, &junk, sizeof(junk));
		}
	}
	check_all_is_well();
}
END_TEST

/* Touches pages from rbx on and says of all orders that they are done: r14 more than there are. */
WORLD_BLOB(blob_all_done,
           "mov %r12, %rax\n mov %r13, %rcx\n 1: mov (%rcx), %edx\n add %r14d, %edx\n"
           "mov %edx, (%rax)\n test %rbx, %rbx\n jz 1b\n mov (%rbx), %dl\n"
           "add $0x1000, %rbx\n cmp $0x10030000, %rbx\n jb 1b\n xor %ebx, %ebx\n"
           "jmp 1b\n");

/*
 * The count of orders done is in the guest's hands. When it says that more are done than are, we
 * write over orders that the mapper has not read, removals among them; it must not go on then.
 */
START_TEST(a_forged_count_of_orders_never_hides_a_removal)
{
	static const uint32_t more[] = { 0, 1, 63, 64, 0x10000, 0x80000000, 0xffffff00 };
	mfn_t frames = world_alloc(w, 512);
	struct hv_entry_change c = { .root = v->root_kernel, .va = 0x10000000, .len = 0x30000 };
	struct hv_run_map m = { .root = v->root_kernel, .nr = 1, .mfn = frames };
	struct pe_proc *p;
	char text[8192], line[64];

	for (unsigned i = 0; i < 48; i++)
		world_map(w, v->root_kernel, 0x10000000 + (uint64_t)i * 4096, 1,
		          (mfn_t){ frames.n + 2 * i }, "w");
	world_enter_at(w, 0, PUT(blob_all_done));
	v->regs.r12 = PE_STATE + STATE_DONE;
	v->regs.r13 = PE_CTL + CTL_TAIL;
	v->regs.r14 = more[_i];
	v->regs.rbx = 0x10000000;
	for (unsigned i = 0; i < 10; i++)
		run_for_a_while();
	p = ((struct pe_vcpu *)v->engine_priv)->current;
	if (!p)
		return;
	for (unsigned i = 0; i < 300; i++) {
		m.va = 0x20000000 + i * 8192;
		m.miss = m.va;
		hv_engine_process.fill(v, &m);
		if (i == 150)
			hv_engine_process.entry_changed(&w->domain, &c);
		if (i == 151)
			hv_engine_process.sync(&w->domain, 1);
	}
	hv_engine_process.retire(&w->domain, hv_engine_process.entry_changed(&w->domain, &c));
	if (!p->dead && !pe_has_ended(p->pid) && geteuid() == 0) {
		read_all("/proc/%d/maps", p->pid, text, sizeof(text));
		for (unsigned i = 0; i < 48; i++) {
			snprintf(line, sizeof(line), "%08x-", 0x10000000 + i * 4096);
			ck_assert_ptr_null(strstr(text, line));
		}
	}
	check_all_is_well();
}
END_TEST

START_TEST(the_log_is_not_flooded_by_processes_that_are_ended)
{
	struct hv_run_map m = {
		.va = 0x20000000, .nr = 1, .mfn = world_alloc(w, 1), .miss = 0x20000000
	};
	unsigned nr = w->nr_runs, before = atomic_load(&world_logs);
	mfn_t first = v->root_kernel;
	struct pe_proc *p;

	for (unsigned i = 0; i < 8; i++) {
		v->root_kernel = world_alloc(w, 1);
		for (unsigned r = 0; r < nr; r++) {
			if (hv_mfn_same(w->run[r].root, first))
				world_map(w, v->root_kernel, w->run[r].va, w->run[r].nr,
				          w->run[r].mfn, w->run[r].writable ? "w" : "x");
		}
		w->code_next = WORLD_CODE;
		world_enter_at(w, 0, PUT(blob_jump));
		v->regs.r13 = 0x1; /* nowhere */
		run_to_exit();
		p = ((struct pe_vcpu *)v->engine_priv)->current;
		pe_store(p->state, STATE_DONE, p->tail + 1000);
		m.root = v->root_kernel;
		for (unsigned n = 0; n < 3; n++)
			hv_engine_process.fill(v, &m);
		ck_assert(p->dead);
		w->nr_runs = nr;
	}
	ck_assert_uint_eq(atomic_load(&world_logs) - before, 1);
	v->root_kernel = first;
	check_all_is_well();
}
END_TEST

/* ---- the signal stack -------------------------------------------------------------------------- */

WORLD_BLOB(blob_stack, "mov %r12, %rsp\n hlt\n");

START_TEST(a_stack_pointer_into_the_signal_stack_is_the_guests_own_end)
{
	static const uint64_t bottoms[] = { 0, 8, 64, 128, 512, 1024, 2048 };
	uint64_t at = PUT(blob_stack);

	for (unsigned i = 0; i < ARRAY_LEN(bottoms); i++) {
		world_enter_at(w, 0, at);
		v->regs.r12 = PE_STATE + STATE_SIGSTACK + bottoms[i];
		atomic_store(&w->deadline, UINT64_MAX);
		ck_assert_int_eq(world_run(w, 0, &e), 0);
		/* Below the red zone the host takes the stack pointer for one outside. */
		ck_assert_msg(e.kind == (bottoms[i] > 128 ? HV_EXIT_DEAD : HV_EXIT_EXCEPTION),
		              "%u bytes: %d", (unsigned)bottoms[i], e.kind);
	}
	world_enter_at(w, 0, at);
	v->regs.r12 = PE_STATE + STATE_SIGSTACK + PE_SIGSTACK_SIZE / 2;
	for (unsigned i = 0; i < 50; i++) { /* on a busy host a while may bring nothing */
		run_for_a_while();
		if (e.kind != HV_EXIT_KICKED)
			break;
	}
	ck_assert_int_eq(e.kind, HV_EXIT_EXCEPTION);
	ck_assert_uint_eq(e.vector, 13);
	check_all_is_well();
}
END_TEST

/* ---- jumping into the trampoline --------------------------------------------------------------- */

WORLD_BLOB(blob_anywhere, "mov %r13, %rax\n jmp *%r12\n");

START_TEST(every_byte_of_the_trampoline_can_be_jumped_to)
{
	static const uint64_t values[] = { 0,
		                           1,
		                           0x400000,
		                           PE_CTL,
		                           PE_STATE,
		                           PE_STATE + STATE_SIGSTACK + 64,
		                           ~UINT64_C(0),
		                           0x2002e0 };
	unsigned size = (unsigned)((uintptr_t)pe_tramp_end - (uintptr_t)pe_trampoline);
	uint64_t at = PUT(blob_anywhere);

	srand((unsigned)_i);
	for (unsigned offset = (unsigned)_i; offset < size; offset += 8) {
		uint64_t *g;

		world_enter_at(w, 0, at);
		for (g = &v->regs.r15; g <= &v->regs.rdi; g++)
			*g = values[(unsigned)rand() % ARRAY_LEN(values)];
		v->regs.r12 = PE_CODE + offset;
		run_for_a_while();
	}
	check_all_is_well();
}
END_TEST

/* A script of the guest's own that never ends: kicks find it in the trampoline every time. */
START_TEST(code_that_hides_in_the_trampoline_is_ended)
{
	uint64_t *script = (void *)world_at(w, v->root_kernel, WORLD_DATA);

	script[0] = PE_SCRIPT_JUMP;
	script[1] = pe_tramp_address(pe_tramp_script);
	world_enter_at(w, 0, PUT(blob_go));
	v->regs.r12 = pe_tramp_address(pe_tramp_script);
	v->regs.rbx = WORLD_DATA;
	run_to_exit();
	ck_assert_int_eq(e.kind, HV_EXIT_DEAD);
	check_all_is_well();
}
END_TEST

START_TEST(code_that_sleeps_in_the_trampoline_is_ended)
{
	uint64_t gate[32];
	unsigned n = find_gates(gate, 32), deaths = 0;

	for (unsigned i = 0; i < n; i++) {
		w->code_next = WORLD_CODE;
		world_enter_at(w, 0, PUT(blob_jump));
		v->regs.r12 = SYS_futex;
		v->regs.rdi = PE_STATE + STATE_XSAVE + 0x800; /* holds 0 */
		v->regs.r13 = gate[i];
		run_for_a_while();
		deaths += e.kind == HV_EXIT_DEAD;
	}
	ck_assert_uint_gt(deaths, 0);
	check_all_is_well();
}
END_TEST

/* ---- the end of ours --------------------------------------------------------------------------- */

static void live_until_killed(void)
{
	setup();
	world_enter_at(w, 0, PUT(blob_calling));
	for (;;) {
		v->regs.rsp = WORLD_STACK + 16 * HV_PAGE_SIZE;
		if (world_run(w, 0, &e))
			_exit(2);
		if (v->regs.rbx % 64 == 0)
			hv_engine_process.vcpu_reset_fpu(v);
	}
}

/* Every orphan becomes a child of ours, so none can hide. */
START_TEST(nothing_survives_when_we_are_killed)
{
	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	srand(12345);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t end;
		pid_t pid = fork();

		if (!pid)
			live_until_killed();
		usleep((unsigned)rand() % 12 * 500 + (unsigned)rand() % 500);
		kill(pid, SIGKILL);
		end = pe_now() + 5000000000u;
		for (;;) {
			pid_t gone = waitpid(-1, NULL, __WALL | WNOHANG);

			if (gone < 0 && errno == ECHILD)
				break;
			ck_assert_msg(pe_now() < end, "round %u: a process is still there", i);
			if (!gone)
				usleep(200);
		}
	}
}
END_TEST

static TCase *new_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

Suite *engine_isolation_suite(void);

Suite *engine_isolation_suite(void)
{
	Suite *s = suite_create("engine_isolation");
	TCase *tc = new_case(s, "hostile");

	tcase_add_loop_test(tc, no_system_call_of_the_guests_own_is_done, 0, ARRAY_LEN(calls));
	tcase_add_loop_test(tc, the_hosts_probe_calls_do_nothing, 335, 337);
	tcase_add_loop_test(tc, the_trampolines_own_gates_let_nothing_pass, 0, ARRAY_LEN(calls));
	tcase_add_loop_test(tc, even_the_mappers_own_calls_are_refused_there, 0, 5);
	tcase_add_test(tc, the_host_has_no_other_doors);
	tcase_add_test(tc, nor_has_its_32_bit_side);
	tcase_add_loop_test(tc, what_the_hypervisor_tells_cannot_be_written, 0,
	                    ARRAY_LEN(read_only));
	tcase_add_loop_test(tc, nothing_is_left_of_the_process_that_it_was, 0,
	                    ARRAY_LEN(not_there));
	tcase_add_loop_test(tc, nothing_but_the_trampoline_can_be_executed, 0, ARRAY_LEN(not_code));
	tcase_add_test(tc, a_guest_process_has_three_descriptors_and_no_page_of_ours);
	tcase_add_test(tc, a_forged_exit_is_believed_as_far_as_it_is_possible);
	tcase_add_test(tc, a_process_that_is_being_ended_writes_nothing_after_retire);
	tcase_add_test(tc, a_forged_signal_frame_is_read_within_the_signal_stack_only);
	tcase_add_loop_test(tc, garbage_in_the_state_page_harms_its_guest_only, 0, 8);
	tcase_add_loop_test(tc, a_forged_count_of_orders_never_hides_a_removal, 0, 7);
	tcase_add_test(tc, the_log_is_not_flooded_by_processes_that_are_ended);
	tcase_add_test(tc, a_stack_pointer_into_the_signal_stack_is_the_guests_own_end);
	tcase_add_loop_test(tc, every_byte_of_the_trampoline_can_be_jumped_to, 0, 8);
	tcase_add_test(tc, code_that_hides_in_the_trampoline_is_ended);
	tcase_add_test(tc, code_that_sleeps_in_the_trampoline_is_ended);

	tc = tcase_create("ends");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, nothing_survives_when_we_are_killed);
	suite_add_tcase(s, tc);
	return s;
}
