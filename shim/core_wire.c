/*
 * core_wire.c
 *	  Frames of the request protocol: requests out, answers in.
 *
 * Layout and value types are in docs/protocol.md.  The core is trusted, but a
 * defect in it must not corrupt a backend: every length is checked against the
 * bytes that are there, and every value against the type that is expected.
 * Text crosses as UTF-8 and is converted, and verified, both ways.
 *
 * Threading: the main thread of a backend; no state here.
 *
 * On failure: an error is raised.  A malformed answer also closes the
 * connection, whose stream cannot be trusted any more; as it says nothing, the
 * outcome of a request that changes state is unknown then.
 */
#include "pgraft.h"

#include "mb/pg_wchar.h"

#define RESPONSE_STATUS_OFFSET 4
#define RESPONSE_ID_OFFSET 8
#define RESPONSE_COLUMNS_OFFSET 12
#define RESPONSE_ROWS_OFFSET 16

static void
put_le(char *to, uint64 value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (char) (value >> (8 * i));
}

static uint64
get_le(const char *from, int bytes)
{
	uint64		value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64) (unsigned char) from[i] << (8 * i);
	return value;
}

/*
 * Raises the error of an answer that cannot be read.  It stands in for the
 * answer, so no context needs to say that there was none.
 */
void
pgraft_raise_malformed(PgraftRequest *request, const char *what)
{
	pgraft_disconnect();
	request->answered = true;
	if (request->changes_state)
		pgraft_raise(PGRAFT_OUTCOME_UNKNOWN,
					 psprintf("the outcome of the request to %s is unknown - the cluster worker's answer is malformed",
							  request->action),
					 what, "Read the state back before deciding to repeat it. The extension and its core library may be of different builds.");
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("pgraft: the cluster worker's answer is malformed"),
			 errdetail_internal("%s", what),
			 errhint("The extension and its core library may be of different builds; reinstall both.")));
}

void
pgraft_request_init(PgraftRequest *request, PgraftRequestCode code, bool changes_state,
					const char *action)
{
	memset(request, 0, sizeof(*request));
	request->code = code;
	request->changes_state = changes_state;
	request->action = action;
	initStringInfo(&request->frame);
	enlargeStringInfo(&request->frame, PGRAFT_FRAME_HEADER_BYTES);
	request->frame.len = PGRAFT_FRAME_HEADER_BYTES;
}

static void
add_value(PgraftRequest *request, PgraftValueTag tag, uint64 value, int bytes)
{
	char		buffer[1 + sizeof(uint64)];

	buffer[0] = (char) tag;
	put_le(buffer + 1, value, bytes);
	appendBinaryStringInfo(&request->frame, buffer, 1 + bytes);
	request->value_count++;
}

void
pgraft_add_null(PgraftRequest *request)
{
	add_value(request, PGRAFT_VALUE_NULL, 0, 0);
}

void
pgraft_add_bool(PgraftRequest *request, bool value)
{
	add_value(request, PGRAFT_VALUE_BOOL, value, 1);
}

void
pgraft_add_int32(PgraftRequest *request, int32 value)
{
	add_value(request, PGRAFT_VALUE_INT32, (uint32) value, 4);
}

void
pgraft_add_int64(PgraftRequest *request, int64 value)
{
	add_value(request, PGRAFT_VALUE_INT64, (uint64) value, 8);
}

void
pgraft_add_text(PgraftRequest *request, const text *value)
{
	int			length = (int) VARSIZE_ANY_EXHDR(value);
	char	   *utf8 = pg_server_to_any(VARDATA_ANY(value), length, PG_UTF8);
	size_t		utf8_length = utf8 == VARDATA_ANY(value) ? (size_t) length : strlen(utf8);

	if (request->frame.len + utf8_length + 5 > PGRAFT_MAX_FRAME_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("pgraft: cannot %s - the arguments are too large", request->action),
				 errdetail("They have %zu bytes; a request holds %u.",
						   request->frame.len + utf8_length, PGRAFT_MAX_FRAME_BYTES)));
	add_value(request, PGRAFT_VALUE_TEXT, utf8_length, 4);
	appendBinaryStringInfo(&request->frame, utf8, (int) utf8_length);
}

/*
 * Fills in the header.  May be repeated, for a second attempt.
 */
void
pgraft_request_seal(PgraftRequest *request, uint32 request_id, uint32 timeout_ms)
{
	char	   *header = request->frame.data;

	request->request_id = request_id;
	put_le(header, request->frame.len - 4, 4);
	put_le(header + 4, request->code, 2);
	put_le(header + 6, 0, 2);
	put_le(header + 8, request_id, 4);
	put_le(header + 12, timeout_ms, 4);
	put_le(header + 16, request->value_count, 4);
}

/*
 * How many bytes of values follow a response's header.
 */
