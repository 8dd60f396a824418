/*
 * hostile_core.c
 *	  A core library whose answers are wrong, in the way that the request's first
 *	  argument names.
 *
 * The shim trusts the core, but a defect in it must end in an error of one
 * statement, never in a damaged backend or in an answer taken for another
 * request's.  tests/regress runs its test "hostile" on this library.  Whatever
 * names no fault is answered with the integer 1.
 *
 * It ends at the worst moment, by itself after the fault "fail" and when asked
 * to stop: the main thread has just found no record in the log, and then there
 * is one, and the state that makes it leave.  After the fault "hang" it does not
 * stop at all.  After the fault "babble" it has records of every kind, some of
 * which no core may have.
 *
 * Threading: one thread accepts, and one serves each connection; the status is
 * written before the first connection, and by the main thread at the end.
 *
 * On failure: a call that fails ends its thread; the test then times out.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "handshake.h"

#define HEADER_BYTES 20
#define MAX_BODY_BYTES 65536

/* Of a request's body: where its id and its first value stand. */
#define ID_OFFSET 4
#define VALUES_OFFSET 16
#define TEXT_OFFSET (VALUES_OFFSET + 5)

typedef struct Answer
{
	int32_t		status;
	uint32_t	request_id;
	uint32_t	columns;
	uint32_t	rows;
	uint32_t	value_bytes;
	char		values[64];
} Answer;

int32_t		pgraft_core_start(const PgraftConfig *config, PgraftStatus *status);
int32_t		pgraft_core_reload(const PgraftConfig *config);
int32_t		pgraft_core_request_stop(void);
int32_t		pgraft_core_next_log(PgraftLogRecord *out);

static PgraftStatus *shared_status;
static uint64_t epoch;
static int	wake_fd;
static int	ending = 0;			/* set when the end was asked for */
static int	hangs = 0;
static int	has_last_words = 0;
static int	babbles = 0;		/* set when records were asked for */
static PgraftWorkerState end_state;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* HostRulesTests has the lines that must come of them. */
static const struct
{
	int32_t		level;
	int32_t		event_id;
	const char *category;
	const char *text;
}			babble[] = {
	{PGRAFT_LOG_INFO, 111, "hostile", "information"},
	{PGRAFT_LOG_INFO, 0, "hostile", "no event"},
	{PGRAFT_LOG_INFO, -5, "hostile", "less than an event"},
	{PGRAFT_LOG_WARNING, 2147483647, "hostile", "a warning"},
	{PGRAFT_LOG_ERROR, 2015, "hostile", "an error"},
	{PGRAFT_LOG_DEBUG, 302, "hostile", "details"},
	{PGRAFT_LOG_INFO, 7, "hos\ntile", "%s%n"},
	{PGRAFT_LOG_INFO, 8, "hostile", "one\nLOG:  pgraft: [9] two\r\x1b[2J\t\x7fthree"},
	{PGRAFT_LOG_INFO, 8, "hostile", "a\x80" "b\xc3(c\xed\xa0\x80" "d\xe2\x82\xac" "e\xf0\x9f\x92"},
};

#define BABBLE_COUNT ((int) (sizeof(babble) / sizeof(babble[0])))

static void
publish(PgraftWorkerState state, const char *error)
{
	uint64_t	one = 1;

	__atomic_add_fetch(&shared_status->sequence, 1, __ATOMIC_SEQ_CST);
	shared_status->epoch = epoch;
	shared_status->state = state;
	shared_status->error_status = PGRAFT_IO_ERROR;
	snprintf(shared_status->error, sizeof(shared_status->error), "%s", error);
	__atomic_add_fetch(&shared_status->sequence, 1, __ATOMIC_SEQ_CST);
	if (write(wake_fd, &one, sizeof(one)) != (ssize_t) sizeof(one))
		pthread_exit(NULL);
}

/* Makes the main thread look at the log, where it finds what the flag is for. */
static void
wake_for(int *flag)
{
	uint64_t	one = 1;

	__atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
	if (write(wake_fd, &one, sizeof(one)) != (ssize_t) sizeof(one))
		pthread_exit(NULL);
}

/* Ends in that state at the main thread's next look at the log. */
static void
end_soon(PgraftWorkerState state)
{
	end_state = state;
	wake_for(&ending);
}

static int
read_all(int fd, char *to, size_t bytes)
{
	while (bytes > 0)
	{
		ssize_t		got = read(fd, to, bytes);

		if (got <= 0)
			return 0;
		to += got;
		bytes -= got;
	}
	return 1;
}

static void
put_int64(Answer *answer, int64_t value)
{
	answer->values[0] = PGRAFT_VALUE_INT64;
	memcpy(answer->values + 1, &value, sizeof(value));
	answer->value_bytes = 1 + sizeof(value);
}

