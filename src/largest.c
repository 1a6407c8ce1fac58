/*
 * largest.c
 *	  Sums by AS, of which the largest are shown.
 *
 * A list of a day reads more than 100,000 rows for some thousand ASes, and shows
 * twenty of them.  GROUP BY would take several times as long as to read the rows: it
 * keeps a tuple and a transition for each sum of each AS, and makes numeric of all of
 * them.  So this aggregate keeps the sums itself, and shows those that are asked for.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/typcache.h"

#define LARGEST_SUMS	3		/* apart, not apart, and where that is null */
#define LARGEST_DIGITS	INT64CONST(1000000000000000000)

/* Sums of rows that are no whole bytes, which are rare. */
typedef struct AsParts
{
	Numeric		sums[LARGEST_SUMS];	/* or NULL */
	Numeric		all;			/* with whole bytes, to sort by */
} AsParts;

typedef struct AsSums
{
	int64		asn;
	int128		sums[LARGEST_SUMS];
	AsParts    *parts;			/* or NULL */
	char		status;			/* simplehash's own */
} AsSums;

#define SH_PREFIX as_sums
#define SH_ELEMENT_TYPE AsSums
#define SH_KEY_TYPE int64
#define SH_KEY asn
#define SH_HASH_KEY(table, key) ((uint32) (((uint64) (key) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct Largest
{
	MemoryContext context;
	as_sums_hash *sums;
	AsSums		none;			/* rows without an AS */
	bool		seen_none;
	bool		seen_parts;
	int			show;			/* how many */
} Largest;

PG_FUNCTION_INFO_V1(lastfluss_largest_add);
PG_FUNCTION_INFO_V1(lastfluss_largest_add_part);
PG_FUNCTION_INFO_V1(lastfluss_largest_array);

static Largest *
largest_state(FunctionCallInfo fcinfo)
{
	MemoryContext group;
	Largest    *largest;

	if (!PG_ARGISNULL(0))
		return (Largest *) PG_GETARG_POINTER(0);
	if (!AggCheckCallContext(fcinfo, &group))
		elog(ERROR, "sums by AS are made by an aggregate alone");
	largest = MemoryContextAllocZero(group, sizeof(Largest));
	largest->context = group;
	largest->sums = as_sums_create(group, 1024, NULL);
	largest->show = PG_ARGISNULL(4) ? PG_INT32_MAX : Max(PG_GETARG_INT32(4), 0);
	return largest;
}

/* The sums of the row's AS. */
static AsSums *
largest_find(Largest *largest, FunctionCallInfo fcinfo)
{
	AsSums	   *found;
	bool		known;

	if (PG_ARGISNULL(1))
	{
		largest->seen_none = true;
		return &largest->none;
	}
	found = as_sums_insert(largest->sums, PG_GETARG_INT64(1), &known);
	if (!known)
	{
		memset(found->sums, 0, sizeof(found->sums));
		found->parts = NULL;
	}
	return found;
}

static inline int
largest_which(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(2) ? 2 : PG_GETARG_BOOL(2) ? 0 : 1;
}

/* lastfluss._largest(asn, apart, bytes, n) */
Datum
lastfluss_largest_add(PG_FUNCTION_ARGS)
{
	Largest    *largest = largest_state(fcinfo);
	AsSums	   *found = largest_find(largest, fcinfo);

	if (!PG_ARGISNULL(3))
		found->sums[largest_which(fcinfo)] += PG_GETARG_INT64(3);
	PG_RETURN_POINTER(largest);
}

static Numeric
largest_plus(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a), NumericGetDatum(b)));
}

/* The same where bytes are numeric. */
Datum
lastfluss_largest_add_part(PG_FUNCTION_ARGS)
{
	Largest    *largest = largest_state(fcinfo);
	AsSums	   *found = largest_find(largest, fcinfo);
	MemoryContext before;
	Numeric    *sum;
	Numeric		more;

	if (PG_ARGISNULL(3))
		PG_RETURN_POINTER(largest);
	largest->seen_parts = true;
	before = MemoryContextSwitchTo(largest->context);
	if (found->parts == NULL)
		found->parts = palloc0(sizeof(AsParts));
	sum = &found->parts->sums[largest_which(fcinfo)];
	more = *sum ? largest_plus(*sum, PG_GETARG_NUMERIC(3)) : PG_GETARG_NUMERIC_COPY(3);
	if (*sum)
		pfree(*sum);
	*sum = more;
	MemoryContextSwitchTo(before);
	PG_RETURN_POINTER(largest);
}

static Numeric
largest_numeric(int128 value)
{
	Datum		high;

	if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
		return int64_to_numeric((int64) value);
	/* 2^63 rows of 2^63 bytes would be too many; there are fewer. */
	high = DirectFunctionCall2(numeric_mul,
							   NumericGetDatum(int64_to_numeric((int64) (value / LARGEST_DIGITS))),
							   NumericGetDatum(int64_to_numeric(LARGEST_DIGITS)));
	return largest_plus(DatumGetNumeric(high), int64_to_numeric((int64) (value % LARGEST_DIGITS)));
}

