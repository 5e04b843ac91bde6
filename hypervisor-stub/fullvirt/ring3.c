/* SPDX-License-Identifier: MIT */
/*
 * The way "ring3": a CPU by trap-and-emulate on the process engine.
 *
 * The loop: give the guest an interrupt if one is due and it takes them, let the engine run it until
 * it stops, see why. Before long mode, and for the few instructions behind sti, the guest is
 * interpreted. What an exit says is a claim of the guest's (engines/engine.h): here it is either an
 * instruction to emulate, which is fetched from the guest's memory anew, or a fault, which is checked
 * against the guest's tables; so a lie harms the guest itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypervisor-stub/engines/process/layout.h"
#include "hypervisor-stub/fullvirt/patch.h"

#define STEPS 4096 /* instructions that are interpreted before anything else is looked at */

/* ---- making it -------------------------------------------------------------------------------- */

static int probe(char *why, size_t why_len)
{
	return hv_engine_process.probe(why, why_len);
}

static void set_up(struct fv_cpu *c)
{
	struct hv_vcpu *v = c->v;
	uint64_t at = FV_AREA;

	c->mem = (struct fv_mem){ c->d->mem.base, c->m->ram_bytes };
	c->m->ram = c->mem.ram;
	c->page = (void *)(c->mem.ram + at);
	memset(c->page, 0, FV_PAGE);
	/* As the engine knows it: what it maps at its window, and asks for pending events. */
	v->info = &c->page->info;
	v->info_mfn = (mfn_t){ c->d->mem.first.n + (at >> FV_PAGE_SHIFT) };
	v->info_offset = 0;
	c->page->info.evtchn_upcall_mask = 1;
	pe_native_entries(&c->entries);
	c->page->exit = c->entries.exit;
	c->page->iret = c->entries.iret;
	c->page->sysret = c->entries.sysret;
	c->patches_on = true;
	c->patch_at = FV_PATCHES;
	v->native.is_on = true;
	fv_views_init(c);
}

static int create_domain(struct fv_cpu *c)
{
	uint64_t pages = (c->m->ram_bytes >> FV_PAGE_SHIFT) + FV_MAX_CODE;
	const struct hv_domain_config config = { .name = "guest",
		                                 .nr_pages = pages,
		                                 .nr_vcpus = 1 };
	int rc = hv_machine_create(&c->hv, &hv_engine_process, pages);

	if (rc)
		return rc;
	rc = hv_domain_create(c->hv, &config, &c->d);
	if (rc)
		hv_machine_destroy(c->hv);
	return rc;
}

static void destroy(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;

	if (!c)
		return;
	fv_code_fini(c);
	fv_views_fini(c);
	/* The core has counted neither the page nor any tables of this domain's. */
	c->v->info_mfn = c->d->shared_info_mfn;
	c->v->root_kernel = c->v->root_user = HV_MFN_NONE;
	hv_domain_destroy(c->d);
	hv_machine_destroy(c->hv);
	free(c);
	m->cpu = NULL;
	m->ram = NULL;
}

static int create(struct fv_machine *m, char *why, size_t why_len)
{
	struct fv_cpu *c = calloc(1, sizeof(*c));
	int rc = c ? 0 : -ENOMEM;

	if (!rc) {
		c->m = m;
		rc = create_domain(c);
	}
	if (rc) {
		free(c);
		snprintf(why, why_len,
		         "no machine of %llu MiB can be made: %s; give it less or free some memory",
		         (unsigned long long)(m->ram_bytes >> 20), strerror(-rc));
		return rc;
	}
	m->cpu = c;
	c->v = c->d->vcpu[0];
	set_up(c);
	if (!fv_code_init(c))
		return 0;
	destroy(m);
	snprintf(why, why_len, "memory is short; free some");
	return -ENOMEM;
}

/* As a PVH loader leaves the processor: protected mode, flat segments, no paging, interrupts off. */
static void reset(struct fv_cpu *c)
{
	const uint16_t data = X86_DESC_PRESENT | X86_DESC_S | X86_DESC_RW | 1 | X86_DESC_G |
	                      X86_DESC_DB;
	const struct x86_segment flat = { .limit = UINT32_MAX, .attr = data };
	struct hv_regs *r = &c->v->regs;

	for (unsigned i = 0; i <= X86_SEG_GS; i++)
		c->seg[i] = flat;
	c->seg[X86_SEG_CS].attr |= X86_DESC_CODE;
	c->seg[X86_SEG_TR] = (struct x86_segment){ .limit = 0x67, .attr = X86_DESC_PRESENT | 11 };
	c->cr0 = CR0_PE | CR0_ET;
	c->page->cr0 = c->cr0;
	c->pat = UINT64_C(0x0007040600070406);
	memset(r, 0, sizeof(*r));
	r->rip = c->m->entry;
	r->rbx = c->m->start_info;
	r->rflags = X86_FLAG_ONE;
	c->cpl = 0;
	c->v->in_kernel = true;
	c->hv->engine->vcpu_reset_fpu(c->v);
	hv_time_calibrate(c->hv);
}