/* Spoils a good answer; returns 0 when there is to be none. */
static int
spoil(const char *fault, Answer *answer, uint32_t *body_bytes)
{
	if (strcmp(fault, "silence") == 0 || strcmp(fault, "progress, then silence") == 0)
		return 0;
	if (strcmp(fault, "other request") == 0)
		answer->request_id += 1000;
	else if (strcmp(fault, "long frame") == 0)
		*body_bytes = PGRAFT_MAX_FRAME_BYTES + 1;
	else if (strcmp(fault, "short frame") == 0)
		*body_bytes = 1;
	else if (strcmp(fault, "columns") == 0)
		answer->columns = 2, answer->rows = 0;
	else if (strcmp(fault, "many rows") == 0)
		answer->rows = 1000000;
	else if (strcmp(fault, "no row") == 0)
		answer->rows = 0;
	else if (strcmp(fault, "wrong type") == 0)
		answer->values[0] = PGRAFT_VALUE_BOOL;
	else if (strcmp(fault, "unknown type") == 0)
		answer->values[0] = 77;
	else if (strcmp(fault, "cut value") == 0)
		answer->value_bytes = 3, *body_bytes -= 6;
	else if (strcmp(fault, "cut text") == 0)
		memcpy(answer->values, "\x04\xff\xff\xff\x7f", 5);
	else if (strcmp(fault, "bad text") == 0)
		memcpy(answer->values, "\x04\x04\x00\x00\x00\xff\xff\xff\xff", 9);
	else if (strcmp(fault, "bare error") == 0)
		answer->status = PGRAFT_NOT_DONE;
	else if (strcmp(fault, "unknown status") == 0)
		answer->status = 4711;
	else if (strcmp(fault, "foreign text") == 0)
	{
		answer->status = PGRAFT_OUTCOME_UNKNOWN;
		answer->columns = 3;
		memcpy(answer->values, "\x04\x03\x00\x00\x00" "a\xff" "b\x00\x00", 10);
		*body_bytes += 10 - answer->value_bytes;
		answer->value_bytes = 10;
	}
	return 1;
}

/* Puts a word on progress at "to"; returns its bytes. */
static size_t
put_progress(char *to, uint32_t request_id, uint32_t columns, const char *word)
{
	Answer		answer = {PGRAFT_PROGRESS, request_id, columns, 1, 1, {PGRAFT_VALUE_NULL}};
	uint32_t	word_bytes = (uint32_t) strlen(word);
	uint32_t	body_bytes;

	if (word_bytes > 0)
	{
		answer.values[0] = PGRAFT_VALUE_TEXT;
		memcpy(answer.values + 1, &word_bytes, sizeof(word_bytes));
		memcpy(answer.values + 5, word, word_bytes);
		answer.value_bytes = 5 + word_bytes;
	}
	body_bytes = HEADER_BYTES - 4 + answer.value_bytes;
	memcpy(to, &body_bytes, 4);
	memcpy(to + 4, &answer, 16);
	memcpy(to + HEADER_BYTES, answer.values, answer.value_bytes);
	return HEADER_BYTES + answer.value_bytes;
}

/*
 * Words ahead of the answer, in one piece with it, so that the shim must take
 * them apart; "cut" sends the last one in two pieces.
 */
static int
report_progress(int fd, const char *fault, uint32_t request_id)
{
	char		frames[512];
	size_t		bytes = 0;
	size_t		first;

	if (strcmp(fault, "progress") == 0 || strcmp(fault, "progress cut") == 0)
	{
		bytes += put_progress(frames, request_id, 1, "half way");
		bytes += put_progress(frames + bytes, request_id, 1, "");
		bytes += put_progress(frames + bytes, request_id, 1, "nearly there");
	}
	else if (strcmp(fault, "progress of another") == 0)
		bytes = put_progress(frames, request_id + 1000, 1, "half way");
	else if (strcmp(fault, "progress of nobody") == 0)
		bytes = put_progress(frames, 0, 1, "half way");
	else if (strcmp(fault, "progress in columns") == 0)
		bytes = put_progress(frames, request_id, 2, "half way");
	else if (strcmp(fault, "progress, then silence") == 0)
		bytes = put_progress(frames, request_id, 1, "half way");
	first = strcmp(fault, "progress cut") == 0 ? bytes - 7 : bytes;
	if (write(fd, frames, first) != (ssize_t) first)
		return 0;
	if (first < bytes)
		usleep(20000);
	return write(fd, frames + first, bytes - first) == (ssize_t) (bytes - first);
}

