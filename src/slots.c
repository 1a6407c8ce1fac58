/*
 * slots.c
 *	  Sums by slots of time, of which percentiles and peaks are made.
 *
 * A month of five minutes has 8,928 slots for each interface and direction.  To group
 * by the slot, too, and then group the sums again, would cost several times as much as
 * to read the rows.  So these aggregates keep the slots of a group themselves.
 *
 * A slot that no row stands for is null in an array, and 0 to whoever counts with it.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define SLOTS_MAX	((int64) (MaxAllocSize / sizeof(Datum)))

/* Of a bucket's begin and length: 63,000 years */
#define SLOTS_MAX_SECONDS	INT64CONST(2000000000000)

/* Of times, in seconds since 1970 */
#define SLOTS_EPOCH	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

#define ST_SORT slots_sort
#define ST_ELEMENT_TYPE float8
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct Slot
{
	int64		at;
	float8		sum;
} Slot;

typedef struct Slots
{
	int64		total;			/* numbered from 0; only of arrays */
	int64		first;			/* where the first bucket of peaks begins, and how long they are */
	int64		step;
	int			count;
	int			room;
	Slot	   *slots;			/* in ascending order */
} Slots;

PG_FUNCTION_INFO_V1(lastfluss_slots_add);
PG_FUNCTION_INFO_V1(lastfluss_slots_add_time);
PG_FUNCTION_INFO_V1(lastfluss_slots_array);
PG_FUNCTION_INFO_V1(lastfluss_peak_add);
PG_FUNCTION_INFO_V1(lastfluss_peak_max);
PG_FUNCTION_INFO_V1(lastfluss_peaks_add);
PG_FUNCTION_INFO_V1(lastfluss_peaks_array);
PG_FUNCTION_INFO_V1(lastfluss_slots_less);
PG_FUNCTION_INFO_V1(lastfluss_slots_lowest);

/* Where "at" is, or belongs. */
static int
slots_find(const Slots *slots, int64 at)
{
	int			first = 0;
	int			last = slots->count;

	/* Tables have their rows in the order of time. */
	if (last == 0 || slots->slots[last - 1].at < at)
		return last;
	if (slots->slots[last - 1].at == at)
		return last - 1;
	while (first < last)
	{
		int			middle = first + (last - first) / 2;

		if (slots->slots[middle].at < at)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

static void
slots_put(Slots *slots, int64 at, float8 value)
{
	int			place = slots_find(slots, at);
	Slot	   *slot;

	if (place < slots->count && slots->slots[place].at == at)
	{
		slots->slots[place].sum += value;
		return;
	}
	if (slots->count == slots->room)
	{
		slots->room *= 2;
		slots->slots = repalloc(slots->slots, slots->room * sizeof(Slot));
	}
	slot = &slots->slots[place];
	memmove(slot + 1, slot, (slots->count - place) * sizeof(Slot));
	slot->at = at;
	slot->sum = value;
	slots->count++;
}

/* The state of the group that this is called for. */
static Slots *
slots_state(FunctionCallInfo fcinfo)
{
	MemoryContext group;
	Slots	   *slots;

	if (!AggCheckCallContext(fcinfo, &group))
		elog(ERROR, "sums by slots are made by aggregates alone");
	if (!PG_ARGISNULL(0))
		return (Slots *) PG_GETARG_POINTER(0);
	slots = MemoryContextAllocZero(group, sizeof(Slots));
	slots->room = 8;
	slots->slots = MemoryContextAlloc(group, slots->room * sizeof(Slot));
	return slots;
}

static void
slots_check_total(int64 total)
{
	if (total < 0 || total > SLOTS_MAX)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("too many slots of time: " INT64_FORMAT, total),
						errhint("Ask for a shorter range.")));
}

/* An equal part of the value into each of "width" slots; what is not in 0 .. total - 1 is left out. */
static void
slots_spread(Slots *slots, float8 value, int64 first, int64 width, int64 total)
{
	slots_check_total(total);
	/* The array has room for all that is in a slot: it never becomes shorter. */
	slots->total = Max(slots->total, total);
	/* Whatever the numbers are, nothing overflows. */
	if (width < 1 || first <= -width || first >= slots->total)
		return;
	for (int64 i = first < 0 ? -first : 0; i < width && first + i < slots->total; i++)
		slots_put(slots, first + i, value / width);
}

