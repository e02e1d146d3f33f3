/*-------------------------------------------------------------------------
 *
 * render.h
 *	  the impact of a delete, to be looked at
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_RENDER_H
#define DELETE_GUARD_RENDER_H

#include "impact.h"

extern List *dg_render(const DgImpact *impact, const char *format);
extern char *dg_render_path(const DgImpactLine *line, const char *before);
extern char *dg_render_samples(const DgImpactLine *line);

#endif							/* DELETE_GUARD_RENDER_H */
