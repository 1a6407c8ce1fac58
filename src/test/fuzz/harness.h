/*
 * harness.h
 *	  What is done with an input; the fuzzer and test_corpus.c share it.  Each of
 *	  them aborts, or a sanitizer does, where something is wrong.
 */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

/* Datagrams of several exporters, one after the other (script.h). */
extern void harness_datagrams(const uint8_t *data, size_t length);

/* A capture file. */
extern void harness_capture(const uint8_t *data, size_t length);

/* What decoder_save() writes, without the checksum at its end. */
extern void harness_image(const uint8_t *data, size_t length);

#endif							/* FUZZ_HARNESS_H */
