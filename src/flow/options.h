/*
 * options.h
 *	  What options data teaches: sampling rates and names of interfaces.
 */
#ifndef LASTFLUSS_OPTIONS_H
#define LASTFLUSS_OPTIONS_H

#include "message.h"
#include "steps.h"

/* Takes what an options record of that exporter says; true if that was a rate. */
extern bool options_learn(const Message *message, const TemplateKey *key,
						  const StepsRecord *record);

#endif							/* LASTFLUSS_OPTIONS_H */