uint32
pgraft_response_body_bytes(PgraftRequest *request, const char *header)
{
	uint64		bytes = get_le(header, 4);

	if (bytes < PGRAFT_FRAME_HEADER_BYTES - 4 || bytes > PGRAFT_MAX_FRAME_BYTES)
		pgraft_raise_malformed(request, "The length of the frame is out of range.");
	return (uint32) bytes - (PGRAFT_FRAME_HEADER_BYTES - 4);
}

void
pgraft_response_parse(PgraftResponse *response, PgraftRequest *request, const char *header,
					  const char *values, size_t values_bytes)
{
	response->request = request;
	response->status = (int32) get_le(header + RESPONSE_STATUS_OFFSET, 4);
	response->request_id = (uint32) get_le(header + RESPONSE_ID_OFFSET, 4);
	response->columns = (uint32) get_le(header + RESPONSE_COLUMNS_OFFSET, 4);
	response->rows = (uint32) get_le(header + RESPONSE_ROWS_OFFSET, 4);
	response->cursor = values;
	response->end = values + values_bytes;

	/* Each value takes a byte at least. */
	if ((uint64) response->columns * response->rows > values_bytes)
		pgraft_raise_malformed(request, "It announces more values than it has bytes.");
}

static const char *
take(PgraftResponse *response, size_t bytes)
{
	const char *at = response->cursor;

	if ((size_t) (response->end - at) < bytes)
		pgraft_raise_malformed(response->request, "A value ends after the frame.");
	response->cursor += bytes;
	return at;
}

/* Takes the next tag; false for null. */
static bool
take_tag(PgraftResponse *response, PgraftValueTag expected)
{
	int			tag = *take(response, 1);

	if (tag == PGRAFT_VALUE_NULL)
		return false;
	if (tag != (int) expected)
		pgraft_raise_malformed(response->request, "A value has another type than expected.");
	return true;
}

bool
pgraft_next_bool(PgraftResponse *response, bool *isnull)
{
	*isnull = !take_tag(response, PGRAFT_VALUE_BOOL);
	return !*isnull && *take(response, 1) != 0;
}

int32
pgraft_next_int32(PgraftResponse *response, bool *isnull)
{
	*isnull = !take_tag(response, PGRAFT_VALUE_INT32);
	return *isnull ? 0 : (int32) get_le(take(response, 4), 4);
}

int64
pgraft_next_int64(PgraftResponse *response, bool *isnull)
{
	*isnull = !take_tag(response, PGRAFT_VALUE_INT64);
	return *isnull ? 0 : (int64) get_le(take(response, 8), 8);
}

/*
 * The next text in the server's encoding, or NULL.
 */
text *
pgraft_next_text(PgraftResponse *response, bool *isnull)
{
	uint32		length;
	const char *utf8;
	char	   *converted;
	text	   *result;

	*isnull = !take_tag(response, PGRAFT_VALUE_TEXT);
	if (*isnull)
		return NULL;
	length = (uint32) get_le(take(response, 4), 4);
	utf8 = take(response, length);
	converted = pg_any_to_server(utf8, (int) length, PG_UTF8);
	if (converted != utf8)
		length = (uint32) strlen(converted);
	result = (text *) palloc(length + VARHDRSZ);
	SET_VARSIZE(result, length + VARHDRSZ);
	memcpy(VARDATA(result), converted, length);
	if (converted != utf8)
		pfree(converted);
	return result;
}

/*
 * The next text of an error, or NULL.  It must not end in an error of its own,
 * which would hide what the answer says of the outcome: what the database's
 * encoding may not be able to show becomes question marks.
 */
char *
pgraft_next_error_text(PgraftResponse *response)
{
	uint32		length;
	char	   *result;

	if (!take_tag(response, PGRAFT_VALUE_TEXT))
		return NULL;
	length = (uint32) get_le(take(response, 4), 4);
	result = pnstrdup(take(response, length), length);
	if (GetDatabaseEncoding() == PG_UTF8 &&
		pg_verify_mbstr(PG_UTF8, result, (int) strlen(result), true))
		return result;
	for (char *c = result; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return result;
}

/*
 * Passes over the next value, of any type.
 */
void
pgraft_skip_value(PgraftResponse *response)
{
	int			tag = *take(response, 1);

	switch ((PgraftValueTag) tag)
	{
		case PGRAFT_VALUE_NULL:
			return;
		case PGRAFT_VALUE_BOOL:
			(void) take(response, 1);
			return;
		case PGRAFT_VALUE_INT32:
			(void) take(response, 4);
			return;
		case PGRAFT_VALUE_INT64:
			(void) take(response, 8);
			return;
		case PGRAFT_VALUE_TEXT:
			(void) take(response, get_le(take(response, 4), 4));
			return;
	}
	pgraft_raise_malformed(response->request, "A value has an unknown type.");
}
