/*
 * pgraft_abi.h
 *	  The contract between the C shim and the core library (pgraft_core.so).
 *
 * The shim loads the core with dlopen() in the background worker only.  Both
 * sides are built from this one header: the C# mirror in src/PgRaft.Native is
 * compared with it, field by field, by tests/abi.
 *
 * Rules:
 * - Fields have fixed widths.  Statuses and enumerations only ever grow.
 * - The caller owns all memory.  The core copies what it wants to keep before
 *	 the call returns; strings are NUL-terminated UTF-8 and never NULL.
 * - Nothing blocks and nothing calls back.  Starting and stopping are requests;
 *	 their progress is seen in PgraftStatus and announced on wake_fd.
 * - No export lets an exception out.
 *
 * Threading: every export is called by the worker's main thread only.  Any
 * core thread may write PgraftStatus, one at a time, as described there.
 */
#ifndef PGRAFT_ABI_H
#define PGRAFT_ABI_H

#include <stdint.h>

#define PGRAFT_ABI_VERSION			3u

#define PGRAFT_ERROR_TEXT_BYTES		512
#define PGRAFT_LOG_TEXT_BYTES		1024
#define PGRAFT_LOG_CATEGORY_BYTES	64

/* Name of the request socket inside data_dir; see docs/protocol.md. */
#define PGRAFT_SOCKET_NAME			"pgraft.sock"

/*
 * Outcome of a request or of an export.  SQLSTATEs are given by status_map.c.
 */
typedef enum PgraftStatusCode
{
	PGRAFT_OK = 0,
	PGRAFT_NOT_LEADER = 1,		/* 55000: this node is not the leader */
	PGRAFT_NO_LEADER = 2,		/* 57P03: no leader or no quorum */
	PGRAFT_NOT_DONE = 3,		/* 40001: certainly not done, safe to retry */
	PGRAFT_OUTCOME_UNKNOWN = 4, /* 40003: may or may not have been done */
	PGRAFT_BAD_ARGUMENT = 5,	/* 22023 */
	PGRAFT_TOO_LARGE = 6,		/* 54000 */
	PGRAFT_WRONG_STATE = 7,		/* 55000: conflicting change, no cluster yet */
	PGRAFT_NOT_ALLOWED = 8,		/* 42501 */
	PGRAFT_INTERNAL = 9,		/* XX000 */
	PGRAFT_IO_ERROR = 10,		/* 58030 */
	PGRAFT_DISK_FULL = 11,		/* 53100 */
	PGRAFT_ABI_MISMATCH = 12,	/* XX000 */
	PGRAFT_TIMED_OUT = 13,		/* 57P03: a wait or read ended; nothing was
								 * changed */
	PGRAFT_STOPPING = 14,		/* 57P01 */
	PGRAFT_BUSY = 15,			/* 53300: too many connections or requests */
	PGRAFT_NOT_FOUND = 16,		/* 02000 never leaves as an error; 22023 for a
								 * log index out of range */
	PGRAFT_EMPTY = 17,			/* no log record is waiting */
	PGRAFT_PROGRESS = 18		/* the request goes on; its answer follows */
} PgraftStatusCode;

typedef enum PgraftWorkerState
{
	PGRAFT_WORKER_STOPPED = 0,
	PGRAFT_WORKER_STARTING = 1,
	PGRAFT_WORKER_WAITING = 2,	/* runs, but holds no configuration yet */
	PGRAFT_WORKER_RUNNING = 3,
	PGRAFT_WORKER_ERROR = 4,	/* failed; PgraftStatus.error says why */
	PGRAFT_WORKER_REMOVED = 5	/* runs, but is not a member any more */
} PgraftWorkerState;

typedef enum PgraftRole
{
	PGRAFT_ROLE_WAITING = 0,	/* no configuration */
	PGRAFT_ROLE_PASSIVE = 1,	/* has one, but is not a voter in it */
	PGRAFT_ROLE_FOLLOWER = 2,
	PGRAFT_ROLE_CANDIDATE = 3,
	PGRAFT_ROLE_LEADER = 4
} PgraftRole;

typedef enum PgraftLogLevel
{
	PGRAFT_LOG_DEBUG = 0,
	PGRAFT_LOG_INFO = 1,
	PGRAFT_LOG_WARNING = 2,
	PGRAFT_LOG_ERROR = 3
} PgraftLogLevel;

/*
 * What the core was built with.  The shim refuses to go on unless every field
 * equals its own idea of it.
 */
typedef struct PgraftHandshake
{
	uint32_t	abi_version;
	uint32_t	config_bytes;	/* sizeof(PgraftConfig) */
	uint32_t	status_bytes;	/* sizeof(PgraftStatus) */
	uint32_t	log_record_bytes;	/* sizeof(PgraftLogRecord) */
} PgraftHandshake;

/*
 * What is to be said of a setting, judged by the shim (guc_findings.c).
 */
