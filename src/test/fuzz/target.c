/*
 * target.c
 *	  The door for libFuzzer.  FUZZ_HARNESS is the function that gets the inputs.
 */
#include "harness.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FUZZ_HARNESS(data, size);
	return 0;
}
