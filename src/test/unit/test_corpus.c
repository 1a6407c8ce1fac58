/*
 * test_corpus.c
 *	  The fuzzer's corpus, through what the fuzzer does with it: whatever was
 *	  found once stays mended, without a fuzzer.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "harness.h"

/* The directory in which make runs us is src/test/unit. */
#define CORPUS_DIRECTORY	"../fuzz/corpus"

#define CORPUS_MAX_FILE		(1024 * 1024)

typedef void (*CorpusHarness) (const uint8_t *data, size_t length);

static void
corpus_run_file(const char *name, CorpusHarness harness)
{
	uint8_t    *data = malloc(CORPUS_MAX_FILE);
	FILE	   *file = fopen(name, "rb");
	size_t		length;

	assert_non_null(data);
	if (file == NULL)
		fail_msg("cannot open %s", name);
	length = fread(data, 1, CORPUS_MAX_FILE, file);
	fclose(file);
	assert_true(length < CORPUS_MAX_FILE);

	/* unbuffered: the last one is told also by a program that dies of it */
	fprintf(stderr, "%s\n", name);
	harness(data, length);
	free(data);
}

static int
corpus_is_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void
corpus_run(const char *kind, CorpusHarness harness)
{
	char		directory[256];
	char		name[1024];
	struct dirent **entries;
	int			count;

	snprintf(directory, sizeof(directory), CORPUS_DIRECTORY "/%s", kind);
	count = scandir(directory, &entries, corpus_is_file, alphasort);
	assert_true(count > 0);
	for (int i = 0; i < count; i++)
	{
		snprintf(name, sizeof(name), "%s/%s", directory, entries[i]->d_name);
		corpus_run_file(name, harness);
		free(entries[i]);
	}
	free(entries);
}

static void
test_datagrams(void **state)
{
	(void) state;
	corpus_run("datagrams", harness_datagrams);
}

static void
test_capture(void **state)
{
	(void) state;
	corpus_run("capture", harness_capture);
}

static void
test_image(void **state)
{
	(void) state;
	corpus_run("image", harness_image);
}

/* What a fuzzer tries first. */
static void
test_nothing(void **state)
{
	(void) state;
	harness_datagrams((const uint8_t *) "", 0);
	harness_capture((const uint8_t *) "", 0);
	harness_image((const uint8_t *) "", 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