/* Answers one request; returns 0 to close the connection. */
static int
answer_request(int fd, const char *body)
{
	Answer		answer = {.columns = 1, .rows = 1};
	char		fault[64] = "";
	uint32_t	fault_bytes = 0;
	uint32_t	body_bytes;

	if (body[VALUES_OFFSET] == PGRAFT_VALUE_TEXT)
		memcpy(&fault_bytes, body + VALUES_OFFSET + 1, sizeof(fault_bytes));
	if (fault_bytes < sizeof(fault))
		memcpy(fault, body + TEXT_OFFSET, fault_bytes);
	memcpy(&answer.request_id, body + ID_OFFSET, sizeof(answer.request_id));
	put_int64(&answer, 1);
	body_bytes = HEADER_BYTES - 4 + answer.value_bytes;
	if (strcmp(fault, "close") == 0)
		return 0;
	if (strncmp(fault, "progress", strlen("progress")) == 0 &&
		!report_progress(fd, fault, answer.request_id))
		return 0;
	if (!spoil(fault, &answer, &body_bytes))
		return 1;
	if (write(fd, &body_bytes, 4) != 4 || write(fd, &answer, 16) != 16 ||
		write(fd, answer.values, answer.value_bytes) != (ssize_t) answer.value_bytes)
		return 0;
	if (strcmp(fault, "hang") == 0)
		__atomic_store_n(&hangs, 1, __ATOMIC_SEQ_CST);
	if (strcmp(fault, "fail") == 0)
		end_soon(PGRAFT_WORKER_ERROR);
	if (strcmp(fault, "babble") == 0)
		wake_for(&babbles);
	return 1;
}

static void *
serve(void *arg)
{
	int			fd = (int) (intptr_t) arg;
	char	   *body = calloc(1, MAX_BODY_BYTES);
	uint32_t	bytes;

	while (body != NULL && read_all(fd, (char *) &bytes, 4) && bytes <= MAX_BODY_BYTES &&
		   read_all(fd, body, bytes) && answer_request(fd, body))
		memset(body, 0, MAX_BODY_BYTES);
	free(body);
	close(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	int			listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int			fd;

	(void) arg;
	unlink(address.sun_path);
	if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(listener, 16) != 0)
		return NULL;
	publish(PGRAFT_WORKER_RUNNING, "");
	while ((fd = accept(listener, NULL, NULL)) >= 0)
	{
		pthread_t	thread;

		if (pthread_create(&thread, NULL, serve, (void *) (intptr_t) fd) != 0)
			return NULL;
	}
	return NULL;
}

int32_t
pgraft_core_start(const PgraftConfig *config, PgraftStatus *status)
{
	pthread_t	thread;

	shared_status = status;
	epoch = config->epoch;
	wake_fd = config->wake_fd;
	mkdir(config->data_dir, 0700);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", config->data_dir,
			 PGRAFT_SOCKET_NAME);
	return pthread_create(&thread, NULL, accept_all, NULL) == 0 ? PGRAFT_OK : PGRAFT_INTERNAL;
}

int32_t
pgraft_core_reload(const PgraftConfig *config)
{
	return config->abi_version == PGRAFT_ABI_VERSION ? PGRAFT_OK : PGRAFT_ABI_MISMATCH;
}

int32_t
pgraft_core_request_stop(void)
{
	if (!__atomic_load_n(&hangs, __ATOMIC_SEQ_CST))
		end_soon(PGRAFT_WORKER_STOPPED);
	return PGRAFT_OK;
}

/* The next record of the babble, the last of which has no end; 0 when it is over. */
static int
take_babble(PgraftLogRecord *out)
{
	static int	next = 0;

	if (next < BABBLE_COUNT)
	{
		out->level = babble[next].level;
		out->event_id = babble[next].event_id;
		strcpy(out->category, babble[next].category);
		strcpy(out->text, babble[next].text);
	}
	else if (next == BABBLE_COUNT)
	{
		out->level = PGRAFT_LOG_INFO;
		out->event_id = 10;
		memset(out->category, 'c', sizeof(out->category));
		memset(out->text, 't', sizeof(out->text));
	}
	return next++ <= BABBLE_COUNT;
}

int32_t
pgraft_core_next_log(PgraftLogRecord *out)
{
	memset(out, 0, sizeof(*out));
	if (__atomic_load_n(&babbles, __ATOMIC_SEQ_CST) && take_babble(out))
		return PGRAFT_OK;
	if (has_last_words)
	{
		has_last_words = 0;
		out->level = PGRAFT_LOG_INFO;
		strcpy(out->category, "hostile");
		strcpy(out->text, "last words");
		return PGRAFT_OK;
	}
	if (__atomic_exchange_n(&ending, 0, __ATOMIC_SEQ_CST))
	{
		has_last_words = 1;
		publish(end_state, end_state == PGRAFT_WORKER_ERROR ? "the log cannot be written" : "");
	}
	return PGRAFT_EMPTY;
}
