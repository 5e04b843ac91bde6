/* SPDX-License-Identifier: MIT */
/*
 * User-mode Linux as a peer: Debian's program, and a root that holds nothing but one static program.
 */
#ifndef TESTS_BENCH_UML_H
#define TESTS_BENCH_UML_H

#include <stdbool.h>

/* The program: $UML, or linux.uml. */
const char *uml_program(void);
/* Writes an archive that the kernel unpacks as its root, with the program `init` in it. */
bool uml_make_root(const char *init, const char *path);

#endif /* TESTS_BENCH_UML_H */
