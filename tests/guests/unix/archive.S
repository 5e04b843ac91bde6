/* SPDX-License-Identifier: MIT */
/* The programs, for when no --ramdisk brings others. UNIX_ARCHIVE: made by the Makefile. */
	.section .rodata.unix_archive, "a", @progbits
	.balign 16
	.globl unix_archive, unix_archive_end
unix_archive:
	.incbin UNIX_ARCHIVE
unix_archive_end:

	.section .note.GNU-stack, "", @progbits