typedef struct PgraftFinding
{
	const char *subject;		/* name of the setting */
	const char *severity;		/* notice, warning or critical */
	const char *text;
	const char *advice;
} PgraftFinding;

/*
 * Settings, given at start and again at every reload.  At a reload the core
 * takes over only what contract "reload" settings allow and ignores the rest.
 */
typedef struct PgraftConfig
{
	uint32_t	abi_version;	/* PGRAFT_ABI_VERSION */
	uint32_t	struct_bytes;	/* sizeof(PgraftConfig) */
	uint64_t	epoch;			/* of this start of the worker; goes to
								 * PgraftStatus.epoch */
	int32_t		wake_fd;		/* eventfd; the core adds 1 when a log record
								 * or a change of state waits */
	int32_t		node_id;		/* 1..65535 */
	int32_t		port;
	int32_t		election_timeout_ms;	/* lower bound; upper is twice it */
	int32_t		heartbeat_interval_ms;
	int32_t		snapshot_interval_entries;
	int32_t		max_log_entries;
	int32_t		batch_size_entries;
	int32_t		max_batch_delay_ms;
	int32_t		compaction_threshold_revisions; /* 0 = only by hand */
	int32_t		max_value_size_bytes;
	int32_t		debug;			/* 0 or 1: emit debug records */
	int32_t		metrics_enabled;	/* 0 or 1: serve HTTP */
	int32_t		metrics_port;
	int32_t		findings_count;
	int64_t		quorum_since_us;	/* at start: since when the answers to the
									 * three questions have been unknown, Unix
									 * time; 0 = not known */
	int64_t		live_members_since_us;
	int64_t		may_act_since_us;
	const char *cluster_id;
	const char *address;		/* host or IP that peers dial */
	const char *listen_address; /* host, IP or "*" */
	const char *data_dir;		/* absolute path */
	const char *initial_cluster;	/* "" or "1=host:port,..." */
	const char *version;		/* of the extension, e.g. "1.0" */
	const char *metrics_address;	/* host, IP or "*"; where HTTP is served */
	const PgraftFinding *findings;	/* so many as findings_count; taken over at a
									 * reload, too */
} PgraftConfig;

/*
 * The state of the node, in shared memory: the core writes, every backend
 * reads.
 *
 * Protocol: the writer adds 1 to sequence (now odd), writes, adds 1 (even),
 * with full barriers between.  A reader copies and retries while sequence is
 * odd or has changed; after a bounded number of tries it must treat everything
 * as unknown (a frozen worker may have stopped in the middle).
 *
 * lease_deadline_ns may also be read alone, atomically: it is the one fact
 * pgraft_is_leader() needs.  It is 0 unless this node is the leader.
 *
 * Times in ns are CLOCK_MONOTONIC nanoseconds.
 *
 * The answers to the three questions of a failover manager (answers.c) follow
 * from the rest; since when they are what they are cannot, and is told here.
 * What ends after written_ns changes them with nobody to write it down.
 */
typedef struct PgraftStatus
{
	uint64_t	sequence;
	uint64_t	epoch;
	int64_t		lease_deadline_ns;	/* leader: no other leader before this */
	int64_t		leader_deadline_ns; /* follower: leader_id counts as known
									 * until then */
	int64_t		no_quorum_deadline_ns;	/* too few members answered this node,
										 * which had asked all: counts until
										 * then; 0 = not known */
	int64_t		term;
	int64_t		commit_index;
	int64_t		known_commit_index; /* committed anywhere, as far as heard */
	int64_t		applied_index;
	int64_t		last_index;
	int64_t		first_index;	/* of the first entry still in the log */
	int64_t		snapshot_index;
	int64_t		snapshot_term;
	int64_t		log_bytes;		/* on disk: log and snapshots */
	int64_t		messages_processed; /* RPCs received from peers */
	int64_t		heartbeats_sent;
	int64_t		elections_triggered;	/* elections this node started */
	int64_t		requests_processed;
	int64_t		log_records_dropped;
	int64_t		written_ns;		/* when the node's part was last written */
	int64_t		wall_offset_ns; /* the clock on the wall less CLOCK_MONOTONIC,
								 * then */
	int64_t		quorum_since_us;	/* since when the answers were what they
									 * were then, Unix time; 0 = not known */
	int64_t		live_members_since_us;
	int64_t		may_act_since_us;
	int32_t		state;			/* PgraftWorkerState */
	int32_t		role;			/* PgraftRole */
	int32_t		node_id;
	int32_t		leader_id;		/* 0 = none known */
	int32_t		members;		/* in the committed configuration */
	int32_t		live_members;	/* that answered lately, -1 = not known; good
								 * while the lease or no_quorum_deadline_ns
								 * lasts */
	int32_t		requests_pending;
	int32_t		queue_full;		/* 0 or 1 */
	int32_t		error_status;	/* PgraftStatusCode when state is ERROR */
	char		error[PGRAFT_ERROR_TEXT_BYTES]; /* NUL-terminated UTF-8 */
} PgraftStatus;