/* ---- exits ------------------------------------------------------------------------------------ */

/*
 * An int3 of ours, or the guest's own. In the kernel's code pages the bytes of the guest tell which: the
 * emulator reads those, and does either.
 */
static void breakpoint(struct fv_cpu *c)
{
	const struct x86_fault bp = { .vector = X86_VECTOR_BP };

	if (c->cpl == 3) {
		fv_fault(c, &bp);
		return;
	}
	c->v->regs.rip--;
	fv_count(c->m, FV_EXIT_PRIVILEGED);
	fv_patch(c, c->v->regs.rip);
	fv_emulate(c);
}

/* #GP at ring 3 of something that ring 0 may do. */
static void protection(struct fv_cpu *c, uint32_t error)
{
	struct x86_fault gp = { .vector = X86_VECTOR_GP, .has_error = true, .error = error };

	if (c->cpl == 3 && (error & 7) == 2) {
		/* int n, which the host's IDT has no gate for: by the guest's. */
		fv_emulate(c);
	} else if (c->cpl == 3) {
		fv_fault(c, &gp);
	} else {
		fv_count(c->m, FV_EXIT_PRIVILEGED);
		fv_patch(c, c->v->regs.rip);
		fv_emulate(c);
	}
}

static void exception(struct fv_cpu *c, const struct hv_exit *exit)
{
	const bool has_error = exit->vector == X86_VECTOR_NP || exit->vector == X86_VECTOR_SS ||
	                       exit->vector == X86_VECTOR_AC || exit->vector == X86_VECTOR_TS;
	const struct x86_fault f = { .vector = exit->vector,
		                     .has_error = has_error,
		                     .error = exit->error_code & 0xffff };

	switch (exit->vector) {
	case X86_VECTOR_PF:
		fv_miss(c, exit->cr2, exit->error_code);
		return;
	case X86_VECTOR_GP:
		protection(c, exit->error_code & 0xffff);
		return;
	case X86_VECTOR_BP:
		breakpoint(c);
		return;
	case X86_VECTOR_NP:
	case X86_VECTOR_SS:
	case X86_VECTOR_UD:
		/* A selector of the guest's own tables, or clac and its kin. */
		if (c->cpl != 3) {
			fv_count(c->m, FV_EXIT_PRIVILEGED);
			fv_emulate(c);
			return;
		}
		break;
	default:
		break;
	}
	fv_fault(c, &f);
}

static void handle(struct fv_cpu *c, const struct hv_exit *exit)
{
	switch (exit->kind) {
	case HV_EXIT_SYSCALL:
		fv_syscall(c);
		return;
	case HV_EXIT_EXCEPTION:
		exception(c, exit);
		return;
	case HV_EXIT_HYPERCALL: /* from a patch: emit.c */
		c->v->regs.rcx = c->page->scratch[0];
		fv_count(c->m, FV_EXIT_PRIVILEGED);
		fv_emulate(c);
		return;
	case HV_EXIT_KICKED:
		fv_count(c->m, FV_EXIT_KICK);
		return;
	default:
		fv_end(c->m, FV_END_CRASH, 0, "the CPU cannot go on: %s",
		       exit->why ? exit->why : "its process died");
	}
}

/* ---- the loop --------------------------------------------------------------------------------- */

/* While the guest runs its interrupt flag is in the page, for ring 3 has none. */
void fv_give_flags(struct fv_cpu *c)
{
	__atomic_store_n(&c->page->info.evtchn_upcall_mask, !(c->v->regs.rflags & X86_FLAG_IF),
	                 __ATOMIC_SEQ_CST);
}

void fv_take_flags(struct fv_cpu *c)
{
	struct hv_regs *r = &c->v->regs;

	r->rflags &= ~(uint64_t)(X86_FLAG_IF | X86_FLAG_IOPL);
	if (!c->page->info.evtchn_upcall_mask)
		r->rflags |= X86_FLAG_IF;
}

/*
 * Tells the guest, too. A device may ask meanwhile:
 *   1. we see no request
 *   2. it makes one, and kick() writes "pending"
 *   3. we write "not pending" over it
 * So we look again behind our own write.
 */
static bool interrupt_is_pending(struct fv_cpu *c)
{
	uint8_t *pending = &c->page->info.evtchn_upcall_pending;

	__atomic_store_n(pending, fv_irq_pending(c->m->bus), __ATOMIC_SEQ_CST);
	if (fv_irq_pending(c->m->bus))
		__atomic_store_n(pending, 1, __ATOMIC_SEQ_CST);
	return *pending;
}

