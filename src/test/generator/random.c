/*
 * random.c
 *	  Alias tables for weighted draws.
 */
#include "random.h"

#include <stdio.h>
#include <stdlib.h>

void *
allocate(size_t count, size_t size)
{
	void	   *memory = calloc(count, size);

	if (memory == NULL)
	{
		fprintf(stderr, "generator: out of memory\n");
		exit(1);
	}
	return memory;
}

static double
sum_of(const double *weights, uint32_t count)
{
	double		sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += weights[i];
	return sum;
}

/*
 * Vose's construction: each slot has room for the mean weight; what a light
 * index leaves free is filled by a heavy one.
 */
void
alias_init(Alias *alias, const double *weights, uint32_t count)
{
	double		sum = sum_of(weights, count);
	double	   *room = allocate(count, sizeof(double));
	uint32_t   *stack = allocate(count, sizeof(uint32_t));
	uint32_t	light = 0,		/* light ones grow from the left, */
				heavy = count;	/* heavy ones from the right */

	alias->slots = allocate(count, sizeof(AliasSlot));
	alias->count = count;
	for (uint32_t i = 0; i < count && sum > 0; i++)
	{
		room[i] = weights[i] * count / sum;
		if (room[i] < 1)
			stack[light++] = i;
		else
			stack[--heavy] = i;
	}
	while (light > 0 && heavy < count)
	{
		uint32_t	small = stack[--light];
		uint32_t	big = stack[heavy];

		alias->slots[small].keep = (uint32_t) (room[small] * 4294967295.0);
		alias->slots[small].alias = big;
		room[big] -= 1 - room[small];
		if (room[big] < 1)
		{
			heavy++;
			stack[light++] = big;
		}
	}
	/* What is left differs from 1 by rounding only. */
	while (light > 0)
	{
		uint32_t	rest = stack[--light];

		alias->slots[rest] = (AliasSlot) {UINT32_MAX, rest};
	}
	while (heavy < count)
	{
		uint32_t	rest = stack[heavy++];

		alias->slots[rest] = (AliasSlot) {UINT32_MAX, rest};
	}
	free(stack);
	free(room);
}
