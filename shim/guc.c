/*
 * guc.c
 *	  The settings pgraft.*: definition, and their way to the core.
 *
 * Why it is hard: when the library is loaded, a value from postgresql.conf is
 * already there as a placeholder, and PostgreSQL only warns and falls back to
 * the default if the definition rejects it.  A node must not start with another
 * port or directory than it was told, so each value given is put through the
 * definition once more, as an error.
 *
 * Threading: the main thread of any process.
 *
 * On failure: an error while the server starts, which ends the start; a warning
 * and the old value at a reload, as for any setting.
 */
#include "pgraft.h"

#include "postmaster/bgworker.h"
#include "utils/builtins.h"

char	   *pgraft_cluster_id = "pgraft-cluster";
int			pgraft_node_id = 1;
char	   *pgraft_address = "127.0.0.1";
char	   *pgraft_listen_address = "";
int			pgraft_port = 7001;
char	   *pgraft_data_dir = "pgraft";
char	   *pgraft_initial_cluster = "";
int			pgraft_election_timeout_ms = 1000;
int			pgraft_heartbeat_interval_ms = 100;
int			pgraft_request_timeout_ms = 5000;

static int	snapshot_interval_entries = 10000;
static int	max_log_entries = 1000;
static int	batch_size_entries = 100;
static int	max_batch_delay_ms = 10;
static int	compaction_threshold_revisions = 10000;
static int	max_value_size_kb = 1536;
static bool metrics_enabled = false;
static int	metrics_port = 9100;
static char *metrics_address = "127.0.0.1";
static bool auth_enabled = false;
static char *cluster_secret_file = "";
static bool tls_enabled = false;
static char *tls_cert_file = "";
static char *tls_key_file = "";
static char *tls_ca_file = "";

static void
refuse_bad_value(const char *name, const char *given)
{
	if (given != NULL)
		(void) set_config_option(name, given, PGC_POSTMASTER, PGC_S_FILE,
								 GUC_ACTION_SET, false, ERROR, false);
}

static char *
value_given(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value == NULL ? NULL : pstrdup(value);
}

static void
define_int(const char *name, const char *description, int *variable, int min, int max,
		   GucContext context, int flags)
{
	char	   *given = value_given(name);

	DefineCustomIntVariable(name, description, NULL, variable, *variable, min, max,
							context, flags, NULL, NULL, NULL);
	refuse_bad_value(name, given);
}

static void
define_string(const char *name, const char *description, char **variable,
			  GucContext context, GucStringCheckHook check)
{
	char	   *given = value_given(name);

	DefineCustomStringVariable(name, description, NULL, variable, *variable,
							   context, 0, check, NULL, NULL);
	refuse_bad_value(name, given);
}

static void
define_bool(const char *name, const char *description, bool *variable,
			GucContext context, GucBoolCheckHook check)
{
	char	   *given = value_given(name);

	DefineCustomBoolVariable(name, description, NULL, variable, *variable,
							 context, 0, check, NULL, NULL);
	refuse_bad_value(name, given);
}

static void
define_identity(void)
{
	define_string("pgraft.cluster_id",
				  "Name of the cluster; all members must have the same.",
				  &pgraft_cluster_id, PGC_POSTMASTER, pgraft_check_cluster_id);
	define_int("pgraft.node_id",
			   "Number of this node, unique in the cluster.",
			   &pgraft_node_id, 1, 65535, PGC_POSTMASTER, 0);
	define_string("pgraft.address",
				  "Host name or IP address that peers dial.",
				  &pgraft_address, PGC_POSTMASTER, pgraft_check_address);
	define_string("pgraft.listen_address",
				  "Address to listen on for peers; empty means pgraft.address, * means all.",
				  &pgraft_listen_address, PGC_POSTMASTER, pgraft_check_listen_address);
	define_int("pgraft.port",
			   "TCP port for peers.",
			   &pgraft_port, 1, 65535, PGC_POSTMASTER, 0);
	define_string("pgraft.data_dir",
				  "Directory of the log, vote and snapshots, relative to the data directory.",
				  &pgraft_data_dir, PGC_POSTMASTER, pgraft_check_data_dir);
	define_string("pgraft.initial_cluster",
				  "Founding members as id=host:port,...; ignored once there is a configuration.",
				  &pgraft_initial_cluster, PGC_POSTMASTER, pgraft_check_initial_cluster);
}

static void
define_consensus(void)
{
	define_int("pgraft.election_timeout",
			   "Lower bound of the randomised election timeout; the upper is twice it.",
			   &pgraft_election_timeout_ms, 100, 60000, PGC_POSTMASTER, GUC_UNIT_MS);
	define_int("pgraft.heartbeat_interval",
			   "Time between two heartbeats of the leader.",
			   &pgraft_heartbeat_interval_ms, 10, 10000, PGC_POSTMASTER, GUC_UNIT_MS);
	define_int("pgraft.snapshot_interval",
			   "Applied log entries between two snapshots.",
			   &snapshot_interval_entries, 100, 1000000000, PGC_SIGHUP, 0);
	define_int("pgraft.max_log_entries",
			   "Log entries kept behind a snapshot for slow followers.",
			   &max_log_entries, 0, 1000000000, PGC_SIGHUP, 0);
}