/* What the trampoline may do in place: system calls, and returns from them and from interrupts. */
static void tell_engine(struct fv_cpu *c)
{
	uint16_t user = (uint16_t)(c->star >> 48);

	c->v->native.kernel_cs = c->seg[X86_SEG_CS].selector;
	c->v->native.user_cs = (uint16_t)((user + 16) | 3);
	c->v->native.user_ss = (uint16_t)((user + 8) | 3);
	c->v->native.fmask = (uint32_t)c->fmask;
	c->v->native.asks = c->missed.is_set;
	if (c->cpl)
		c->v->native.kernel_cs = (uint16_t)(c->star >> 32) & 0xfffc;
	c->v->traps.syscall.va = c->efer & EFER_SCE ? c->lstar : 0;
}

/* It may have gone from user to kernel and back without us. */
static void take_mode(struct fv_cpu *c)
{
	unsigned cpl = c->v->in_kernel ? 0 : 3;

	if (cpl == c->cpl)
		return;
	c->cpl = cpl;
	fv_set_segments(c);
}

static void run_natively(struct fv_cpu *c)
{
	struct hv_vcpu *v = c->v;
	struct hv_exit exit;
	int rc;

	if (c->dropped) {
		hv_domain_lock(c->d);
		c->hv->engine->sync(c->d, 1);
		hv_domain_unlock(c->d);
		c->dropped = false;
	}
	fv_give_flags(c);
	interrupt_is_pending(c);
	v->regs.cs = FLAT_KERNEL_CS;
	v->regs.ss = FLAT_KERNEL_SS;
	tell_engine(c);
	atomic_store(&v->sched.attention, atomic_load(&c->m->stop));
	rc = c->hv->engine->vcpu_run(v, &exit);
	if (rc) {
		fv_end(c->m, FV_END_OURS, 0, "no process for the guest: %s", strerror(-rc));
		return;
	}
	take_mode(c);
	fv_take_flags(c);
	handle(c, &exit);
	if (!c->cpl)
		fv_patch_finish(c);
	else if (c->missed.is_set)
		fv_fill_missed(c);
}

static void look_at_code(struct fv_cpu *c)
{
	if (atomic_load(&c->code_written) && atomic_exchange(&c->code_written, false))
		fv_code_drop_all(c);
}

static void run(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;

	reset(c);
	while (!atomic_load(&m->stop)) {
		look_at_code(c);
		if (c->is_long && !c->shadowed && (c->v->regs.rflags & X86_FLAG_IF) &&
		    interrupt_is_pending(c))
			fv_interrupt(c, fv_irq_ack(m->bus));
		if (c->is_long && !c->shadowed)
			run_natively(c);
		else
			for (unsigned i = 0; i < STEPS && !atomic_load(&m->stop); i++)
				if (!fv_emulate(c) || (c->is_long && !c->shadowed))
					break;
	}
}

static void kick(struct fv_machine *m)
{
	struct fv_cpu *c = m->cpu;

	if (!c)
		return;
	if (atomic_load(&m->stop))
		atomic_store(&c->v->sched.attention, true);
	/* Full barrier: pending first, then the mask; the guest does it the other way round. */
	__atomic_store_n(&c->page->info.evtchn_upcall_pending, 1, __ATOMIC_SEQ_CST);
	if (hv_vcpu_upcall_due(c->v))
		c->hv->engine->vcpu_kick(c->v);
}

static void wrote(struct fv_machine *m, uint64_t gpa, uint64_t len)
{
	struct fv_cpu *c = m->cpu;

	for (uint64_t at = FV_PAGE_OF(gpa); at < gpa + len; at += FV_PAGE)
		if (fv_code_at_gpa(c, at))
			atomic_store(&c->code_written, true);
}

static unsigned long long in_place(const struct fv_cpu *c, unsigned what)
{
	return c->hv->engine->local_hypercalls(c->v, what);
}

static void stats(const struct fv_machine *m, FILE *out)
{
	const struct fv_cpu *c = m->cpu;
	unsigned pages = 0;

	for (unsigned i = 0; i < FV_CODE_BUCKETS; i++)
		for (const struct fv_code *code = c->code[i]; code; code = code->next)
			pages++;
	fprintf(out, "%20u  pages of scanned code\n", pages);
	fprintf(out, "%20llu  instructions replaced by patches\n",
	        (unsigned long long)c->nr_patched);
	fprintf(out, "%20llu  system calls in place\n", in_place(c, PE_LOCAL_NATIVE_CALL));
	fprintf(out, "%20llu  returns to user mode in place\n",
	        in_place(c, PE_LOCAL_NATIVE_RETURN));
}

const struct fv_way fv_way_ring3 = {
	.name = "process",
	.probe = probe,
	.create = create,
	.destroy = destroy,
	.run = run,
	.kick = kick,
	.wrote = wrote,
	.stats = stats,
};
