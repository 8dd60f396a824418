/*
 * pgraft.h
 *	  What the files of the shim offer one another.
 *
 * One section a file, in the order of their dependence: settings, shared
 * memory, errors, core library, requests.
 *
 * Threading: the shim is single-threaded.  Only the core has threads, and it
 * never calls back; PgraftShared.status is the one thing it writes.
 *
 * On failure: functions that return bool report through their arguments; all
 * others raise an error with ereport().
 */
#ifndef PGRAFT_H
#define PGRAFT_H

#include "compat.h"

#include <signal.h>

#include "lib/stringinfo.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "pgraft_abi.h"

/* Tests of upgrades build a next release (make NEXT=1). */
#ifndef PGRAFT_VERSION
#define PGRAFT_VERSION "1.0"
#endif

/* ---- guc.c: settings ---- */

extern char *pgraft_cluster_id;
extern int	pgraft_node_id;
extern char *pgraft_address;
extern char *pgraft_listen_address;
extern int	pgraft_port;
extern char *pgraft_data_dir;
extern char *pgraft_initial_cluster;
extern int	pgraft_election_timeout_ms;
extern int	pgraft_heartbeat_interval_ms;
extern int	pgraft_request_timeout_ms;

extern void pgraft_define_settings(void);
extern void pgraft_fill_config(PgraftConfig *config);

/* So many heartbeats in an election timeout, or it is warned of. */
#define PGRAFT_GOOD_HEARTBEATS 10

/* ---- guc_check.c: their check hooks, and the checks across settings ---- */

extern bool pgraft_check_cluster_id(char **newval, void **extra, GucSource source);
extern bool pgraft_check_address(char **newval, void **extra, GucSource source);
extern bool pgraft_check_bind_address(char **newval, void **extra, GucSource source);
extern bool pgraft_check_listen_address(char **newval, void **extra, GucSource source);
extern bool pgraft_check_data_dir(char **newval, void **extra, GucSource source);
extern bool pgraft_check_private_file(char **newval, void **extra, GucSource source);
extern bool pgraft_check_public_file(char **newval, void **extra, GucSource source);
extern bool pgraft_check_auth_enabled(bool *newval, void **extra, GucSource source);
extern bool pgraft_check_tls_enabled(bool *newval, void **extra, GucSource source);
extern void pgraft_check_settings(void);
extern bool pgraft_is_host(const char *host, size_t length);
extern char *pgraft_data_dir_path(void);
extern char *pgraft_socket_path(void);

/* ---- guc_findings.c: what is to be said of them ---- */

extern PgraftFinding *pgraft_judge_settings(int32 *count);

/* ---- initial_cluster.c ---- */

extern bool pgraft_check_initial_cluster(char **newval, void **extra, GucSource source);
extern void pgraft_check_own_entry(void);

/* ---- shmem.c: what the worker and the backends share ---- */

typedef enum PgraftAnswerValue
{
	PGRAFT_ANSWER_NO,
	PGRAFT_ANSWER_YES,
	PGRAFT_ANSWER_UNKNOWN
} PgraftAnswerValue;

typedef struct PgraftAnswer
{
	int32		value;
	TimestampTz since;			/* when it began to be that; 0 = not known */
} PgraftAnswer;

/* To the three questions of a failover manager. */
typedef struct PgraftAnswers
{
	PgraftAnswer quorum;		/* PgraftAnswerValue */
	PgraftAnswer live_members;	/* how many, -1 = not known */
	PgraftAnswer may_act;		/* PgraftAnswerValue */
} PgraftAnswers;

/*
 * worker_pid is 0 exactly while no worker runs; status means nothing then, nor
 * while status.epoch differs from epoch.  state, error and answers are under
 * lock and are the shim's own account: ERROR outlives the worker that failed,
 * STARTING means "ask status".
 */
typedef struct PgraftShared
{
	pg_atomic_uint64 epoch;		/* one more at each start of the worker */
	pg_atomic_uint32 worker_pid;
	pg_atomic_uint32 failures;	/* starts in a row that ended in an error */
	pg_atomic_uint64 failed_at; /* when the last did, a TimestampTz */
	pg_atomic_uint32 debug;		/* as last set by pgraft_set_debug() */
	slock_t		lock;
	int32		state;			/* PgraftWorkerState */
	char		error[PGRAFT_ERROR_TEXT_BYTES];
	PgraftAnswers answers;		/* while there is no status to ask */
	PgraftStatus status;
} PgraftShared;

typedef enum PgraftTeller
{
	PGRAFT_TOLD_BY_SHIM,		/* own */
	PGRAFT_TOLD_BY_CORE,		/* status */
	PGRAFT_TOLD_BY_NOBODY		/* it was killed, or stopped in a write */
} PgraftTeller;

/* What is to be seen of the worker at one moment. */
typedef struct PgraftLook
{
	PgraftWorkerState worker;
	PgraftTeller teller;
	PgraftAnswers own;
	PgraftStatus status;
	char		error[PGRAFT_ERROR_TEXT_BYTES]; /* of PGRAFT_WORKER_ERROR */
} PgraftLook;

extern void pgraft_shmem_init(void);
extern PgraftShared *pgraft_shared(void);
extern int64 pgraft_now_ns(void);
extern bool pgraft_read_status(PgraftStatus *out);
extern void pgraft_look(PgraftLook *out);
extern int64 pgraft_lease_deadline_ns(void);
extern PgraftWorkerState pgraft_worker_state(char *error);
extern bool pgraft_worker_answers(PgraftWorkerState state);
extern uint64 pgraft_worker_begin(void);
extern void pgraft_worker_failed(const char *error);
extern void pgraft_worker_end(int code, Datum arg);