static void
define_limits(void)
{
	define_int("pgraft.batch_size",
			   "Most log entries in one replication message.",
			   &batch_size_entries, 1, 10000, PGC_SIGHUP, 0);
	define_int("pgraft.max_batch_delay",
			   "Longest pause of a leader between two rounds, to fill the next one.",
			   &max_batch_delay_ms, 0, 1000, PGC_SIGHUP, GUC_UNIT_MS);
	define_int("pgraft.compaction_threshold",
			   "Revisions of key-value history kept; 0 compacts only by hand.",
			   &compaction_threshold_revisions, 0, 1000000000, PGC_SIGHUP, 0);
	define_int("pgraft.request_timeout",
			   "How long a call waits before it reports an unknown outcome.",
			   &pgraft_request_timeout_ms, 100, 600000, PGC_USERSET, GUC_UNIT_MS);
	define_int("pgraft.max_value_size",
			   "Largest value that is accepted.",
			   &max_value_size_kb, 1, 16 * 1024, PGC_SIGHUP, GUC_UNIT_KB);
}

static void
define_metrics(void)
{
	define_bool("pgraft.metrics_enabled",
				"Serve metrics over HTTP.",
				&metrics_enabled, PGC_SIGHUP, NULL);
	define_int("pgraft.metrics_port",
			   "TCP port of the metrics.",
			   &metrics_port, 1, 65535, PGC_SIGHUP, 0);
	define_string("pgraft.metrics_address",
				  "Address the metrics are served on.",
				  &metrics_address, PGC_SIGHUP, pgraft_check_bind_address);
}

static void
define_security(void)
{
	define_bool("pgraft.auth_enabled",
				"Peers must prove that they know the cluster secret.",
				&auth_enabled, PGC_POSTMASTER, pgraft_check_auth_enabled);
	define_string("pgraft.cluster_secret_file",
				  "File that holds the cluster secret; only its owner may have access.",
				  &cluster_secret_file, PGC_POSTMASTER, pgraft_check_private_file);
	define_bool("pgraft.tls_enabled",
				"Mutual TLS between peers.",
				&tls_enabled, PGC_POSTMASTER, pgraft_check_tls_enabled);
	define_string("pgraft.tls_cert_file", "Certificate of this node.",
				  &tls_cert_file, PGC_SIGHUP, pgraft_check_public_file);
	define_string("pgraft.tls_key_file", "Private key of this node.",
				  &tls_key_file, PGC_SIGHUP, pgraft_check_private_file);
	define_string("pgraft.tls_ca_file", "Certificates that sign the peers' certificates.",
				  &tls_ca_file, PGC_SIGHUP, pgraft_check_public_file);
}

/*
 * Defines all settings.  Only while shared_preload_libraries is processed.
 */
void
pgraft_define_settings(void)
{
	define_identity();
	define_consensus();
	define_limits();
	define_metrics();
	define_security();
	MarkGUCPrefixReserved("pgraft");
}

/*
 * Fills in all that comes from settings.  The strings belong to the settings
 * or to the current memory context: good until the next reload.
 */
void
pgraft_fill_config(PgraftConfig *config)
{
	memset(config, 0, sizeof(*config));
	config->abi_version = PGRAFT_ABI_VERSION;
	config->struct_bytes = sizeof(*config);
	config->node_id = pgraft_node_id;
	config->port = pgraft_port;
	config->election_timeout_ms = pgraft_election_timeout_ms;
	config->heartbeat_interval_ms = pgraft_heartbeat_interval_ms;
	config->snapshot_interval_entries = snapshot_interval_entries;
	config->max_log_entries = max_log_entries;
	config->batch_size_entries = batch_size_entries;
	config->max_batch_delay_ms = max_batch_delay_ms;
	config->compaction_threshold_revisions = compaction_threshold_revisions;
	config->max_value_size_bytes = max_value_size_kb * 1024;
	config->cluster_id = pgraft_cluster_id;
	config->address = pgraft_address;
	config->listen_address = pgraft_listen_address[0] != '\0' ? pgraft_listen_address
		: pgraft_address;
	config->data_dir = pgraft_data_dir_path();
	config->initial_cluster = pgraft_initial_cluster;
	config->version = PGRAFT_VERSION;
	config->metrics_enabled = metrics_enabled;
	config->metrics_port = metrics_port;
	config->metrics_address = metrics_address;
	config->findings = pgraft_judge_settings(&config->findings_count);
}