/* lastfluss._slots(value, slot, width, slots) */
Datum
lastfluss_slots_add(PG_FUNCTION_ARGS)
{
	Slots	   *slots = slots_state(fcinfo);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && !PG_ARGISNULL(3) && !PG_ARGISNULL(4))
		slots_spread(slots, PG_GETARG_FLOAT8(1), PG_GETARG_INT64(2), PG_GETARG_INT64(3), PG_GETARG_INT64(4));
	PG_RETURN_POINTER(slots);
}

/*
 * lastfluss._slots(value, time, seconds, first, step, slots): the row's value goes into
 * the slots that it stands for, which are so many seconds long; the first begins there,
 * in seconds since 1970.
 */
Datum
lastfluss_slots_add_time(PG_FUNCTION_ARGS)
{
	Slots	   *slots = slots_state(fcinfo);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2) && !PG_ARGISNULL(3) && !PG_ARGISNULL(4) && !PG_ARGISNULL(5) && !PG_ARGISNULL(6))
	{
		float8		at = rint((PG_GETARG_TIMESTAMPTZ(2) + SLOTS_EPOCH * USECS_PER_SEC) / 1000000.0);
		int64		step = PG_GETARG_INT64(5);

		if (step <= 0)
			elog(ERROR, "slots need a length");
		slots_spread(slots, PG_GETARG_FLOAT8(1), ((int64) at - PG_GETARG_INT64(4)) / step,
					 Max(PG_GETARG_INT64(3) / step, 1), PG_GETARG_INT64(6));
	}
	PG_RETURN_POINTER(slots);
}

/*
 * An array of "total" elements.  In each is the largest of the slots that fall into it,
 * by "first" and "step"; null where none does.
 */