/* ---- answers.c: the three questions, and times ---- */

extern TimestampTz pgraft_timestamp_of_unix_us(int64 us);
extern int64 pgraft_unix_us(TimestampTz time);
extern int32 pgraft_leader_at(const PgraftStatus *status, int64 now_ns);
extern void pgraft_answer(const PgraftLook *look, int64 now_ns, PgraftAnswers *out);
extern void pgraft_answers_without_core(bool ended, TimestampTz since, PgraftAnswers *out);
extern void pgraft_next_account(PgraftWorkerState next, PgraftAnswers *out);

/* ---- status_map.c: statuses as errors ---- */

extern int	pgraft_sqlstate(int32 status);
PGRAFT_NORETURN extern void pgraft_raise(int32 status, const char *message, const char *detail,
						 const char *hint);
PGRAFT_NORETURN extern void pgraft_raise_not_running(void);

/* ---- core_loader.c: the core library, in the worker only ---- */

typedef struct PgraftCore
{
	pgraft_core_handshake_fn handshake;
	pgraft_core_start_fn start;
	pgraft_core_reload_fn reload;
	pgraft_core_request_stop_fn request_stop;
	pgraft_core_next_log_fn next_log;
} PgraftCore;

extern void pgraft_block_signals(sigset_t *old);
extern void pgraft_restore_signals(const sigset_t *old);
extern bool pgraft_core_load(PgraftCore *core, char *error, size_t error_bytes);

/* ---- log_bridge.c ---- */

extern bool pgraft_drain_log(const PgraftCore *core);

/* ---- core_wire.c: frames of docs/protocol.md ---- */

/*
 * Invariant: 0 < sent_bytes means that the core may have seen the request, and
 * then, until answered, the outcome of a request that changes state is unknown.
 */
typedef struct PgraftRequest
{
	PgraftRequestCode code;
	bool		changes_state;
	const char *action;			/* "put key": completes "cannot ..." */
	uint32		value_count;
	uint32		request_id;
	size_t		sent_bytes;
	bool		answered;
	StringInfoData frame;
} PgraftRequest;

typedef struct PgraftResponse
{
	PgraftRequest *request;		/* the one it answers */
	int32		status;			/* PgraftStatusCode */
	uint32		request_id;
	uint32		columns;
	uint32		rows;
	const char *cursor;			/* next value; <= end */
	const char *end;
} PgraftResponse;

/* Bytes before the values, body_bytes included; the same both ways. */
#define PGRAFT_FRAME_HEADER_BYTES 20

extern void pgraft_request_init(PgraftRequest *request, PgraftRequestCode code,
								bool changes_state, const char *action);
extern void pgraft_add_null(PgraftRequest *request);
extern void pgraft_add_bool(PgraftRequest *request, bool value);
extern void pgraft_add_int32(PgraftRequest *request, int32 value);
extern void pgraft_add_int64(PgraftRequest *request, int64 value);
extern void pgraft_add_text(PgraftRequest *request, const text *value);
extern void pgraft_request_seal(PgraftRequest *request, uint32 request_id, uint32 timeout_ms);
PGRAFT_NORETURN extern void pgraft_raise_malformed(PgraftRequest *request, const char *what);
extern uint32 pgraft_response_body_bytes(PgraftRequest *request, const char *header);
extern void pgraft_response_parse(PgraftResponse *response, PgraftRequest *request,
								  const char *header, const char *values, size_t values_bytes);
extern bool pgraft_next_bool(PgraftResponse *response, bool *isnull);
extern int32 pgraft_next_int32(PgraftResponse *response, bool *isnull);
extern int64 pgraft_next_int64(PgraftResponse *response, bool *isnull);
extern text *pgraft_next_text(PgraftResponse *response, bool *isnull);
extern char *pgraft_next_error_text(PgraftResponse *response);
extern void pgraft_skip_value(PgraftResponse *response);

/* ---- core_client.c: the backend's connection to the core ---- */

extern void pgraft_disconnect(void);
extern void pgraft_call(PgraftRequest *request, uint32 columns, PgraftResponse *response);
extern bool pgraft_call_bool(PgraftRequest *request);
extern int64 pgraft_call_int64(PgraftRequest *request);
extern bool pgraft_call_nullable_int64(PgraftRequest *request, int64 *result);
extern text *pgraft_call_text(PgraftRequest *request);

/* ---- sql_result.c: rows out of answers, arguments into requests ---- */

extern Datum pgraft_return_set(FunctionCallInfo fcinfo, PgraftRequest *request, uint32 columns);
extern Datum pgraft_return_row(FunctionCallInfo fcinfo, Datum *values, int count);
extern Datum pgraft_return_nullable_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls,
										int count);
extern void pgraft_store_rows(PgraftResponse *response, ReturnSetInfo *rsinfo);
extern void pgraft_reject_null(FunctionCallInfo fcinfo, int arg, const char *name);

/* ---- sql_status.c: names ---- */

extern const char *pgraft_state_name(PgraftWorkerState state);
extern const char *pgraft_role_name(int32 role);

/* ---- worker.c ---- */

extern void pgraft_register_worker(void);
extern PGDLLEXPORT void pgraft_worker_main(Datum arg);

/* ---- pgraft.c ---- */

extern PGDLLEXPORT void _PG_init(void);

#endif							/* PGRAFT_H */
