/*-------------------------------------------------------------------------
 *
 * imagetype.h
 *	  how values of a type are printed exactly: form, settings, functions
 *
 *-------------------------------------------------------------------------
 */
#ifndef DELETE_GUARD_IMAGETYPE_H
#define DELETE_GUARD_IMAGETYPE_H

/* What is done with a column's value */
typedef enum DgForm
{
	DG_FORM_BOOL,
	DG_FORM_INT2,
	DG_FORM_INT4,
	DG_FORM_INT8,
	DG_FORM_OID,
	DG_FORM_NUMERIC,
	DG_FORM_FLOAT4,
	DG_FORM_FLOAT8,
	DG_FORM_DATETIME,
	DG_FORM_CHAR,
	DG_FORM_NAME,
	DG_FORM_TEXT,
	DG_FORM_BYTEA,
	DG_FORM_UUID,
	DG_FORM_JSONB,
	DG_FORM_OUTPUT				/* through the output function */
} DgForm;

extern DgForm dg_image_form(Oid typid);
extern int	dg_image_settings(Oid typid);
extern int	dg_image_pin(int settings);
extern int	dg_image_pin_reading(void);
extern int	dg_image_pin_telling(void);
extern void dg_image_unpin(int nestlevel);
extern bool dg_image_print(Oid typid, bool binary, Datum value,
						   MemoryContext context, const char **bytes,
						   Size *nbytes);

#endif							/* DELETE_GUARD_IMAGETYPE_H */