typedef struct PgraftLogRecord
{
	int32_t		level;			/* PgraftLogLevel */
	int32_t		event_id;
	char		category[PGRAFT_LOG_CATEGORY_BYTES];
	char		text[PGRAFT_LOG_TEXT_BYTES];
} PgraftLogRecord;

/*
 * The exports.  Each returns a PgraftStatusCode.
 *
 * pgraft_core_handshake: fills *out.  To be called first.
 * pgraft_core_start: checks the settings, takes over *status (which the caller
 *	 has zeroed and keeps mapped for the life of the process) and starts the
 *	 node in the background.  PGRAFT_WRONG_STATE when called twice.
 * pgraft_core_reload: takes over reloadable settings.
 * pgraft_core_request_stop: begins an orderly stop; status.state becomes
 *	 STOPPED when it is over.  May be called more than once.
 * pgraft_core_next_log: moves the oldest waiting record to *out, or answers
 *	 PGRAFT_EMPTY.
 */
typedef int32_t (*pgraft_core_handshake_fn) (PgraftHandshake *out);
typedef int32_t (*pgraft_core_start_fn) (const PgraftConfig *config, PgraftStatus *status);
typedef int32_t (*pgraft_core_reload_fn) (const PgraftConfig *config);
typedef int32_t (*pgraft_core_request_stop_fn) (void);
typedef int32_t (*pgraft_core_next_log_fn) (PgraftLogRecord *out);

#define PGRAFT_CORE_HANDSHAKE		"pgraft_core_handshake"
#define PGRAFT_CORE_START			"pgraft_core_start"
#define PGRAFT_CORE_RELOAD			"pgraft_core_reload"
#define PGRAFT_CORE_REQUEST_STOP	"pgraft_core_request_stop"
#define PGRAFT_CORE_NEXT_LOG		"pgraft_core_next_log"

/*
 * Request codes of the socket protocol (docs/protocol.md gives arguments and
 * results).
 */
typedef enum PgraftRequestCode
{
	PGRAFT_REQ_INIT = 1,
	PGRAFT_REQ_ADD_NODE = 2,
	PGRAFT_REQ_REMOVE_NODE = 3,
	PGRAFT_REQ_GET_NODES = 4,
	PGRAFT_REQ_TEST = 5,
	PGRAFT_REQ_SET_DEBUG = 6,
	PGRAFT_REQ_TRANSFER_LEADERSHIP = 7,
	PGRAFT_REQ_UPDATE_NODE = 8,
	PGRAFT_REQ_HEALTH = 9,
	PGRAFT_REQ_LOG_APPEND = 10,
	PGRAFT_REQ_LOG_WAIT_COMMIT = 11,
	PGRAFT_REQ_LOG_WAIT_APPLY = 12,
	PGRAFT_REQ_LOG_GET_ENTRY = 13,
	PGRAFT_REQ_LOG_GET_STATS = 14,
	PGRAFT_REQ_LOG_GET_REPLICATION = 15,
	PGRAFT_REQ_LOG_SYNC = 16,
	PGRAFT_REQ_ENDPOINT_STATUS = 17,
	PGRAFT_REQ_HISTORY = 18,
	PGRAFT_REQ_KV_PUT = 20,
	PGRAFT_REQ_KV_GET = 21,
	PGRAFT_REQ_KV_DELETE = 22,
	PGRAFT_REQ_KV_EXISTS = 23,
	PGRAFT_REQ_KV_LIST_KEYS = 24,
	PGRAFT_REQ_KV_GET_STATS = 25,
	PGRAFT_REQ_KV_CAS = 26,
	PGRAFT_REQ_SNAPSHOT = 30,
	PGRAFT_REQ_BACKUP = 31,
	PGRAFT_REQ_RECOVER_CLUSTER = 32,
	PGRAFT_REQ_FINDINGS = 33,
	PGRAFT_REQ_RESTORE = 34,
	PGRAFT_REQ_BACKUP_INFO = 35
} PgraftRequestCode;

/* Type tags of values in requests and responses. */
typedef enum PgraftValueTag
{
	PGRAFT_VALUE_NULL = 0,
	PGRAFT_VALUE_BOOL = 1,		/* 1 byte, 0 or 1 */
	PGRAFT_VALUE_INT32 = 2,		/* 4 bytes, little-endian */
	PGRAFT_VALUE_INT64 = 3,		/* 8 bytes, little-endian */
	PGRAFT_VALUE_TEXT = 4		/* uint32 length, then bytes (UTF-8, no NUL) */
} PgraftValueTag;

/* Largest frame either side accepts, in bytes. */
#define PGRAFT_MAX_FRAME_BYTES		(64u * 1024u * 1024u)

#endif							/* PGRAFT_ABI_H */
