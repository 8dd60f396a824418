/*
 * core_client.c
 *	  A backend's connection to the core: one request, one answer.
 *
 * Why it is hard: the answer to a write may be lost after the write was done.
 * As soon as one byte of a request that changes state has left, every way out
 * but an answer means that the outcome is unknown, and the error or its context
 * must say so.  And an answer that comes late must never be taken for that of
 * the next request: the connection is closed on every error and cancel, and
 * belongs to one epoch of the worker.
 *
 * A request that takes long may have words on its progress ahead of its answer.
 * They become notices, and each gives it its whole time again.
 *
 * Threading: the main thread of a backend, one request at a time.  All waiting
 * is on the latch and the socket, so cancel, timeouts and shutdown work.
 *
 * On failure: an error is raised and the connection is closed, except when the
 * core itself answered with an error.
 */
#include "pgraft.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/builtins.h"

/*
 * The core answers within request_timeout.  If it is frozen it does not, and
 * the call ends after this much more.
 */
#define GRACE_MS 1000

#define NS_PER_MS INT64CONST(1000000)

/* Most answers fit: one system call reads them whole. */
#define READ_AHEAD_BYTES 4096

/* Bytes that were received and belong to no frame yet. */
typedef struct ReadAhead
{
	size_t		count;			/* <= sizeof(bytes) */
	char		bytes[READ_AHEAD_BYTES];
} ReadAhead;

/* Place of the socket in the set; added first. */
#define SOCKET_EVENT 0

static pgsocket connection = PGINVALID_SOCKET;
static WaitEventSet *waiting = NULL;	/* latch, postmaster and "connection" */
static uint64 connection_epoch = 0;
static uint32 last_request_id = 0;
static uint32 wait_event = 0;

static void
init_wait_event(void)
{
	if (wait_event == 0)
		wait_event = pgraft_new_wait_event("PgraftRequest");
}

void
pgraft_disconnect(void)
{
	if (connection == PGINVALID_SOCKET)
		return;
	if (waiting != NULL)
		FreeWaitEventSet(waiting);
	waiting = NULL;
	close(connection);
	connection = PGINVALID_SOCKET;
	ReleaseExternalFD();
}

/*
 * Whether a request may have reached the core and was not answered.  The core
 * acts on nothing of which a part is missing, and the rest never follows.
 */
static bool
outcome_is_unknown(const PgraftRequest *request)
{
	return request->changes_state && request->sent_bytes > 0 &&
		request->sent_bytes == (size_t) request->frame.len && !request->answered;
}

static void
add_context(void *arg)
{
	PgraftRequest *request = arg;

	if (outcome_is_unknown(request))
		errcontext("pgraft: request to %s; it had been sent, and its outcome is unknown",
				   request->action);
}

/* Ends a request that was not answered, by what is known of its outcome. */
PGRAFT_NORETURN static void
give_up(PgraftRequest *request, int32 status_of_read, const char *reason)
{
	char	   *message = psprintf("cannot %s - %s", request->action, reason);

	pgraft_disconnect();
	if (outcome_is_unknown(request))
	{
		request->answered = true;	/* the message says it; no context */
		pgraft_raise(PGRAFT_OUTCOME_UNKNOWN,
					 psprintf("the outcome of the request to %s is unknown - %s",
							  request->action, reason),
					 "The request had been sent; it may or may not take effect.",
					 "Read the state back before deciding to repeat it.");
	}
	if (request->changes_state)
		pgraft_raise(PGRAFT_NOT_DONE, message, "The request was not sent, or not wholly.",
					 "It is safe to repeat it.");
	pgraft_raise(status_of_read, message, NULL, NULL);
}

/*
 * The set is made once a connection: making one for every wait costs more than
 * the wait.
 */
static void
prepare_waiting(void)
{
	waiting = pgraft_create_wait_event_set(3);
	AddWaitEventToSet(waiting, WL_SOCKET_READABLE, connection, NULL, NULL);
	AddWaitEventToSet(waiting, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(waiting, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
}

/* Waits until the socket is ready, or raises the error of the deadline. */
static void
wait_ready(PgraftRequest *request, uint32 event, int64 deadline_ns)
{
	int64		left_ms = (deadline_ns - pgraft_now_ns() + NS_PER_MS - 1) / NS_PER_MS;
	WaitEvent	occurred;

	if (left_ms <= 0)
		give_up(request, PGRAFT_TIMED_OUT, "the cluster worker did not answer in time");
	ModifyWaitEvent(waiting, SOCKET_EVENT, event, NULL);
	if (WaitEventSetWait(waiting, (long) left_ms, &occurred, 1, wait_event) == 1 &&
		(occurred.events & WL_LATCH_SET) != 0)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Opens a non-blocking socket in "connection". */
static void
open_socket(void)
{
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("pgraft: cannot connect to the cluster worker: %m")));
	connection = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connection == PGINVALID_SOCKET)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("pgraft: cannot create a socket: %m")));
	}
}

