/*
 * subject.h
 *	  A decoder, of which every promise is checked with every datagram.
 */
#ifndef FUZZ_SUBJECT_H
#define FUZZ_SUBJECT_H

#include "decode.h"

typedef struct Subject
{
	void	   *memory;
	DecoderLimits limits;
	Decoder    *decoder;
	const Datagram *datagram;	/* the one that is being decoded */
	uint64_t	flows;			/* that came out of it */
	uint64_t	digest;			/* of all that came out of it, in its order */
	void		(*flow) (void *context, const Datagram *datagram, const Flow *flow);
	void	   *context;		/* "flow" may be NULL */
} Subject;

/* A decoder with fresh state; the one before, if any, is gone. */
extern void subject_init(Subject *subject, const DecoderLimits *limits);

/* Decodes from memory of just that size; octets taken. */
extern size_t subject_decode(Subject *subject, const Datagram *datagram, bool may_continue);

/*
 * Saves one decoder and loads what it saved into the other, which is made anew
 * and must have learned all of it.
 */
extern void subject_restart(const Subject *from, Subject *to);

/* Has nothing been forgotten because there was no room for it? */
extern bool subject_is_complete(const Subject *subject);

#endif							/* FUZZ_SUBJECT_H */