static Numeric
largest_sum(const AsSums *sums, int which)
{
	Numeric		whole = largest_numeric(sums->sums[which]);

	return sums->parts && sums->parts->sums[which] ? largest_plus(whole, sums->parts->sums[which]) : whole;
}

static int128
largest_whole(const AsSums *sums)
{
	return sums->sums[0] + sums->sums[1] + sums->sums[2];
}

static Numeric
largest_all(const AsSums *sums)
{
	Numeric		all = largest_numeric(largest_whole(sums));

	for (int i = 0; sums->parts && i < LARGEST_SUMS; i++)
	{
		if (sums->parts->sums[i])
			all = largest_plus(all, sums->parts->sums[i]);
	}
	return all;
}

/* The larger one first, and of those that are as large the lower number. */
static int
largest_compare(const void *a, const void *b)
{
	const AsSums *left = *(AsSums *const *) a;
	const AsSums *right = *(AsSums *const *) b;
	int128	left_all = largest_whole(left);
	int128	right_all = largest_whole(right);

	if (left_all != right_all)
		return left_all > right_all ? -1 : 1;
	return left->asn < right->asn ? -1 : 1;
}

static int
largest_compare_parts(const void *a, const void *b)
{
	const AsSums *left = *(AsSums *const *) a;
	const AsSums *right = *(AsSums *const *) b;
	int			order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(right->parts->all),
														  NumericGetDatum(left->parts->all)));

	return order != 0 ? order : left->asn < right->asn ? -1 : 1;
}

static AsSums **
largest_sorted(Largest *largest)
{
	AsSums	  **sorted = palloc(Max(largest->sums->members, 1) * sizeof(AsSums *));
	AsSums	   *each;
	as_sums_iterator iterator;
	int			count = 0;

	as_sums_start_iterate(largest->sums, &iterator);
	while ((each = as_sums_iterate(largest->sums, &iterator)) != NULL)
	{
		if (largest->seen_parts)
		{
			if (each->parts == NULL)
				each->parts = palloc0(sizeof(AsParts));
			each->parts->all = largest_all(each);
		}
		sorted[count++] = each;
	}
	qsort(sorted, count, sizeof(AsSums *), largest->seen_parts ? largest_compare_parts : largest_compare);
	return sorted;
}

/* What is not shown goes to what has no AS. */
static void
largest_add_rest(Largest *largest, AsSums *const *sorted, int shown)
{
	AsSums	   *rest = &largest->none;

	if (largest->seen_parts && rest->parts == NULL)
		rest->parts = palloc0(sizeof(AsParts));
	for (uint32 i = shown; i < largest->sums->members; i++)
	{
		for (int which = 0; which < LARGEST_SUMS; which++)
		{
			Numeric		part = largest->seen_parts ? sorted[i]->parts->sums[which] : NULL;
			Numeric    *sum = part ? &rest->parts->sums[which] : NULL;

			rest->sums[which] += sorted[i]->sums[which];
			if (part)
				*sum = *sum ? largest_plus(*sum, part) : part;
		}
	}
}

/* A lastfluss._sums_of_asn */
static Datum
largest_row(TupleDesc type, const AsSums *sums, bool none)
{
	Datum		values[4] = {
		Int64GetDatum(sums->asn),
		NumericGetDatum(largest_sum(sums, 0)),
		NumericGetDatum(largest_sum(sums, 1)),
		NumericGetDatum(largest_all(sums))
	};
	bool		nulls[4] = {none, false, false, false};

	return HeapTupleGetDatum(heap_form_tuple(type, values, nulls));
}

/* The largest in descending order; last, with asn null, all the others. */
Datum
lastfluss_largest_array(PG_FUNCTION_ARGS)
{
	Largest    *largest = PG_ARGISNULL(0) ? NULL : (Largest *) PG_GETARG_POINTER(0);
	Oid			element = get_element_type(get_fn_expr_rettype(fcinfo->flinfo));
	TupleDesc	type;
	AsSums	  **sorted;
	Datum	   *rows;
	int			shown;
	int			count = 0;

	if (largest == NULL)
		PG_RETURN_NULL();
	type = lookup_rowtype_tupdesc(element, -1);
	sorted = largest_sorted(largest);
	shown = Min((int64) largest->sums->members, largest->show);
	rows = palloc((shown + 1) * sizeof(Datum));
	for (; count < shown; count++)
		rows[count] = largest_row(type, sorted[count], false);
	if (largest->seen_none || (uint32) shown < largest->sums->members)
	{
		largest_add_rest(largest, sorted, shown);
		rows[count++] = largest_row(type, &largest->none, true);
	}
	ReleaseTupleDesc(type);
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, count, element, -1, false, TYPALIGN_DOUBLE));
}