static void
connect_to_core(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char	   *path = pgraft_socket_path();
	PgraftShared *shared = pgraft_shared();
	int			saved_errno;

	connection_epoch = pg_atomic_read_u64(&shared->epoch);
	if (pg_atomic_read_u32(&shared->worker_pid) == 0)
		pgraft_raise_not_running();
	strlcpy(address.sun_path, path, sizeof(address.sun_path));
	pfree(path);
	open_socket();
	if (connect(connection, (struct sockaddr *) &address, sizeof(address)) == 0)
	{
		prepare_waiting();
		return;
	}
	saved_errno = errno;
	pgraft_disconnect();
	if (saved_errno == ECONNREFUSED || saved_errno == ENOENT)
		pgraft_raise_not_running();
	if (saved_errno == EAGAIN)
		pgraft_raise(PGRAFT_BUSY, "the cluster worker has too many connections", NULL,
					 "Try again.");
	errno = saved_errno;
	ereport(ERROR,
			(errcode_for_socket_access(),
			 errmsg("pgraft: cannot connect to the cluster worker: %m")));
}

/*
 * Whether the kept connection can carry a request: same worker, still there, has
 * not closed it, and silent, as it must be between two requests.
 */
static bool
is_reusable(void)
{
	PgraftShared *shared = pgraft_shared();
	char		byte;

	return connection != PGINVALID_SOCKET &&
		pg_atomic_read_u32(&shared->worker_pid) != 0 &&
		connection_epoch == pg_atomic_read_u64(&shared->epoch) &&
		recv(connection, &byte, 1, MSG_PEEK) == -1 &&
		(errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Sends what it can; false when the connection is broken. */
static bool
send_some(PgraftRequest *request)
{
	ssize_t		sent = send(connection, request->frame.data + request->sent_bytes,
							request->frame.len - request->sent_bytes, MSG_NOSIGNAL);

	if (sent >= 0)
		request->sent_bytes += sent;
	return sent >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/*
 * Sends the whole request.  Returns false if the connection broke before its
 * first byte was taken, when another connection may be tried.
 */
static bool
send_request(PgraftRequest *request, int64 deadline_ns)
{
	while (request->sent_bytes < (size_t) request->frame.len)
	{
		if (!send_some(request))
		{
			if (request->sent_bytes == 0)
				return false;
			give_up(request, PGRAFT_NO_LEADER, "the cluster worker closed the connection");
		}
		if (request->sent_bytes < (size_t) request->frame.len)
			wait_ready(request, WL_SOCKET_WRITEABLE, deadline_ns);
	}
	return true;
}

/*
 * Receives until there are at least "least" of at most "most" bytes, of which
 * "bytes" are there; returns how many there are.
 */
static size_t
receive(PgraftRequest *request, char *to, size_t bytes, size_t least, size_t most,
		int64 deadline_ns)
{
	while (bytes < least)
	{
		ssize_t		got = recv(connection, to + bytes, most - bytes, 0);

		if (got > 0)
			bytes += got;
		else if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			wait_ready(request, WL_SOCKET_READABLE, deadline_ns);
		else
			give_up(request, PGRAFT_NO_LEADER, "the cluster worker closed the connection");
	}
	return bytes;
}

/* Receives a frame; what comes after it stays in "ahead". */
static void
receive_frame(PgraftRequest *request, PgraftResponse *response, ReadAhead *ahead,
			  int64 deadline_ns)
{
	char		header[PGRAFT_FRAME_HEADER_BYTES];
	uint32		bytes;
	size_t		got;
	char	   *values;

	/* An answer takes the core longer than a look that would find nothing. */
	if (ahead->count < sizeof(header))
		wait_ready(request, WL_SOCKET_READABLE, deadline_ns);
	ahead->count = receive(request, ahead->bytes, ahead->count, sizeof(header),
						   sizeof(ahead->bytes), deadline_ns);
	memcpy(header, ahead->bytes, sizeof(header));
	bytes = pgraft_response_body_bytes(request, header);
	got = Min(ahead->count - sizeof(header), bytes);
	values = palloc(bytes + 1);
	memcpy(values, ahead->bytes + sizeof(header), got);
	ahead->count -= sizeof(header) + got;
	memmove(ahead->bytes, ahead->bytes + sizeof(header) + got, ahead->count);
	(void) receive(request, values, got, bytes, bytes, deadline_ns);
	pgraft_response_parse(response, request, header, values, bytes);

	/* Id 0 is about the connection: the core has too many.  Always an error. */
	if (response->request_id != request->request_id &&
		!(response->request_id == 0 && response->status != PGRAFT_OK &&
		  response->status != PGRAFT_PROGRESS))
		give_up(request, PGRAFT_INTERNAL, "the cluster worker answered another request");
}

/* A word on progress: shown if it has a text. */
static void
show_progress(PgraftRequest *request, PgraftResponse *response)
{
	ErrorContextCallback *own_context = error_context_stack;
	bool		isnull = true;
	text	   *word = NULL;

	if (response->columns != 1 || response->rows != 1)
		give_up(request, PGRAFT_INTERNAL, "the cluster worker's word on progress is malformed");
	word = pgraft_next_text(response, &isnull);
	if (isnull)
		return;

	/* The context says that the outcome is unknown: of an error, not of this. */
	error_context_stack = own_context->previous;
	ereport(NOTICE,
			(errmsg_internal("pgraft: %s", text_to_cstring(word))));
	error_context_stack = own_context;
}

static int64
deadline_from_now(void)
{
	return pgraft_now_ns() + (pgraft_request_timeout_ms + GRACE_MS) * NS_PER_MS;
}

static void
receive_response(PgraftRequest *request, PgraftResponse *response, int64 deadline_ns)
{
	ReadAhead	ahead = {.count = 0};

	for (;;)
	{
		receive_frame(request, response, &ahead, deadline_ns);
		if (response->status != PGRAFT_PROGRESS)
			break;
		show_progress(request, response);
		deadline_ns = deadline_from_now();
	}
	if (ahead.count > 0)
		give_up(request, PGRAFT_INTERNAL, "the cluster worker sent more than an answer");
	request->answered = true;
}

static void
exchange(PgraftRequest *request, PgraftResponse *response)
{
	int64		deadline_ns = deadline_from_now();
	bool		reused = is_reusable();

	pgraft_request_seal(request, ++last_request_id, (uint32) pgraft_request_timeout_ms);
	if (!reused)
	{
		pgraft_disconnect();
		connect_to_core();
	}
	if (!send_request(request, deadline_ns))
	{
		/* A worker that has just gone may have a successor already. */
		pgraft_disconnect();
		connect_to_core();
		if (!send_request(request, deadline_ns))
			give_up(request, PGRAFT_NO_LEADER, "the cluster worker closed the connection");
	}
	receive_response(request, response, deadline_ns);
}

/*
 * Raises the error that the answer is.  A defect of the core, or a status that
 * is not known here, says nothing about a request that changes state.
 */
static void
raise_answer(PgraftRequest *request, PgraftResponse *response)
{
	int32		status = response->status;
	char	   *message = NULL;
	char	   *detail = NULL;
	char	   *hint = NULL;

	if (response->columns == 3 && response->rows == 1)
	{
		message = pgraft_next_error_text(response);
		detail = pgraft_next_error_text(response);
		hint = pgraft_next_error_text(response);
	}
	if (message == NULL)
		message = "the cluster worker gave no reason";
	if (request->changes_state && pgraft_sqlstate(status) == ERRCODE_INTERNAL_ERROR)
	{
		status = PGRAFT_OUTCOME_UNKNOWN;
		message = psprintf("the outcome of the request to %s is unknown - %s",
						   request->action, message);
	}
	pgraft_raise(status, message, detail, hint);
}

/*
 * Sends the request and receives its answer, which has that many columns.
 * Raises the error if the answer is one.
 */
void
pgraft_call(PgraftRequest *request, uint32 columns, PgraftResponse *response)
{
	ErrorContextCallback context = {
		.previous = error_context_stack, .callback = add_context, .arg = request
	};

	(void) pgraft_shared();
	init_wait_event();
	PG_TRY();
	{
		error_context_stack = &context;
		exchange(request, response);
		error_context_stack = context.previous;
	}
	PG_CATCH();
	{
		pgraft_disconnect();
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (response->status != PGRAFT_OK)
		raise_answer(request, response);
	if (response->columns != columns)
		pgraft_raise_malformed(request, "It has another number of columns than expected.");
}

static void
call_single(PgraftRequest *request, PgraftResponse *response)
{
	pgraft_call(request, 1, response);
	if (response->rows != 1)
		pgraft_raise_malformed(request, "It is not a single value.");
}

bool
pgraft_call_bool(PgraftRequest *request)
{
	PgraftResponse response;
	bool		isnull;

	call_single(request, &response);
	return pgraft_next_bool(&response, &isnull);
}

int64
pgraft_call_int64(PgraftRequest *request)
{
	PgraftResponse response;
	bool		isnull;

	call_single(request, &response);
	return pgraft_next_int64(&response, &isnull);
}

/*
 * As pgraft_call_int64, for answers that may be null: false then.
 */
bool
pgraft_call_nullable_int64(PgraftRequest *request, int64 *result)
{
	PgraftResponse response;
	bool		isnull;

	call_single(request, &response);
	*result = pgraft_next_int64(&response, &isnull);
	return !isnull;
}

/*
 * The single text of the answer, or NULL.
 */
text *
pgraft_call_text(PgraftRequest *request)
{
	PgraftResponse response;
	bool		isnull;

	call_single(request, &response);
	return pgraft_next_text(&response, &isnull);
}
