/*
 * layout.c
 *	  Prints the layout of everything in pgraft_abi.h, as this compiler sees it.
 *
 * A test builds and runs it, and compares the lines with the C# mirror.  The
 * names are written out here because C cannot list them; the test also checks
 * that every field and constant of the header is printed.
 *
 *	  struct NAME SIZE
 *	  NAME.FIELD OFFSET SIZE
 *	  CONSTANT VALUE
 *	  MACRO "TEXT"
 *
 * Threading: none.
 *
 * On failure: exits with 1 when the output cannot be written.
 */
#include <stddef.h>
#include <stdio.h>

#include "pgraft_abi.h"

#define STRUCT(type) printf("struct %s %zu\n", #type, sizeof(type))
#define FIELD(type, field) \
	printf("%s.%s %zu %zu\n", #type, #field, offsetof(type, field), sizeof(((type *) 0)->field))
#define CONSTANT(name) printf("%s %lld\n", #name, (long long) (name))
#define TEXT(name) printf("%s \"%s\"\n", #name, name)

static void
print_handshake(void)
{
	STRUCT(PgraftHandshake);
	FIELD(PgraftHandshake, abi_version);
	FIELD(PgraftHandshake, config_bytes);
	FIELD(PgraftHandshake, status_bytes);
	FIELD(PgraftHandshake, log_record_bytes);
}

static void
print_finding(void)
{
	STRUCT(PgraftFinding);
	FIELD(PgraftFinding, subject);
	FIELD(PgraftFinding, severity);
	FIELD(PgraftFinding, text);
	FIELD(PgraftFinding, advice);
}

static void
print_config(void)
{
	STRUCT(PgraftConfig);
	FIELD(PgraftConfig, abi_version);
	FIELD(PgraftConfig, struct_bytes);
	FIELD(PgraftConfig, epoch);
	FIELD(PgraftConfig, wake_fd);
	FIELD(PgraftConfig, node_id);
	FIELD(PgraftConfig, port);
	FIELD(PgraftConfig, election_timeout_ms);
	FIELD(PgraftConfig, heartbeat_interval_ms);
	FIELD(PgraftConfig, snapshot_interval_entries);
	FIELD(PgraftConfig, max_log_entries);
	FIELD(PgraftConfig, batch_size_entries);
	FIELD(PgraftConfig, max_batch_delay_ms);
	FIELD(PgraftConfig, compaction_threshold_revisions);
	FIELD(PgraftConfig, max_value_size_bytes);
	FIELD(PgraftConfig, debug);
	FIELD(PgraftConfig, metrics_enabled);
	FIELD(PgraftConfig, metrics_port);
	FIELD(PgraftConfig, findings_count);
	FIELD(PgraftConfig, quorum_since_us);
	FIELD(PgraftConfig, live_members_since_us);
	FIELD(PgraftConfig, may_act_since_us);
	FIELD(PgraftConfig, cluster_id);
	FIELD(PgraftConfig, address);
	FIELD(PgraftConfig, listen_address);
	FIELD(PgraftConfig, data_dir);
	FIELD(PgraftConfig, initial_cluster);
	FIELD(PgraftConfig, version);
	FIELD(PgraftConfig, metrics_address);
	FIELD(PgraftConfig, findings);
}

static void
print_status(void)
{
	STRUCT(PgraftStatus);
	FIELD(PgraftStatus, sequence);
	FIELD(PgraftStatus, epoch);
	FIELD(PgraftStatus, lease_deadline_ns);
	FIELD(PgraftStatus, leader_deadline_ns);
	FIELD(PgraftStatus, no_quorum_deadline_ns);
	FIELD(PgraftStatus, term);
	FIELD(PgraftStatus, commit_index);
	FIELD(PgraftStatus, known_commit_index);
	FIELD(PgraftStatus, applied_index);
	FIELD(PgraftStatus, last_index);
	FIELD(PgraftStatus, first_index);
	FIELD(PgraftStatus, snapshot_index);
	FIELD(PgraftStatus, snapshot_term);
	FIELD(PgraftStatus, log_bytes);
	FIELD(PgraftStatus, messages_processed);
	FIELD(PgraftStatus, heartbeats_sent);
	FIELD(PgraftStatus, elections_triggered);
	FIELD(PgraftStatus, requests_processed);
	FIELD(PgraftStatus, log_records_dropped);
	FIELD(PgraftStatus, written_ns);
	FIELD(PgraftStatus, wall_offset_ns);
	FIELD(PgraftStatus, quorum_since_us);
	FIELD(PgraftStatus, live_members_since_us);
	FIELD(PgraftStatus, may_act_since_us);
	FIELD(PgraftStatus, state);
	FIELD(PgraftStatus, role);
	FIELD(PgraftStatus, node_id);
	FIELD(PgraftStatus, leader_id);
	FIELD(PgraftStatus, members);
	FIELD(PgraftStatus, live_members);
	FIELD(PgraftStatus, requests_pending);
	FIELD(PgraftStatus, queue_full);
	FIELD(PgraftStatus, error_status);
	FIELD(PgraftStatus, error);
}

static void
print_log_record(void)
{
	STRUCT(PgraftLogRecord);
	FIELD(PgraftLogRecord, level);
	FIELD(PgraftLogRecord, event_id);
	FIELD(PgraftLogRecord, category);
	FIELD(PgraftLogRecord, text);
}

static void
print_status_codes(void)
{
	CONSTANT(PGRAFT_OK);
	CONSTANT(PGRAFT_NOT_LEADER);
	CONSTANT(PGRAFT_NO_LEADER);
	CONSTANT(PGRAFT_NOT_DONE);
	CONSTANT(PGRAFT_OUTCOME_UNKNOWN);
	CONSTANT(PGRAFT_BAD_ARGUMENT);
	CONSTANT(PGRAFT_TOO_LARGE);
	CONSTANT(PGRAFT_WRONG_STATE);
	CONSTANT(PGRAFT_NOT_ALLOWED);
	CONSTANT(PGRAFT_INTERNAL);
	CONSTANT(PGRAFT_IO_ERROR);
	CONSTANT(PGRAFT_DISK_FULL);
	CONSTANT(PGRAFT_ABI_MISMATCH);
	CONSTANT(PGRAFT_TIMED_OUT);
	CONSTANT(PGRAFT_STOPPING);
	CONSTANT(PGRAFT_BUSY);
	CONSTANT(PGRAFT_NOT_FOUND);
	CONSTANT(PGRAFT_EMPTY);
	CONSTANT(PGRAFT_PROGRESS);
}

static void
print_worker_states(void)
{
	CONSTANT(PGRAFT_WORKER_STOPPED);
	CONSTANT(PGRAFT_WORKER_STARTING);
	CONSTANT(PGRAFT_WORKER_WAITING);
	CONSTANT(PGRAFT_WORKER_RUNNING);
	CONSTANT(PGRAFT_WORKER_ERROR);
	CONSTANT(PGRAFT_WORKER_REMOVED);
}

static void
print_roles(void)
{
	CONSTANT(PGRAFT_ROLE_WAITING);
	CONSTANT(PGRAFT_ROLE_PASSIVE);
	CONSTANT(PGRAFT_ROLE_FOLLOWER);
	CONSTANT(PGRAFT_ROLE_CANDIDATE);
	CONSTANT(PGRAFT_ROLE_LEADER);
}

static void
print_log_levels(void)
{
	CONSTANT(PGRAFT_LOG_DEBUG);
	CONSTANT(PGRAFT_LOG_INFO);
	CONSTANT(PGRAFT_LOG_WARNING);
	CONSTANT(PGRAFT_LOG_ERROR);
}

static void
print_request_codes(void)
{
	CONSTANT(PGRAFT_REQ_INIT);
	CONSTANT(PGRAFT_REQ_ADD_NODE);
	CONSTANT(PGRAFT_REQ_REMOVE_NODE);
	CONSTANT(PGRAFT_REQ_GET_NODES);
	CONSTANT(PGRAFT_REQ_TEST);
	CONSTANT(PGRAFT_REQ_SET_DEBUG);
	CONSTANT(PGRAFT_REQ_TRANSFER_LEADERSHIP);
	CONSTANT(PGRAFT_REQ_UPDATE_NODE);
	CONSTANT(PGRAFT_REQ_HEALTH);
	CONSTANT(PGRAFT_REQ_LOG_APPEND);
	CONSTANT(PGRAFT_REQ_LOG_WAIT_COMMIT);
	CONSTANT(PGRAFT_REQ_LOG_WAIT_APPLY);
	CONSTANT(PGRAFT_REQ_LOG_GET_ENTRY);
	CONSTANT(PGRAFT_REQ_LOG_GET_STATS);
	CONSTANT(PGRAFT_REQ_LOG_GET_REPLICATION);
	CONSTANT(PGRAFT_REQ_LOG_SYNC);
	CONSTANT(PGRAFT_REQ_ENDPOINT_STATUS);
	CONSTANT(PGRAFT_REQ_HISTORY);
	CONSTANT(PGRAFT_REQ_KV_PUT);
	CONSTANT(PGRAFT_REQ_KV_GET);
	CONSTANT(PGRAFT_REQ_KV_DELETE);
	CONSTANT(PGRAFT_REQ_KV_EXISTS);
	CONSTANT(PGRAFT_REQ_KV_LIST_KEYS);
	CONSTANT(PGRAFT_REQ_KV_GET_STATS);
	CONSTANT(PGRAFT_REQ_KV_CAS);
	CONSTANT(PGRAFT_REQ_SNAPSHOT);
	CONSTANT(PGRAFT_REQ_BACKUP);
	CONSTANT(PGRAFT_REQ_RECOVER_CLUSTER);
	CONSTANT(PGRAFT_REQ_FINDINGS);
	CONSTANT(PGRAFT_REQ_RESTORE);
	CONSTANT(PGRAFT_REQ_BACKUP_INFO);
}

static void
print_value_tags(void)
{
	CONSTANT(PGRAFT_VALUE_NULL);
	CONSTANT(PGRAFT_VALUE_BOOL);
	CONSTANT(PGRAFT_VALUE_INT32);
	CONSTANT(PGRAFT_VALUE_INT64);
	CONSTANT(PGRAFT_VALUE_TEXT);
}

static void
print_macros(void)
{
	CONSTANT(PGRAFT_ABI_VERSION);
	CONSTANT(PGRAFT_ERROR_TEXT_BYTES);
	CONSTANT(PGRAFT_LOG_TEXT_BYTES);
	CONSTANT(PGRAFT_LOG_CATEGORY_BYTES);
	TEXT(PGRAFT_SOCKET_NAME);
	TEXT(PGRAFT_CORE_HANDSHAKE);
	TEXT(PGRAFT_CORE_START);
	TEXT(PGRAFT_CORE_RELOAD);
	TEXT(PGRAFT_CORE_REQUEST_STOP);
	TEXT(PGRAFT_CORE_NEXT_LOG);
	CONSTANT(PGRAFT_MAX_FRAME_BYTES);
}

int
main(void)
{
	print_handshake();
	print_finding();
	print_config();
	print_status();
	print_log_record();
	print_status_codes();
	print_worker_states();
	print_roles();
	print_log_levels();
	print_request_codes();
	print_value_tags();
	print_macros();
	return fflush(stdout) == 0 ? 0 : 1;
}
