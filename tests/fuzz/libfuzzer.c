/* SPDX-License-Identifier: MIT */
/* The same targets under libFuzzer, where clang has it. */
#include <stddef.h>
#include <stdint.h>

int TARGET(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	TARGET(data, len);
	return 0;
}
