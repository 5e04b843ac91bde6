/* SPDX-License-Identifier: MIT */
/*
 * The smallest kernel: one line on the console, then the power is switched off.
 *
 * It is the example of docs/porting.md. All that stands between the hypervisor's first instruction
 * and the function below is in the library: the ELF notes and the entry point
 * (pvops/boot/xen_head.S), and the start-up order (pvops/init.c).
 */

/* What the library wants from a kernel, and what it tells it. The one header a small kernel needs. */
#include "pvops/pvguest.h"

/*
 * The library calls this on the boot vCPU, with a stack of 16 KiB, all of C's data in place, events
 * (the interrupts of a paravirtualized machine) masked, and every trap caught by a reporter.
 */
void kernel_main(const struct pv_boot *boot)
{
	/*
	 * printf to the log. This kernel supplies no hook for the log (nor any other: it defines no
	 * table `pv_hooks`), so the text goes to the console ring: a page that the domain builder
	 * made, which pv_log() fills and the hypervisor's side empties.
	 *
	 * memory_end is the end of the domain's memory: it begins at 0 and has no holes.
	 */
	pv_log("hello: %lu KiB of memory, command line \"%s\"\n", boot->memory_end / 1024,
	       boot->cmdline);

	/*
	 * To return is to switch off: the library waits until the console has taken the line, then
	 * asks the hypervisor to end the domain with the reason "poweroff".
	 */
}
