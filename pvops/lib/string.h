/* SPDX-License-Identifier: MIT */
/*
 * The memory and string routines that the compiler and the library need where there is no libc.
 * They mean what the C standard says.
 *
 * In hosted tests the same code is compiled under the prefix pv_lib_, so that it can be held
 * against the libc's, and this header brings the libc's.
 */
#ifndef PVOPS_LIB_STRING_H
#define PVOPS_LIB_STRING_H

#include <stddef.h>

#ifdef PV_HOSTED_TEST
#include <string.h>
#define PV_LIB_NAME(name) pv_lib_##name
#else
#define PV_LIB_NAME(name) name
#endif

void *PV_LIB_NAME(memcpy)(void *restrict to, const void *restrict from, size_t len);
void *PV_LIB_NAME(memmove)(void *to, const void *from, size_t len);
void *PV_LIB_NAME(memset)(void *to, int byte, size_t len);
int PV_LIB_NAME(memcmp)(const void *a, const void *b, size_t len);
void *PV_LIB_NAME(memchr)(const void *from, int byte, size_t len);
size_t PV_LIB_NAME(strlen)(const char *s);
size_t PV_LIB_NAME(strnlen)(const char *s, size_t max);
int PV_LIB_NAME(strcmp)(const char *a, const char *b);
int PV_LIB_NAME(strncmp)(const char *a, const char *b, size_t max);
char *PV_LIB_NAME(strchr)(const char *s, int c);
char *PV_LIB_NAME(strstr)(const char *s, const char *what);

#endif /* PVOPS_LIB_STRING_H */
