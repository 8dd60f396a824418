/*
 * sql_result.c
 *	  What the SQL functions share: rows out of answers, and null arguments.
 *
 * Threading: the main thread of a backend.
 *
 * On failure: an error is raised.
 */
#include "pgraft.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/timestamp.h"

static Datum
next_datum(PgraftResponse *response, Oid type, bool *isnull)
{
	text	   *value;
	int64		us;

	switch (type)
	{
		case BOOLOID:
			return BoolGetDatum(pgraft_next_bool(response, isnull));
		case INT4OID:
			return Int32GetDatum(pgraft_next_int32(response, isnull));
		case INT8OID:
			return Int64GetDatum(pgraft_next_int64(response, isnull));
		case TIMESTAMPTZOID:
			us = pgraft_next_int64(response, isnull);
			return TimestampTzGetDatum(pgraft_timestamp_of_unix_us(us));
		case TEXTOID:
			value = pgraft_next_text(response, isnull);
			return value == NULL ? (Datum) 0 : PointerGetDatum(value);
	}
	elog(ERROR, "pgraft: unexpected result type %u", type);
}

/* Takes one row of the answer; columns that SQL does not show are skipped. */
static void
next_row(PgraftResponse *response, TupleDesc desc, Datum *values, bool *nulls)
{
	int			shown = desc->natts;

	for (int i = 0; i < shown; i++)
		values[i] = next_datum(response, TupleDescAttr(desc, i)->atttypid, &nulls[i]);
	for (uint32 i = shown; i < response->columns; i++)
		pgraft_skip_value(response);
}

/*
 * Adds the rows of an answer to a result that has been begun.
 */
void
pgraft_store_rows(PgraftResponse *response, ReturnSetInfo *rsinfo)
{
	TupleDesc	desc = rsinfo->setDesc;
	Datum	   *values = palloc(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "pgraft row",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row_context);

	for (uint32 row = 0; row < response->rows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		next_row(response, desc, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, desc, values, nulls);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row_context);
}

/*
 * Sends the request and returns its answer as a set.  The wire has "columns"
 * columns, of which the function's result type shows the first.
 */
Datum
pgraft_return_set(FunctionCallInfo fcinfo, PgraftRequest *request, uint32 columns)
{
	PgraftResponse response;
	Oid			type;
	bool		composite = get_call_result_type(fcinfo, &type, NULL) == TYPEFUNC_COMPOSITE;
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	pgraft_call(request, columns, &response);
	InitMaterializedSRF(fcinfo, composite ? 0 : MAT_SRF_USE_EXPECTED_DESC);
	if ((uint32) rsinfo->setDesc->natts > columns)
		elog(ERROR, "pgraft: the function's declaration does not fit its library");
	pgraft_store_rows(&response, rsinfo);
	return (Datum) 0;
}

/*
 * Returns one row.
 */
Datum
pgraft_return_nullable_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls, int count)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != count)
		elog(ERROR, "pgraft: the function's declaration does not fit its library");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * Returns one row, none of whose values is null.
 */
Datum
pgraft_return_row(FunctionCallInfo fcinfo, Datum *values, int count)
{
	bool		nulls[16] = {0};

	if (count > (int) lengthof(nulls))
		elog(ERROR, "pgraft: the function's declaration does not fit its library");
	return pgraft_return_nullable_row(fcinfo, values, nulls, count);
}

/*
 * For functions that change state: a null argument is a mistake there, which a
 * null result would hide.
 */
void
pgraft_reject_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pgraft: argument \"%s\" must not be null", name)));
}