static Datum
slots_array(const Slots *slots, int64 first, int64 step)
{
	int			total = (int) slots->total;
	Datum	   *values = palloc0(total * sizeof(Datum));
	bool	   *nulls = palloc(total * sizeof(bool));

	memset(nulls, true, total * sizeof(bool));
	for (int i = 0; i < slots->count; i++)
	{
		const Slot *slot = &slots->slots[i];
		int64		element = slot->at < first ? -1 : (slot->at - first) / step;

		if (element < 0 || element >= total)
			continue;
		if (nulls[element] || DatumGetFloat8(values[element]) < slot->sum)
			values[element] = Float8GetDatum(slot->sum);
		nulls[element] = false;
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &total, &(int) {1},
											  FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

Datum
lastfluss_slots_array(PG_FUNCTION_ARGS)
{
	const Slots *slots = PG_ARGISNULL(0) ? NULL : (Slots *) PG_GETARG_POINTER(0);

	if (slots == NULL || slots->total == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(slots_array(slots, 0, 1));
}

/* lastfluss._peak(value, time) */
Datum
lastfluss_peak_add(PG_FUNCTION_ARGS)
{
	Slots	   *slots = slots_state(fcinfo);

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		slots_put(slots, PG_GETARG_INT64(2), PG_GETARG_FLOAT8(1));
	PG_RETURN_POINTER(slots);
}

Datum
lastfluss_peak_max(PG_FUNCTION_ARGS)
{
	const Slots *slots = PG_ARGISNULL(0) ? NULL : (Slots *) PG_GETARG_POINTER(0);
	float8		peak;

	if (slots == NULL || slots->count == 0)
		PG_RETURN_NULL();
	peak = slots->slots[0].sum;
	for (int i = 1; i < slots->count; i++)
		peak = Max(peak, slots->slots[i].sum);
	PG_RETURN_FLOAT8(peak);
}

/*
 * lastfluss._peaks(value, time, first, step, buckets): as _peak(), of each bucket of so
 * many seconds, the first of which begins there, in seconds since 1970.  Null is 0.
 */
Datum
lastfluss_peaks_add(PG_FUNCTION_ARGS)
{
	Slots	   *slots = slots_state(fcinfo);

	if (slots->step == 0)
	{
		/* In microseconds, too, they are numbers. */
		if (PG_ARGISNULL(3) || PG_ARGISNULL(4) || PG_ARGISNULL(5) || PG_GETARG_INT64(4) <= 0 ||
			PG_GETARG_INT64(4) > SLOTS_MAX_SECONDS ||
			PG_GETARG_INT64(3) < -SLOTS_MAX_SECONDS || PG_GETARG_INT64(3) > SLOTS_MAX_SECONDS)
			elog(ERROR, "peaks need buckets");
		slots_check_total(PG_GETARG_INT64(5));
		slots->first = (PG_GETARG_INT64(3) - SLOTS_EPOCH) * USECS_PER_SEC;
		slots->step = PG_GETARG_INT64(4) * USECS_PER_SEC;
		slots->total = PG_GETARG_INT64(5);
	}
	if (!PG_ARGISNULL(2))
		slots_put(slots, PG_GETARG_INT64(2), PG_ARGISNULL(1) ? 0 : PG_GETARG_FLOAT8(1));
	PG_RETURN_POINTER(slots);
}

Datum
lastfluss_peaks_array(PG_FUNCTION_ARGS)
{
	const Slots *slots = PG_ARGISNULL(0) ? NULL : (Slots *) PG_GETARG_POINTER(0);

	if (slots == NULL || slots->total == 0)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(slots_array(slots, slots->first, slots->step));
}

/* What is in an array; those that are null, or behind its end, are 0. */
static float8 *
slots_values(ArrayType *array, int count)
{
	float8	   *values = palloc0(Max(count, 1) * sizeof(float8));
	Datum	   *elements;
	bool	   *nulls;
	int			there;

	if (ARR_NDIM(array) > 1 || ARR_ELEMTYPE(array) != FLOAT8OID)
		elog(ERROR, "slots are an array of one dimension");
	deconstruct_array(array, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &elements, &nulls, &there);
	for (int i = 0; i < Min(there, count); i++)
	{
		if (!nulls[i])
			values[i] = DatumGetFloat8(elements[i]);
	}
	return values;
}

static int
slots_count(ArrayType *array)
{
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

/* lastfluss._less(slots, part): slot by slot; null: there is nothing to take away. */
Datum
lastfluss_slots_less(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	int			count;
	float8	   *values;
	float8	   *part;
	Datum	   *rest;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	array = PG_GETARG_ARRAYTYPE_P(0);
	if (PG_ARGISNULL(1))
		PG_RETURN_ARRAYTYPE_P(array);
	count = slots_count(array);
	values = slots_values(array, count);
	part = slots_values(PG_GETARG_ARRAYTYPE_P(1), count);
	rest = palloc(Max(count, 1) * sizeof(Datum));
	for (int i = 0; i < count; i++)
		rest[i] = Float8GetDatum(values[i] - part[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(rest, count, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The one in the middle. */
static float8
slots_median(float8 a, float8 b, float8 c)
{
	return Max(Min(a, b), Min(Max(a, b), c));
}

/*
 * What would be at that place, from 0, in ascending order, for which they are moved: of
 * a year's hours in a tenth of the time that it takes to sort them.
 */
static float8
slots_select(float8 *values, int count, int place)
{
	int			first = 0;
	int			last = count - 1;

	for (int rounds = 2 * (int) pg_ceil_log2_32(count); first < last; rounds--)
	{
		float8		middle = slots_median(values[first], values[first + (last - first) / 2], values[last]);
		int			low = first;
		int			high = last;

		if (rounds == 0)
		{
			/* They lie as badly as they can. */
			slots_sort(values + first, last - first + 1);
			break;
		}
		while (low <= high)
		{
			while (values[low] < middle)
				low++;
			while (values[high] > middle)
				high--;
			if (low <= high)
			{
				float8		value = values[low];

				values[low++] = values[high];
				values[high--] = value;
			}
		}
		/* None between them is another one than "middle". */
		if (place > high && place < low)
			break;
		if (place <= high)
			last = high;
		else
			first = low;
	}
	return values[place];
}

/*
 * lastfluss._lowest(slots, n): the one with this number, from 1, in ascending order;
 * null where there is none.
 */
Datum
lastfluss_slots_lowest(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int64		number = PG_GETARG_INT64(1);
	int			count = slots_count(array);
	float8	   *values;

	if (number < 1 || number > count)
		PG_RETURN_NULL();
	values = slots_values(array, count);
	PG_RETURN_FLOAT8(slots_select(values, count, (int) number - 1));
}
