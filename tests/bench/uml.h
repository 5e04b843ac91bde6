/* SPDX-License-Identifier: MIT */
/*
 * User-mode Linux as a peer: Debian's program, and a root that holds nothing but one static program.
 */
#ifndef TESTS_BENCH_UML_H
#define TESTS_BENCH_UML_H

#include <stdbool.h>

/* The program: $UML, or linux.uml. */
const char *uml_program(void);
#define UML_ROOT "root.cpio" /* in the folder */
#define UML_ID   "machine"   /* umid= */

/* Writes an archive that the kernel unpacks as its root, with the program `init` in it, into a folder. */
bool uml_make_root(const char *init, const char *folder);
/* Removes it, and what a User-mode Linux with uml_dir= that folder and umid= UML_ID left when it was killed. */
void uml_clean(const char *folder);

#endif /* TESTS_BENCH_UML_H */
